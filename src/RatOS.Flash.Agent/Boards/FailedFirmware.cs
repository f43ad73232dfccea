using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Firmware that was written to a board and does not run there.</summary>
/// <param name="Board">The board's name.</param>
/// <param name="Fault">Why it does not run.</param>
/// <param name="Image">
/// What the board can roll back to. Null where nothing is kept, and where the board has run this very firmware before: then the firmware
/// is not the reason.
/// </param>
internal sealed record FailedFirmware(string Board, FaultReport Fault, FirmwareImage? Image)
{
    /// <summary>The boards of a flash whose new firmware does not run.</summary>
    /// <param name="report">Of a flash that is over.</param>
    /// <param name="section">A board's section of printer.cfg; null for one that has none.</param>
    /// <param name="goods">What a board has run, newest first.</param>
    public static IReadOnlyList<FailedFirmware> Of(
        FlashReport report, Func<string, string?> section, Func<string, IReadOnlyList<FirmwareImage>> goods)
    {
        var found = new List<FailedFirmware>();
        foreach (var board in report.Boards.Where(board => board is { IsProcess: false, SkipReason: null, Sha256: not null }))
        {
            if (FaultOf(board, report, section) is not { } fault)
                continue;
            // Firmware that was rolled back to is kept, so a rollback is never rolled back.
            var kept = goods(board.Board);
            var image = kept.Any(good => good.Sha256 == board.Sha256) ? null : kept is [var newest, ..] ? newest : null;
            found.Add(new(board.Board, fault, image));
        }
        return found;
    }

    /// <summary>The board did not come up with the firmware, or Klipper, which was ready before, refuses it now.</summary>
    private static FaultReport? FaultOf(BoardReport board, FlashReport report, Func<string, string?> section)
    {
        if (board is { Condition: BoardCondition.Unconfirmed, Fault: { } known } && known.Kind.WorthRollBack)
            return known;
        return board is { Ok: true, Condition: BoardCondition.Flashed }
            && report is { Before.Activity: KlippyActivity.Ready, After: { } after }
            && section(board.Board) is { } name && ProtocolError.Against(name, after) is { } why
                ? FaultReport.Of(FlashFaults.KlipperRefusesFirmware(board.Board, board.NewVersion ?? "?", why)) : null;
    }

    /// <summary>One verdict for the flash and the rollback that followed.</summary>
    public static BoardReport Both(BoardReport first, BoardReport back) => first with
    {
        Condition = back.Ok ? BoardCondition.Running
            : back.Refused || back.Condition is BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged ? first.Condition
            : back.Condition,
        Fault = back.Ok ? first.Fault! with { Remedy = FlashFaults.RemedyAfterRollBack(first.Rollback!.Version) } : first.Fault,
        Rollback = first.Rollback! with { Asks = false, Report = back },
    };
}
