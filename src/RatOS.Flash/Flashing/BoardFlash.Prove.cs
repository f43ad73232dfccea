using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <content>Out of the bootloader, and the proof that the new firmware runs.</content>
internal sealed partial class BoardFlash
{
    /// <summary>From the leave until Klipper is there: a bootloader that stays, or that comes back, is told again.</summary>
    private async Task<Device> SettleAsync(Device left, FlashPhase phase)
    {
        for (var told = 1; ; told++)
        {
            Device? next = left;
            // A node that is silent still may have got a number from a Klipper that somebody started.
            if (await _bus.WaitGoneAsync(left) || _bus.IsNode(left))
            {
                next = await _bus.WaitBackAsync(left, BoardBus.BackLimit);
                if (next is null)
                    throw phase == FlashPhase.Prove ? Faults.NotBackAfterReset(_name, BoardBus.BackLimit.TotalSeconds, "nothing appeared", _hasKatapult) : Faults.NotBack(_name, BoardBus.BackLimit.TotalSeconds, _hasKatapult);
                if (!await _bus.IsInBootloaderAsync(next))
                {
                    await _log.EndAsync(_name, phase, $"Klipper is back at {next.Port}");
                    return next;
                }
            }
            if (told == Tries)
                throw Faults.DidNotLeave(_name, told);
            await WarnAsync(phase, $"{_bus.BootloaderName(next)} is {(next == left ? "still" : "back")} at {next.Port}; telling it to start the firmware again.");
            left = told == Tries - 1 ? await ResetUsbAsync(next, phase) : next;
            // Where the old stay is listed late, the new one may be there by now: nothing is remembered again.
            await LeaveAsync(left);
        }
    }

    private Task TellToLeaveAsync(Device device)
    {
        _bus.Remember();
        return LeaveAsync(device);
    }

    private async Task LeaveAsync(Device device)
    {
        try
        {
            await using var bootloader = await _bus.OpenBootloaderAsync(device, _mcu, _start);
            await bootloader.LeaveAsync();
        }
        catch (DeviceGoneException)
        {
            // It left meanwhile, late: just what was wanted.
        }
    }

    /// <summary>The running board must return the very dictionary that is in the image: an equal version text alone is no proof.</summary>
    private async Task<Device> ConfirmAsync(Device running, FlashPhase phase)
    {
        await _log.BeginAsync(_name, phase, "Asking the running firmware who it is");
        for (var tries = 1; ; tries++)
        {
            try
            {
                await using var client = await IdentifyAsync(running);
                if (!client.CompressedDictionary.Span.SequenceEqual(_image.CompressedDictionary.Span))
                    throw Faults.OtherFirmwareRuns(_name, _image.Version, client.Dictionary!.Version);
                if (_plan.Evidence?.Chip?.Uid is { } uid && (await client.AskChipAsync(_mcu, _start, CancellationToken.None)).Uid is { } now
                    && !uid.Span.SequenceEqual(now.Span))
                {
                    throw Faults.OtherBoardAnswers(_name, Convert.ToHexString(uid.Span), Convert.ToHexString(now.Span));
                }
                _uptime = await client.GetUptimeAsync(CancellationToken.None);
                await _log.EndAsync(_name, phase, $"It runs {_image.Version} on {_mcu.Name}");
                return running;
            }
            catch (FlashException silent) when (silent.Code == "klipper-silent" && tries < Tries)
            {
                await WarnAsync(phase, $"{silent.Cause} Asking again.");
            }
            catch (DeviceGoneException) when (tries < Tries)
            {
                await WarnAsync(phase, $"{running} left the bus. Put the cable back: I go on by myself.");
                running = await _bus.WaitBackAsync(running, BoardBus.CableLimit) ?? throw Faults.DeviceLost(_name, "it was being confirmed", BoardBus.CableLimit.TotalSeconds, _hasKatapult);
                if (BoardBus.IsBootloader(running))
                {
                    await TellToLeaveAsync(running);
                    running = await SettleAsync(running, phase);
                }
            }
        }
    }

    /// <summary>A client that knows the board's dictionary.</summary>
    private async Task<KlipperClient> IdentifyAsync(Device running)
    {
        var client = await _bus.ConnectAsync(running);
        try
        {
            await client.IdentifyAsync(CancellationToken.None);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// A jump out of the ROM proves little: a reset takes the way through the board's own bootloader that every power-up takes. That it was reset, and
    /// not merely unplugged, its uptime shows.
    /// </summary>
    private async Task ProveAsync(Device running)
    {
        _bus.Remember();
        var sent = _time.GetTimestamp();   // the first command that may be what reset it
        for (var tries = 1; ; tries++)
        {
            await _log.BeginAsync(_name, FlashPhase.Prove, "Resetting the board: it must come back by itself");
            await ResetAsync(running);
            var hasLeft = await _bus.WaitGoneAsync(running);
            // A command that is not answered may be lost. (A node's interface may have left before it got out: whether the node was reset, it tells.)
            if (!hasLeft && tries == Tries)
                throw Faults.KlipperSilent(_name, "it is being reset");
            if (!hasLeft && !_bus.IsNode(running))
            {
                await WarnAsync(FlashPhase.Prove, $"It is still there {BoardBus.GoneLimit.TotalSeconds:0} s after it was told to reset; telling it again.");
                continue;
            }
            var back = await _bus.WaitBackAsync(running, BoardBus.BackLimit) ?? throw Faults.NotBackAfterReset(_name, BoardBus.BackLimit.TotalSeconds, "nothing appeared", _hasKatapult);
            var bootloader = await _bus.IsInBootloaderAsync(back) ? _bus.BootloaderName(back) : null;
            if (bootloader is not null)
            {
                await WarnAsync(FlashPhase.Prove, $"After the reset {bootloader} is at {back.Port}; telling it to start the firmware.");
                await TellToLeaveAsync(back);
                back = await SettleAsync(back, FlashPhase.Prove);
            }
            running = await ConfirmAsync(back, FlashPhase.Prove);
            // A board that was not reset has been up since before the command; the rest is for crystals that are off.
            if ((_uptime is null && hasLeft) || _uptime <= (_time.GetElapsedTime(sent) * 1.005) + TimeSpan.FromMilliseconds(100))
            {
                JudgeReset(bootloader);
                return;
            }
            if (tries == Tries)
                throw Faults.KlipperSilent(_name, "it is being reset");
            await WarnAsync(FlashPhase.Prove, "It left the bus without having been reset; resetting it again.");
            sent = _time.GetTimestamp();
        }
    }

    private async Task ResetAsync(Device running)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                await using var client = await IdentifyAsync(running);
                if (!await client.ResetAsync())
                    throw Faults.ResetUnknown(_name);
                return;
            }
            catch (FlashException silent) when (silent.Code == "klipper-silent" && tries < Tries)
            {
                await WarnAsync(FlashPhase.Prove, $"{silent.Cause} Asking again.");
            }
            catch (DeviceGoneException)
            {
                return;   // it resets without an answer
            }
        }
    }

    /// <summary>
    /// Some G0 keep their mark "flash is empty" until power goes off: their ROM comes once more although all is well (AN2606). Of others it means that
    /// the jumper is still on.
    /// </summary>
    private void JudgeReset(string? bootloader)
    {
        if (bootloader is null)
            return;
        if (!_mcu.EmptyCheck || _start != _mcu.FlashBase)
            throw Faults.BootloaderAfterReset(_name, bootloader);
        Note("After the reset the chip started its ROM once more, as some G0 do until their power was off; it was told to leave and runs.");
    }
}
