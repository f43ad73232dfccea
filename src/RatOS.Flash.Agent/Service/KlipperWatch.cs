using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Acts each time that the connection comes up or Klipper becomes ready: starts a Klipper that a flash stopped, greets our macros,
/// reports interrupted jobs, compares versions, also when another program that flashed has ended. An update that Moonraker has found
/// is compared with the boards at once.
/// </summary>
/// <param name="moonraker">The connection.</param>
/// <param name="klipper">Klipper.</param>
/// <param name="queue">While it works, nothing is done here.</param>
/// <param name="update">Compares versions.</param>
/// <param name="forecast">Compares the boards with an update that is offered.</param>
/// <param name="questions">Are shown when everyone can see it, after the others.</param>
/// <param name="notifier">The printer's screens.</param>
/// <param name="time">The only clock.</param>
/// <param name="log">The log.</param>
internal sealed class KlipperWatch(
    MoonrakerConnection moonraker, KlipperAccess klipper, FlashQueue queue, UpdateFollowUp update, UpdateForecast forecast,
    OpenQuestions questions, Notifier notifier, TimeProvider time, LogFile log)
{
    // Moonraker has no notification for a Klipper in error. It comes within seconds of a start; later only a user repairs it, so polls
    // become rare.
    private static readonly TimeSpan SoonPoll = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ErrorPoll = TimeSpan.FromMinutes(1);
    private const int SoonPolls = 30;

    // KlipperScreen polls for an error every 5 s and ignores the console from then on: a question that it shows before could not be
    // closed.
    private static readonly TimeSpan KnownToScreens = TimeSpan.FromSeconds(10);

    private readonly List<JournalRecord> _unstarted = [];
    private readonly List<string> _interrupted = [];
    private int _checked = -1;   // the epoch that was dealt with
    private long? _inError;

    /// <summary>Ends the jobs that an earlier process left: they are reported, and a Klipper that it stopped is started.</summary>
    /// <param name="folder">Of all jobs.</param>
    public void ReadJournals(string folder)
    {
        foreach (var record in Journal.ReadAll(folder))
        {
            if (record.Result is null)
            {
                var report = record.Interrupted();
                record.End(JsonResult.Of(report), log);
                foreach (var board in report.Boards.Where(board => board.Fault is not null))
                    log.Say($"Job {record.Header.Job} was interrupted. {board.Board}: {Text.Condition(board)}");
                // A stopped Klipper is started before this is shown.
                _interrupted.AddRange(ResultText.Of(report with { Klippy = null }, FrontEnd.Browser).Select(line => line.Text.Trim()));
            }
            if (record.Stopped is not null)
                _unstarted.Add(record);
        }
        klipper.OwesStart = _unstarted.Count > 0;
    }

    /// <summary>Watches until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken over)
    {
        var soon = SoonPolls;
        while (!over.IsCancellationRequested)
        {
            var change = moonraker.NextChange;
            var isSettled = !moonraker.IsConnected || !queue.IsAtRest || await TryCheckAsync(over);
            try
            {
                var pause = isSettled ? Timeout.InfiniteTimeSpan : soon > 0 ? SoonPoll : ErrorPoll;
                var ended = update.OtherEnded;
                var happens = ended is null ? change : Task.WhenAny(change, ended);
                soon = await happens.WaitUpToAsync(pause, time, over) ? SoonPolls : soon - 1;
                if (ended?.IsCompleted == true)
                    update.OtherEnded = null;
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <returns>False where the next change may come without a notification.</returns>
    private async Task<bool> TryCheckAsync(CancellationToken over)
    {
        try
        {
            return await CheckAsync(over);
        }
        catch (Exception fault) when (fault is FlashException or MoonrakerException)
        {
            log.Say(fault.Message);
            return false;
        }
        catch (Exception bug) when (bug is not OperationCanceledException)
        {
            log.Bug(bug);
            return false;
        }
    }

    private async Task<bool> CheckAsync(CancellationToken over)
    {
        if (klipper.OwesStart)
            await StartOwedAsync();
        var state = (await moonraker.CallAsync("server.info", cancel: over)).Word("klippy_state");
        var isReady = state == "ready";
        _inError = state is "error" or "shutdown" ? _inError ?? time.GetTimestamp() : null;
        var isDue = isReady ? _checked != moonraker.Epoch || questions.IsDue
            : _inError is { } since && time.GetElapsedTime(since) >= KnownToScreens;
        if (!isDue)
        {
            if (isReady && forecast.IsDue)
                await forecast.CheckAsync();
            return isReady;
        }
        if (isReady)
            await klipper.GreetAsync();
        var epoch = moonraker.Epoch;
        var facts = await klipper.RefreshAsync();
        foreach (var line in _interrupted)
            notifier.Console($"!! RatOS.Flash: {line}");
        _interrupted.Clear();
        // Without an answer, or during an update: not every end of an update is announced.
        if (facts is null || !await update.CheckAsync(facts))
            return false;
        _checked = epoch;
        questions.Show();
        if (isReady || forecast.IsDue)
            await forecast.CheckAsync();
        // A printer's whole configuration was read here. Once for each start of Klipper its memory is given back.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return isReady;
    }

    private async Task StartOwedAsync()
    {
        log.Say("Klipper was stopped for a flash that is over: starting it.");
        await klipper.Klippy().StartAsync();
        klipper.OwesStart = false;
        foreach (var record in _unstarted)
            record.Started(log);
        _unstarted.Clear();
    }
}
