using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Flashes a process that is an MCU: a privileged unit replaces its program and restarts it, and it must return the new dictionary. If it
/// does not start, the old program is put back, as Klipper needs every MCU of its configuration. Klipper is stopped meanwhile: the process
/// has one terminal.
/// </summary>
internal sealed class ProcessFlash(IHardware hardware, HostMcu host, TimeProvider time, FlashLog log, BoardPlan plan)
{
    // Its unit restarts a failed process after 5 s (Klipper scripts/klipper-mcu.service), older units after 10 s.
    private static readonly TimeSpan UpLimit = TimeSpan.FromSeconds(20);

    // The kernel announces no terminal.
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    private readonly FirmwareImage _image = plan.Request.Image ?? throw new ArgumentException("a process without a program", nameof(plan));
    private readonly Device _terminal = HostMcu.TerminalOf(plan.Request.Board);
    private readonly string _name = plan.Name;
    private readonly BoardLog _log = new(log, plan.Name);
    private BoardCondition _condition;
    private (string Version, ReadOnlyMemory<byte> Dictionary)? _old;
    private (TimeSpan Uptime, long At)? _last;   // of the process that answered last

    public async Task<BoardReport> RunAsync(CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        FlashException? fault = null;
        try
        {
            await AskAsync();
            cancel.ThrowIfCancellationRequested();
            await _log.NoteAsync(FlashPhase.Write,
                $"Handing over a program of {_image.Bytes.Length} bytes (sha256 {_image.Sha256[..8]}...)");
            _condition = BoardCondition.Unconfirmed;   // no token below this line: what was begun is finished or put back
            var unsure = await InstallAsync();
            if (await RestartAsync(_image.CompressedDictionary) is not { } why)
                _condition = BoardCondition.Flashed;
            // Where it is not known whether anything was put there, what starts tells: to put back would bring back what an earlier flash
            // replaced.
            else if (unsure is not null && await RunsOldAsync())
                (fault, _condition) = (unsure, BoardCondition.Unchanged);
            else
                fault = await RestoreAsync(why);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            fault = FlashFaults.Cancelled();
        }
        catch (FlashException refused)
        {
            (fault, _condition) = (refused, BoardCondition.Unchanged);
        }
        catch (Exception bug)
        {
            fault = FlashFaults.Internal(bug);
        }
        return new BoardReport
        {
            Board = _name,
            IsProcess = true,
            Condition = _condition,
            Fault = fault is null ? null : FaultReport.Of(fault),
            OldVersion = _old?.Version ?? plan.RunningVersion,
            NewVersion = _image.Version,
            Size = _image.Bytes.Length,
            Sha256 = _image.Sha256,
            Route = plan.Route,
            Elapsed = time.GetElapsedTime(begin),
            Notes = [.. _log.Notes],
        };
    }

    /// <returns>Null when the program is in its place; the fault when that is unknown. Any other fault passes through: nothing was
    /// changed.</returns>
    private async Task<FlashException?> InstallAsync()
    {
        try
        {
            await host.InstallAsync(_image.Bytes);
            await _log.EndAsync(FlashPhase.Verify, "The new program is installed, and the previous one is kept");
            return null;
        }
        catch (FlashException silent) when (silent.Kind == FaultKind.HostMcuUnitSilent || silent.Kind == FaultKind.MoonrakerGone)
        {
            await _log.WarnAsync(FlashPhase.Verify, $"{silent.Cause} The restarted process shows which program runs.");
            return silent;
        }
    }

    private async Task AskAsync()
    {
        await _log.BeginAsync(FlashPhase.Ask, "Identifying the running process");
        try
        {
            var running = await IdentifyAsync();
            _old = running;
            await _log.EndAsync(FlashPhase.Ask, $"It runs {running.Version}");
        }
        catch (Exception silent) when (silent is FlashException or DeviceGoneException)
        {
            await _log.WarnAsync(FlashPhase.Ask,
                $"The running process does not answer: {(silent as FlashException)?.Cause ?? silent.Message} It is replaced anyway.");
        }
    }

    /// <summary>Until a process that was started after now returns this dictionary, byte for byte; why it did not, or null.</summary>
    private async Task<string?> RestartAsync(ReadOnlyMemory<byte>? expected)
    {
        await _log.BeginAsync(FlashPhase.Leave, "Restarting the process");
        var (before, asked) = (_last, time.GetTimestamp());
        try
        {
            await host.RestartAsync();
        }
        catch (FlashException fault)
        {
            return fault.Cause.TrimEnd('.');
        }
        await _log.BeginAsync(FlashPhase.Confirm, "Identifying the new process");
        var why = "";
        do
        {
            await Task.Delay(Poll, time);
            try
            {
                var running = await IdentifyAsync();
                if (before is { } old && _last is { } now && IsSame(old, now))
                    why = $"the process that answers is the one from before ({now.Uptime.TotalSeconds:0} s by its own clock)";
                else if (expected is { } dictionary && !running.Dictionary.Span.SequenceEqual(dictionary.Span))
                    why = $"what was started is {running.Version}";
                else
                {
                    await _log.EndAsync(FlashPhase.Confirm, $"It runs {running.Version} on linux");
                    return null;
                }
            }
            catch (DeviceGoneException)
            {
                why = $"{_terminal.Port} does not exist";
            }
            catch (FlashException silent)
            {
                why = silent.Cause.TrimEnd('.');
            }
        }
        while (time.GetElapsedTime(asked) < UpLimit);
        return why;
    }

    /// <summary>
    /// Whether it is the same process at both times, by its clock. The clock begins at a minute and a half, one turn of 32 bits (Klipper
    /// src/linux/timer.c starts it a second in the future), so only the difference counts.
    /// </summary>
    private bool IsSame((TimeSpan Uptime, long At) one, (TimeSpan Uptime, long At) other)
    {
        var between = time.GetElapsedTime(one.At, other.At);
        return (other.Uptime - one.Uptime - between).Duration() < (between * 0.005) + TimeSpan.FromMilliseconds(100);
    }

    private async Task<(string Version, ReadOnlyMemory<byte> Dictionary)> IdentifyAsync()
    {
        await using var client =
            await KlipperClient.ConnectAsync(await hardware.OpenSerialAsync(_terminal, SerialMode.Klipper), _name, time,
            CancellationToken.None);
        var dictionary = await client.IdentifyAsync(CancellationToken.None);
        _last = await client.GetUptimeAsync(CancellationToken.None) is { } uptime ? (uptime, time.GetTimestamp()) : null;
        return (dictionary.Version, client.CompressedDictionary);
    }

    /// <param name="why">What the new program did not do.</param>
    private async Task<FlashException> RestoreAsync(string why)
    {
        await _log.WarnAsync(FlashPhase.Confirm, $"The new program did not start: {why}. Restoring the previous one.");
        var (isBack, again) = (false, (string?)null);
        try
        {
            await host.RestoreAsync();
            isBack = true;
            again = await RestartAsync(_old?.Dictionary);
        }
        catch (FlashException refused)
        {
            again = refused.Cause.TrimEnd('.');
        }
        // A process that could not be restarted may never have ended.
        if (again is not null && !(isBack && await RunsOldAsync()))
            return HostMcuFaults.HostMcuLost(_name, why, again);
        _condition = BoardCondition.Unchanged;
        return HostMcuFaults.HostMcuNotUp(_name, why, _old?.Version ?? "again");
    }

    private async Task<bool> RunsOldAsync()
    {
        try
        {
            return _old is { } old && (await IdentifyAsync()).Dictionary.Span.SequenceEqual(old.Dictionary.Span);
        }
        catch (Exception silent) when (silent is FlashException or DeviceGoneException)
        {
            return false;
        }
    }
}
