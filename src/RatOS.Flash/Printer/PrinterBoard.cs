using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>A board of this printer: which kind it is, and how to know it on the bus.</summary>
/// <param name="Name">What people call it: <c>octopus</c>, <c>toolboard_t0</c>.</param>
/// <param name="Board">Its kind.</param>
public sealed record PrinterBoard(string Name, Board Board)
{
    /// <summary>Serial that its Klipper announces; by RatOS's convention the board's id.</summary>
    public string? Serial { get; init; } = Board.UsbSerial;

    /// <summary>
    /// USB port path or serial port where it is, when somebody said so or remembers it. In a bootloader this is how it is known.
    /// </summary>
    public string? Port { get; init; }

    /// <summary>Known by its port alone: somebody named the port, or another board of this printer announces the same serial.</summary>
    public bool OnlyByPort { get; init; }

    /// <summary>
    /// Who it is on CAN; null for a board that is not there. Its Klipper is then reached over <see cref="CanInterface"/>.
    /// </summary>
    public CanUuid? CanUuid { get; init; }

    /// <summary>The interface of its bus.</summary>
    public string CanInterface { get; init; } = "can0";

    /// <summary>The bootloader that somebody named. A ROM that waits on a wire (BOOT0) can be known no other way.</summary>
    public BootloaderDriver? Bootloader { get; init; }

    /// <summary>Every bootloader that it may have.</summary>
    public ImmutableArray<BootloaderDriver> Drivers { get; init; } = Bootloaders.Drivers.All;

    /// <summary>The power device that somebody named, by which the board's power can be switched off and on.</summary>
    public string? Power { get; init; }

    /// <summary>The version it runs, as Klipper last reported it.</summary>
    public string? RunningVersion { get; init; }

    /// <summary>Statements of other sources than the user and the kind.</summary>
    public ImmutableArray<BoardFacts> Facts { get; init; } = [];

    /// <summary>Everything that is known of it, by source.</summary>
    public BoardProfile Profile =>
        new(Name, Board, [.. Facts, new(FactSource.User, "its user") { Bootloader = Bootloader?.Name, PowerDevice = Power }]);

    /// <summary>The link of its running firmware; null where it was not asked, or does not say.</summary>
    public BuildTransport? RunningLink => Profile.Link is { Source: FactSource.Board } link ? link.Value : null;
}
