using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>Whether this user may open everything that a flash opens: the board now, and the bootloader that is to appear.</summary>
public static class AccessCheck
{
    /// <summary>udev sets a new node's owner within milliseconds, on a busy computer within seconds.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    /// <summary>The plan, in which a missing permission blocks its board.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="hardware">The buses.</param>
    /// <param name="time">The only clock.</param>
    /// <param name="isLast">
    /// The boards were asked. Before that, one of several possible bootloaders that could not be opened is only a note.
    /// </param>
    /// <param name="patience">How late the permission for a device may be; null for <see cref="Settling"/>.</param>
    public static async Task<FlashPlan> ApplyAsync(
        FlashPlan plan, IHardware hardware, TimeProvider time, bool isLast = false, TimeSpan? patience = null) => plan with
        {
            Boards = [.. await Task.WhenAll(
                plan.Boards.Select(board => ApplyAsync(board, hardware, patience ?? Settling, time, isLast)))],
        };

    private static async Task<BoardPlan> ApplyAsync(
        BoardPlan board, IHardware hardware, TimeSpan patience, TimeProvider time, bool isLast)
    {
        foreach (var device in Opened(board))
        {
            var isPossible = !isLast && board is { Bootloader: null, Entry: not FlashEntry.OwnUpdater } && device.Number == 0;
            if (await FaultOfAsync(device, hardware, isPossible ? TimeSpan.Zero : patience, time) is not { } fault)
                continue;
            return isPossible ? board with { Findings = [.. board.Findings, Finding.Of(FindingSeverity.Note, fault)] }
                : board.Refused(fault);
        }
        return board;
    }

    /// <summary>Opens something, and tries again while a permission is missing that may arrive late.</summary>
    public static async Task<T> AwaitAsync<T>(Func<Task<T>> open, TimeSpan patience, TimeProvider time)
    {
        var begin = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await open();
            }
            catch (FlashException denied) when (denied.Kind == FaultKind.NoPermission && time.GetElapsedTime(begin) < patience)
            {
                await Task.Delay(Retry, time);
            }
        }
    }

    /// <summary>The devices that a flash of the board opens. A bootloader that is to appear has no number yet.</summary>
    private static IEnumerable<Device> Opened(BoardPlan board)
    {
        if (board is not { IsBlocked: false, Device: { Can: null } device, Request.SkipReason: null }
            || board.Entry is FlashEntry.SdCard or FlashEntry.Manual)
            yield break;
        yield return device;
        if (board.Entry == FlashEntry.OwnUpdater && device.Node is not null && ProbeUpdater.BootloaderOf(device) is { } its)
            yield return new() { Port = device.Port, Number = 0, Usb = its };
        if (board is not { Entry: FlashEntry.Touch, Profile.Mcu: { } mcu })
            yield break;
        var next = board.Bootloader is { } known ? [known] : BoardPlanner.Candidates(board, BuildLink.Usb);
        foreach (var id in next.Select(driver => driver.TransferIdOn(mcu)).OfType<UsbId>())
            yield return new() { Port = device.Port, Number = 0, Usb = id };
    }

    private static async Task<FlashException?> FaultOfAsync(Device device, IHardware hardware, TimeSpan patience, TimeProvider time)
    {
        try
        {
            return await AwaitAsync<FlashException?>(
                async () =>
                {
                    await hardware.CheckAccessAsync(device);
                    return null;
                },
                patience, time);
        }
        catch (FlashException fault)
        {
            return fault;
        }
        catch (DeviceGoneException)
        {
            return null;   // the flash itself finds out
        }
    }
}
