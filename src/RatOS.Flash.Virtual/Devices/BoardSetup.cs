using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The bootloader below the application.</summary>
public enum BootStage
{
    /// <summary>Nothing: the application begins at the flash's start.</summary>
    None,

    /// <summary>The SD card bootloader of its maker, <see cref="BoardSetup.CardFile"/>.</summary>
    StockSd,

    Katapult,

    /// <summary>A HID or stm32duino bootloader of an F1 or F4. It starts the application; what it does on USB is not modelled.</summary>
    Hid,
}

/// <summary>A board at the beginning of a scenario.</summary>
/// <param name="Name">Its name in the printer's configuration.</param>
/// <param name="BoardId">Its id in the catalogue; empty for a board of no known kind.</param>
/// <param name="Chip">Its chip.</param>
/// <param name="ApplicationStart">Address of the application.</param>
/// <param name="Port">Its USB port path, or the name of its UART or CAN interface.</param>
public sealed record BoardSetup(string Name, string BoardId, VirtualChip Chip, uint ApplicationStart, string Port)
{
    public BootStage Stage { get; init; } = BootStage.StockSd;

    /// <summary>Version of the Klipper firmware that it runs.</summary>
    public string Version { get; init; } = "v0.12.0-10-g1f2a9e1c";

    /// <summary>Its USB serial: the board's id, as RatOS builds have it. Empty for the chip's id.</summary>
    public string Serial { get; init; } = BoardId;

    /// <summary>USB is its only supply: without the cable it has no power.</summary>
    public bool IsBusPowered { get; init; }

    public bool IsUart { get; init; }

    /// <summary>
    /// Klipper's Linux process on the printer's own computer: its flash is the program's file, its port the path of its terminal.
    /// </summary>
    public bool IsProcess { get; init; }

    /// <summary>A node on the printer's CAN bus only; its port is the interface.</summary>
    public bool IsCan { get; init; }

    /// <summary>The USB port of a board on CAN that is also connected by USB, for its ROM; null for CAN only.</summary>
    public string? RescuePort { get; init; }

    /// <summary>Its Klipper is a USB-CAN bridge: the printer's CAN interface, and a node. Its bootloaders are on USB.</summary>
    public bool IsCanBridge { get; init; }

    /// <summary>It is on USB, and its CAN connector is wired to the bus as well: firmware for CAN comes up there.</summary>
    public bool HasCanWires { get; init; }

    /// <summary>The link over which the printer's configuration names it, and that of its firmware.</summary>
    internal McuLink Link => IsUart ? McuLink.Uart : IsCan || IsCanBridge ? McuLink.Can : McuLink.Usb;

    /// <summary>What its firmware is built for.</summary>
    public FirmwareLink FirmwareLink { get => field ?? UsualLink; init; }

    private FirmwareLink UsualLink => IsCanBridge ? FirmwareLink.CanBridge : IsCan ? FirmwareLink.Can
        : IsUart ? FirmwareLink.Uart : FirmwareLink.UsbOf(Chip);

    /// <summary>The clock reference on the board.</summary>
    public ClockSource Clock { get; init; } = Chip.UsualClock;

    /// <summary>All choices of its firmware, where more than chip, start, link and clock are chosen; null for the usual ones.</summary>
    public FirmwareBuild? BuiltAs { get; init; }

    /// <summary>What its firmware is built for, with all choices.</summary>
    internal FirmwareBuild Build =>
        (BuiltAs ?? new FirmwareBuild(Chip, ApplicationStart) { Clock = Clock }) with { Link = FirmwareLink };

    /// <summary>
    /// The clock that a real Klipper image was built for, as its builder states: it is in the image's instructions, and nothing here
    /// reads them. Null: the board's own is assumed, as far as the dictionary does not contradict.
    /// </summary>
    public Func<VirtualFirmware, ClockSource>? ClockOfRealImage { get; init; }

    /// <summary>The unique id of its chip, in memory order; null for one that follows from the place.</summary>
    public ReadOnlyMemory<byte>? Uid { get; init; }

    /// <summary>The only link that its wires and its printer have; null for the wires of the boards in the catalogue.</summary>
    public FirmwareLink? Wires { get; init; }

    /// <summary>Bit rate of its CAN bus, where <see cref="Wires"/> are given.</summary>
    public int BusRate { get; init; } = VirtualCanBus.Bitrate;

    /// <summary>Firmware with this link reaches the printer's computer: the board has these wires, on these pins.</summary>
    internal bool IsWiredFor(FirmwareBuild build)
    {
        var link = build.Link;
        if (Wires is { } wires)
        {
            if (build.IsRemapped != (BuiltAs?.IsRemapped ?? false))
                return false;
            return link.Kind switch
            {
                FirmwareLinkKind.Uart => wires.Kind == link.Kind && wires.Pins == link.Pins,
                FirmwareLinkKind.Usb => wires.Kind is FirmwareLinkKind.Usb or FirmwareLinkKind.CanBridge
                    && link.Pins == (wires.Kind == link.Kind ? wires.Pins : FirmwareLink.UsbOf(Chip).Pins),
                _ => wires.Kind == link.Kind && wires.Pins == link.Pins && build.CanRate == BusRate,
            };
        }
        return link.Kind switch
        {
            FirmwareLinkKind.Uart => IsUart && link.Pins == FirmwareLink.Pins,
            FirmwareLinkKind.Can => (IsCan || IsCanBridge || HasCanWires) && link.Rate == VirtualCanBus.Bitrate,
            FirmwareLinkKind.CanBridge => !IsUart && !IsCan && (IsCanBridge || HasCanWires),
            _ => IsProcess || (!IsUart && (!IsCan || RescuePort is not null)
                && (link.Pins is null || link.Pins == FirmwareLink.UsbOf(Chip).Pins)),
        };
    }

    /// <summary>Why firmware for this board's chip and start does not run well on it; null where it does.</summary>
    internal string? MisfitOf(VirtualFirmware firmware, FirmwareBuild build)
    {
        if (firmware.Statement is null && VirtualDictionary.NamesCrystals(Chip) && firmware.NamesCrystal == Clock.IsInternal)
            return $"its clock is not {Clock}";
        return StartupCode.IsSameClock(build, Clock) ? null : $"it is built for {build.Clock}, and the board has {Clock}";
    }

    /// <summary>The choices of an image, as the board finds them.</summary>
    internal FirmwareBuild BuildOf(VirtualFirmware firmware) =>
        FirmwareBuild.Of(Chip, firmware, firmware.Statement, ClockOfRealImage?.Invoke(firmware) ?? Clock);

    /// <summary>Baud of its Katapult on a UART.</summary>
    public int KatapultBaud { get; init; } = SerialMode.Klipper.Baud;

    /// <summary>The <c>baud:</c> of its section in printer.cfg, which counts on a UART.</summary>
    public int HostBaud { get => field == 0 ? FirmwareLink.Rate ?? SerialMode.Klipper.Baud : field; init; }

    /// <summary>Katapult without the version text (protocol 1.0).</summary>
    public bool OldKatapult { get; init; }

    /// <summary>
    /// The file that its stock bootloader takes from a card. Where <see cref="CardFile.RenamedTo"/> is null, it keeps the file's name.
    /// </summary>
    public CardFile CardFile { get; init; } = new("firmware.bin") { RenamedTo = "FIRMWARE.CUR" };

    /// <summary>The configuration of Klipper's that has its pins and its card; null where no pins tell the board.</summary>
    public string? PinsIn { get; init; }

    /// <summary>What other boards with the same pins take, by their names: which one it is, only its user knows.</summary>
    public ImmutableArray<CardCandidate> CardCandidates { get; init; } = [];

    /// <summary>A card with a klipper.bin of the old version sits in its SD slot.</summary>
    public bool HasSdCard { get; init; }

    /// <summary>
    /// A bootloader that this project does not know: Klipper's request starts it instead of the ROM. Made at each start from the board
    /// and what resets it; null for a board without.
    /// </summary>
    internal Func<VirtualBoard, Action, UsbFunction>? OtherBootloader { get; init; }

    /// <summary>Its BOOT0 jumper is on.</summary>
    public bool Boot0 { get; init; }

    /// <summary>Its state at the beginning.</summary>
    public BoardState State { get; init; } = BoardState.Klipper;
}

/// <summary>The state of a board.</summary>
public enum BoardState
{
    /// <summary>No power.</summary>
    [ContractName("off")] Off,

    /// <summary>Between two states: its bootloader works.</summary>
    [ContractName("starting")] Starting,
    [ContractName("klipper")] Klipper,
    [ContractName("katapult")] Katapult,
    [ContractName("rom")] Rom,

    /// <summary>Nothing runs, or it crashed: only a reset or a power cycle helps.</summary>
    [ContractName("hung")] Hung,
}
