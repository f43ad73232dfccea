using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>
/// The road of every board and what was found on the way. Pure: made from what is known, and made anew whenever more is known - before the stop of
/// Klipper, and after it, when the boards themselves have told their chip.
/// </summary>
public sealed partial record FlashPlan(ImmutableArray<BoardPlan> Boards, ImmutableArray<Finding> Findings)
{
    /// <summary>What stands against flashing anything at all; null when nothing does.</summary>
    public FlashException? Blocker => Findings.FirstOrDefault(finding => finding.Severity == FindingSeverity.Blocker)?.ToFault();

    /// <summary>Nothing at all can be flashed that should be.</summary>
    public bool IsBlocked => Boards.Any(board => board.Request.SkipReason is null) && (Blocker is not null || Boards.All(board => board.IsBlocked || board.Request.SkipReason is not null));

    /// <param name="requests">The boards, 1 or more.</param>
    /// <param name="seen">The buses.</param>
    /// <param name="printer">What Klipper does.</param>
    /// <param name="evidence">By board name, what the boards told; empty before they were asked.</param>
    public static FlashPlan Create(
        IReadOnlyList<FlashRequest> requests, DeviceList seen, KlippyState printer, IReadOnlyDictionary<string, BoardEvidence>? evidence = null)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        if (printer.Blocker is { } busy)
            findings.Add(Finding.Blocker(busy));
        var numbers = new HashSet<int>();
        var plans = requests.Select(request => BoardPlan.Create(request, seen, evidence?.GetValueOrDefault(request.Board.Name)) with { CanNumber = FreeNumber(request) }).ToList();
        // Two names for one device would write it twice at the same time.
        foreach (var shared in plans.Where(plan => plan.Device is not null).GroupBy(plan => (plan.Device!.Port, plan.Request.Board.CanUuid)).Where(group => group.Count() > 1))
            findings.Add(Finding.Blocker(BoardFaults.SamePort(shared.Key.Port, shared.Select(plan => plan.Name))));
        return new FlashPlan([.. plans], findings.ToImmutable());

        // The same for a board each time as far as possible: Klipper shuts down when somebody else gets its number, and it keeps the one of the last flash.
        int FreeNumber(FlashRequest request) => request.Board.CanUuid is not { } uuid ? 0 : Enumerable.Range(uuid.Fold(BoardPlan.Numbers), BoardPlan.Numbers)
            .Select(number => number % BoardPlan.Numbers).First(numbers.Add);
    }
}
