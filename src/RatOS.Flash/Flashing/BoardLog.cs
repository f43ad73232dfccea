namespace RatOS.Flash.Flashing;

/// <summary>One board's part of the record. Its warnings are also the notes of its report.</summary>
internal sealed class BoardLog(FlashLog log, string board)
{
    private readonly List<string> _notes = [];

    public IEnumerable<string> Notes => _notes;

    public ValueTask BeginAsync(FlashPhase phase, string message, long total = 0) => log.BeginAsync(board, phase, message, total);

    public ValueTask EndAsync(FlashPhase phase, string message, long total = 0) => log.EndAsync(board, phase, message, total);

    public ValueTask NoteAsync(FlashPhase phase, string message) => log.NoteAsync(board, phase, message);

    public ValueTask ProgressAsync(FlashPhase phase, long done, long total) => log.ProgressAsync(board, phase, done, total);

    public ValueTask CommitAsync(BoardPlace place, FlashLayout? layout) => log.CommitAsync(board, place, layout);

    public ValueTask WarnAsync(FlashPhase phase, string message)
    {
        Keep(message);
        return log.WarnAsync(board, phase, message);
    }

    /// <summary>Only for the report.</summary>
    public void Keep(string note) => _notes.Add(note);
}
