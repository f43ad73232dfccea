using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>What stands in flash below the application and decides whether it starts.</summary>
public enum BootStage
{
    /// <summary>Nothing: the application begins at the flash's start.</summary>
    None,

    /// <summary>The SD-card bootloader that BTT ships (facts: "Stock SD bootloaders").</summary>
    StockSd,

    Katapult,
}

/// <summary>A board as it stands before the story begins.</summary>
/// <param name="Name">What its owner calls it.</param>
/// <param name="BoardId">Its kind in the catalogue.</param>
/// <param name="Chip">Its chip.</param>
/// <param name="ApplicationStart">Where Klipper begins.</param>
/// <param name="Port">Where it is plugged in: a USB port path, or the name of a UART.</param>
public sealed record BoardSetup(string Name, string BoardId, VirtualChip Chip, uint ApplicationStart, string Port)
{
    public BootStage Stage { get; init; } = BootStage.StockSd;

    /// <summary>Version of the Klipper that it runs.</summary>
    public string Version { get; init; } = "v0.12.0-10-g1f2a9e1c";

    /// <summary>A build with a fixed serial, as RatOS makes them: the board's id.</summary>
    public string Serial { get; init; } = BoardId;

    /// <summary>Powered by the USB cable alone: pulling it cuts the power.</summary>
    public bool IsBusPowered { get; init; }

    public bool IsUart { get; init; }

    /// <summary>
    /// Klipper's Linux process on the printer's own computer: its flash stands for the program's file, its port is its terminal.
    /// </summary>
    public bool IsProcess { get; init; }

    /// <summary>A node on the printer's CAN bus and nowhere else; its port is the interface.</summary>
    public bool IsCan { get; init; }

    /// <summary>A board on CAN that was connected by USB as well, for its ROM: the port; null for CAN alone.</summary>
    public string? RescuePort { get; init; }

    /// <summary>Its Klipper is a USB-CAN bridge: the printer's CAN interface, and a node itself. Its bootloaders are on USB.</summary>
    public bool IsCanBridge { get; init; }

    /// <summary>What its Klipper talks over.</summary>
    internal McuLink Link => IsUart ? McuLink.Uart : IsCan || IsCanBridge ? McuLink.Can : McuLink.Usb;

    /// <summary>Katapult without the version text (protocol 1.0).</summary>
    public bool OldKatapult { get; init; }

    /// <summary>A card with a klipper.bin of the old version sits in its SD slot.</summary>
    public bool HasSdCard { get; init; }

    /// <summary>
    /// A bootloader that this project does not know: Klipper's request starts it instead of the ROM. Made at each start from the board and what resets
    /// it; null for a board without.
    /// </summary>
    internal Func<VirtualBoard, Action, UsbFunction>? OtherBootloader { get; init; }

    /// <summary>Its BOOT0 jumper is on.</summary>
    public bool Boot0 { get; init; }

    /// <summary>How the story begins.</summary>
    public BoardState State { get; init; } = BoardState.Klipper;
}

/// <summary>What a board is doing.</summary>
public enum BoardState
{
    /// <summary>No power.</summary>
    [ContractName("off")] Off,

    /// <summary>On its way: a bootloader at work, or waiting for USB.</summary>
    [ContractName("starting")] Starting,
    [ContractName("klipper")] Klipper,
    [ContractName("katapult")] Katapult,
    [ContractName("rom")] Rom,

    /// <summary>Nothing runs, or runs wild: only a reset or power helps.</summary>
    [ContractName("hung")] Hung,
}
