using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// The DFU of a GD32, which boards carry in the place of an STM32. It is recognised and left alone: it behaves differently.
/// </summary>
public sealed class GigaDeviceDriver : BootloaderDriver
{
    public static readonly UsbId Id = new(0x28e9, 0x0189);

    public override string Name => "gigadevice-dfu";

    public override string? Option => null;

    public override string Label => "a GD32's DFU";

    public override bool Shows(Device device) => device.Usb == Id;

    public override bool IsOn(Mcu mcu) => mcu.IsStm32;

    public override bool IsReachedOver(BuildLink link) => false;

    public override FlashException? Refusal(BoardProfile board, Device device) => BoardFaults.CloneRefused(device.ToString());

    public override bool StartsOnBoot0 => true;

    public override string NextStep(BoardProfile board, string commands) => "That is not an STM32: flash it its vendor's way.";
}
