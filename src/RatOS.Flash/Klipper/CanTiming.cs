using RatOS.Flash.Chips;

namespace RatOS.Flash.Klipper;

/// <summary>
/// The rate of the CAN bus behind a bridge, whose dictionary does not have it: from the bit timing of its controller. Sources: RM0090
/// (bxCAN, CAN_BTR), RM0444 and RM0433 (FDCAN_NBTP), Klipper src/stm32/can.c and fdcan.c.
/// </summary>
internal static class CanTiming
{
    private static readonly string[] SecondControllers = ["PB0,PB1", "PC2,PC3", "PB5,PB6", "PB12,PB13"];

    /// <summary>The address of the bit timing; null for a family whose CAN cannot be asked.</summary>
    /// <param name="family">The chip's family.</param>
    /// <param name="pins">As RESERVE_PINS_CAN of the dictionary.</param>
    public static uint? Address(ChipFamily family, string? pins)
    {
        var isSecond = SecondControllers.Contains(pins);
        return family switch
        {
            ChipFamily.Stm32F0 or ChipFamily.Stm32F1 => 0x4000_641Cu,
            ChipFamily.Stm32F2 or ChipFamily.Stm32F4 => isSecond ? 0x4000_681Cu : 0x4000_641Cu,
            ChipFamily.Stm32G0 or ChipFamily.Stm32G4 => isSecond ? 0x4000_681Cu : 0x4000_641Cu,
            ChipFamily.Stm32H7 => isSecond ? 0x4000_A41Cu : 0x4000_A01Cu,
            _ => null,
        };
    }

    /// <param name="family">The chip's family.</param>
    /// <param name="clock">CLOCK_FREQ of the firmware.</param>
    /// <param name="timing">The word at <see cref="Address"/>; 0 where its clock is off.</param>
    /// <returns>Bits a second; null for a rate that is none.</returns>
    public static int? Rate(ChipFamily family, uint clock, uint timing)
    {
        if (timing == 0)
            return null;
        var peripheral = family switch
        {
            ChipFamily.Stm32F2 or ChipFamily.Stm32F4 or ChipFamily.Stm32H7 => clock / 4,
            ChipFamily.Stm32G4 or ChipFamily.Stm32F1 => clock / 2,
            _ => clock,
        };
        var isFd = family is ChipFamily.Stm32G0 or ChipFamily.Stm32G4 or ChipFamily.Stm32H7;
        var (prescaler, quanta) = isFd
            ? ((timing >> 16 & 0x1FF) + 1, 3 + (timing >> 8 & 0xFF) + (timing & 0x7F))
            : ((timing & 0x3FF) + 1, 3 + (timing >> 16 & 0xF) + (timing >> 20 & 7));
        var rate = (int)Math.Round(peripheral / (double)(prescaler * quanta) / 1000) * 1000;
        return rate is >= 10_000 and <= 1_000_000 ? rate : null;
    }
}
