using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Jobs;

internal enum JobState
{
    [ContractName("queued")] Queued,

    /// <summary>For the printer to be idle.</summary>
    [ContractName("waiting")] Waiting,
    [ContractName("running")] Running,

    /// <summary>For a person: what to do is in the message of its boards. Others are flashed meanwhile.</summary>
    [ContractName("person")] Person,
    [ContractName("done")] Done,
}

/// <summary>One flash that somebody asked for: what was asked, how far it is, what came of it.</summary>
internal sealed class Job
{
    private readonly Dictionary<string, JsonJobBoard> _boards;
    private readonly List<FlashEvent> _events = [];
    private readonly TimeProvider _time;
    private long _begun;
    private bool _isTaken;

    /// <param name="by">The door that it came by, one of <see cref="JobOrigin"/>.</param>
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

    /// <summary>Four hex digits, for people to type.</summary>
    public string Id { get; } = Random.Shared.Next(0x10000).ToString("x4", CultureInfo.InvariantCulture);

    /// <summary>Which door it came by.</summary>
    public string By { get; }

    public DateTimeOffset Created { get; }

    public FlashOptions Options { get; }

    public IReadOnlyList<FlashRequest> Requests { get; }

    public CancellationTokenSource Cancel { get; } = new();

    public JobState State { get; private set; }

    public FlashReport? Report { get; private set; }

    /// <summary>Completes with it.</summary>
    public Task<FlashReport> Done => _done.Task;

    /// <summary>What happened so far, without snapshots.</summary>
    public IReadOnlyList<FlashEvent> Events => _events;

    /// <summary>Everything that happens from now on.</summary>
    public event Action<FlashEvent>? Happened;

    private readonly TaskCompletionSource<FlashReport> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool Has(IEnumerable<string> boards) => boards.All(_boards.ContainsKey);

    /// <summary>True the first time.</summary>
    public bool Begin() => !_isTaken && (_isTaken = true);

    public void Become(JobState state)
    {
        if (state == JobState.Running && State != JobState.Person)
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
                ? new JsonJobBoard(name, "done", null, step.Message, report.Ok, JsonContract.Name(report.Condition), JsonFaultReport.Of(report.Fault), report.OldVersion, report.NewVersion) { Browser = step.Browser }
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
    public JsonJob View() => new(
        Id, JsonContract.Name(State), Report?.Ok, By, Created.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        Math.Round((Report?.Elapsed ?? (State is JobState.Running or JobState.Person ? _time.GetElapsedTime(_begun) : TimeSpan.Zero)).TotalSeconds, 1),
        [.. Requests.Select(request => _boards[request.Board.Name])], JsonFaultReport.Of(Report?.Klippy));
}
