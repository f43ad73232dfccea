using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Migration;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The plan of an import in lines.</summary>
internal static class ImportText
{
    private const int Longest = 160;

    /// <returns>Lines, with the columns before what a terminal wraps.</returns>
    public static IEnumerable<(string Line, int Indent)> Of(ImportPlan plan)
    {
        foreach (var board in plan.Boards)
        {
            var source = $"{board.From.Tool}: {PlainText.Of(board.From.ConfigFile ?? board.From.File, Longest)}";
            var there = board.From.Name is "" ? "(no name)" : Text.Clean(board.From.Name);
            var name = board.Board is { } own && own != there && $"mcu {own}" != there ? $"{Text.Clean(own)} ({there} there)" : there;
            if (board.Why is { } why)
                yield return ($"{name}: not imported: {why}. ({source})", 2);
            if (board is { Why: null, Config: { } config })
            {
                yield return ($"{name}: {(board.Changes ? "build options" : "the same build options as now")} ({source})", 2);
                if (!board.Changes)
                    continue;
                foreach (var change in config.Changes)
                    yield return ("    " + Of(change), 6);
                if (!config.Dropped.IsEmpty)
                    yield return ($"    This Klipper does not have: {PlainText.Of(string.Join(", ", config.Dropped), Longest)}", 6);
                if (board.Unproven is { } unproven)
                    yield return ($"    Check this: the board has not told its {unproven}, and nothing else here knows.", 6);
            }
        }
        if (plan.Settings is { } settings)
        {
            yield return ("ratos-flash.conf:", 2);
            foreach (var line in settings.Changes)
                yield return ($"    {PlainText.Of(line, Longest)}", 6);
        }
    }

    private static string Of(OptionChange change)
    {
        var (before, after) = (Value(change.Before), Value(change.After));
        return PlainText.Of(before is null ? $"{change.Prompt}: {after}" : $"{change.Prompt}: {before} -> {after}", Longest);
    }

    private static string? Value(string? value) => value is "" ? "\"\"" : value;
}
