using System.Globalization;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A job in words.</summary>
internal static class JobText
{
    /// <summary>A sentence for each kind of job that was cancelled just now.</summary>
    public static string Cancelled(IReadOnlyList<JsonJob> jobs)
    {
        var begun = jobs.Where(job => job.State is "running" or "person").Select(job => job.Job).ToList();
        var others = jobs.Select(job => job.Job).Except(begun).ToList();
        string[] sentences =
        [
            .. others.Count > 0 ? [$"Cancelled {string.Join(", ", others)}: nothing was touched."] : (string[])[],
            .. begun.Count > 0 ? [$"Cancelling {string.Join(", ", begun)}; a write that has begun is finished first."] : (string[])[],
        ];
        return sentences.Length > 0 ? string.Join(' ', sentences) : "No flash is running.";
    }

    /// <summary>The local time with its offset; JSON has UTC.</summary>
    private static string Local(string created) =>
        DateTimeOffset.TryParse(created, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? TimeZoneInfo.ConvertTime(time, TimeProvider.System.LocalTimeZone)
                .ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture)
            : created;

    private static string Origin(string by) => by switch
    {
        JobOrigin.CommandLine => "from the command line",
        JobOrigin.Macro => "from a macro",
        JobOrigin.Prompt => "from a button",
        JobOrigin.Request => "from another program",
        JobOrigin.Screen => "from KlipperScreen",
        JobOrigin.Page => "from the page",
        JobOrigin.Update => "after an update",
        _ => $"from {by}",
    };

    public static IEnumerable<Line> Of(JsonJob job)
    {
        var state = job.State == "person" ? "waits for an operator step" : job.State;
        var outcome = job.Ok switch { true => "OK", false => "FAILED", _ => state };
        var tone = job.Ok switch { true => Tone.Good, false => Tone.Bad, _ => Tone.Normal };
        var elapsed = FormattableString.Invariant($"{job.Elapsed:0.0} s");
        yield return new(
            $"{job.Job}  {Local(job.Created)}  {JobKind.Words(job.Kind)}{outcome}, {Origin(job.By)}, {elapsed}", tone, Indent: 2);
        foreach (var board in job.Boards)
        {
            var text = board.Fault is { } fault ? $"{fault.Cause} {fault.Remedy} [{fault.Code}]"
                : board.Ok == true ? board.Message
                : $"{board.Phase}{(board.Percent is { } percent ? $" {percent} %" : "")} {board.Message}";
            yield return new($"  {board.Board}: {text}", board.Fault is null ? Tone.Normal : Tone.Warning, Indent: 4);
            if (board.Condition is { } name && board.Ok == false)
            {
                var condition = JsonContract.Value(name, BoardCondition.Unknown);
                // Which proof is missing stands in the cause.
                var now = condition == BoardCondition.Unconfirmed ? "the new firmware is installed, but not every proof of it succeeded."
                    : Text.Condition(condition);
                yield return new($"  {board.Board} now: {now}", Tone.Normal, Indent: 4);
            }
        }
        if (job.Klippy is { } klippy)
            yield return new($"  Klipper: {klippy.Cause} {klippy.Remedy} [{klippy.Code}]", Tone.Bad, Indent: 4);
    }
}
