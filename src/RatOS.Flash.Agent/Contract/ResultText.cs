using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>The result of a flash in words: each board's outcome, and of a failed one its cause, its condition and the next step.</summary>
internal static class ResultText
{
    private const string Indent = "              ";

    /// <param name="report">The result.</param>
    /// <param name="frontEnd">The remedies are in its words.</param>
    /// <param name="shown">Notes that the reader has seen already; null for none.</param>
    public static IEnumerable<Line> Of(FlashReport report, FrontEnd frontEnd, IReadOnlySet<string>? shown = null)
    {
        foreach (var board in report.Boards)
        {
            foreach (var line in Of(board, frontEnd))
                yield return line;
            var notes = board.Notes.Where(note => shown?.Contains(note) != true).ToList();
            for (var i = 0; i < notes.Count; i++)
                yield return Line.Of(i == 0 ? "  Notes:      " : Indent, notes[i], Tone.Dim);
        }
        if (report.Klippy is { } klippy)
        {
            yield return new($"Klipper [{klippy.Code}] {klippy.Cause}", Tone.Bad, Indent: 2);
            yield return Line.Of("  Next step:  ", klippy.Remedy.In(frontEnd), Tone.Warning);
        }
    }

    private static IEnumerable<Line> Of(BoardReport board, FrontEnd frontEnd)
    {
        if (board is { Fault: null, Identity: { } identity })
        {
            yield return new($"{board.Board} OK: {identity}. It runs {board.NewVersion}.", Tone.Good, Indent: 2);
        }
        else if (board is { Fault: null, Condition: BoardCondition.Running })
        {
            yield return new($"{board.Board} OK: runs {board.NewVersion} and responds. It was not flashed.", Tone.Good, Indent: 2);
        }
        else if (board.SkipReason is { } reason)
        {
            yield return new($"{board.Board} skipped: {reason}", Tone.Good, Indent: 2);
        }
        else if (board is { Fault: null, IsByOwnUpdater: true })
        {
            yield return new(
                $"{board.Board} OK: its maker's updater reports success, and the probe is back on the bus as version {board.NewVersion}. "
                + FormattableString.Invariant(
                    $"Not verified: RatOS.Flash cannot read this firmware back. {board.Elapsed.TotalSeconds:0.0} s."),
                Tone.Good, Indent: 2);
        }
        else if (board.Fault is not { } fault)
        {
            var proof = board.IsProcess ? "the new process" : "a reset";
            var written = board.IsProcess ? "installed" : board.IsBySdCard ? "installed from the card" : "verified";
            yield return new(
                $"{board.Board} OK: runs {board.NewVersion}, {Text.Size(board.Size)} {written} (sha256 {board.Sha256?[..8]}...), "
                + FormattableString.Invariant($"confirmed by {proof}, {board.Elapsed.TotalSeconds:0.0} s."), Tone.Good, Indent: 2);
        }
        else
        {
            var outcome = FaultKind.Of(fault.Code) == FaultKind.Cancelled ? "CANCELLED" : board.Refused ? "NOT FLASHED" : "FAILED";
            yield return new($"{board.Board} {outcome} [{fault.Code}]", Tone.Bad);
            yield return Line.Of("  Cause:      ", fault.Cause);
            yield return Line.Of("  Board now:  ", Text.Condition(board));
            if (board.Rollback is { } back)
            {
                var tone = back.Report?.Ok == true ? Tone.Good : Tone.Warning;
                yield return Line.Of("  Rollback:   ", Text.Rollback(board.Board, back, frontEnd), tone);
            }
            yield return Line.Of("  Next step:  ", fault.Remedy.In(frontEnd), Tone.Warning);
        }
    }
}
