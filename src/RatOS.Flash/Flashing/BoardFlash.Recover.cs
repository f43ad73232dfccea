using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <content>A board that is only to run again.</content>
internal sealed partial class BoardFlash
{
    // Klipper for a printer's board has 20 to 60 KiB; what is behind it does not matter. Read in growing pieces, for a wire is slow.
    private static readonly int[] Pieces = [64 * 1024, 128 * 1024, 256 * 1024];

    private static readonly byte[] Hole = [.. Enumerable.Repeat((byte)0xFF, 256)];

    /// <summary>The version that the board runs when that took no flash; null when it has to be flashed, and what it is then.</summary>
    /// <exception cref="FlashException">It would have to be, and there is no firmware.</exception>
    private async Task<(string? Version, Device Device)> RecoverAsync(Device device, CancellationToken cancel)
    {
        var version = _plan.Evidence?.Version;
        if (version is not null && !BoardBus.IsBootloader(device))
            Note("It runs Klipper and answers: there was nothing to recover.");
        else
            (version, device) = device.IsWired || await _bus.IsInBootloaderAsync(device) ? await StartFirmwareAsync(device, cancel) : (await AskAsync(device), device);
        if (version is not null)
            _condition = BoardCondition.Running;
        else if (_plan.Request.Image is null)
            throw Faults.FirmwareMissing(_name);
        return (version, device);
    }

    private async Task<string?> AskAsync(Device running)
    {
        try
        {
            await using var client = await IdentifyAsync(running);
            await _log.EndAsync(_name, FlashPhase.Confirm, $"It runs {client.Dictionary!.Version} on {client.Dictionary.Mcu}");
            return client.Dictionary.Version;
        }
        catch (FlashException silent) when (silent.Code is "klipper-silent" or "klipper-dictionary")
        {
            await WarnAsync(FlashPhase.Confirm, silent.Cause);
            return null;
        }
    }

    /// <summary>
    /// Tells the bootloader to start the firmware that is in flash, if that is whole: what Katapult is told to start it starts unseen, and a half-written one hangs where only a
    /// person gets it out (facts: COMPLETE).
    /// </summary>
    private async Task<(string? Version, Device Device)> StartFirmwareAsync(Device device, CancellationToken cancel)
    {
        await _log.BeginAsync(_name, FlashPhase.Identify, "Asking the bootloader for its chip and for the firmware in its flash");
        FirmwareImage? firmware;
        try
        {
            await using var bootloader = await _bus.OpenBootloaderAsync(device, _mcu, _start);
            Reached(BoardCondition.InBootloaderUnchanged);
            bootloader.CheckChip(_name, _mcu, _start);
            _bus.CheckSerial(device);
            firmware = await FindFirmwareAsync(bootloader, cancel);
            if (firmware is null)
            {
                await _log.NoteAsync(_name, FlashPhase.Identify, "There is no whole firmware in it: it has to be flashed");
                return (null, device);
            }
            await _log.BeginAsync(_name, FlashPhase.Leave, $"Starting {firmware.Version}, which is whole in its flash");
            _bus.Remember();
            await bootloader.LeaveAsync();
        }
        catch (FlashException silent) when (device.IsWired && silent.Code is "katapult-silent" or "uart-rom-silent")
        {
            return (await AskAsync(device), device);
        }
        try
        {
            var running = await SettleAsync(device, FlashPhase.Leave);
            Reached(BoardCondition.Unchanged);
            return (await AskAsync(running), running);
        }
        catch (FlashException stays) when (stays.Code == "did-not-leave")
        {
            await WarnAsync(FlashPhase.Leave, $"{_bus.BootloaderName(device)} does not start it: it has to be flashed");
            return (null, _bus.FindBootloader() ?? device);
        }
        catch (FlashException gone) when (gone.Code == "not-back")
        {
            Reached(BoardCondition.Unchanged);
            throw Faults.NotSeenAgain(_name, device.Port, BoardBus.BackLimit.TotalSeconds);
        }
    }

    private async Task<FirmwareImage?> FindFirmwareAsync(Bootloader bootloader, CancellationToken cancel)
    {
        foreach (var piece in Pieces)
        {
            cancel.ThrowIfCancellationRequested();
            var bytes = new byte[Math.Min(piece, (int)(bootloader.Memory.End - _start))];
            await bootloader.ReadAsync(_start, bytes, static _ => ValueTask.CompletedTask);
            try
            {
                var found = FirmwareImage.Parse(bytes, "the firmware in flash");
                // A write that died behind a sector's beginning leaves a hole before what it had not come to.
                var dictionary = bytes.AsSpan().IndexOf(found.CompressedDictionary.Span);
                if (found.Misfit(_mcu, _start, _mcu.FlashEnd) is not null || bytes.AsSpan(0, dictionary).IndexOf(Hole) >= 0)
                    return null;
                // One that is ours by its dictionary is compared to its last byte.
                return _plan.Request.Image is not { } image || !found.CompressedDictionary.Span.SequenceEqual(image.CompressedDictionary.Span) || bytes.AsSpan().StartsWith(image.Bytes.Span) ? found : null;
            }
            catch (FlashException)
            {
                if (bytes.Length < piece)
                    break;   // that was all of the flash
            }
        }
        return null;
    }
}
