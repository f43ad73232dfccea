using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Chips;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Boards;

/// <summary>The kinds of sources, weakest first.</summary>
public enum FactSource
{
    /// <summary>It follows from other facts.</summary>
    Inference,

    /// <summary>Klipper's configuration files.</summary>
    KlipperConfig,

    /// <summary>RatOS's definition of the kind, or the built-in one.</summary>
    Catalogue,

    /// <summary>The user: ratos-flash.conf, answers of menuconfig, options of a request.</summary>
    User,

    /// <summary>The board's USB descriptors, or an answer on its bus.</summary>
    Bus,

    /// <summary>The board: its running firmware, its chip's registers, its bootloader.</summary>
    Board,
}

/// <summary>A value and where it comes from.</summary>
/// <param name="Value">The value.</param>
/// <param name="Source">The kind of source.</param>
/// <param name="Where">The source in words, behind "by": <c>its running firmware</c>.</param>
public sealed record Fact<T>(T Value, FactSource Source, string Where);

/// <summary>Statements of one source about one board; null where it says nothing.</summary>
/// <param name="Source">The kind of source.</param>
/// <param name="Where">As <see cref="Fact{T}.Where"/>.</param>
public sealed record BoardFacts(FactSource Source, string Where)
{
    /// <summary>The chip by Klipper's name: <c>stm32f446xx</c>.</summary>
    public string? Chip { get; init; }

    /// <summary>Address of the application.</summary>
    public uint? ApplicationStart { get; init; }

    /// <summary>Bytes of internal flash.</summary>
    public uint? FlashSize { get; init; }

    /// <summary>The crystal in Hz; 1 for the internal clock, as Klipper's CLOCK_REF_FREQ has it.</summary>
    public int? ClockReference { get; init; }

    /// <summary>CLOCK_FREQ of its firmware in Hz: an AVR, HC32F460 or SAMD51 can run at several speeds.</summary>
    public int? ClockFrequency { get; init; }

    /// <summary>
    /// The end of RAM that its firmware was built for, where that tells chips of one name apart (<see cref="Mcu.OtherRamEnds"/>).
    /// </summary>
    public uint? StackEnd { get; init; }

    /// <summary>The flash chip of an RP2040 without bootloader, as the end of Klipper's symbol: <c>W25Q080</c>.</summary>
    public string? FlashChip { get; init; }

    /// <summary>Features that its build leaves out, as Kconfig symbols: <c>WANT_LDC1612</c>.</summary>
    public IReadOnlyList<string>? LeavesOut { get; init; }

    /// <summary>What its firmware talks over, with pins and rate where the source says them.</summary>
    public BuildTransport? Link { get; init; }

    /// <summary>The port by which Klipper's host opens it: <c>serial:</c> of its section, a link or a node.</summary>
    public string? HostPort { get; init; }

    /// <summary>Baud at which Klipper's host opens its port: <c>baud:</c> of its section. It counts on a UART only.</summary>
    public int? HostBaud { get; init; }

    /// <summary>Pins that the firmware sets at start, as Klipper's INITIAL_PINS has them.</summary>
    public string? InitialPins { get; init; }

    /// <summary>USB serial that its Klipper announces.</summary>
    public string? UsbSerial { get; init; }

    /// <summary>USB id that its Klipper announces.</summary>
    public UsbId? UsbId { get; init; }

    /// <summary>The bootloader below the application, by its driver's name.</summary>
    public string? Bootloader { get; init; }

    /// <summary>The power device that switches it, by Moonraker's name.</summary>
    public string? PowerDevice { get; init; }

    /// <summary>What people call the board, where its kind is not in the catalogue.</summary>
    public string? KnownAs { get; init; }

    /// <summary>The file that its stock bootloader takes from a card.</summary>
    public CardFile? CardFile { get; init; }

    /// <summary>The files that descriptions of boards with its pins name, where they do not agree on one.</summary>
    public ImmutableArray<CardCandidate> CardCandidates { get; init; } = [];

    /// <summary>Its name in Klipper's <c>scripts/flash-sdcard.sh</c>.</summary>
    public string? FlashSdCardBoard { get; init; }

    /// <summary>Its firmware must switch the debugger off (STM32F103GD_DISABLE_SWD): it uses PA13 or PA14 for something else.</summary>
    public bool? DisablesSwd { get; init; }

    /// <summary>What the catalogue knows of a kind.</summary>
    public static BoardFacts OfKind(Board kind) => new(
        FactSource.Catalogue, kind.IsUnknown ? "its section of printer.cfg" : kind.Origin ?? "the catalogue")
    {
        Chip = kind.McuName,
        ApplicationStart = kind.ApplicationStart,
        ClockReference = kind.CrystalHz,
        Link = kind.Comm switch
        {
            "USB" => BuildTransport.Usb,
            "CAN" => new(BuildLink.Can),
            "UART" or "serial" => new(BuildLink.Uart),
            _ => null
        },
        UsbSerial = kind.UsbSerial,
        InitialPins = kind.InitialPins,
        LeavesOut = kind.LeavesOut,
    };

    /// <summary>What a running firmware says of itself.</summary>
    /// <param name="chip">Its chip.</param>
    /// <param name="constants">Of its data dictionary, numbers as text.</param>
    public static BoardFacts OfFirmware(string? chip, IReadOnlyDictionary<string, string> constants) =>
        new(FactSource.Board, "its running firmware")
        {
            Chip = chip,
            ClockFrequency = int.TryParse(constants.GetValueOrDefault("CLOCK_FREQ"), out var clock) ? clock : null,
            Link = BuildTransport.Of(constants),
            InitialPins = constants.GetValueOrDefault("INITIAL_PINS"),
        };

    /// <summary>What a board answered when it was asked.</summary>
    public static BoardFacts OfEvidence(BoardEvidence evidence) => OfFirmware(evidence.Mcu, evidence.Constants) with
    {
        Link = LinkOf(evidence),
        ApplicationStart = evidence.Chip?.ApplicationStart,
        ClockReference = evidence.Chip?.ClockReference,
        StackEnd = evidence.Chip?.StackEnd,
        FlashChip = evidence.Chip?.FlashChip,
        FlashSize = evidence.Chip?.FlashKib is { } kib and > 0 ? (uint)kib * 1024 : null,
        LeavesOut = evidence.LeavesOut,
    };

    private static BuildTransport? LinkOf(BoardEvidence evidence) =>
        BuildTransport.Of(evidence.Constants) is not { } link ? null : evidence.Chip is not { } chip ? link : link with
        {
            Pins = chip.IsRemapped ? BuildTransport.Remapped : link.Pins ?? chip.SerialPins,
            Rate = link.Rate ?? chip.CanBitrate,
        };

    /// <summary>What a completed build configuration says, one that the user chose.</summary>
    /// <param name="symbols">Kconfig's symbols without <c>CONFIG_</c> and without quotes.</param>
    public static BoardFacts OfConfig(IReadOnlyDictionary<string, string> symbols) => new(FactSource.User, "its menuconfig")
    {
        Chip = symbols.GetValueOrDefault("MCU"),
        ApplicationStart =
            Board.Address(symbols.GetValueOrDefault("FLASH_APPLICATION_ADDRESS") ?? symbols.GetValueOrDefault("FLASH_START")),
        ClockReference = int.TryParse(symbols.GetValueOrDefault("CLOCK_REF_FREQ"), CultureInfo.InvariantCulture, out var crystal) ? crystal
            : null,
        Link = LinkOf(symbols),
        InitialPins = symbols.GetValueOrDefault("INITIAL_PINS") is { Length: > 0 } pins ? pins : null,
    };

    private static BuildTransport? LinkOf(IReadOnlyDictionary<string, string> symbols)
    {
        foreach (var (symbol, link, rate) in ((string, BuildLink, string?)[])[("USBSERIAL", BuildLink.Usb, null),
            ("USBCANBUS", BuildLink.UsbCanBridge, null), ("CANSERIAL", BuildLink.Can, "CANBUS_FREQUENCY"),
            ("SERIAL", BuildLink.Uart, "SERIAL_BAUD")])
        {
            if (symbols.GetValueOrDefault(symbol) == "y")
                return new(link, Rate: rate is not null && int.TryParse(symbols.GetValueOrDefault(rate), out var number) ? number : null);
        }
        return null;
    }
}
