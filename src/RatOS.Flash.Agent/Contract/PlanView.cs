using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A plan for front ends.</summary>
internal sealed record PlanView(JsonPlan[] Boards, JsonFinding[] Findings)
{
    public bool IsBlocked => Findings.Any(finding => finding.Severity == "blocker") || Boards.All(board => board.Blocked);

    public static PlanView Of(FlashPlan plan) => new([.. plan.Boards.Select(JsonPlan.Of)], [.. plan.Findings.Select(JsonFinding.Of)]);
}
