using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// How each board is flashed, and the findings. Pure: made from what is known, and made again when more is known - before Klipper is
/// stopped, and after it, when the boards have told their chips.
/// </summary>
public sealed record FlashPlan(ImmutableArray<BoardPlan> Boards, ImmutableArray<Finding> Findings)
{
    /// <summary>The first finding that blocks all boards; null when none does.</summary>
    public FlashException? Blocker => Findings.FirstOrDefault(finding => finding.Severity == FindingSeverity.Blocker)?.ToFault();

    /// <summary>No board that should be flashed can be.</summary>
    public bool IsBlocked => Boards.Any(board => board.Request.SkipReason is null)
        && (Blocker is not null || Boards.All(board => board.IsBlocked || board.Request.SkipReason is not null));

    /// <param name="requests">The boards, 1 or more.</param>
    /// <param name="seen">The buses.</param>
    /// <param name="printer">What Klipper does.</param>
    /// <param name="evidence">By board name, answers of the running firmware; empty before the boards were asked.</param>
    public static FlashPlan Create(
        IReadOnlyList<FlashRequest> requests, DeviceList seen, KlippyState printer,
        IReadOnlyDictionary<string, BoardEvidence>? evidence = null)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        if (printer.Blocker is { } busy)
            findings.Add(Finding.Blocker(busy));
        var numbers = new HashSet<int>();
        var plans = requests.Select(request =>
            BoardPlanner.Plan(request, seen, evidence?.GetValueOrDefault(request.Board.Name)) with { CanNumber = FreeNumber(request) })
                .ToList();
        // Two names for one device would write it twice at the same time.
        var shared = plans.Where(plan => plan.Device is not null).GroupBy(plan => (plan.Device!.Port, plan.Request.Board.CanUuid))
            .Where(group => group.Count() > 1);
        foreach (var same in shared)
            findings.Add(Finding.Blocker(BoardFaults.SamePort(same.Key.Port, same.Select(plan => plan.Name))));
        return new FlashPlan([.. plans], findings.ToImmutable());

        // The same number for a board each time if possible: Klipper shuts down when another node gets its number, and it keeps the one of
        // the last flash.
        int FreeNumber(FlashRequest request) =>
            request is { Board.CanUuid: null, LinkChange: null } ? 0
            : Enumerable.Range(request.Board.CanUuid?.Fold(BoardPlan.Numbers) ?? 0, BoardPlan.Numbers)
            .Select(number => number % BoardPlan.Numbers).First(numbers.Add);
    }

    /// <summary>The same plan with what blocks replacing the process that is an MCU.</summary>
    /// <param name="refusal">Null when nothing does.</param>
    public FlashPlan WithHostMcu(FlashException? refusal) =>
        refusal is null ? this
            : this with { Boards = [.. Boards.Select(board => board.Entry == FlashEntry.Replace ? board.Refused(refusal) : board)] };

    /// <summary>The same plan with what blocks the updater of a probe's maker.</summary>
    /// <param name="updater">Null where it is not called.</param>
    public FlashPlan WithProbes(ProbeUpdater? updater) => this with
    {
        Boards = [.. Boards.Select(board =>
            board is { Entry: FlashEntry.OwnUpdater, Request.SkipReason: null } && RefusalOf(updater, board) is { } refusal
                ? board.Refused(refusal) : board)],
    };

    private static FlashException? RefusalOf(ProbeUpdater? updater, BoardPlan board) => updater is not null ? updater.Check(board.Name)
        : BoardFaults.NoRoad(board.Name, BoardPlanner.HasOwnUpdater, BoardGuide.Of(board.Profile).Remedy);
}
