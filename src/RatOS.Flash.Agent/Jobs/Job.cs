using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Jobs;

/// <summary>How far a job is.</summary>
internal enum JobState
{
    [ContractName("queued")] Queued,

    /// <summary>It waits for an idle printer.</summary>
    [ContractName("waiting")] Waiting,
    [ContractName("running")] Running,

    /// <summary>It waits for an operator step, which the messages of its boards name. Other jobs run meanwhile.</summary>
    [ContractName("person")] WaitingForOperator,
    [ContractName("done")] Done,
}

/// <summary>One request to flash boards: its options, its progress and its result.</summary>
internal sealed class Job
{
    private readonly Dictionary<string, JsonJobBoard> _boards;
    private readonly List<FlashEvent> _events = [];
    private readonly KlipperStops _klipper = new();
    private readonly TimeProvider _time;
    private long _begun;
    private bool _isTaken;

    /// <param name="by">Where it came from, one of <see cref="JobOrigin"/>.</param>
    /// <param name="options">What was asked for.</param>
    /// <param name="requests">The boards that it came to.</param>
    /// <param name="time">The only clock.</param>
    public Job(string by, FlashOptions options, IReadOnlyList<FlashRequest> requests, TimeProvider time)
    {
        (By, Options, Requests, _time, Created) = (by, options, requests, time, time.GetUtcNow());
        _begun = time.GetTimestamp();
        _boards = requests.ToDictionary(request => request.Board.Name, request => new JsonJobBoard(
            request.Board.Name, "queued", null, "", null, null, null, request.Board.RunningVersion, request.Image?.Version));
    }

    /// <summary>Four hex digits, short enough to type.</summary>
    public string Id { get; } = Random.Shared.Next(0x10000).ToString("x4", CultureInfo.InvariantCulture);

    /// <summary>Where it came from, one of <see cref="JobOrigin"/>.</summary>
    public string By { get; }

    public DateTimeOffset Created { get; }

    /// <summary>As asked for; without the bytes of the firmware file when the job is over.</summary>
    public FlashOptions Options { get; private set; }

    /// <summary>Of its boards; without their images when the job is over.</summary>
    public IReadOnlyList<FlashRequest> Requests { get; private set; }

    public CancellationTokenSource Cancel { get; } = new();

    public JobState State { get; private set; }

    public FlashReport? Report { get; private set; }

    /// <summary>Completes with <see cref="Report"/>.</summary>
    public Task<FlashReport> Done => _done.Task;

    /// <summary>The events so far, without progress.</summary>
    public IReadOnlyList<FlashEvent> Events => _events;

    /// <summary>Every further event.</summary>
    public event Action<FlashEvent>? Happened;

    /// <summary>Its state has changed, but for its end.</summary>
    public event Action? Became;

    private readonly TaskCompletionSource<FlashReport> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// It does all that another job is to do: the same work with the same firmware, on these boards and maybe more. A client that joins it
    /// takes its report for an answer.
    /// </summary>
    public bool Covers(Job other) => (Options.Job, Options.RollsBack, Options.LinkChange, Options.Bootloader)
            == (other.Options.Job, other.Options.RollsBack, other.Options.LinkChange, other.Options.Bootloader)
        && other.Requests.All(wanted => Requests.Any(request => request.Board.Name == wanted.Board.Name
            && request.Image?.Sha256 == wanted.Image?.Sha256 && request.Board.Port == wanted.Board.Port
            && (request.SkipReason is null || wanted.SkipReason is not null)));

    /// <summary>Takes the job for work.</summary>
    /// <returns>False if it was taken before.</returns>
    public bool Begin() => !_isTaken && (_isTaken = true);

    public void Become(JobState state)
    {
        if (state == JobState.Running && State != JobState.WaitingForOperator)
            _begun = _time.GetTimestamp();
        State = state;
        Became?.Invoke();
    }

    public void Apply(FlashEvent step)
    {
        if (step.Kind != FlashEventKind.Progress)
            _events.Add(step);
        _klipper.Apply(step.Board, step.Phase, step.Kind, step.At);
        if (step.Board is { } name && _boards.TryGetValue(name, out var board))
        {
            _boards[name] = step.Report is { } report
                ? new JsonJobBoard(
                    name, "done", null, step.Message, report.Ok, JsonContract.Name(report.Condition), JsonFaultReport
                    .Of(report.Fault), report.OldVersion, report.NewVersion)
                { Browser = step.Browser, Report = JsonReport.Of(report), Now = Text.Condition(report) }
                : board with
                {
                    Phase = JsonContract.Name(step.Phase),
                    Percent = step.Total > 0 ? (int)(step.Done * 100 / step.Total) : null,
                    Message = step.Message.Length > 0 ? step.Message : board.Message,
                    Browser = step.Message.Length > 0 ? step.Browser : board.Browser,
                    Done = step.Total > 0 ? step.Done : null,
                    Total = step.Total > 0 ? step.Total : null,
                    Layout = JsonLayout.Of(step.Layout) ?? board.Layout,
                    Step = step.Step != OperatorStep.None ? JsonContract.Name(step.Step)
                        : step.Phase == FlashPhase.Operator && step.Kind != FlashEventKind.End ? board.Step : null,
                };
        }
        Happened?.Invoke(step);
    }

    public void End(FlashReport report)
    {
        (State, Report) = (JobState.Done, report);
        // The queue keeps the last jobs. Their firmware, of up to 8 MiB, is done with.
        var firmware = Options.Firmware is { } given ? given with { Bytes = default } : null;
        (Options, Requests) = (Options with { Firmware = firmware }, [.. Requests.Select(request => request with { Image = null })]);
        _done.TrySetResult(report);
    }

    /// <summary>The job as clients see it, with the words of both front ends.</summary>
    public JsonJob View() => new(
        Id, JsonContract.Name(State), Report?.Ok, By, Created.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        Seconds(Elapsed), [.. Requests.Select(request => _boards[request.Board.Name])], JsonFaultReport.Of(Report?.Klippy))
    {
        Kind = JobKind.Of(Options),
        Changed = Report?.Boards.Any(board => board.IsChanged),
        Down = _klipper.Total(Elapsed) is { } down ? Seconds(down) : null,
        Stopped = _klipper.IsStopped ? true : null,
    };

    /// <summary>One of its boards as clients see it.</summary>
    public JsonJobStep View(string board) => new(Id, Seconds(Elapsed), _boards[board]);

    private TimeSpan Elapsed => Report?.Elapsed
        ?? (State is JobState.Running or JobState.WaitingForOperator ? _time.GetElapsedTime(_begun) : TimeSpan.Zero);

    private static double Seconds(TimeSpan time) => Math.Round(time.TotalSeconds, 1);
}

/// <summary>How long a job has stopped Klipper, by its steps.</summary>
internal sealed class KlipperStops
{
    private TimeSpan? _since;
    private TimeSpan? _total;

    public bool IsStopped => _since is not null;

    /// <param name="board">Null for a step that concerns all boards.</param>
    /// <param name="phase">Of the step.</param>
    /// <param name="kind">Of the step.</param>
    /// <param name="at">Since the job began.</param>
    public void Apply(string? board, FlashPhase phase, FlashEventKind kind, TimeSpan at)
    {
        if (board is not null)
            return;
        if ((phase, kind) is (FlashPhase.Stop, FlashEventKind.End))
            _since ??= at;
        else if (phase == FlashPhase.Start && kind != FlashEventKind.Begin)
            (_total, _since) = (Total(at), null);
    }

    /// <summary>Null where it was not stopped.</summary>
    /// <param name="now">Since the job began.</param>
    public TimeSpan? Total(TimeSpan now) => _since is { } since ? (_total ?? TimeSpan.Zero) + (now - since) : _total;
}
