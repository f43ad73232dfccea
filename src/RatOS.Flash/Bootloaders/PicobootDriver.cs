using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// The ROM of an RP2040 or RP2350 in its USB boot mode (BOOTSEL). Klipper starts it where no Katapult is below (Klipper src/rp2040/main.c,
/// bootloader_request).
/// </summary>
public sealed class PicobootDriver : BootloaderDriver
{
    public static readonly UsbId Rp2040 = new(0x2e8a, 0x0003), Rp2350 = new(0x2e8a, 0x000f);

    public override string Name => "bootsel";

    public override string Label => "BOOTSEL";

    public override string Title => "The ROM's BOOTSEL";

    public override string LabelOn(BuildLink link) => Label;

    public override bool Shows(Device device) => device.Usb == Rp2040 || device.Usb == Rp2350;

    public override UsbId? TransferIdOn(Mcu mcu) => mcu.Name switch { "rp2040" => Rp2040, "rp2350" => Rp2350, _ => null };

    public override bool IsOn(Mcu mcu) => TransferIdOn(mcu) is not null;

    public override bool MayHaveChip(Device device, string? chip) =>
        chip is null || string.Equals(chip, device.Usb == Rp2040 ? "rp2040" : "rp2350", StringComparison.OrdinalIgnoreCase);

    public override bool? IsStartedByKlipper(BuildLink link, BoardProfile board) => board.Mcu is { } mcu && IsOn(mcu);

    public override SerialMode? Mode => null;

    public override async Task<Bootloader> OpenAsync(IUsbDevice usb, BootloaderTarget target) => await Picoboot.OpenAsync(usb, target);

    public override bool StartsOnBoot0 => true;

    public override string NextStep(BoardProfile board, string commands) => $"Release BOOT: the ROM goes on waiting. {commands}";
}
