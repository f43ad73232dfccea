using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>
/// The recovery steps between a retry and an operator: a USB reset, a power cycle of the USB port, a power cycle of the board. Each is
/// tried once.
/// </summary>
internal sealed class RecoverySteps(BoardBus bus, BoardLog log, BoardPlan plan)
{
    private bool _cycledPort;
    private bool _cycledPower;

    /// <summary>A hung USB device may answer its hub's reset; the program in it goes on.</summary>
    public async Task<Device> ResetUsbAsync(Device device, FlashPhase phase)
    {
        if (device.Usb is null)
            return device;
        await log.NoteAsync(phase, $"Resetting the USB device at {device.Port} by its hub");
        try
        {
            await bus.ResetUsbAsync(device);
        }
        catch (FlashException refused)
        {
            log.Keep(refused.Cause);
        }
        catch (DeviceGoneException)
        {
            return await bus.WaitForReturnAsync(device, BoardBus.ReturnLimit) ?? device;
        }
        return device;
    }

    public bool MayCyclePort(FlashException fault, BoardCondition condition) => !_cycledPort && PowerMayHelp(fault, condition);

    /// <summary>
    /// The board after its USB port was switched off and on; null when the hub cannot do that, or the board did not come back.
    /// </summary>
    public async Task<Device?> CyclePortAsync(FlashException fault)
    {
        _cycledPort = true;
        if (plan.Device is not { Usb: not null } device)
            return null;
        bus.Remember();
        if (!await bus.CyclePortAsync())
            return null;
        await log.WarnAsync(FlashPhase.Enter, $"{fault.Cause} Its USB port was switched off and on.");
        return await bus.WaitForReturnAsync(device, BoardBus.ReturnLimit);
    }

    /// <summary>The power device that the user assigned to the board, where cycling it may help and was not tried; else null.</summary>
    public string? PowerToCycle(FlashException? fault, BoardCondition condition) =>
        !_cycledPower && fault is not null && PowerMayHelp(fault, condition) && plan.Device is { IsWired: false } device
            && !bus.IsNode(device)
            ? plan.Request.Board.Power : null;

    /// <summary>Its power is switched off now: what comes back is a new session.</summary>
    public void PowerIsCycled()
    {
        _cycledPower = true;
        bus.Remember();
        log.Keep($"Its power ({plan.Request.Board.Power}) was switched off and on.");
    }

    /// <summary>The board after its power is on again; null when it did not come back.</summary>
    public async Task<Device?> WaitPoweredAsync()
    {
        try
        {
            return await bus.WaitForReturnAsync(plan.Device!, BoardBus.ReturnLimit);
        }
        catch (FlashException trouble)
        {
            log.Keep(trouble.Cause);
            return null;
        }
    }

    // A ROM that holds a board without firmware never loses its power: on most chips nothing but BOOT0 would bring it back. Katapult stays
    // where it is.
    private static bool PowerMayHelp(FlashException fault, BoardCondition condition) => fault.Kind.PowerMayHelp switch
    {
        PowerHelp.Always => true,
        PowerHelp.WithFirmware => !condition.MayLackFirmware(),
        _ => false,
    };
}
