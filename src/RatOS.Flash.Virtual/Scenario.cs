using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>How a virtual printer is when its story begins.</summary>
public sealed record Scenario
{
    /// <summary>The firmware that boards run before a flash.</summary>
    public const string OldVersion = "v0.12.0-10-g1cc63980";

    public required string Name { get; init; }

    /// <summary>One line for people.</summary>
    public required string Description { get; init; }

    public required ImmutableArray<BoardSetup> Boards { get; init; }

    /// <summary>The version of Klipper on the host.</summary>
    public string HostVersion { get; init; } = "v0.13.0-730-g84104bbbd";

    /// <summary>What goes wrong in it by itself.</summary>
    public Faultiness Faults { get; init; } = Faultiness.None;

    /// <summary>Brings a board into the state it begins in: its flash holds the old firmware, nothing runs yet.</summary>
    internal Func<VirtualBoard, BoardState> Stand { get; init; } = static _ => BoardState.Klipper;

    /// <summary>A probe of another maker that announces itself with Klipper's id.</summary>
    internal bool HasProbe { get; init; }

    internal VirtualPrinter Build(VirtualTime time, Faultiness? faults)
    {
        var printer = new VirtualPrinter(time, this, faults ?? Faults, Boards);
        foreach (var board in printer.Boards)
        {
            board.Flash.Preset(board.Setup.Start, VirtualFirmware.Build(board.Chip, board.Setup.Start, OldVersion));
            if (board.Setup.OverUart)
                printer.AddWire(board);
            board.Begin(Stand(board));
        }
        AddForeign(printer);
        printer.Begin();
        return printer;
    }

    /// <summary>What else is on the bus.</summary>
    internal void AddForeign(VirtualPrinter printer)
    {
        printer.AddForeign("1-1", new OtherDevice(new UsbId(0x0424, 0x2514), deviceClass: 9) { Strings = ["Microchip", "USB 2.0 hub", ""] });
        printer.AddForeign("1-1.5", new OtherDevice(new UsbId(0x046d, 0x0825), deviceClass: 0xEF) { Strings = ["", "Webcam C270", "5D8E1A20"] });
        if (HasProbe)
            printer.AddForeign("1-1.6", new CdcAcm(UsbId.Klipper) { Strings = ["Klipper", "stm32f042x6", "39001E000C43485957363320"] });
    }

    private static BoardSetup Octopus { get; } = new()
    {
        Name = "octopus",
        BoardId = "btt-octopus-11",
        Chip = VirtualChip.F446,
        Port = "1-1.1",
        Boot = BootStage.StockSd,
        Start = 0x0800_8000,
    };

    private static BoardSetup OctopusKatapult { get; } = Octopus with { Boot = BootStage.Katapult };

    private static BoardSetup OctopusH723 { get; } = Octopus with
    {
        Name = "octopus-pro",
        BoardId = "btt-octopus-pro-h723",
        Chip = VirtualChip.H723,
        Start = 0x0802_0000,
    };

    private static BoardSetup Ebb42 { get; } = new()
    {
        Name = "ebb42",
        BoardId = "btt-ebb42-12",
        Chip = VirtualChip.G0B1,
        Port = "1-1.2",
        Start = 0x0800_0000,
        SelfPowered = false,
    };

    private static BoardSetup Manta { get; } = new()
    {
        Name = "manta",
        BoardId = "btt-manta-m8p",
        Chip = VirtualChip.G0B1,
        Port = "1-1.1",
        Boot = BootStage.StockSd,
        Start = 0x0800_2000,
    };

    private static BoardSetup Sb2209 { get; } = new()
    {
        Name = "sb2209",
        BoardId = "btt-sb-2209-10-rp",
        Chip = VirtualChip.Rp2040,
        Port = "1-1.2",
        Boot = BootStage.Katapult,
        Start = 0x1000_4000,
        SelfPowered = false,
    };

    public static readonly ImmutableArray<Scenario> All =
    [
        One("octopus", "BTT Octopus v1.1 (F446) with its stock bootloader", Octopus),
        One("octopus-katapult", "The same with Katapult", OctopusKatapult),
        One("octopus-in-dfu", "The same, left in DFU by a flasher that crashed", Octopus) with { Stand = static _ => BoardState.Dfu },
        One("octopus-half-written", "The same, its firmware half written and its power cut then: no USB", Octopus) with { Stand = HalfWrite },
        new()
        {
            Name = "two-octopuses",
            Description = "Two Octopus boards whose firmware has the same USB serial",
            Boards = [Octopus, Octopus with { Name = "octopus-2", Port = "1-1.2" }],
            HasProbe = true,
        },
        One("octopus-pro-h723", "BTT Octopus Pro with H723: one big sector", OctopusH723),
        One("octopus-407", "BTT Octopus v1.1 with F407", Octopus with { BoardId = "btt-octopus-11-407", Chip = VirtualChip.F407 }),
        One("octopus-pro-429", "BTT Octopus Pro with F429: its firmware cannot enter DFU", Octopus with
        {
            Name = "octopus-pro",
            BoardId = "btt-octopus-pro-429",
            Chip = VirtualChip.F429,
        }),
        One("ebb42", "BTT EBB42 v1.2 (G0B1), no bootloader", Ebb42),
        One("ebb42-sticky", "The same, with a ROM whose empty check changes at power-on alone", Ebb42 with { EmptyCheckSticks = true }),
        One("ebb36-f072", "BTT EBB36 v1.0 (F072), no bootloader", Ebb42 with
        {
            Name = "ebb36",
            BoardId = "btt-ebb36-10",
            Chip = VirtualChip.F072,
        }),
        One("manta-m8p", "BTT Manta M8P (G0B1) with its stock bootloader", Manta),
        One("sb2209-rp2040", "BTT SB2209 (RP2040) with Katapult", Sb2209),
        One("uart-katapult", "An F446 with Katapult on the host's UART pins", OctopusKatapult with { Port = "ttyAMA0" }),
        new()
        {
            Name = "voron",
            Description = "Octopus, EBB42 tool board, Octopus Pro H723 and a probe on one printer",
            Boards = [Octopus, Ebb42, OctopusH723 with { Port = "1-1.3" }],
            HasProbe = true,
        },
        One("sd-card-in-slot", "Octopus with an SD card in its slot: its ROM does not come up on USB", Octopus) with { Stand = WithCard },
        One("read-protected", "Octopus with read protection level 1", Octopus with { ReadProtected = true }),
        One("h1", "The board answers as Katapult where a ROM was expected", OctopusKatapult),
        One("h2", "The ROM is slow to come up (8 s)", Octopus) with
        {
            Faults = new() { Enumerations = [new EnumerationFault(0, EnumerationFaultKind.Slow)] },
        },
        One("h3", "The old device stays listed for 1.2 s after it has left", Octopus) with { Faults = new() { Lingers = TimeSpan.FromSeconds(1.2) } },
        One("h4", "Somebody starts Klipper in the middle of the flash", Octopus) with
        {
            Faults = new() { Transfers = [new TransferFault(40, TransferFaultKind.KlipperStarts)] },
        },
    ];

    /// <summary>Finds by name; null when there is none.</summary>
    public static Scenario? Find(string name) => All.FirstOrDefault(scenario => scenario.Name == name);

    private static Scenario One(string name, string description, BoardSetup board) => new() { Name = name, Description = description, Boards = [board] };

    private static BoardState HalfWrite(VirtualBoard board)
    {
        var second = board.Flash.SectorAt(board.Setup.Start) + 1;
        board.Flash.Preset(board.Flash.SectorStart(second), Enumerable.Repeat((byte)0xFF, board.Flash.SectorSize(second)).ToArray());
        return BoardState.Klipper; // what it tries
    }

    private static BoardState WithCard(VirtualBoard board)
    {
        board.InsertSdCard();
        return BoardState.Klipper;
    }

    /// <summary>A device of no interest: descriptors alone.</summary>
    private sealed class OtherDevice(UsbId id, byte deviceClass) : UsbFunction
    {
        private static readonly byte[] OneInterface = [9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 0xFF, 0, 0, 0];
        private readonly byte[] _device = Device([0, 2, deviceClass, 0, 0, 64], id, 0x0100);

        public override ReadOnlyMemory<byte> DeviceDescriptor => _device;

        public override ReadOnlyMemory<byte> Configuration => OneInterface;

        protected override UsbReply Class(UsbSetup setup, Memory<byte> data, TimeSpan now) => UsbReply.Stall;
    }
}
