using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Printer;

/// <summary>A board of this printer: its kind, and how it is recognised on the bus.</summary>
/// <param name="Name">Its name for the user: <c>octopus</c>, <c>toolboard_t0</c>.</param>
/// <param name="Board">Its kind.</param>
public sealed record PrinterBoard(string Name, Board Board)
{
    /// <summary>Serial that its Klipper announces; by RatOS's convention the board's id.</summary>
    public string? Serial { get; init; } = Board.UsbSerial;

    /// <summary>
    /// Its USB port path or serial port, named by the user or remembered. A board in its bootloader is recognised by it.
    /// </summary>
    public string? Port { get; init; }

    /// <summary>Recognised by its port alone: the user named it, or another board of this printer announces the same serial.</summary>
    public bool OnlyByPort { get; init; }

    /// <summary>
    /// Its uuid on CAN, where Klipper is reached over <see cref="CanInterface"/>; null for a board that is not on CAN.
    /// </summary>
    public CanUuid? CanUuid { get; init; }

    /// <summary>The interface of its CAN bus.</summary>
    public string CanInterface { get; init; } = "can0";

    /// <summary>The bootloader that the user named. A ROM that waits on a UART (BOOT0) shows itself in no other way.</summary>
    public BootloaderDriver? Bootloader { get; init; }

    /// <summary>Every bootloader that it may have.</summary>
    public ImmutableArray<BootloaderDriver> Drivers { get; init; } = Bootloaders.Drivers.All;

    /// <summary>The power device that the user named, which switches the board's power off and on.</summary>
    public string? Power { get; init; }

    /// <summary>The version it runs, as Klipper last reported it.</summary>
    public string? RunningVersion { get; init; }

    /// <summary>Statements of other sources than the user and the kind.</summary>
    public ImmutableArray<BoardFacts> Facts { get; init; } = [];

    /// <summary>The board with what its running firmware answered.</summary>
    public PrinterBoard Described(BoardEvidence evidence) => this with { Facts = [FactsOf(evidence), .. Facts] };

    /// <summary>What a running firmware says of its board, and the bootloader that it saw below itself.</summary>
    public static BoardFacts FactsOf(BoardEvidence evidence) => BoardFacts.OfEvidence(evidence) with
    {
        Bootloader = evidence.Chip is { } chip ? Bootloaders.Drivers.All.FirstOrDefault(driver => driver.IsKnownBelow(chip))?.Name : null,
    };

    /// <summary>All facts about the board, by source.</summary>
    public BoardProfile Profile =>
        new(Name, Board, [.. Facts, new(FactSource.User, "its user") { Bootloader = Bootloader?.Name, PowerDevice = Power }]);

    /// <summary>The link of its running firmware; null if the firmware was not asked, or does not report it.</summary>
    public BuildTransport? RunningLink => Profile.Link is { Source: FactSource.Board } link ? link.Value : null;
}
