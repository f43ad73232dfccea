namespace RatOS.Flash.Bootloaders;

public enum BootloaderKind
{
    DfuSe,
    Katapult,

    /// <summary>The ROM of an STM32, on a UART.</summary>
    Stm32Uart,
}
