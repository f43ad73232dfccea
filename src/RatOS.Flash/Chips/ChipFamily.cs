namespace RatOS.Flash.Chips;

/// <summary>Chips that share their registers, by Klipper's source folders and reference manuals.</summary>
public enum ChipFamily
{
    Stm32F0,

    /// <summary>And Nation's N32G45x, which Klipper builds as an STM32F103.</summary>
    Stm32F1,
    Stm32F2,
    Stm32F4,
    Stm32F7,
    Stm32G0,
    Stm32G4,
    Stm32H7,
    Stm32L4,

    /// <summary>RP2040 and RP2350.</summary>
    Rp,
    Lpc176x,
    Hc32F460,

    /// <summary>SAMC21, SAMD21, SAMD51, SAME51 and SAME54.</summary>
    Samd,

    /// <summary>SAM3X, SAM4 and SAME70.</summary>
    Sam,
}
