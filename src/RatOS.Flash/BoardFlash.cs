using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash;

/// <summary>
/// One board's way through a flash: into the bootloader, write and read back, out of it, proven by the running firmware, reset, proven again.
/// Whatever happens on the way, the report says what the board is now.
/// </summary>
internal sealed partial class BoardFlash
{
    private const int Tries = 3;

    private readonly BoardBus _bus;
    private readonly TimeProvider _time;
    private readonly FlashLog _log;
    private readonly BoardPlan _plan;
    private readonly FirmwareImage _image;
    private readonly Mcu _mcu;
    private readonly uint _start;
    private readonly string _name;
    private readonly List<string> _notes = [];

    private BoardCondition _condition;
    private bool _committed;
    private bool _startedBootloader;
    private TimeSpan? _uptime;

    public BoardFlash(BoardBus bus, TimeProvider time, FlashLog log, BoardPlan plan)
    {
        (_bus, _time, _log, _plan, _begin) = (bus, time, log, plan, time.GetTimestamp());
        _image = plan.Request.Image ?? (plan.Request.Recovers ? null! : throw new ArgumentException("a board without firmware", nameof(plan)));
        _mcu = plan.Board.Mcu ?? throw new ArgumentException("a board of an unknown chip", nameof(plan));
        _start = plan.Board.ApplicationStart ?? throw new ArgumentException("a board without an application start", nameof(plan));
        _name = plan.Name;
        // Of a ROM on a wire nobody has seen anything yet.
        _condition = plan.Entry == FlashEntry.InBootloader && !bus.HasUartRom ? BoardCondition.InBootloaderUnchanged : BoardCondition.Unchanged;
    }

    public Task<BoardReport> RunAsync(CancellationToken cancel) => RunAsync(_plan.Device!, cancel);

    /// <param name="device">What the board is now: at the beginning as planned, later as a person brought it back.</param>
    /// <param name="cancel">Heeded until the point of no return.</param>
    public async Task<BoardReport> RunAsync(Device device, CancellationToken cancel)
    {
        FlashException? fault = null;
        try
        {
            if (_plan.Request.Recovers && !_committed)
            {
                (var alive, device) = await RecoverAsync(device, cancel);
                if (alive is not null)
                    return Report(null, alive);
            }
            await (_plan.Entry == FlashEntry.SdCard ? ProveCardAsync(device) : ClimbAsync(device, cancel));
            _condition = BoardCondition.Flashed;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            fault = Faults.Cancelled();
        }
        catch (FlashException known)
        {
            fault = known;
            if (known.Code is "katapult-wedged" or "read-protected" or "uart-rom-refused")
                Reached(BoardCondition.InBootloaderUnchanged);   // it answered, so a bootloader it is
        }
        catch (DeviceGoneException)
        {
            fault = Faults.DeviceLost(_name, $"it was being flashed, for the {Tries}rd time,", 0, _hasKatapult);
        }
        catch (Exception bug)
        {
            fault = Faults.Internal(bug);
        }
        if (fault is not null && !_committed && _stopped is { } stopped)
            await ResetStoppedAsync(stopped);
        if (fault is not null && _startedBootloader && _condition == BoardCondition.InBootloaderUnchanged)
            await ReturnAsync();
        return Report(fault);
    }

    /// <summary>Until what is in flash reads back equal. Returns the bootloader's stay that was told to leave.</summary>
    private async Task<Device> WriteVerifiedAsync(Device device, CancellationToken cancel)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                if (!BoardBus.IsBootloader(device) && !_bus.HasUartRom)
                    device = await EnterAsync(device, cancel);
                await WriteAsync(device, tries, cancel);
                return device;
            }
            catch (DeviceGoneException) when (_condition == BoardCondition.Unconfirmed)
            {
                return device;   // it was read back equal already: whether it starts is the next question
            }
            catch (DeviceGoneException) when (tries < Tries)
            {
                var doing = _committed ? "it was being written" : "its bootloader was being started";
                await WarnAsync(FlashPhase.Write, $"{device} left the bus while {doing}. Put the cable or power back: I go on by myself.");
                device = await _bus.WaitBackAsync(device, BoardBus.CableLimit, _committed ? CancellationToken.None : cancel) ?? throw Faults.DeviceLost(_name, doing, BoardBus.CableLimit.TotalSeconds, _hasKatapult);
            }
            catch (FlashException fault) when (tries < Tries && MayHelpToRepeat(fault))
            {
                await WarnAsync(FlashPhase.Write, $"{fault.Cause} Trying again ({tries + 1} of {Tries}).");
                if (tries == Tries - 1 && fault.Code is "dfu-stuck" or "dfu-descriptor" or "dfu-refused" or "katapult-silent")
                    device = await ResetUsbAsync(device, FlashPhase.Write);
                // A node without power, or behind a bus in trouble, is silent; with power again it waits in Katapult.
                if (_bus.IsNode(device))
                    device = await _bus.WaitBackAsync(device, BoardBus.CableLimit, _committed ? CancellationToken.None : cancel) ?? throw Faults.DeviceLost(_name, "it was being flashed", BoardBus.CableLimit.TotalSeconds, _hasKatapult);
            }
        }
    }

    // A bootloader that does not answer, or refuses, may do better from the start; one that is the wrong one, or protected, or deaf, will not.
    private static bool MayHelpToRepeat(FlashException fault) =>
        fault.Code is "verify-failed" or "dfu-descriptor" or "dfu-refused" or "dfu-stuck" or "katapult-refused" or "katapult-silent"
            or "can-bus-off" or "can-not-acknowledged" or "can-down" or "uart-rom-silent" or "uart-rom-refused";

    // ---- write

    private async Task WriteAsync(Device device, int tries, CancellationToken cancel)
    {
        await _log.BeginAsync(_name, FlashPhase.Identify, "Asking the bootloader for its chip and memory");
        await using var bootloader = await _bus.OpenBootloaderAsync(device, _mcu, _start);
        _hasKatapult = bootloader is Katapult;
        Reached(BoardCondition.InBootloaderUnchanged);
        bootloader.CheckChip(_name, _mcu, _start);
        if (_bus.CheckSerial(device) is { } strange)
            Note(strange);
        var layout = FlashLayout.Create(_image.Bytes, _start, bootloader.Memory, bootloader.BlockSize);
        await _log.EndAsync(
            _name, FlashPhase.Identify, $"{bootloader.Name}: {_mcu.Name}, {(bootloader.Memory.End - _mcu.FlashBase) / 1024} KiB, blocks of {bootloader.BlockSize}");

        if (!_committed)
        {
            await ReadOutAsync(bootloader);
            cancel.ThrowIfCancellationRequested();
            await _log.CommitAsync(_name);
            _committed = true;   // the point of no return: no token below this line
        }
        _condition = BoardCondition.InBootloaderWithoutFirmware;
        if (layout.Erases)
            await EraseAsync(bootloader, layout);
        await WriteAsync(bootloader, layout);
        await VerifyAsync(bootloader, layout, tries);
        _condition = BoardCondition.Unconfirmed;

        await _log.BeginAsync(_name, FlashPhase.Leave, "Leaving the bootloader");
        _bus.Remember();
        await bootloader.LeaveAsync();
    }

    private async Task EraseAsync(Bootloader bootloader, FlashLayout layout)
    {
        var total = layout.Sectors.Sum(sector => (long)sector.Size);
        await _log.BeginAsync(_name, FlashPhase.Erase, $"Erasing {layout.Sectors.Length} sectors", total);
        long done = 0;
        foreach (var sector in layout.Sectors)
        {
            await bootloader.EraseAsync(sector);
            await _log.ProgressAsync(_name, FlashPhase.Erase, done += sector.Size, total);
        }
        await _log.EndAsync(_name, FlashPhase.Erase, $"Erased {total / 1024} KiB in {layout.Sectors.Length} sectors", total);
    }

    private async Task WriteAsync(Bootloader bootloader, FlashLayout layout)
    {
        long total = layout.BytesToWrite;
        await _log.BeginAsync(_name, FlashPhase.Write, $"Writing {layout.Data.Length} bytes at {layout.Start:x8}", total);
        long before = 0;
        foreach (var run in layout.Runs)
        {
            var from = before;
            await bootloader.WriteAsync(run.Address, run.Data, done => _log.ProgressAsync(_name, FlashPhase.Write, from + done, total));
            before += run.Data.Length;
        }
        await bootloader.FinishAsync();
        await _log.EndAsync(_name, FlashPhase.Write, $"Wrote {layout.Data.Length} bytes at {layout.Start:x8}", total);
    }

    private async Task VerifyAsync(Bootloader bootloader, FlashLayout layout, int tries)
    {
        long total = layout.Data.Length;
        await _log.BeginAsync(_name, FlashPhase.Verify, "Reading back", total);
        var found = new byte[layout.Data.Length];
        await bootloader.ReadAsync(layout.Start, found, done => _log.ProgressAsync(_name, FlashPhase.Verify, done, total));
        var first = found.AsSpan().CommonPrefixLength(layout.Data.Span);
        if (first < found.Length)
        {
            var differing = 0;
            for (var i = first; i < found.Length; i++)
                differing += found[i] == layout.Data.Span[i] ? 0 : 1;
            throw Faults.VerifyFailed(layout.Start + (uint)first, differing, tries);
        }
        await _log.EndAsync(_name, FlashPhase.Verify, $"Read back {total} bytes: equal (sha256 {_image.Sha256[..8]}...)", total);
    }

    // ---- out of the bootloader, and proof

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
            await TellToLeaveAsync(left);
        }
    }

    private async Task TellToLeaveAsync(Device device)
    {
        _bus.Remember();
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
        for (var tries = 1; ; tries++)
        {
            await _log.BeginAsync(_name, FlashPhase.Prove, "Resetting the board: it must come back by itself");
            var sent = _time.GetTimestamp();
            await ResetAsync(running);
            var hasLeft = await _bus.WaitGoneAsync(running);
            // A node's interface may have left before the command got out: the node is still there, and is asked again.
            if (!hasLeft && (!_bus.IsNode(running) || tries == Tries))
                throw Faults.KlipperSilent(_name, "it is being reset");
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
        }
    }

    private async Task ResetAsync(Device running)
    {
        _bus.Remember();
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

    /// <summary>Nothing was written: the old firmware is started again.</summary>
    private async Task ReturnAsync()
    {
        try
        {
            if (_bus.FindBootloader() is not { } here)
                return;
            await _log.NoteAsync(_name, FlashPhase.Leave, "Nothing was written: starting the old firmware again");
            await TellToLeaveAsync(here);
            await using var client = await IdentifyAsync(await SettleAsync(here, FlashPhase.Leave));
            _condition = BoardCondition.Unchanged;
        }
        catch (Exception fault) when (fault is FlashException or DeviceGoneException)
        {
            Note($"The old firmware could not be started again: {fault.Message}");
        }
    }

    /// <summary>As long as nothing was erased. Afterwards only a read-back makes a board better than one without firmware.</summary>
    private void Reached(BoardCondition condition) => _condition = _committed ? _condition : condition;

    private void Note(string text) => _notes.Add(text);

    private ValueTask WarnAsync(FlashPhase phase, string text)
    {
        Note(text);
        return _log.WarnAsync(_name, phase, text);
    }
}
