using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A job in words.</summary>
internal static class JobText
{
    public static IEnumerable<(string Text, Tone Tone)> Of(JsonJob job)
    {
        var outcome = job.Ok switch { true => "OK", false => "FAILED", _ => job.State };
        yield return ($"{job.Job}  {job.Created}  {outcome}, asked for by {job.By}, {job.Elapsed:0.0} s", job.Ok == false ? Tone.Bad : job.Ok == true ? Tone.Good : Tone.Normal);
        foreach (var board in job.Boards)
        {
            var what = board.Fault is { } fault ? $"{fault.Cause} {fault.Remedy} [{fault.Code}]"
                : board.Ok == true ? board.Message : $"{board.Phase}{(board.Percent is { } percent ? $" {percent} %" : "")} {board.Message}";
            yield return ($"  {board.Board}: {what}", board.Fault is null ? Tone.Normal : Tone.Warning);
            if (board.Condition is { } condition && board.Ok == false)
                yield return ($"  {board.Board} now: {Text.Condition(JsonContract.Value(condition, BoardCondition.Unconfirmed))}", Tone.Normal);
        }
        if (job.Klippy is { } klippy)
            yield return ($"  Klipper: {klippy.Cause} {klippy.Remedy} [{klippy.Code}]", Tone.Bad);
    }
}
