using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

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
