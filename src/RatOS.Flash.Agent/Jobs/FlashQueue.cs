using System.Threading.Channels;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Jobs;

/// <summary>
/// Runs one job after the other, wherever it came from. Each is journalled before it touches anything. A job that waits for an
/// operator step gives its turn away.
/// </summary>
/// <param name="boards">The boards.</param>
/// <param name="folder">Of all jobs.</param>
/// <param name="klippy">
/// Klipper for a job. It reports the service's name to the journal before a stop, and with true after a start.
/// </param>
/// <param name="change">Completes when the printer's state may have changed, at the latest after a minute.</param>
/// <param name="log">The log.</param>
internal sealed class FlashQueue(
    LocalBoards boards, string folder, Func<Job, Action<string, bool>, IKlippy> klippy, Func<CancellationToken, Task> change, LogFile log)
{
    private const int Most = 16;

    /// <summary>Requests that wait for the end of a job: others must not be kept from their answers.</summary>
    private const int MostWaits = 16;

    /// <summary>In seconds: a proxy in between gives up after a minute.</summary>
    private const int LongestWait = 50;

    /// <summary>Records each job; null without recordings.</summary>
    public CallRecorder? Recorder { get; init; }

    private readonly List<Job> _open = [];
    private readonly List<Job> _last = [];
    private readonly Channel<bool> _turn = Channel.CreateBounded<bool>(1);   // holds one token: the job that took it has the printer
    private TaskCompletionSource _added = new();
    private bool _isClosed;
    private int _waits;

    /// <summary>Jobs that are not done, oldest first.</summary>
    public IReadOnlyList<Job> Open => _open;

    /// <summary>Every open job waits for an operator step.</summary>
    public bool IsAtRest => _open.TrueForAll(job => job.State == JobState.WaitingForOperator);

    /// <summary>What the last jobs could not know about their boards.</summary>
    public IEnumerable<FactQuestion> Questions =>
        _last.SelectMany(job => job.Report!.Boards).Select(board => board.Fault?.Question).OfType<FactQuestion>();

    /// <summary>A job was added, before its first step.</summary>
    public event Action<Job>? Added;

    /// <summary>A job is over, and its journal is complete.</summary>
    public event Action<Job>? Ended;

    /// <summary>Adds a job, unless an open one does all its work.</summary>
    /// <returns>The open job, or this one.</returns>
    /// <exception cref="FlashException">The queue is full, or being closed.</exception>
    public Job Add(Job job)
    {
        if (_isClosed)
            throw AgentFaults.ShuttingDown();
        if (_open.Find(other => other.Covers(job)) is { } same)
            return same;
        if (_open.Count >= Most)
            throw AgentFaults.QueueFull(_open.Count);
        _open.Add(job);
        log.Say($"Job {job.Id} by {job.By}: {string.Join(", ", job.Requests.Select(request => request.Board.Name))}");
        Added?.Invoke(job);
        _added.TrySetResult();
        return job;
    }

    /// <summary>Works until it is cancelled. A write that has begun is finished first; jobs that wait are cancelled.</summary>
    public async Task RunAsync(CancellationToken over)
    {
        using var closing = over.Register(() =>
        {
            _isClosed = true;
            foreach (var job in _open)
                job.Cancel.Cancel();
            _added.TrySetResult();
        });
        var works = new List<Task>();
        _turn.Writer.TryWrite(true);
        while (true)
        {
            works.RemoveAll(work => work.IsCompletedSuccessfully);
            foreach (var job in _open.Where(job => job.Begin()).ToList())
                works.Add(WorkAsync(job));
            if (_isClosed)
            {
                await Task.WhenAll(works);
                return;
            }
            await _added.Task;
            _added = new();
        }
    }

    private async Task WorkAsync(Job job)
    {
        await _turn.Reader.ReadAsync();
        var hasTurn = true;
        try
        {
            job.End(await DoAsync(job, async wait =>
            {
                job.Become(JobState.WaitingForOperator);
                hasTurn = false;
                _turn.Writer.TryWrite(true);
                await wait();
                await _turn.Reader.ReadAsync(job.Cancel.Token);
                hasTurn = true;
                job.Become(JobState.Running);
            }));
        }
        catch (Exception bug)
        {
            // A job ends whatever fails: others would join it for ever.
            log.Bug(bug);
            job.End(Unfinished(job, FlashFaults.Internal(bug)));
        }
        if (hasTurn)
            _turn.Writer.TryWrite(true);
        _open.Remove(job);
        // A client may ask for it in a moment.
        _last.Add(job);
        if (_last.Count > Most)
            _last.RemoveAt(0);
        try
        {
            Ended?.Invoke(job);
        }
        catch (Exception bug)
        {
            log.Bug(bug);
        }
    }

    /// <summary>An open job or one of the last 16 that ended; null for any other.</summary>
    public Job? Find(string id) => _open.Find(job => job.Id == id) ?? _last.Find(job => job.Id == id);

    /// <inheritdoc cref="Find"/>
    /// <param name="id">Of the job.</param>
    /// <param name="wait">Seconds that its end is waited for, at most 50. While 16 others wait, it is not.</param>
    /// <exception cref="FlashException"><c>bad-request</c>: a negative time.</exception>
    public async Task<Job?> FindAsync(string id, double wait)
    {
        if (wait < 0)
            throw AgentFaults.BadRequest("its wait is no number of seconds");
        var found = Find(id);
        if (found is null || wait == 0 || _waits >= MostWaits)
            return found;
        _waits++;
        await found.Done.WaitUpToAsync(
            TimeSpan.FromSeconds(Math.Min(wait, LongestWait)), boards.Printer.Time, CancellationToken.None);
        _waits--;
        return found;
    }

    private async Task<FlashReport> DoAsync(Job job, Func<Func<Task>, Task> aside)
    {
        Journal? journal = null;
        try
        {
            journal = Journal.Create(folder, job);
            var by = klippy(
                job, (service, isStarted) => journal.Append(new JsonService("klipper", service, isStarted ? "started" : "stopping")));
            if (job.Options.WhenIdle)
                await WaitIdleAsync(job, by);
            job.Become(JobState.Running);
            using var recorder = Recorder is null ? null : new JobRecorder(Recorder, journal.Folder, log);
            recorder?.Plan(boards.Plan(job.Requests));
            var work = new FlashWork(job.Requests, job.Options, by) { Aside = aside, Change = change, Recorder = recorder };
            var isLossShown = false;
            var report = await boards.FlashAsync(work, step =>
            {
                recorder?.Event(step);
                journal.Append(step);
                if (isLossShown)
                    step = step with { Sequence = step.Sequence + 1 };
                Show(job, step);
                if (journal.Loss is { } loss && !isLossShown)
                {
                    isLossShown = true;
                    Show(job, new(
                        step.Sequence + 1, step.At, null, step.Phase, FlashEventKind.Warning, $"{loss.Cause} {loss.Remedy}"));
                }
                return ValueTask.CompletedTask;
            }, job.Cancel.Token);
            journal.Append(report);
            return report;
        }
        catch (OperationCanceledException)
        {
            return Refused(job, FlashFaults.Cancelled(), journal);
        }
        catch (FlashException fault)
        {
            log.Fault(fault);
            return Refused(job, fault, journal);
        }
        catch (Exception bug)
        {
            log.Bug(bug);
            return Refused(job, FlashFaults.Internal(bug), journal);
        }
        finally
        {
            journal?.Dispose();
            Journal.Prune(folder, log);
            JobRecorder.Prune(folder, log);
        }
    }

    private async Task WaitIdleAsync(Job job, IKlippy by)
    {
        job.Become(JobState.Waiting);
        using var timer = job.Options.IdleLimit is { } most ? new CancellationTokenSource(most, boards.Printer.Time) : new();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(job.Cancel.Token, timer.Token);
        while (true)
        {
            var next = change(ended.Token);
            if ((await by.LookAsync(job.Cancel.Token)).Blocker is not { } blocker)
                return;
            log.Say($"Job {job.Id} waits: {blocker.Cause}");
            try
            {
                await next;
            }
            catch (OperationCanceledException) when (!job.Cancel.IsCancellationRequested)
            {
                var limit = FormattableString.Invariant($"{job.Options.IdleLimit!.Value.TotalSeconds:0} s");
                throw new FlashException(blocker.Kind, $"The printer was not idle within {limit}. {blocker.Cause}", blocker.Remedy);
            }
        }
    }

    private void Show(Job job, FlashEvent step)
    {
        log.Event(step);
        job.Apply(step);
    }

    private FlashReport Refused(Job job, FlashException fault, Journal? journal)
    {
        var report = Unfinished(job, fault);
        foreach (var verdict in report.Boards)
            job.Apply(
                new FlashEvent(
                job.Events.Count + 1, TimeSpan.Zero, verdict.Board, FlashPhase.Done, FlashEventKind.Verdict, fault.Cause,
                Report: verdict));
        journal?.Append(report);
        return report;
    }

    /// <summary>The report of a job that a fault ended, by the last event of each board.</summary>
    private FlashReport Unfinished(Job job, FlashException fault) => new(
        [.. job.Requests.Select(request => new BoardReport
        {
            Board = request.Board.Name,
            Condition = JournalRecord.ConditionAfter(
                job.Events.Where(step => step.Board == request.Board.Name).Select(JsonStep.Of), boards.ConditionOf(request)),
            Fault = FaultReport.Of(fault),
            Refused = fault.Kind != FaultKind.InternalError,
            OldVersion = request.Board.RunningVersion,
            NewVersion = request.Image?.Version,
        }.After(job.Events.Any(step => step.Board == request.Board.Name && step.Kind == FlashEventKind.PointOfNoReturn)))],
        null, TimeSpan.Zero);
}
