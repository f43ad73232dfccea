using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash;

/// <summary>A board of this printer: which kind it is, and how to know it on the bus.</summary>
/// <param name="Name">What people call it: <c>octopus</c>, <c>toolboard_t0</c>.</param>
/// <param name="Board">Its kind.</param>
public sealed record PrinterBoard(string Name, Board Board)
{
    /// <summary>Serial that its Klipper announces; by RatOS's convention the board's id.</summary>
    public string? Serial { get; init; } = Board.UsbSerial;

    /// <summary>USB port path or serial port where it is, when somebody said so or remembers it. In a bootloader this is how it is known.</summary>
    public string? Port { get; init; }

    /// <summary>Known by its port alone: somebody named the port, or another board of this printer announces the same serial.</summary>
    public bool OnlyByPort { get; init; }

    /// <summary>Who it is on CAN; null for a board that is not there. Its Klipper is then reached over <see cref="CanInterface"/>.</summary>
    public CanUuid? CanUuid { get; init; }

    /// <summary>The interface of its bus.</summary>
    public string CanInterface { get; init; } = "can0";

    /// <summary>The bootloader that somebody named. A ROM that waits on a wire (BOOT0) can be known no other way.</summary>
    public BootloaderKind? Bootloader { get; init; }

    /// <summary>The power device that somebody named, by which the board's power can be switched off and on.</summary>
    public string? Power { get; init; }

    /// <summary>The version it runs, as Klipper last reported it.</summary>
    public string? RunningVersion { get; init; }

    /// <summary>What its running firmware says that it talks over; null where nobody asked it, or it does not say.</summary>
    public BuildTransport? Transport { get; init; }
}

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

/// <summary>What a running board told of itself when Klipper was stopped.</summary>
/// <param name="Version">Its firmware's version.</param>
/// <param name="Mcu">Its firmware's chip.</param>
/// <param name="Chip">What the silicon said; null when it could not be asked.</param>
public sealed record BoardEvidence(string Version, string Mcu, ChipEvidence? Chip)
{
    /// <summary>Its firmware is a USB-CAN bridge.</summary>
    public bool IsCanBridge { get; init; }
}
