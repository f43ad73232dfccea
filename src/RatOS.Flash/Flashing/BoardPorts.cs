using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Opens the ports of a board. A hook or an update may have started Klipper meanwhile: it is stopped again, because it would disturb the
/// flash. Another program gets time to close the port.
/// </summary>
internal sealed class BoardPorts(IHardware hardware, IKlippy klippy, TimeProvider time, FlashLog log, string board)
{
    // ModemManager and other programs open a new port, probe it, and close it again, without announcing when.
    private static readonly TimeSpan HeldLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan HeldRetry = TimeSpan.FromSeconds(0.5);

    public Task<IUsbDevice> OpenUsbAsync(Device device) => RetryAsync(() => hardware.OpenUsbAsync(device));

    public Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode) => RetryAsync(() => hardware.OpenSerialAsync(device, mode));

    public Task TouchAsync(Device device) => RetryAsync(async () =>
    {
        await hardware.TouchAsync(device, 1200);
        return true;
    });

    public async Task<CanPort> OpenCanAsync(Device device)
    {
        // A CAN interface is shared, so opening it does not fail while Klipper uses it: ask whether Klipper was started meanwhile.
        if ((await klippy.LookAsync(CancellationToken.None)).HoldsPorts)
            await StopKlipperAsync($"Klipper was started during the flash and uses {device.Port}; stopping it again.");
        return await hardware.OpenCanAsync(device);
    }

    private async Task<T> RetryAsync<T>(Func<Task<T>> open)
    {
        var begin = time.GetTimestamp();
        var stops = 0;
        for (var isFirst = true; ; isFirst = false)
        {
            try
            {
                return await AccessCheck.AwaitAsync(open, AccessCheck.Settling, time);
            }
            catch (FlashException held) when (held.Kind == FaultKind.PortHeld && stops < 2 && time.GetElapsedTime(begin) < HeldLimit)
            {
                if ((await klippy.LookAsync(CancellationToken.None)).HoldsPorts)
                {
                    stops++;
                    await StopKlipperAsync($"{held.Cause} Klipper was started during the flash; stopping it again.");
                    continue;
                }
                if (isFirst)
                    await log.WarnAsync(board, FlashPhase.Enter, $"{held.Cause} Waiting until it closes the port.");
                await Task.Delay(HeldRetry, time);
            }
        }
    }

    private async Task StopKlipperAsync(string why)
    {
        await log.WarnAsync(board, FlashPhase.Stop, why);
        await klippy.StopAsync(CancellationToken.None);
    }
}
