using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <content>Rungs between asking again and asking a person.</content>
internal sealed partial class BoardFlash
{
    private bool _cycledPort;
    private bool _cycledPower;

    /// <summary>The power device of Moonraker that it hangs at, when switching it off and on may help and was not tried; null otherwise.</summary>
    public string? PowerToCycle => !_cycledPower && Last?.Fault is { } fault && PowerMayHelp(fault.Code) && _plan.Device is { IsWired: false } device && !_bus.IsNode(device)
        ? _plan.Request.Board.Power : null;

    /// <summary>Waits for the board behind a power that is on again. Null when it did not come.</summary>
    public async Task<Device?> WaitPoweredAsync()
    {
        try
        {
            return await _bus.WaitBackAsync(_plan.Device!, BoardBus.BackLimit);
        }
        catch (FlashException trouble)
        {
            Note(trouble.Cause);
            return null;
        }
    }

    /// <summary>Its power is switched off now: what comes back is new.</summary>
    public void PowerIsCycled()
    {
        _cycledPower = true;
        _bus.Remember();
        Note($"Its power ({_plan.Request.Board.Power}) was switched off and on.");
    }

    // A ROM that holds a board without firmware is never taken its power: on most chips nothing but BOOT0 would bring it back. Katapult stays where it is.
    private bool PowerMayHelp(string fault) => fault switch
    {
        "bootloader-not-seen" or "not-seen-again" or "touch-ignored" or "came-back-as-klipper" => true,
        "did-not-leave" or "not-back" or "not-back-after-reset" or "klipper-silent" => true,
        "katapult-silent" or "katapult-wedged" => true,
        "device-lost" => _condition != BoardCondition.InBootloaderWithoutFirmware,
        _ => false,
    };

    private async Task<Device?> CyclePortAsync(FlashException fault)
    {
        _cycledPort = true;
        if (_plan.Device is not { Usb: not null })
            return null;
        _bus.Remember();
        if (!await _bus.CyclePortAsync())
            return null;
        await WarnAsync(FlashPhase.Enter, $"{fault.Cause} Its USB port was switched off and on.");
        return await _bus.WaitBackAsync(_plan.Device, BoardBus.BackLimit);
    }

    /// <summary>A USB device that hangs may answer its hub's reset; the program in it goes on.</summary>
    private async Task<Device> ResetUsbAsync(Device device, FlashPhase phase)
    {
        if (device.Usb is null)
            return device;
        await _log.NoteAsync(_name, phase, $"Having the hub reset the USB device at {device.Port}");
        try
        {
            await _bus.ResetUsbAsync(device);
        }
        catch (FlashException refused)
        {
            Note(refused.Cause);
        }
        catch (DeviceGoneException)
        {
            return await _bus.WaitBackAsync(device, BoardBus.BackLimit) ?? device;
        }
        return device;
    }
}
