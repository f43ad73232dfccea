using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>A board to flash and what to write; null asks only how it would go.</summary>
public sealed record FlashRequest(PrinterBoard Board, FirmwareImage? Image)
{
    /// <summary>It is to run again, whatever it runs then: it is flashed only where nothing less helps, and only then an image is needed.</summary>
    public bool Recovers { get; init; }

    /// <summary>A person is to carry its firmware on a card into the board's SD slot; other boards than those that know no other way are only flashed so when it is asked for.</summary>
    public bool BySdCard { get; init; }

    /// <summary>Its firmware goes into it on a card, asked for or not.</summary>
    public bool TakesCard => BySdCard || BoardGuide.Of(Board.Board).Road == BoardRoad.SdCard;

    /// <summary>That was done: the board was reset since.</summary>
    internal bool CardWasCarried { get; init; }

    /// <summary>Why it need not be flashed, in a sentence; it is left out then. Null for one that is.</summary>
    public string? LeftOut { get; init; }

    /// <summary>What was found out about the board before; part of the plan. That it is not there counts only as long as it is not.</summary>
    public ImmutableArray<Finding> Findings { get; init; } = [];
}
