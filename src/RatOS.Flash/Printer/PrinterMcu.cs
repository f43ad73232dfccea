using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>The origin of an MCU's firmware.</summary>
public enum McuOwner
{
    /// <summary>Klipper's firmware, built and flashed here.</summary>
    [ContractName("ours")] Ours,

    /// <summary>Its maker's firmware and updater: listed and left alone.</summary>
    [ContractName("own-updater")] OwnUpdater,

    /// <summary>On a bus, and not named by this printer's configuration.</summary>
    [ContractName("stranger")] Foreign,
}

/// <summary>One MCU of the printer, or of its buses.</summary>
public sealed record PrinterMcu
{
    /// <summary>Its name, unique on this printer: <c>toolboard_t0</c>, <c>octopus</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Its section, <c>mcu</c> or <c>mcu NAME</c>; null for one that the configuration does not name.</summary>
    public string? Section { get; init; }

    /// <summary>Other names for it; another board may have the same.</summary>
    public ImmutableArray<string> Aliases { get; init; } = [];

    public required McuOwner Owner { get; init; }

    /// <summary>Why it has this owner, in a sentence without its full stop.</summary>
    public required string Reason { get; init; }

    /// <summary>The board for a plan; null where there is nothing to flash.</summary>
    public PrinterBoard? Board { get; init; }

    /// <summary>Its kind; null for an unknown one.</summary>
    public Board? Kind { get; init; }

    /// <summary>Its chip by Klipper's name; null for an unknown one.</summary>
    public string? Chip { get; init; }

    /// <summary>The board that has its pins, where its kind is not known; null for none.</summary>
    public PinMatch? KnownByPins { get; init; }

    /// <summary>Its device on a bus, in Klipper or in a bootloader; null for an absent one, and for a process.</summary>
    public Device? Device { get; init; }

    /// <summary>Its place for people: a USB port path, a serial port, <c>can0 a19f7f1b35c1</c>, or the path in the configuration.</summary>
    public string? Port { get; init; }

    /// <summary>The version that it runs, and Klipper's own; null where it is not known.</summary>
    public string? Running { get; init; }

    /// <inheritdoc cref="Running"/>
    public string? Host { get; init; }

    /// <summary>It is absent, and the configuration says that it may be.</summary>
    public bool IsAway => Findings.Any(finding => finding.Kind == FaultKind.BoardAway);

    public ImmutableArray<Finding> Findings { get; init; } = [];

    /// <summary>The board for a plan, requested by its name.</summary>
    /// <exception cref="FlashException">Its maker's updater updates it, or its kind is not known.</exception>
    public PrinterBoard BoardToFlash() =>
        Board ?? throw (Owner == McuOwner.OwnUpdater ? FirmwareFaults.NotOurs(Name, Reason) : BoardFaults.KindUnknown(Name, Chip));
}
