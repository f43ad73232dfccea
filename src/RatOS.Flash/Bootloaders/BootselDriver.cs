using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>The ROM of an RP2040 or RP2350 in its USB boot mode. It is recognised; a person copies a .uf2 onto its drive.</summary>
public sealed class BootselDriver : BootloaderDriver
{
    public static readonly UsbId Rp2040 = new(0x2e8a, 0x0003), Rp2350 = new(0x2e8a, 0x000f);

    public override string Name => "bootsel";

    public override string? Option => null;

    public override string Label => "BOOTSEL";

    public override bool Shows(Device device) => device.Usb == Rp2040 || device.Usb == Rp2350;

    public override bool IsOn(Mcu mcu) => mcu.Name is "rp2040" or "rp2350";

    public override bool MayHaveChip(Device device, string? chip) =>
        chip is null || string.Equals(chip, device.Usb == Rp2040 ? "rp2040" : "rp2350", StringComparison.OrdinalIgnoreCase);

    public override bool IsReachedOver(BuildLink link) => false;

    public override FlashException? Refusal(BoardProfile board, Device device) =>
        BoardFaults.NoRoad(board.Name, "it waits in its ROM (BOOTSEL), which takes a .uf2 copied onto its drive",
            BoardGuide.InBootsel(board));

    public override bool StartsOnBoot0 => true;

    public override string NextStep(BoardProfile board, string commands) => BoardGuide.InBootsel(board).In(FrontEnd.CommandLine);
}
