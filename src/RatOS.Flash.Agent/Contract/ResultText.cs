using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>How a line is meant; the terminal colours it.</summary>
internal enum Tone
{
    Normal,
    Dim,
    Good,
    Warning,
    Bad,
}

/// <summary>The end in words: what happened, what became of each board, and what to do now.</summary>
internal static class ResultText
{
    public static IEnumerable<(string Text, Tone Tone)> Of(FlashReport report, FrontEnd frontEnd)
    {
        foreach (var board in report.Boards)
        {
            if (board is { Fault: null, Condition: BoardCondition.Running })
            {
                yield return ($"{board.Board} OK: runs {board.NewVersion}, and answers. It was not flashed.", Tone.Good);
            }
            else if (board.SkipReason is { } reason)
            {
                yield return ($"{board.Board} skipped: {reason}", Tone.Good);
            }
            else if (board.Fault is not { } fault)
            {
                yield return ($"{board.Board} OK: runs {board.NewVersion}, {Text.Size(board.Size)} {(board.IsProcess ? "in its place" : board.IsBySdCard ? "taken from the card" : "read back equal")} (sha256 {board.Sha256?[..8]}...), "
                    + $"proven by {(board.IsProcess ? "the new process" : "a reset")}, {board.Elapsed.TotalSeconds:0.0} s.", Tone.Good);
            }
            else
            {
                yield return ($"{board.Board} {(FaultKind.Of(fault.Code) == FaultKind.Cancelled ? "CANCELLED" : board.Refused ? "NOT FLASHED" : "FAILED")} [{fault.Code}]", Tone.Bad);
                yield return ($"  What happened:  {fault.Cause}", Tone.Normal);
                yield return ($"  The board now:  {Text.Condition(board)}", Tone.Normal);
                if (board.Back is { } back)
                    yield return ($"  The way back:   {Text.Back(board.Board, back, frontEnd)}", back.Report?.Ok == true ? Tone.Good : Tone.Warning);
                yield return ($"  What to do:     {fault.Remedy.In(frontEnd)}", Tone.Warning);
            }
            foreach (var note in board.Notes)
                yield return ($"  Seen on the way: {note}", Tone.Dim);
        }
        if (report.Klippy is { } klippy)
        {
            yield return ($"Klipper [{klippy.Code}] {klippy.Cause}", Tone.Bad);
            yield return ($"  What to do:     {klippy.Remedy.In(frontEnd)}", Tone.Warning);
        }
    }
}
