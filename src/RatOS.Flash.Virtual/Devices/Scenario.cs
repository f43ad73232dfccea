using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>A virtual printer by name.</summary>
/// <param name="Name">The name on the command line.</param>
/// <param name="Description">One line for users.</param>
/// <param name="Boards">Its boards, 1 or more.</param>
public sealed record Scenario(string Name, string Description, params ImmutableArray<BoardSetup> Boards)
{
    /// <summary>Its faults, unless the caller gives others.</summary>
    public InjectedFaults Faults { get; init; } = InjectedFaults.None;

    /// <summary>Devices on the bus that are none of the printer's boards.</summary>
    public ImmutableArray<Device> OtherDevices { get; init; } =
    [
        new Device { Port = "1-1.4", Number = 0, Usb = new UsbId(0x046d, 0x0825), Product = "Webcam C270", Serial = "5A1B2C3D" },
    ];

    /// <summary>USB ports that their hub can switch off.</summary>
    public ImmutableArray<string> SwitchedPorts { get; init; } = [];

    /// <summary>A card is in this computer.</summary>
    public bool HasCard { get; init; }

    /// <summary>The port of the printer's USB-CAN adapter; null where there is none, or a board is the bridge.</summary>
    public string? CanAdapterPort { get; init; }

    /// <summary>Bit rate of the printer's CAN bus, in bit/s.</summary>
    public int CanBitrate { get; init; } = VirtualCanBus.Bitrate;

    private static BoardSetup Octopus => new("octopus", "btt-octopus-11", VirtualChip.F446, 0x0800_8000, "1-1.1");

    private static BoardSetup OctopusKatapult => Octopus with { Stage = BootStage.Katapult };

    private static BoardSetup UartRom => new("octopus", "btt-octopus-11", VirtualChip.F446, 0x0800_0000, "ttyAMA0")
    {
        Stage = BootStage.None,
        IsUart = true,
        State = BoardState.Rom,
    };

    private static BoardSetup Ebb42 => new("ebb42", "btt-ebb42-12", VirtualChip.G0B1, 0x0800_0000, "1-1.3")
    {
        Stage = BootStage.None,
        IsBusPowered = true,
    };

    private static BoardSetup CanEbb42 => Ebb42 with
    {
        Port = "can0",
        IsCan = true,
        Stage = BootStage.Katapult,
        ApplicationStart = 0x0800_2000,
    };

    private static BoardSetup Ebb36 => new("ebb36", "btt-ebb36-10", VirtualChip.F072, 0x0800_0000, "1-1.3")
    {
        Stage = BootStage.None,
        IsBusPowered = true,
    };

    private static BoardSetup Sb2209 => new("sb2209", "btt-sb-2209-10-rp", VirtualChip.Rp2040, 0x1000_4000, "1-1.3")
    {
        Stage = BootStage.Katapult,
        IsBusPowered = true,
    };

    private static BoardSetup PlainSb2209 => Sb2209 with { ApplicationStart = 0x1000_0100, Stage = BootStage.None };

    private static BoardSetup MantaM8P =>
        new("manta-m8p", "btt-manta-m8p", VirtualChip.G0B1, 0x0800_2000, "1-1.1") { Stage = BootStage.Katapult };

    private static BoardSetup ProH723 => new("octopus-pro", "btt-octopus-pro-h723", VirtualChip.H723, 0x0802_0000, "1-1.2");

    private static BoardSetup SkrMiniE3 => new("skr-mini-e3", "btt-skr-mini-e3-30", VirtualChip.G0B1, 0x0800_2000, "ttyAMA0")
    {
        IsUart = true,
        State = BoardState.Rom,
    };

    private static BoardSetup EzBoard => new("ezboard", "", KconfigChips.Find("STM32F405"), 0x0800_C000, "1-1.1")
    {
        CardFile = new("firmware.bin") { Encoding = CardEncoding.SRecord, RenamedTo = "FIRMWARE.CUR" },
        PinsIn = "generic-th3d-ezboard-v2.0.cfg",
    };

    private static BoardSetup EnderS1 => new("ender", "", KconfigChips.Find("STM32F401"), 0x0801_0000, "1-1.1")
    {
        CardFile = new(null) { NeedsNewName = true, Folder = "STM32F4_UPDATE" },
        PinsIn = "printer-creality-ender3-s1-2021.cfg or printer-creality-ender5-s1-2023.cfg",
        CardCandidates =
        [
            new(new("firmware.bin") { Folder = "STM32F4_UPDATE" }, "Creality Ender3 S1 2021", "stm32f401", 64 * 1024),
            new(new(null) { NeedsNewName = true, Folder = "STM32F4_UPDATE" }, "Creality Ender5 S1 2023", "stm32f401", 64 * 1024),
        ],
    };

    private static BoardSetup Pi => new("pi", "klipper_host_mcu", VirtualChip.Linux, 0, "/tmp/klipper_host_mcu")
    {
        Stage = BootStage.None,
        IsProcess = true,
    };

    private static Device CanAdapter => new()
    {
        Port = "1-1.5",
        Number = 0,
        Usb = UsbId.KlipperCanBridge,
        Product = "candleLight USB to CAN adapter",
        Serial = "0033002E4D4D5015",
    };

    public static readonly ImmutableArray<Scenario> All =
    [
        new("octopus", "BTT Octopus v1.1 (F446) with its stock SD bootloader, running an old Klipper", Octopus),
        new("octopus-katapult", "the same board with Katapult instead of the stock bootloader", OctopusKatapult),
        new("octopus-in-dfu", "left in USB DFU by an interrupted flash", Octopus with { State = BoardState.Rom }),
        new("unlisted-in-dfu", "an F446 board in no catalogue, left in USB DFU: only its user knows where its application begins",
            new BoardTruth { Machine = "STM32F446", Start = 0x0800_8000, Clock = ClockSource.Crystal(12) }.At("mcu", "1-1.1") with
            {
                State = BoardState.Rom,
            }),
        new(
            "octopus-half-written", "half written over Katapult by an interrupted flash",
            OctopusKatapult with { State = BoardState.Katapult }),
        new("two-octopuses", "two identical boards with the same serial, at ports 1-1.1 and 1-1.2",
            Octopus, Octopus with { Name = "octopus-2", Port = "1-1.2" }),
        new("octopus-pro-h723", "BTT Octopus Pro (H723): one flash sector holds everything", ProH723),
        new("h723-katapult", "the same board with Katapult", ProH723 with { Stage = BootStage.Katapult }),
        new("octopus-407", "BTT Octopus v1.1 with an F407",
            new BoardSetup("octopus", "btt-octopus-11-407", VirtualChip.F407, 0x0800_8000, "1-1.1")),
        new("octopus-pro-429", "BTT Octopus Pro (F429), whose Klipper cannot start the ROM",
            new BoardSetup("octopus-pro", "btt-octopus-pro-429", VirtualChip.F429, 0x0800_8000, "1-1.1")),
        new("ebb42", "BTT EBB42 v1.2 (G0B1) without bootloader, powered by USB", Ebb42),
        new("manta-m8p", "BTT Manta M8P (G0B1) with Katapult at 8 KiB", MantaM8P),
        new("ebb36-f072", "BTT EBB36 v1.0 (F072) without bootloader, powered by USB", Ebb36),
        new("sb2209-rp2040", "BTT SB2209 (RP2040) with Katapult", Sb2209),
        new("rp2040", "BTT SB2209 (RP2040) without Katapult: flashed in its ROM (BOOTSEL)", PlainSb2209),
        new("rp2040-in-bootsel", "the same board, left in BOOTSEL by an interrupted flash", PlainSb2209 with { State = BoardState.Rom }),
        new("rp2040-katapult-in-bootsel", "BTT SB2209 (RP2040) with Katapult, started in BOOTSEL by its button",
            Sb2209 with { State = BoardState.Rom }),
        new("two-rp2040", "two SB2209 (RP2040) without Katapult, whose BOOTSEL shows the same serial",
            PlainSb2209, PlainSb2209 with { Name = "sb2209-2", Port = "1-1.2", Serial = "btt-sb-2209-10-rp-2" }),
        new("uart-katapult", "an F446 on a UART, with Katapult", OctopusKatapult with { Port = "ttyAMA0", IsUart = true }),
        new("can-toolhead", "BTT EBB42 v1.2 (G0B1) with Katapult on can0, behind a USB-CAN adapter", CanEbb42)
        {
            CanAdapterPort = "1-1.5",
            OtherDevices = [CanAdapter],
        },
        new("can-toolheads", "two EBB42 tool heads on one bus", CanEbb42, CanEbb42 with { Name = "ebb42-2" })
        {
            CanAdapterPort = "1-1.5",
            OtherDevices = [CanAdapter],
        },
        new("can-rescue", "an EBB42 for CAN without Katapult, also connected by USB and left in its ROM",
            CanEbb42 with { Stage = BootStage.None, ApplicationStart = 0x0800_0000, RescuePort = "1-1.3", State = BoardState.Rom })
        {
            CanAdapterPort = "1-1.5",
            OtherDevices = [CanAdapter],
        },
        new("can-bridge", "BTT Octopus v1.1 with Katapult as USB-CAN bridge, an EBB42 behind it",
            OctopusKatapult with { IsCanBridge = true }, CanEbb42),
        new("can-bridge-dfu", "the same with the stock SD bootloader: the bridge is flashed by USB DFU",
            Octopus with { IsCanBridge = true }, CanEbb42),
        new("uart-rom", "an F446 on a UART without bootloader, started in its ROM by BOOT0, the jumper removed again", UartRom),
        new("uart-rom-boot0", "the same board with its BOOT0 jumper still set", UartRom with { Boot0 = true }),
        new("uart-rom-g0b1", "BTT SKR Mini E3 v3 (G0B1) with its stock SD bootloader, on a UART, started in its ROM by BOOT0", SkrMiniE3),
        new("old-katapult", "an F446 with Katapult of protocol 1.0", OctopusKatapult with { OldKatapult = true }),
        new("voron", "octopus, ebb42 and a second mainboard (Octopus Pro H723) on one printer", Octopus, Ebb42, ProH723),
        new("octopus-and-pi", "BTT Octopus v1.1, and the Raspberry Pi itself as a second MCU", Octopus, Pi),
        new("sd-card-in-slot", "a card in the Octopus's slot keeps its ROM off USB", Octopus with { HasSdCard = true })
        {
            Faults = new() { RomMissesUsb = true },
        },
        new(
            "card-in-computer", "a card in this computer; a minute after it is written, the operator moves it to the Octopus (--sd-card)",
            Octopus)
        {
            HasCard = true,
            Faults = new() { OperatorAfter = TimeSpan.FromMinutes(1) },
        },
        new(
            "card-encoded", "a TH3D EZBoard v2 (F405), known by its pins: its stock bootloader takes S-records from a card (--sd-card)",
            EzBoard)
        {
            HasCard = true,
            Faults = new() { OperatorAfter = TimeSpan.FromMinutes(1) },
        },
        new(
            "card-unknown", "an F401 board whose pins fit two Enders with different files for a card: only its user knows it (--sd-card)",
            EnderS1)
        {
            HasCard = true,
            Faults = new() { OperatorAfter = TimeSpan.FromMinutes(1) },
        },
        new("h1-katapult-unexpected", "an unexpected Katapult in the board answers instead of DFU", OctopusKatapult),
        new("h2-slow-enumeration", "the ROM enumerates only after 8 s", Octopus)
        {
            Faults = new() { ReturnsAfter = TimeSpan.FromSeconds(8) },
        },
        new("h2-no-enumeration", "the ROM never enumerates", Octopus) { Faults = new() { RomMissesUsb = true } },
        new("h2-hub-power", "the ROM of an EBB42 enumerates only after a power cycle, and its hub can switch the port", Ebb42)
        {
            SwitchedPorts = ["1-1.3"],
            Faults = new() { RomNeedsPower = true },
        },
        new("h2-needs-power", "the ROM enumerates only after a power cycle", Octopus) { Faults = new() { RomNeedsPower = true } },
        new("h2-person", "the ROM never enumerates; a minute later the operator sets the BOOT0 jumper", Octopus)
        {
            Faults = new() { RomMissesUsb = true, OperatorAfter = TimeSpan.FromMinutes(1) },
        },
        new("h3-old-node-stays", "the computer lists the board for 3 s after it left", Octopus)
        {
            Faults = new() { Lingers = TimeSpan.FromSeconds(3) },
        },
        new("h4-foreign-start", "another program starts Klipper during the flash", Octopus)
        {
            Faults = new() { Transfers = [new(140, TransferFaultKind.ForeignKlipper, TimeSpan.Zero)] },
        },
        new("bad-build", "the new firmware starts and never answers", Octopus)
        {
            Faults = new() { MuteVersion = VirtualPrinter.HostVersion },
        },
        new("port-held", "ModemManager has opened the board's port", Octopus)
        {
            Faults = new() { PortsHeldBy = "ModemManager (process 812)" },
        },
        new("no-permission", "the user may not open the board's devices", Octopus) { Faults = new() { NoPermission = true } },
        new("no-udev-rule", "the user may open the board's serial port, but not its ROM's USB DFU", Octopus)
        {
            Faults = new() { HasNoRomRule = true },
        },
        new("no-serial-driver", "the kernel has no driver for the board's serial port (cdc_acm)", Octopus)
        {
            Faults = new() { HasNoSerialDriver = true },
        },
        new("beacon", "a Beacon probe with old firmware beside the Octopus, and a stand-in for its maker's updater", Octopus)
        {
            OtherDevices =
            [
                new()
                {
                    Port = "1-1.2",
                    Number = 0,
                    Usb = new UsbId(0x04d8, 0xe72b),
                    Manufacturer = "Beacon",
                    Product = "Beacon RevH",
                    Serial = "FC2690BF5157355934202020FF0A0E04",
                    Release = 0x2001,
                    Node = "/dev/ttyACM9",
                },
            ],
        },
        new("stranger", "a probe with Klipper's USB id and a name of its own beside the Octopus", Octopus)
        {
            OtherDevices =
            [
                new()
                {
                    Port = "1-1.2",
                    Number = 0,
                    Usb = UsbId.Klipper,
                    Product = "stm32f401xc",
                    Serial = "probe-0815",
                    Node = "/dev/ttyACM9",
                },
            ],
        },
    ];

    /// <exception cref="FlashException">No scenario has that name.</exception>
    public static Scenario Find(string name) =>
        All.FirstOrDefault(scenario => string.Equals(scenario.Name, name, StringComparison.OrdinalIgnoreCase))
        ?? throw VirtualFaults.UnknownScenario(name);
}
