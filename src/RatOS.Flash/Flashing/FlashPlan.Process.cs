using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <content>A process of this computer that is an MCU.</content>
public sealed partial record FlashPlan
{
    /// <summary>The same plan where somebody, or nobody, may replace the process that is an MCU.</summary>
    /// <param name="refusal">What stands against it; null when nothing does.</param>
    public FlashPlan WithHostMcu(FlashException? refusal) =>
        refusal is null ? this : this with { Boards = [.. Boards.Select(board => board.Entry == FlashEntry.Replace ? board.Refused(refusal) : board)] };
}

public sealed partial record BoardPlan
{
    internal BoardPlan Refused(FlashException fault) => this with { Findings = [.. Findings, Finding.Blocker(fault)] };

    private static BoardPlan CreateProcess(FlashRequest request, BoardEvidence? evidence)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        if (request.Image is { IsHostProcess: false } other)
            findings.Add(Finding.Blocker(FirmwareFaults.FirmwareWrongMcu(other.Mcu, "process of this computer (linux)")));
        JudgeVersion(request, evidence, findings);
        return new BoardPlan(request) { Evidence = evidence, Entry = FlashEntry.Replace, Findings = findings.ToImmutable() };
    }
}
