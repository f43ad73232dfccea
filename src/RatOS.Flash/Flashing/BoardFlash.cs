using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>
/// One board, top to bottom: enter the bootloader, identify, erase, write, verify, leave, confirm, prove, report. However it ends, the
/// report says what the board is now.
/// </summary>
internal sealed class BoardFlash
{
    public const int Tries = 3;

    private readonly BoardBus _bus;
    private readonly TimeProvider _time;
    private readonly BoardLog _log;
    private readonly FlashServices _services;
    private readonly BootloaderEntry _entry;
    private readonly FirmwareProof _proof;
    private readonly RecoverySteps _recovery;
    private readonly FirmwareImage _image;
    private readonly Mcu _mcu;
    private readonly uint _start;
    private readonly string _name;
    private readonly long _begin;
    private readonly FirmwareState _state;

    private bool _committed;
    private bool _isReadOut;
    private bool _awaitsBootloader;
    private bool _awaitsKlipper;

    public BoardFlash(BoardBus bus, TimeProvider time, FlashLog log, BoardPlan plan, FlashServices services)
    {
        (_bus, _time, _services, Plan, _name, _begin) = (bus, time, services, plan, plan.Name, time.GetTimestamp());
        _image = plan.Request.Image
            ?? (plan.Request.Job == FlashJob.Recover ? null! : throw new ArgumentException("a board without firmware", nameof(plan)));
        _mcu = plan.Profile.Mcu ?? throw new ArgumentException("a board of an unknown chip", nameof(plan));
        _start = plan.Profile.ApplicationStart?.Value ?? throw new ArgumentException("a board without an application start", nameof(plan));
        _log = new(log, _name);
        _recovery = new(bus, _log, plan);
        _entry = new(bus, _log, plan);
        _proof = new(bus, time, _log, plan, _mcu, _start, _recovery);
        _state = new(plan.Condition);
    }

    public BoardPlan Plan { get; }

    /// <summary>The last verdict, which stands unless an operator helps.</summary>
    public BoardReport? Last { get; private set; }

    /// <summary>The fault of <see cref="Last"/>.</summary>
    public FlashException? Fault { get; private set; }

    /// <summary>What an operator can do to resume; null when it is over, or nothing would show it (a wire, a node on CAN).</summary>
    public Remedy? Step { get; private set; }

    /// <summary>The power device to cycle, where that may help and was not tried; else null.</summary>
    public string? PowerToCycle => _recovery.PowerToCycle(Fault, _state.Condition);

    /// <summary>The firmware did not get into the board, and a card may help: its stock bootloader may still be there.</summary>
    public bool MayNeedCard => Plan.Request.Image is not null && !_bus.StartsOnDoubleReset
        && Plan is { Entry: not FlashEntry.SdCard, Profile.SdCard: not null, HasReplacedStock: false }
        && _state.Condition != BoardCondition.Unconfirmed && Last is { Ok: false }
            && (Step is not null || _state.Condition.MayLackFirmware());

    /// <param name="cancel">Effective until the point of no return.</param>
    public Task<BoardReport> RunAsync(CancellationToken cancel) => RunAsync(Plan.Device!, cancel);

    /// <summary>Continues from what <see cref="FindReturned"/> or a power cycle brought back.</summary>
    public Task<BoardReport> ResumeAsync(Device back, CancellationToken cancel)
    {
        _bus.Follow(back);
        return RunAsync(back, cancel);
    }

    /// <summary>The board as the operator's step brings it back; null before.</summary>
    public Device? FindReturned(DeviceList seen) => _bus.FindReturned(seen, _awaitsBootloader, _awaitsKlipper);

    /// <summary>Every session up to now is past.</summary>
    public void Remember() => _bus.Remember();

    /// <inheritdoc cref="RecoverySteps.PowerIsCycled"/>
    public void PowerIsCycled() => _recovery.PowerIsCycled();

    /// <inheritdoc cref="RecoverySteps.WaitPoweredAsync"/>
    public Task<Device?> WaitPoweredAsync() => _recovery.WaitPoweredAsync();

    private async Task<BoardReport> RunAsync(Device device, CancellationToken cancel)
    {
        FlashException? fault = null;
        try
        {
            if (Plan.Request.Job == FlashJob.Recover && !_state.MayBeChanged)
            {
                (var version, device) = await RecoverAsync(device, cancel);
                if (version is not null)
                    return Report(null, version);
            }
            await (Plan.Entry == FlashEntry.SdCard ? ConfirmCardAsync(device) : FlashAsync(device, cancel));
            _state.Proven();
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            fault = FlashFaults.Cancelled();
        }
        catch (FlashException known)
        {
            fault = known;
            _state.Meets(known, _entry.HasStartedBootloader);
        }
        catch (DeviceGoneException)
        {
            fault = FlashFaults.DeviceLostRepeatedly(_name, Tries, _bus.StartsOnDoubleReset);
        }
        catch (Exception bug)
        {
            fault = FlashFaults.Internal(bug);
        }
        if (fault is not null && !_state.MayBeChanged && await _entry.UndoStopAsync() is not null)
            _state.WaitsInBootloader(leftKlipper: true);
        if (fault is not null && _entry.HasStartedBootloader && _state.Condition == BoardCondition.InBootloaderUnchanged)
            await ReturnAsync();
        return Report(fault);
    }

    // ---- the flash

    /// <summary>Enter, write, leave, confirm, prove; with a power cycle of the board's USB port where that may help.</summary>
    private async Task FlashAsync(Device device, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                // Verified firmware is not written again: the open question is whether it starts.
                var running = _state.Condition == BoardCondition.Unconfirmed ? await StartAgainAsync(device)
                    : await _proof.SettleAsync(await WriteVerifiedAsync(device, cancel), FlashPhase.Leave);
                running = await _proof.ConfirmAsync(running, _image, FlashPhase.Confirm);
                await _proof.ProveAsync(running, _image);
                return;
            }
            catch (FlashException fault) when (_recovery.MayCyclePort(fault, _state.Condition))
            {
                if (await _recovery.CyclePortAsync(fault) is not { } back)
                    throw;
                device = back;
            }
        }
    }

    private async Task<Device> StartAgainAsync(Device device)
    {
        if (!_bus.IsBootloader(device))
            return device;
        await _proof.LeaveAsync(device);
        return await _proof.SettleAsync(device, FlashPhase.Leave);
    }

    /// <summary>Tries until flash is verified. Returns the bootloader's session that was asked to leave.</summary>
    private async Task<Device> WriteVerifiedAsync(Device device, CancellationToken cancel)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                if (!_bus.IsBootloader(device) && !_bus.WaitsUnseen)
                    device = await EnterAsync(device, cancel);
                await using var bootloader = await IdentifyAsync(device);
                var layout = FlashLayout.Create(_image.Bytes, _mcu.ImageStart(_start), bootloader.Memory, bootloader.BlockSize);
                await CommitAsync(bootloader, layout, cancel);   // the point of no return: no token below this line
                await EraseAsync(bootloader, layout, tries);
                await WriteAsync(bootloader, layout);
                await VerifyAsync(bootloader, layout, tries);
                await _log.BeginAsync(FlashPhase.Leave, "Leaving the bootloader");
                _bus.Remember();
                await bootloader.LeaveAsync();
                return device;
            }
            catch (DeviceGoneException) when (_state.Condition == BoardCondition.Unconfirmed)
            {
                return device;   // already verified: the next question is whether it starts
            }
            catch (DeviceGoneException) when (tries < Tries)
            {
                var doing = _committed ? "it was being written" : "its bootloader was being started";
                await _log.WarnAsync(FlashPhase.Write,
                    $"{device} left the bus while {doing}. Reconnect its cable or power; the flash then continues automatically.");
                device = await ReconnectAsync(device, doing, cancel);
            }
            catch (FlashException fault) when (tries < Tries && fault.Kind.Retry)
            {
                await _log.WarnAsync(FlashPhase.Write, $"{fault.Cause} Trying again ({tries + 1} of {Tries}).");
                if (tries == Tries - 1 && fault.Kind.UsbResetMayHelp)
                    device = await _recovery.ResetUsbAsync(device, FlashPhase.Write);
                // A node without power, or behind a bus in trouble, is silent; with power again it waits in its bootloader.
                if (_bus.IsNode(device))
                    device = await ReconnectAsync(device, "it was being flashed", cancel);
            }
        }
    }

    private Task<Device> ReconnectAsync(Device device, string doing, CancellationToken cancel) =>
        _bus.ReconnectAsync(device, doing, _committed ? CancellationToken.None : cancel);

    // ---- its steps

    private async Task<Device> EnterAsync(Device klipper, CancellationToken cancel)
    {
        if (klipper.Usb is not null)
            _state.Runs();
        var device = await _entry.EnterAsync(klipper, cancel);
        if (_bus.IsBootloader(device))
            _state.WaitsInBootloader(leftKlipper: true);
        return device;
    }

    private async Task<Bootloader> IdentifyAsync(Device device)
    {
        await _log.BeginAsync(FlashPhase.Identify, "Asking the bootloader for its chip and memory");
        var bootloader = await _bus.OpenBootloaderAsync(device);
        try
        {
            _state.WaitsInBootloader(_entry.HasStartedBootloader);
            bootloader.CheckChip(_name, _mcu, _start);
            if (!_committed && Plan.IsStartUntold)
                await OldFirmware.CheckStartAsync(bootloader, _name, _mcu, _start);
            if (_bus.CheckSerial(device) is { } strange)
                _log.Keep(strange);
            var size = (bootloader.Memory.End - _mcu.FlashBase) / 1024;
            await _log.EndAsync(FlashPhase.Identify, $"{bootloader.Name}: {_mcu.Name}, {size} KiB, blocks of {bootloader.BlockSize}");
            return bootloader;
        }
        catch
        {
            await bootloader.DisposeAsync();
            throw;
        }
    }

    /// <summary>The last chance to cancel, and to keep the old firmware.</summary>
    private async Task CommitAsync(Bootloader bootloader, FlashLayout layout, CancellationToken cancel)
    {
        if (!_committed)
        {
            if (!_isReadOut && _services.WantsOldFirmware(_name))
            {
                _isReadOut = true;
                if (await OldFirmware.ReadAsync(bootloader, _mcu.ImageStart(_start), _log) is { } old)
                    _services.KeepOldFirmware(_name, old);
            }
            cancel.ThrowIfCancellationRequested();
            await _log.CommitAsync(_bus.Place, layout);
            _committed = true;
        }
        _state.Changes();
    }

    private async Task EraseAsync(Bootloader bootloader, FlashLayout layout, int tries)
    {
        if (!layout.Erases)
            return;
        var total = layout.Sectors.Sum(sector => (long)sector.Size);
        await _log.BeginAsync(FlashPhase.Erase, $"Erasing {Counts.Of(layout.Sectors.Length, "sector")}", total);
        var protection = new WriteProtection(bootloader, _name, layout);
        await protection.RememberAsync();
        long done = 0;
        foreach (var sector in layout.Sectors)
        {
            await protection.EraseAsync(sector, isLastTry: tries == Tries);
            _state.Erased();
            await _log.ProgressAsync(FlashPhase.Erase, done += sector.Size, total);
        }
        await protection.CheckAsync();
        await _log.EndAsync(FlashPhase.Erase, $"Erased {total / 1024} KiB in {Counts.Of(layout.Sectors.Length, "sector")}", total);
    }

    private async Task WriteAsync(Bootloader bootloader, FlashLayout layout)
    {
        long total = layout.BytesToWrite;
        await _log.BeginAsync(FlashPhase.Write, $"Writing {layout.Data.Length} bytes at {layout.Start:x8}", total);
        long before = 0;
        foreach (var run in layout.Runs)
        {
            var from = before;
            await bootloader.WriteAsync(run.Address, run.Data, done =>
            {
                _state.Wrote(from + done, _mcu);
                return _log.ProgressAsync(FlashPhase.Write, from + done, total);
            });
            before += run.Data.Length;
        }
        await bootloader.FinishAsync();
        await _log.EndAsync(FlashPhase.Write, $"Wrote {layout.Data.Length} bytes at {layout.Start:x8}", total);
    }

    private async Task VerifyAsync(Bootloader bootloader, FlashLayout layout, int tries)
    {
        long total = layout.Data.Length;
        await _log.BeginAsync(FlashPhase.Verify, "Reading back", total);
        var found = new byte[layout.Data.Length];
        await bootloader.ReadAsync(layout.Start, found, done => _log.ProgressAsync(FlashPhase.Verify, done, total));
        if (WriteProtection.Compare(layout, found, _name, tries) is { } difference)
        {
            if (tries == Tries || !difference.Kind.Retry)
                await FirstPage.BlankAsync(bootloader, layout, _log);
            throw difference;
        }
        await _log.EndAsync(FlashPhase.Verify, $"Read back {total} bytes: equal (sha256 {_image.Sha256[..8]}...)", total);
        _state.AwaitsProof();
        if (_bus.ChangeLink() is { } change)
            _log.Keep(change);
    }

    // ---- other jobs, and the way back

    private async Task<(string? Version, Device Device)> RecoverAsync(Device device, CancellationToken cancel)
    {
        var recovery = new Recovery(_bus, _log, Plan, _proof, _mcu, _start);
        try
        {
            return await recovery.StartAsync(device, cancel);
        }
        finally
        {
            _state.Recovers(recovery.Reached ?? _state.Condition);
        }
    }

    /// <summary>The write was not observed, so what runs says whether there was one; then the proof is that of any other flash.</summary>
    private async Task ConfirmCardAsync(Device running)
    {
        _state.AwaitsProof();
        await using (var client = await _bus.IdentifyAsync(running))
        {
            var version = client.Dictionary!.Version;
            if (!client.CompressedDictionary.Span.SequenceEqual(_image.CompressedDictionary.Span)
                && (Plan.RunningVersion ?? version) == version)
            {
                _state.Runs();
                var card = Plan.Profile.SdCard!.Value;
                throw SdCardFaults.SdCardNotTaken(_name, version, card.Path, card.RenamedTo, Plan.CardSteps);
            }
        }
        await _proof.ProveAsync(await _proof.ConfirmAsync(running, _image, FlashPhase.Confirm), _image);
    }

    /// <summary>Nothing was written: the old firmware is started again.</summary>
    private async Task ReturnAsync()
    {
        try
        {
            if (_bus.FindBootloader() is not { } here)
                return;
            await _log.NoteAsync(FlashPhase.Leave, "Nothing was written: starting the old firmware again");
            await _proof.LeaveAsync(here);
            await using var client = await _bus.IdentifyAsync(await _proof.SettleAsync(here, FlashPhase.Leave));
            _state.Runs();
        }
        catch (Exception fault) when (fault is FlashException or DeviceGoneException)
        {
            _log.Keep($"The old firmware could not be started again: {(fault as FlashException)?.Cause ?? fault.Message}");
        }
    }

    // ---- report

    private BoardReport Report(FlashException? fault, string? alive = null)
    {
        Fault = fault;
        Step = fault is null || Plan.Device is { } device && (device.IsWired || _bus.IsNode(device)) ? null
            : OperatorWait.StepAfter(fault, Plan);
        if (Step is not null)
        {
            // Klipper is started now, and may reset a board that runs: that is not what is awaited.
            var runs = _bus.RemembersKlipper();
            _awaitsKlipper = fault!.Kind.AwaitsKlipper || !runs;
            _awaitsBootloader = fault.Kind.AwaitsBootloader;
        }
        var image = alive is null ? Plan.Request.Image : null;
        return Last = new BoardReport
        {
            Board = _name,
            Condition = _state.Condition,
            Fault = fault is null ? null : FaultReport.Of(fault),
            OldVersion = Plan.RunningVersion,
            NewVersion = alive ?? image?.Version,
            Size = image?.Bytes.Length ?? 0,
            Sha256 = image?.Sha256,
            Route = Plan.Route,
            IsBySdCard = Plan.Entry == FlashEntry.SdCard,
            IsConfirmed = alive is null && _proof.IsConfirmed,
            Elapsed = _time.GetElapsedTime(_begin),
            Notes = [.. _log.Notes],
        };
    }
}
