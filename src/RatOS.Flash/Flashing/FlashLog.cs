using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>
/// The one record of a flash: numbers the events, stamps them, limits progress to ten snapshots a second, and holds the reports of the
/// boards that are done.
/// </summary>
internal sealed class FlashLog(TimeProvider time, Func<FlashEvent, ValueTask> onEvent)
{
    private static readonly TimeSpan BetweenSnapshots = TimeSpan.FromMilliseconds(100);

    private readonly long _begin = time.GetTimestamp();
    private readonly Dictionary<(string Board, FlashPhase Phase), TimeSpan> _lastSnapshot = [];
    private readonly Dictionary<string, BoardReport> _reports = [];
    private readonly HashSet<string> _committed = new(StringComparer.Ordinal);   // boards past their point of no return
    private int _sequence;

    public TimeSpan Elapsed => time.GetElapsedTime(_begin);

    /// <summary>The boards that have their verdict, by name.</summary>
    public IReadOnlyDictionary<string, BoardReport> Reports => _reports;

    public ValueTask BeginAsync(string? board, FlashPhase phase, string message, long total = 0) =>
        SendAsync(board, phase, FlashEventKind.Begin, message, 0, total);

    /// <summary>An operator is awaited from now on.</summary>
    public ValueTask BeginWaitAsync(string board, string message, Remedy step) =>
        SendAsync(board, FlashPhase.Operator, FlashEventKind.Begin, message, remedy: step);

    public ValueTask EndAsync(string? board, FlashPhase phase, string message, long total = 0) =>
        SendAsync(board, phase, FlashEventKind.End, message, total, total);

    public ValueTask NoteAsync(string? board, FlashPhase phase, string message) => SendAsync(board, phase, FlashEventKind.Note, message);

    public ValueTask WarnAsync(string? board, FlashPhase phase, string message) => SendAsync(board, phase, FlashEventKind.Warning, message);

    /// <summary>A fault that does not end the flash.</summary>
    public ValueTask WarnAsync(string? board, FlashPhase phase, FlashException fault) =>
        SendAsync(board, phase, FlashEventKind.Warning, fault.Cause, remedy: fault.Remedy);

    /// <summary>Something that the plan found, and what to do about it.</summary>
    public ValueTask FindingAsync(string board, Finding finding) => SendAsync(
        board, FlashPhase.Plan, finding.Severity == FindingSeverity.Warning ? FlashEventKind.Warning : FlashEventKind.Note, finding.Text,
            remedy: finding.Remedy);

    public ValueTask CommitAsync(string board, BoardPlace place, FlashLayout? layout)
    {
        _committed.Add(board);
        return SendAsync(
            board, FlashPhase.Erase, FlashEventKind.PointOfNoReturn, "Point of no return: the write can no longer be cancelled.",
            place: place, layout: layout);
    }

    /// <summary>A snapshot; the first and the last of a phase are always sent.</summary>
    public ValueTask ProgressAsync(string board, FlashPhase phase, long done, long total)
    {
        var now = Elapsed;
        if (done < total && _lastSnapshot.TryGetValue((board, phase), out var last) && now - last < BetweenSnapshots)
            return ValueTask.CompletedTask;
        _lastSnapshot[(board, phase)] = now;
        return SendAsync(board, phase, FlashEventKind.Progress, "", done, total);
    }

    /// <summary>A board's verdict ends its part of the flash.</summary>
    public ValueTask VerdictAsync(BoardReport report)
    {
        report = report.After(_committed.Contains(report.Board));
        _reports[report.Board] = report;
        var message = report.Fault is { } fault ? fault.Cause : report.SkipReason is { } reason ? $"skipped: {reason}"
            : $"runs {report.NewVersion}";
        return SendAsync(report.Board, FlashPhase.Done, FlashEventKind.Verdict, message, 0, 0, report);
    }

    /// <summary>The verdict on a board that needs no flash.</summary>
    public ValueTask SkipAsync(FlashRequest request) => VerdictAsync(new BoardReport
    {
        Board = request.Board.Name,
        Condition = BoardCondition.Unchanged,
        SkipReason = request.SkipReason,
        OldVersion = request.Board.RunningVersion,
        NewVersion = request.Board.RunningVersion,
    });

    /// <summary>The verdict on a board that was never touched, unless it has one.</summary>
    /// <param name="request">The board.</param>
    /// <param name="fault">Why not.</param>
    /// <param name="plan">What is known of the board; null before there is a plan.</param>
    /// <param name="byPlan">The plan refused it; else the attempt failed.</param>
    public ValueTask RefuseAsync(FlashRequest request, FlashException fault, BoardPlan? plan = null, bool byPlan = true) =>
        _reports.ContainsKey(request.Board.Name) ? ValueTask.CompletedTask : VerdictAsync(new BoardReport
        {
            Board = request.Board.Name,
            Condition = plan?.Condition ?? BoardCondition.Unknown,
            Fault = FaultReport.Of(fault),
            Refused = byPlan,
            OldVersion = plan?.RunningVersion ?? request.Board.RunningVersion,
            NewVersion = request.Image?.Version,
        });

    private ValueTask SendAsync(
        string? board, FlashPhase phase, FlashEventKind kind, string message, long done = 0, long total = 0, BoardReport? report = null,
            Remedy? remedy = null, BoardPlace? place = null, FlashLayout? layout = null) =>
        onEvent(new FlashEvent(++_sequence, Elapsed, board, phase, kind, remedy is null ? message : $"{message} {remedy}", done, total,
            report)
        {
            Browser = remedy?.OnlyInBrowser is { } words ? $"{message} {words}" : null,
            Place = place,
            Layout = layout,
            Step = remedy?.Actions.Select(action => action.Step).FirstOrDefault(step => step != OperatorStep.None) ?? OperatorStep.None,
        });
}
