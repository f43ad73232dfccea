using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Updates a probe by the updater of its maker, while Klipper is stopped. It succeeds only if the updater ends with 0 and the probe is back
/// on the bus; its firmware cannot be read. A cancel does not end an updater that was started: the probe may be half written.
/// </summary>
internal sealed class ProbeUpdate(IHardware hardware, ProbeUpdater updater, TimeProvider time, FlashLog log, BoardPlan plan)
{
    /// <summary>The agent's own end must wait for it (TimeoutStopSec of its unit).</summary>
    internal static readonly TimeSpan RunLimit = TimeSpan.FromSeconds(120);

    internal static readonly TimeSpan BackLimit = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan KillLimit = TimeSpan.FromSeconds(10);

    // A request for the bootloader may take effect after the updater has ended.
    private static readonly TimeSpan LeaveLimit = TimeSpan.FromSeconds(2);

    private const int KeptLines = 8;
    private const int LongestLine = 160;

    private readonly string _name = plan.Name;
    private readonly Device _before = plan.Device ?? throw new ArgumentException("a probe that is not there", nameof(plan));
    private readonly BoardLog _log = new(log, plan.Name);
    private readonly Queue<string> _lines = [];

    public async Task<BoardReport> RunAsync(CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        var report = new BoardReport
        {
            Board = _name,
            Condition = plan.Condition,
            OldVersion = ProbeUpdater.VersionOf(_before),
            Route = plan.Route,
        };
        try
        {
            cancel.ThrowIfCancellationRequested();
            await _log.CommitAsync(new(_before.Port, null), layout: null);   // no token below this line
            var (exit, end) = await CallAsync();
            report = await LookAsync(report with { IsByOwnUpdater = true }, exit, end);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            report = report with { Fault = FaultReport.Of(FlashFaults.Cancelled()) };
        }
        catch (FlashException refused)
        {
            report = report with { Fault = FaultReport.Of(refused) };   // it was not started
        }
        catch (Exception bug)
        {
            report = report with { Condition = BoardCondition.Unknown, Fault = FaultReport.Of(FlashFaults.Internal(bug)) };
        }
        return report with { Elapsed = time.GetElapsedTime(begin), Notes = [.. _log.Notes, .. _lines.Select(line => $"Updater: {line}")] };
    }

    /// <returns>The exit code; or null, and how the updater that did not end was dealt with.</returns>
    /// <exception cref="FlashException">It was not started.</exception>
    private async Task<(int? Exit, string End)> CallAsync()
    {
        await _log.BeginAsync(FlashPhase.Write, $"Calling its maker's updater: {updater.CommandFor(_before)}");
        using var kill = new CancellationTokenSource(RunLimit, time);
        var run = updater.RunAsync(_before, Keep, kill.Token);
        try
        {
            // Klipper must not wait for a program that even a kill does not end.
            var exit = await run.WaitAsync(RunLimit + KillLimit, time);
            await _log.EndAsync(FlashPhase.Write, $"The updater ended with exit code {exit}");
            return (exit, "");
        }
        catch (OperationCanceledException)
        {
            return (null, "was killed");
        }
        catch (TimeoutException)
        {
            return (null, "could not be killed");
        }
    }

    /// <summary>The probe's condition by what the bus shows: its updater's word alone proves nothing.</summary>
    private async Task<BoardReport> LookAsync(BoardReport report, int? exit, string end)
    {
        await _log.BeginAsync(FlashPhase.Confirm, "Waiting for the probe");
        // A probe that never left the bus was never in its bootloader.
        var hasStayed = !await hardware.WaitForDisconnectAsync(_before, LeaveLimit, time) && _before.Node is not null;
        var back = hasStayed ? _before : await hardware.WaitForAsync(Back, BackLimit, time, CancellationToken.None);
        var seen = hasStayed ? "The probe stayed on the bus, so nothing was written." : back is not null
            ? $"The probe is back on the bus, and announces version {ProbeUpdater.VersionOf(back)}."
            : hardware.Look().Devices.FirstOrDefault(device => device.Port == _before.Port) is { } other
                ? $"{other.DisplayName ?? "A device"} ({other}) is in its place." : "The probe is not on the bus.";
        await (back is null ? _log.WarnAsync(FlashPhase.Confirm, seen) : _log.EndAsync(FlashPhase.Confirm, seen));
        report = report with
        {
            Condition = hasStayed ? BoardCondition.Unchanged : BoardCondition.Unknown,
            NewVersion = back is null ? null : ProbeUpdater.VersionOf(back),
        };
        var last = _lines.LastOrDefault(line => line.Length > 0)?.TrimEnd('.') ?? "it printed nothing";
        return exit switch
        {
            null => Failed(ProbeFaults.ProbeUpdateEndless(_name, RunLimit.TotalSeconds, end, last, seen)),
            not 0 => Failed(
                ProbeFaults.ProbeUpdateFailed(_name, $"{exit}", last, seen, updater.CommandFor(back ?? _before with { Node = null }))),
            _ when hasStayed => report with
            {
                SkipReason = $"its maker's updater reports success, and wrote nothing: the probe stayed on the bus. \"{last}\"",
            },
            _ when back is null => Failed(ProbeFaults.ProbeNotBack(_name, BackLimit.TotalSeconds, seen)),
            _ => report with { Condition = BoardCondition.Unconfirmed },
        };

        BoardReport Failed(FlashException fault) => report with { Fault = FaultReport.Of(fault) };
    }

    /// <summary>The probe with a serial port, which its bootloader has not: by its serial, which a bootloader need not have.</summary>
    private Device? Back(DeviceList seen) => seen.Devices.FirstOrDefault(device => ProbeUpdater.IsFor(device) && device.Node is not null
        && (_before.Node is null || _before.Serial is null ? device.Port == _before.Port : device.Serial == _before.Serial));

    private void Keep(string line)
    {
        if (string.IsNullOrWhiteSpace(line))
            return;
        _lines.Enqueue(PlainText.Of(line.Trim(), LongestLine));
        if (_lines.Count > KeptLines)
            _lines.Dequeue();
    }
}
