namespace RatOS.Flash.Flashing;

/// <summary>The one record of a flash: numbers the events, stamps them, and lets at most ten snapshots a second through.</summary>
internal sealed class FlashLog(TimeProvider time, Func<FlashEvent, ValueTask> onEvent)
{
    private static readonly TimeSpan BetweenSnapshots = TimeSpan.FromMilliseconds(100);

    private readonly long _begin = time.GetTimestamp();
    private readonly Dictionary<string, TimeSpan> _lastSnapshot = [];
    private int _sequence;

    public TimeSpan Elapsed => time.GetElapsedTime(_begin);

    public ValueTask BeginAsync(string? board, FlashPhase phase, string message, long total = 0) =>
        SendAsync(board, phase, FlashEventKind.Begin, message, 0, total);

    public ValueTask EndAsync(string? board, FlashPhase phase, string message, long total = 0) =>
        SendAsync(board, phase, FlashEventKind.End, message, total, total);

    public ValueTask NoteAsync(string? board, FlashPhase phase, string message) => SendAsync(board, phase, FlashEventKind.Note, message);

    public ValueTask WarnAsync(string? board, FlashPhase phase, string message) => SendAsync(board, phase, FlashEventKind.Warning, message);

    public ValueTask CommitAsync(string board) => SendAsync(
        board, FlashPhase.Erase, FlashEventKind.PointOfNoReturn, "From here on the write is finished whatever happens.");

    public ValueTask VerdictAsync(BoardReport report) => SendAsync(
        report.Board, FlashPhase.Done, FlashEventKind.Verdict, report.Fault is { } fault ? fault.Cause : report.LeftOut is { } reason ? $"left out: {reason}" : $"runs {report.NewVersion}", 0, 0, report);

    /// <summary>A snapshot; the first and the last of a phase always go out.</summary>
    public ValueTask ProgressAsync(string board, FlashPhase phase, long done, long total)
    {
        var now = Elapsed;
        if (done < total && _lastSnapshot.TryGetValue(board, out var last) && now - last < BetweenSnapshots)
            return ValueTask.CompletedTask;
        _lastSnapshot[board] = now;
        return SendAsync(board, phase, FlashEventKind.Progress, "", done, total);
    }

    public ValueTask SendAsync(
        string? board, FlashPhase phase, FlashEventKind kind, string message, long done = 0, long total = 0, BoardReport? report = null) =>
        onEvent(new FlashEvent(++_sequence, Elapsed, board, phase, kind, message, done, total, report));
}
