using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>Words that several front ends share.</summary>
internal static class Text
{
    /// <summary>A file name for a name from a configuration. It has no path separator.</summary>
    public static string FileName(string name) =>
        string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? $"{c}" : $"%{(int)c:x2}"));

    /// <summary>Text from outside for a terminal: 80 characters at most.</summary>
    public static string Clean(string text) => PlainText.Of(text, 80);

    public static string Size(long bytes) => bytes < 1024 ? $"{bytes} bytes" : $"{bytes / 1024.0:0.0} KiB";

    /// <summary>The result for a board, in a sentence or two.</summary>
    public static string Verdict(BoardReport report, FrontEnd frontEnd) =>
        report.Fault!.Cause + (report.Rollback is { } back ? " " + Rollback(report.Board, back, frontEnd) : "");

    public static string Rollback(string board, RollbackOffer back, FrontEnd frontEnd) => back switch
    {
        { Report: null } =>
            $"{back.Version}, which it ran before, is kept: {RemedyAction.RollBack(board, back.Asks).In(frontEnd)} puts it back.",
        { Report.Ok: true } => $"{back.Version}, which it ran before, was put back and is confirmed by a reset.",
        _ => $"{back.Version}, which it ran before, could not be put back: {back.Report.Fault?.Cause} [{back.Report.Fault?.Code}]",
    };

    public static string Condition(BoardReport report) => report switch
    {
        { Condition: BoardCondition.Unconfirmed, IsConfirmed: true } =>
            "it confirmed the new firmware once, but did not pass the reset after that.",
        { Condition: BoardCondition.Unconfirmed, IsBySdCard: true } =>
            "its firmware was installed from a card, but the running board did not confirm it.",
        { Condition: BoardCondition.Unconfirmed, IsByOwnUpdater: true } =>
            "it is back on the bus; its firmware cannot be read.",
        { Condition: BoardCondition.Unconfirmed, IsProcess: true } =>
            "its new program is installed, but the running process did not confirm it.",
        _ => Condition(report.Condition),
    };

    public static string Condition(BoardCondition condition) => condition switch
    {
        BoardCondition.Unchanged => "untouched: it still has its old firmware.",
        BoardCondition.InBootloaderUnchanged => "it is in its bootloader; its old firmware was not touched.",
        BoardCondition.InBootloaderWithoutFirmware =>
            "it has no working firmware: it was erased or is half written. It needs another flash.",
        BoardCondition.Unconfirmed => "the new firmware was written and verified, but the running board did not confirm it.",
        BoardCondition.Unknown => "unknown: whether it has complete firmware could not be checked.",
        BoardCondition.Running => "it runs its old firmware and answers.",
        _ => "it runs the new firmware.",
    };
}
