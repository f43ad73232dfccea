using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <content>
/// A board that is a node on CAN. No bus lists it, so it is asked for: a node that has a number is silent when everybody is asked, and one
/// that answers has been reset. That is how its stays end and begin. </content>
internal sealed partial class BoardBus
{
    // Nodes answer within milliseconds; what is waited for is the reset.
    private static readonly TimeSpan QueryTime = TimeSpan.FromMilliseconds(250);

    private readonly HashSet<CanUuid> _others = [];   // who answered instead

    private CanUuid? _nextUuid;        // after a change of link
    private bool _isAnywhereOnUsb;   // it was on CAN: no port of it is known

    private CanUuid Uuid => plan.Request.Board.CanUuid ?? throw new InvalidOperationException($"{plan.Name} is not on CAN");

    /// <summary>A node and nothing else: the bridge itself is followed by its interface and its USB port.</summary>
    public bool IsNode(Device device) => device.Can is not null && !plan.IsCanBridge && plan.Request.Board.CanUuid is not null;

    private async Task<CanPort> OpenCanAsync(Device device)
    {
        // Nobody has a CAN interface for himself, so no open would fail: a Klipper that was started meanwhile has to be looked for.
        if ((await klippy.LookAsync(CancellationToken.None)).HoldsPorts)
        {
            await log.WarnAsync(plan.Name, FlashPhase.Stop,
                $"Somebody started Klipper in the middle of the flash, and it talks on {device.Port}; stopping it again.");
            await klippy.StopAsync(CancellationToken.None);
        }
        return await hardware.OpenCanAsync(device);
    }

    private async Task<ByteLine> OpenNodeAsync(Device device, bool inBootloader) =>
        await CanLine.OpenAsync(await OpenCanAsync(device), Uuid, inBootloader ? plan.BootloaderNumber : plan.KlipperNumber, inBootloader,
            time);

    /// <summary>It must have a number first: one without would answer the next query as if it had been reset.</summary>
    private async Task RequestBootloaderAsync(Device device)
    {
        await using var port = await OpenCanAsync(device);
        await port.SendAsync(CanAdmin.AssignKlipper(Uuid, plan.KlipperNumber));
        await port.SendAsync(CanAdmin.RequestBootloader(Uuid));
    }

    /// <exception cref="FlashException">A node that says nothing at all.</exception>
    private async Task<bool> IsThereOnCanAsync(Device device)
    {
        await using var port = await OpenCanAsync(device);
        if (await AnswersAsKlipperAsync(port))
            return true;
        throw CanAdmin.TroubleOf(port) ?? CanFaults.CanNodeSilent(
            plan.Name, $"{Uuid}", device.Port,
                _others.Count > 0 ? $"these do: {string.Join(", ", _others)}" : "nor does anybody else who has no number");
    }

    /// <summary>
    /// Asks again and again until the node answers, through interfaces that leave and return; one whose bootloader is on USB may come back
    /// there as well. Null when it did not.
    /// </summary>
    /// <param name="isLost">It may still have its number, as after a fault of the bus: then that is taken from it, or Klipper is spoken
    /// to.</param>
    /// <exception cref="FlashException">The bus was in trouble to the end.</exception>
    private async Task<Device?> FindNodeAsync(Device left, TimeSpan limit, bool isLost, CancellationToken cancel)
    {
        var name = plan.Request.Board.CanInterface;
        var begin = time.GetTimestamp();
        FlashException? trouble = null;
        while (limit - time.GetElapsedTime(begin) is var rest && rest > TimeSpan.Zero)
        {
            var can = await hardware.WaitForAsync(
                seen => ReturnedOnUsb(seen) ?? seen.Devices.FirstOrDefault(device => device.Port == name && device.Can is { IsUp: true }),
                    rest, time, cancel);
            if (can is null)
                return hardware.Look().Devices.Any(device => device.Port == name && device.Can is not null) ? throw CanFaults.CanDown(name)
                    : null;
            if (can.Can is null)
                return can;
            try
            {
                await using var port = await OpenCanAsync(can);
                while (limit > time.GetElapsedTime(begin))
                {
                    cancel.ThrowIfCancellationRequested();
                    if (ReturnedOnUsb(hardware.Look()) is { } usb)
                        return usb;
                    if (isLost)
                        await port.SendAsync(CanAdmin.ReleaseBootloader(plan.BootloaderNumber));
                    var nodes = await CanAdmin.QueryAsync(port, QueryTime, time, Uuid);
                    if (nodes.FirstOrDefault(node => node.Uuid == Uuid) is { } answer)
                        return can with { CanNode = answer };
                    _others.UnionWith(nodes.Select(node => node.Uuid));
                    if (isLost && await AnswersAsKlipperAsync(port))
                        return can with { CanNode = new CanNode(Uuid, InBootloader: false) };
                    trouble = CanAdmin.TroubleOf(port);
                }
            }
            catch (DeviceGoneException)
            {
                await Task.Delay(QueryTime, time, cancel);   // it may be listed a moment longer
            }
            catch (FlashException fault) when (fault.Kind.IsCanTrouble)
            {
                trouble = fault;
                await Task.Delay(QueryTime, time, cancel);
            }
        }
        return trouble is null ? null : throw trouble;

        Device? ReturnedOnUsb(DeviceList seen) =>
            left.Usb is null ? null : seen.Devices.FirstOrDefault(device => device.Usb is not null && IsNew(device) && IsOurs(device));
    }

    /// <summary>Any answer at all to the first block of an identify. Only Klipper can hear it: no bootloader takes that number.</summary>
    private async Task<bool> AnswersAsKlipperAsync(CanPort port)
    {
        var block = new byte[KlipperBlock.MaxLength];
        var length = KlipperBlock.Write(block.AsSpan(1), 0, [1, 0, 40]);
        block[0] = KlipperBlock.Sync;
        // The port is the caller's, so the line is not closed.
        var line = await CanLine.OpenAsync(port, Uuid, plan.KlipperNumber, inBootloader: false, time);
        await line.WriteAsync(block.AsMemory(0, length + 1));
        return await line.ReadAsync(block, QueryTime) > 0;
    }

    /// <summary>The interface that the bridge is, when it has come back.</summary>
    private bool IsBridgeInterface(Device device) =>
        plan.Request.Board.CanUuid is not null && device.Can is { } can && can.UsbPort == _port;

    private Device? NodeInBootloader() =>
        hardware.Look().Devices.FirstOrDefault(device => device.Port == plan.Device!.Port && device.Can is { IsUp: true }) is { } can
        ? can with { CanNode = new CanNode(Uuid, InBootloader: true) } : null;

    /// <summary>
    /// The new firmware is in the board: from now on the board is looked for on that firmware's link. Returns what the user changes in
    /// printer.cfg; null for a board whose link stays.
    /// </summary>
    public string? ChangeLink()
    {
        if (plan.LinkChange is not { } change)
            return null;
        var name = plan.Request.Board.CanInterface;
        var place = change.To == BuildLink.Can ? hardware.Look().Devices.First(device => device.Port == name && device.Can is not null)
            : change.From == BuildLink.Can ? new Device { Port = _port, Number = 0, Usb = UsbId.Klipper } : plan.Device!;
        _isAnywhereOnUsb = change is { From: BuildLink.Can, To: BuildLink.Usb };
        plan = plan.AfterLinkChange(_nextUuid, place);
        return _nextUuid is { } uuid ? $"In printer.cfg the board's section needs `canbus_uuid: {uuid}` in place of `serial:` from now on."
            : "In printer.cfg the board's section needs `serial:` in place of `canbus_uuid:` from now on.";
    }
}
