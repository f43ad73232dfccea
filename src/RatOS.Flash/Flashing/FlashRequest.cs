using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>What is to be done with a board.</summary>
public enum FlashJob
{
    /// <summary>Write firmware through a bootloader.</summary>
    Write,

    /// <summary>Get the board running again with whatever firmware it has; write only if nothing less helps.</summary>
    Recover,

    /// <summary>Ask the running board what it is. Nothing is written.</summary>
    Identify,

    /// <summary>Put firmware onto a card, which an operator carries into the board's SD slot.</summary>
    SdCard,

    /// <summary>The card was carried and the board was reset since: prove what runs.</summary>
    ConfirmSdCard,
}

/// <summary>A board and what to write; without firmware it is built, or only planned for.</summary>
public sealed record FlashRequest(PrinterBoard Board, FirmwareImage? Image)
{
    public FlashJob Job { get; init; }

    /// <inheritdoc cref="FlashOptions.LinkChange"/>
    public LinkChange? LinkChange { get; init; }

    /// <summary>
    /// The running firmware is asked all that it can tell, and new firmware must have Klipper's start-up code. Recordings of earlier
    /// versions are replayed without.
    /// </summary>
    public bool AsksStart { get; init; } = true;

    /// <summary>The stock bootloader takes the firmware from a card: requested, or the board's only flash method.</summary>
    public bool UsesSdCard => Job is FlashJob.SdCard or FlashJob.ConfirmSdCard || BoardGuide.Of(Board.Profile).Method == FlashMethod.SdCard;

    /// <summary>A probe, whose maker's updater brings the firmware.</summary>
    public bool UsesOwnUpdater => BoardGuide.Of(Board.Profile).Method == FlashMethod.OwnUpdater;

    /// <summary>It cannot be flashed before firmware is built.</summary>
    public bool LacksImage => Image is null && Job != FlashJob.Recover && !UsesOwnUpdater;

    /// <summary>The last flash that wrote the board, where it does not run since; null where it runs, or nothing is known.</summary>
    public EarlierFlash? Earlier { get; init; }

    /// <summary>Why the board is skipped, in a sentence; null for one that is flashed.</summary>
    public string? SkipReason { get; init; }

    /// <summary>Found out before the plan, and part of it. A finding about an absent board counts only while it is absent.</summary>
    public ImmutableArray<Finding> Findings { get; init; } = [];
}
