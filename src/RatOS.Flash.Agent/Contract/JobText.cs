using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A job in words.</summary>
internal static class JobText
{
    public static IEnumerable<Line> Of(JsonJob job)
    {
        var state = job.State == "person" ? "waits for an operator step" : job.State;
        var outcome = job.Ok switch { true => "OK", false => "FAILED", _ => state };
        var tone = job.Ok switch { true => Tone.Good, false => Tone.Bad, _ => Tone.Normal };
        var elapsed = FormattableString.Invariant($"{job.Elapsed:0.0} s");
        yield return new($"{job.Job}  {job.Created}  {outcome}, requested by {job.By}, {elapsed}", tone, Indent: 2);
        foreach (var board in job.Boards)
        {
            var text = board.Fault is { } fault ? $"{fault.Cause} {fault.Remedy} [{fault.Code}]"
                : board.Ok == true ? board.Message
                : $"{board.Phase}{(board.Percent is { } percent ? $" {percent} %" : "")} {board.Message}";
            yield return new($"  {board.Board}: {text}", board.Fault is null ? Tone.Normal : Tone.Warning, Indent: 4);
            if (board.Condition is { } name && board.Ok == false)
            {
                var condition = JsonContract.Value(name, BoardCondition.Unknown);
                yield return new($"  {board.Board} now: {Text.Condition(condition)}", Tone.Normal, Indent: 4);
            }
        }
        if (job.Klippy is { } klippy)
            yield return new($"  Klipper: {klippy.Cause} {klippy.Remedy} [{klippy.Code}]", Tone.Bad, Indent: 4);
    }
}
