using System.Buffers.Binary;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Bootloaders;

/// <summary>USB DFU in the ROM of an STM32 (AN3156).</summary>
public sealed class DfuSeDriver : BootloaderDriver
{
    public static readonly UsbId Id = new(0x0483, 0xdf11);

    public override string Name => "dfu-se";

    public override string? Option => "dfu";

    public override string Label => "USB DFU";

    public override string Title => "The ROM's USB DFU";

    public override string LabelOn(BuildLink link) => Label;

    public override bool Shows(Device device) => device.Usb == Id;

    public override UsbId? TransferIdOn(Mcu mcu) => Id;

    public override bool IsOn(Mcu mcu) => mcu.HasUsbDfu;

    /// <summary>The later ROMs and the earlier ones call themselves differently (AN2606).</summary>
    public override bool MayHaveChip(Device device, string? chip)
    {
        if (chip is null || Mcu.Find(chip) is not { } mcu)
            return chip is null || chip.StartsWith("stm32", StringComparison.Ordinal);
        return mcu.HasUsbDfu && (device.Product?.Contains("FS Mode", StringComparison.Ordinal) != true || mcu.HasLaterRom != false)
            && (device.Product?.Contains("BOOTLOADER", StringComparison.Ordinal) != true || mcu.HasLaterRom != true);
    }

    /// <summary>
    /// hex8(w0 + w2) and hex4(w1 >> 16) of the unique id's words, as ST's USB library makes it. Some ROMs show a fixed text instead.
    /// </summary>
    public override string? SerialOf(ChipEvidence chip)
    {
        if (chip.Uid is not { } uid)
            return null;
        var w0 = BinaryPrimitives.ReadUInt32LittleEndian(uid.Span);
        var w1 = BinaryPrimitives.ReadUInt32LittleEndian(uid.Span[4..]);
        var w2 = BinaryPrimitives.ReadUInt32LittleEndian(uid.Span[8..]);
        return $"{w0 + w2:X8}{w1 >> 16:X4}";
    }

    public override bool? IsStartedByKlipper(BuildLink link, BoardProfile board) => board.EntersDfu;

    public override string? WhyNotStarted(BoardProfile board) => $"Klipper on {board.Chip?.Value} cannot start the ROM's USB DFU";

    public override SerialMode? Mode => null;

    public override async Task<Bootloader> OpenAsync(IUsbDevice usb, BootloaderTarget target) => await DfuSe.OpenAsync(usb, target);

    public override bool StartsOnBoot0 => true;

    public override string NextStep(BoardProfile board, string commands) => (board.Kind.Dfu is { HasBoot0Jumper: false }
        ? "Let the button go: the ROM goes on waiting. "
            : "Take the jumper off now: the ROM goes on waiting, as BOOT0 counts only at a reset. ") + commands;
}
