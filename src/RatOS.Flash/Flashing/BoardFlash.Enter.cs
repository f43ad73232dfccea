using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <content>Into the bootloader.</content>
internal sealed partial class BoardFlash
{
    private bool _hasKatapult;   // it was met there: what a person may have to do by hand depends on it
    private Device? _stopped;    // its firmware was stopped by us, and no bootloader was seen since: a cable that was out does not revive it

    private async Task<Device> EnterAsync(Device klipper, CancellationToken cancel)
    {
        await _log.BeginAsync(_name, FlashPhase.Enter, "Starting the bootloader");
        Reached(BoardCondition.Unchanged);
        if (klipper.IsWired)
            return await EnterUartAsync(klipper);
        var cameBack = 0;
        for (var rung = 0; rung < Tries; rung++)
        {
            cancel.ThrowIfCancellationRequested();
            klipper = await PrepareAsync(klipper, rung) ?? throw Faults.NotSeenAgain(_name, klipper.Port, BoardBus.BackLimit.TotalSeconds);
            if (BoardBus.IsBootloader(klipper))
                return Entered(klipper);
            _bus.Remember();
            await _bus.TouchAsync(klipper);
            // Some computers go on listing what has left: whether it is still there, its port tells.
            if (!await _bus.WaitGoneAsync(klipper) && await _bus.IsThereAsync(klipper))
            {
                await WarnAsync(FlashPhase.Enter, $"The request for the bootloader had no effect for {BoardBus.GoneLimit.TotalSeconds:0} s.");
                continue;
            }
            // From here on a cancel has to bring the board back first, so the wait is not cut short.
            var back = await _bus.WaitBackAsync(klipper, BoardBus.BackLimit, CancellationToken.None)
                ?? throw Faults.BootloaderNotSeen(_name, klipper.Port, BoardBus.BackLimit.TotalSeconds, _bus.Hint());
            if (BoardBus.IsBootloader(back))
            {
                await _log.EndAsync(_name, FlashPhase.Enter, $"{_bus.BootloaderName(back)} is at {back.Port}");
                if (_plan.Bootloader is { } expected && expected != BoardBus.KindOf(back))
                    Note($"Expected {expected}, found {BoardBus.KindOf(back)}.");
                return Entered(back);
            }
            (cameBack, klipper) = (cameBack + 1, back);
            await WarnAsync(FlashPhase.Enter, "It came back as Klipper instead of its bootloader.");
        }
        throw cameBack > 0 ? Faults.CameBackAsKlipper(_name, cameBack, _bus.Hint()) : Faults.TouchIgnored(_name, BoardBus.GoneLimit.TotalSeconds, Tries);
    }

    private Device Entered(Device bootloader)
    {
        (_startedBootloader, _stopped) = (true, null);
        Reached(BoardCondition.InBootloaderUnchanged);
        return bootloader;
    }

    /// <summary>What is different about the second and the third request: the same again under the same conditions would do the same again.</summary>
    private async Task<Device?> PrepareAsync(Device klipper, int rung)
    {
        if (rung == 0)
            return klipper;
        try
        {
            await using var client = await IdentifyAsync(klipper);
            if (rung == 2)
            {
                await _log.NoteAsync(_name, FlashPhase.Enter, "Stopping the firmware by its own emergency stop, then asking again");
                _stopped = klipper;
                await client.EmergencyStopAsync();
                return klipper;
            }
            await _log.NoteAsync(_name, FlashPhase.Enter, "Resetting the board, then asking again");
            _bus.Remember();
            if (!await client.ResetAsync())
                return klipper;
        }
        catch (FlashException fault)
        {
            await WarnAsync(FlashPhase.Enter, $"The running firmware could not be asked: {fault.Cause}");
            return klipper;
        }
        catch (DeviceGoneException)
        {
            // It left by itself: the wait below finds it.
        }
        return await _bus.WaitGoneAsync(klipper) ? await _bus.WaitBackAsync(klipper, BoardBus.BackLimit) : klipper;
    }

    /// <summary>Firmware that was stopped keeps Klipper from being ready until it is reset: where the stop has led nowhere, it is undone.</summary>
    private async Task ResetStoppedAsync(Device stopped)
    {
        _stopped = null;
        if (_bus.FindKlipper(stopped) is not { } running)
            return;
        try
        {
            await _log.NoteAsync(_name, FlashPhase.Leave, "Its firmware was stopped: resetting the board, so that Klipper can start");
            _bus.Remember();
            await ResetAsync(running);
            var back = await _bus.WaitGoneAsync(running) ? await _bus.WaitBackAsync(running, BoardBus.BackLimit) : null;
            if (back is null)
                Note("Its firmware was stopped, and a reset did not bring it back: Klipper needs FIRMWARE_RESTART.");
            else if (BoardBus.IsBootloader(back))
                Entered(back);
        }
        catch (FlashException fault)
        {
            Note($"Its firmware was stopped and could not be reset: {fault.Cause} Klipper needs FIRMWARE_RESTART.");
        }
    }

    /// <summary>
    /// Katapult is asked first: Klipper answers its frame with a NAK and is none the worse, while Klipper's own frames would wedge Katapult for good.
    /// </summary>
    private async Task<Device> EnterUartAsync(Device port)
    {
        await using (var line = await _bus.OpenLineAsync(port))
        {
            try
            {
                await Katapult.OpenAsync(line, _mcu.FlashEnd, _time);
            }
            catch (FlashException fault) when (fault.Code == "katapult-silent")
            {
                await KlipperClient.RequestBootloaderAsync(line);
                _startedBootloader = true;
            }
        }
        await _log.EndAsync(_name, FlashPhase.Enter, $"Asking Katapult at {port.Port}");
        return port;
    }
}
