using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// The UART bootloader in the ROM of an STM32 (AN3155). BOOT0 alone starts it, and a wire shows nothing: the user says that it waits.
/// </summary>
public sealed class Stm32UartDriver : BootloaderDriver
{
    public override string Name => "stm32-uart";

    public override string Label => "the ROM's UART bootloader";

    public override string Title => "The ROM's UART bootloader";

    public override string Place => "its ROM on the UART";

    public override bool Shows(Device device) => false;

    public override bool IsOn(Mcu mcu) => mcu.IsStm32;

    public override bool IsReachedOver(BuildLink link) => link == BuildLink.Uart;

    public override bool IsUnlisted => true;

    public override SerialMode? Mode => Stm32Uart.Mode;

    public override async Task<Bootloader> OpenAsync(ByteLine line, BootloaderTarget target) =>
        await Stm32Uart.OpenAsync(line, target.Board, target.Mcu, target.Start, target.Time);

    /// <summary>
    /// It is asked before Klipper, which ignores the request. A ROM that first receives Klipper's baud rate no longer answers.
    /// </summary>
    public override Task<bool> AnswersAsync(ByteLine line, BootloaderTarget target) => Stm32Uart.AnswersAsync(line, target.Time);

    public override IEnumerable<Finding> Notes(Mcu mcu) =>
    [
        PlanFindings.Boot0Jumper(),
    ];

    public override bool StartsOnBoot0 => true;
}
