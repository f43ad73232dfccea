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

    public FlashOptions Options { get; }

    public IReadOnlyList<FlashRequest> Requests { get; }

    public CancellationTokenSource Cancel { get; } = new();

    public JobState State { get; private set; }

    public FlashReport? Report { get; private set; }

    /// <summary>Completes with <see cref="Report"/>.</summary>
    public Task<FlashReport> Done => _done.Task;

    /// <summary>The events so far, without progress.</summary>
    public IReadOnlyList<FlashEvent> Events => _events;

    /// <summary>Every further event.</summary>
    public event Action<FlashEvent>? Happened;

    private readonly TaskCompletionSource<FlashReport> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>All these boards are part of the job.</summary>
    public bool Has(IEnumerable<string> boards) => boards.All(_boards.ContainsKey);

    /// <summary>Takes the job for work.</summary>
    /// <returns>False if it was taken before.</returns>
    public bool Begin() => !_isTaken && (_isTaken = true);

    public void Become(JobState state)
    {
        if (state == JobState.Running && State != JobState.WaitingForOperator)
            _begun = _time.GetTimestamp();
        State = state;
    }

    public void Apply(FlashEvent step)
    {
        if (step.Kind != FlashEventKind.Progress)
            _events.Add(step);
        if (step.Board is { } name && _boards.TryGetValue(name, out var board))
        {
            _boards[name] = step.Report is { } report
                ? new JsonJobBoard(
                    name, "done", null, step.Message, report.Ok, JsonContract.Name(report.Condition), JsonFaultReport
                    .Of(report.Fault), report.OldVersion, report.NewVersion)
                { Browser = step.Browser }
                : board with
                {
                    Phase = JsonContract.Name(step.Phase),
                    Percent = step.Total > 0 ? (int)(step.Done * 100 / step.Total) : null,
                    Message = step.Message.Length > 0 ? step.Message : board.Message,
                    Browser = step.Message.Length > 0 ? step.Browser : board.Browser,
                };
        }
        Happened?.Invoke(step);
    }

    public void End(FlashReport report)
    {
        (State, Report) = (JobState.Done, report);
        _done.TrySetResult(report);
    }

    /// <summary>As it stands, with the words of both front ends.</summary>
    /// <summary>The job as clients see it.</summary>
    public JsonJob View() => new(
        Id, JsonContract.Name(State), Report?.Ok, By, Created.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        Math.Round(
            (Report?.Elapsed
            ?? (State is JobState.Running or JobState.WaitingForOperator ? _time.GetElapsedTime(_begun) : TimeSpan.Zero)).TotalSeconds, 1),
        [.. Requests.Select(request => _boards[request.Board.Name])], JsonFaultReport.Of(Report?.Klippy));
}
