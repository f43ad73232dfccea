using System.Collections.Immutable;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <content>A board that its maker's own bootloader writes, from a card in the board's SD slot.</content>
public sealed partial record BoardPlan
{
    private static BoardPlan CreateBySdCard(FlashRequest request, Mcu mcu, uint start, DeviceList seen, BoardEvidence? evidence)
    {
        var (findings, about) = (ImmutableArray.CreateBuilder<Finding>(), ImmutableArray.CreateBuilder<Finding>());
        var device = request.Board.CanUuid is { } uuid ? FindOnCan(request.Board, uuid, seen, about) : FindDevice(request.Board, mcu, seen, about);
        // Where firmware is broken its board shows nothing, and a card is what helps then. What is only to run again needs no card as long as it answers.
        findings.AddRange(about.Where(finding => request.Job is FlashJob.Recover or FlashJob.ConfirmSdCard || !finding.Kind.EndsWhenBoardAppears));
        if (request.Board.Board.SdCard is null)
            findings.Add(Finding.Blocker(SdCardFaults.SdCardUnknown(request.Board.Name)));
        else if (HasReplacedVendors(request.Board, device, evidence))
            findings.Add(Finding.Blocker(SdCardFaults.SdCardNotRead(request.Board.Name)));
        JudgeEvidence(request.Board.Name, mcu, evidence, findings);
        JudgeImage(request, mcu, start, evidence, findings);
        return new BoardPlan(request) { Evidence = evidence, Device = device, Entry = request.Job == FlashJob.Recover ? FlashEntry.None : FlashEntry.SdCard, Findings = findings.ToImmutable() };
    }

    /// <summary>Another bootloader was seen where the one was that the board is sold with: it reads no cards.</summary>
    internal static bool HasReplacedVendors(PrinterBoard board, Device? device, BoardEvidence? evidence) => board.Drivers.Any(driver => driver.ReplacesVendors
        && ((device is not null && driver.Shows(device)) || (evidence?.Chip is { } chip && driver.IsKnownBelow(chip))));
}
