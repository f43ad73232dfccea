using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Boards;

/// <summary>A board whose new firmware was written, but does not do.</summary>
/// <param name="Board">Its name.</param>
/// <param name="Fault">Why it does not do.</param>
/// <param name="Image">What it can go back to; null where nothing is kept, or where the firmware that does not do has run there before: then it is not the firmware.</param>
internal sealed record RollBack(string Board, FaultReport Fault, FirmwareImage? Image)
{
    /// <summary>The boards of a flash that is over whose new firmware does not do.</summary>
    /// <param name="report">How it ended. While a person is awaited it has not.</param>
    /// <param name="section">A board's section of printer.cfg; null for one that has none.</param>
    /// <param name="goods">What a board has run, newest first.</param>
    public static IReadOnlyList<RollBack> Of(
        FlashReport report, Func<string, string?> section, Func<string, IReadOnlyList<FirmwareImage>> goods)
    {
        var found = new List<RollBack>();
        foreach (var board in report.Boards.Where(board => board is { IsProcess: false, SkipReason: null, Sha256: not null }))
        {
            var fault = board switch
            {
                { Condition: BoardCondition.Unconfirmed, Fault: { } known } when known.Kind.WorthRollBack => known,
                { Ok: true, Condition: BoardCondition.Flashed } when report is { Before.Activity: KlippyActivity.Ready, After: { } after } && section(board.Board) is { } name
                    && ProtocolError.Against(name, after) is { } why => FaultReport.Of(FlashFaults.KlipperRefusesFirmware(board.Board, board.NewVersion ?? "?", why)),
                _ => null,
            };
            if (fault is null)
                continue;
            // So a way back is never taken back either: what went back was a good one.
            var kept = goods(board.Board);
            found.Add(new(board.Board, fault, kept.Any(good => good.Sha256 == board.Sha256) ? null : kept is [var newest, ..] ? newest : null));
        }
        return found;
    }

    /// <summary>Both verdicts as one: the new firmware does not run, and this came of putting the old one back.</summary>
    public static BoardReport Both(BoardReport first, BoardReport back) => first with
    {
        Condition = back.Ok ? BoardCondition.Running : back.Condition is BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged ? first.Condition : back.Condition,
        Fault = back.Ok ? first.Fault! with { Remedy = FlashFaults.RemedyAfterRollBack(first.Back!.Version) } : first.Fault,
        Back = first.Back! with { Asks = false, Report = back },
    };
}
