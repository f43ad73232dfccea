using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Serialization;
using RatOS.Flash.Chips;

namespace RatOS.Flash.Boards;

/// <summary>One kind of board, in the shape of <c>boards.json</c>: what a maintainer knows of it before it is plugged in.</summary>
public sealed record Board
{
    /// <summary>RatOS's id and, by its convention, the USB serial that the firmware announces: <c>btt-octopus-11</c>.</summary>
    public required string Id { get; init; }

    /// <summary>
    /// What people call it, and the name of a printer's main board: <c>octopus</c>; null where only <see cref="Id"/> is known.
    /// </summary>
    public string? ShortName { get; init; }

    /// <summary><c>mainboard</c>, <c>toolboard</c>, <c>host</c>, <c>probe</c>, or <c>unknown</c>.</summary>
    public required string Kind { get; init; }

    public string? Name { get; init; }

    public string? Manufacturer { get; init; }

    [JsonPropertyName("mcu")]
    public string? McuName { get; init; }

    public int? CrystalHz { get; init; }

    /// <summary>Application address as hex text, as the catalogue has it; <see cref="ApplicationStart"/> is the number.</summary>
    public string? FlashStartEffective { get; init; }

    /// <summary>Address that the firmware jumps to for ROM DFU, as hex text; null when the chip's firmware cannot.</summary>
    public string? DfuRomAddress { get; init; }

    /// <summary><c>USB</c>, <c>UART</c> or <c>CAN</c>.</summary>
    public string? Comm { get; init; }

    /// <summary>USB serial string of the firmware.</summary>
    public string? UsbSerial { get; init; }

    /// <summary>USB id that RatOS's rule waits for, <c>1d50:614e</c>; of a board that brings its own firmware the only one known.</summary>
    public string? UdevUsbId { get; init; }

    /// <summary>Links below <c>/dev</c> that RatOS's rules make for it.</summary>
    public ImmutableArray<string> Symlinks { get; init => field = value.OrEmpty(); } = [];

    /// <summary>File name of the pseudo terminal of a process that is an MCU.</summary>
    public string? HostPty { get; init; }

    /// <summary>The name that RatOS gives to a firmware built for it: <c>firmware-btt-octopus-11.bin</c>.</summary>
    public string? FirmwareBinaryName { get; init; }

    /// <summary>Its name in Klipper's own tool for SD cards; null where that does not know it.</summary>
    public string? KlipperSdBoard { get; init; }

    /// <summary>
    /// The stock bootloader's way to install firmware from an SD card; null if it has none, or it is unknown.
    /// </summary>
    [JsonPropertyName("sdCard")]
    public SdCardBootloader? SoldWith { get; init; }

    /// <summary>RatOS flashes it only on request.</summary>
    public bool DisableAutoFlash { get; init; }

    /// <summary>
    /// Build configuration in Kconfig's form, as RatOS has it or, where that one is obsolete, as it should be; null where none is known.
    /// </summary>
    public string? FirmwareConfig { get; init; }

    public ImmutableArray<string> Preconditions { get; init => field = value.OrEmpty(); } = [];

    /// <summary>The manual way into the ROM bootloader.</summary>
    public DfuGuide? Dfu { get; init; }

    /// <summary>Known defects of the catalogue's entry.</summary>
    public ImmutableArray<string> Issues { get; init => field = value.OrEmpty(); } = [];

    /// <summary>Pins that its firmware sets at start, as Klipper's INITIAL_PINS has them; null for none.</summary>
    public string? InitialPins { get; init; }

    /// <summary>Features that its build leaves out for its small flash, as Kconfig symbols: <c>WANT_LDC1612</c>; null for none.</summary>
    public IReadOnlyList<string>? LeavesOut { get; init; }

    /// <summary>For a board of which the kind is not known.</summary>
    public static Board Unknown(string name) => new() { Id = name, Kind = "unknown" };

    [JsonIgnore]
    public bool IsUnknown => Kind == "unknown";

    /// <summary>The chip; null when this product does not know it.</summary>
    [JsonIgnore]
    public Mcu? Mcu => McuName is null ? null : Mcu.Find(McuName);

    /// <summary>The application start; the flash below belongs to the bootloader.</summary>
    [JsonIgnore]
    public uint? ApplicationStart => Address(FlashStartEffective);

    /// <summary>The definition that its facts come from, where it is not the built-in one.</summary>
    [JsonIgnore]
    public string? Origin { get; init; }

    [JsonIgnore]
    public string DisplayName => Manufacturer is null ? Name ?? Id : $"{Manufacturer} {Name}";

    /// <summary>An address as hex text; null for any other text.</summary>
    internal static uint? Address(string? hex) => hex?.StartsWith("0x", StringComparison.Ordinal) == true
        && uint.TryParse(hex.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var address) ? address : null;
}

/// <summary>A maker's own bootloader that installs firmware from an SD card at each reset (Klipper docs/Bootloaders.md).</summary>
/// <param name="Start">The application start that firmware must be built for, as hex text.</param>
/// <param name="RenamedTo">The file's name after the installation.</param>
public sealed record SdCardBootloader(string Start, string RenamedTo)
{
    /// <summary>The stock bootloader of all boards with an LPC176x.</summary>
    public static readonly SdCardBootloader Lpc = new("0x4000", "FIRMWARE.CUR");

    /// <inheritdoc cref="Start"/>
    [JsonIgnore]
    public uint? ApplicationStart => Board.Address(Start);

    /// <summary>The only file name that it looks for.</summary>
    public const string FileName = "firmware.bin";

    /// <summary>The file that it takes.</summary>
    [JsonIgnore]
    public CardFile File => new(FileName) { ApplicationStart = ApplicationStart, RenamedTo = RenamedTo };
}

/// <param name="UsbId">What the ROM announces.</param>
/// <param name="HasBoot0Jumper">It has a jumper, which must be removed after the flash.</param>
/// <param name="Steps">Keys into <see cref="BoardCatalogue.StepText"/>, in order; or plain sentences.</param>
public sealed record DfuGuide(string UsbId, bool HasBoot0Jumper, ImmutableArray<string> Steps)
{
    /// <summary>Keys into <see cref="BoardCatalogue.StepText"/>, in order; or plain sentences.</summary>
    public ImmutableArray<string> Steps { get; init => field = value.OrEmpty(); } = Steps.OrEmpty();

    /// <summary>The steps after the flash; keys and sentences as in <see cref="Steps"/>.</summary>
    public ImmutableArray<string> Afterwards { get; init => field = value.OrEmpty(); } = [];
}
