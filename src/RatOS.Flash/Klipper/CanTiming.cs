using RatOS.Flash.Chips;

namespace RatOS.Flash.Klipper;

/// <summary>
/// The rate of the CAN bus behind a bridge, whose dictionary does not have it: from the bit timing of its controller. Sources: RM0090
/// (bxCAN, CAN_BTR), RM0444 and RM0433 (FDCAN_NBTP), UM10360 (CANxBTR), Klipper can.c and fdcan.c of each family.
/// </summary>
internal static class CanTiming
{
    private static readonly string[] SecondControllers =
    [
        "PB0,PB1", "PC2,PC3", "PB5,PB6", "PB12,PB13",   // STM32
        "P0.4,P0.5", "P2.7,P2.8",                       // LPC176x
        "PB13,PB12", "PB15,PB14",                       // SAM E51, E54
        "PC12,PD12",                                    // SAM E70
    ];

    /// <summary>The words of the chip's controllers, first and second; none for a chip whose CAN cannot be asked.</summary>
    public static uint[] Addresses(Mcu mcu) => mcu.Family switch
    {
        ChipFamily.Stm32F0 or ChipFamily.Stm32F1 => [0x4000_641C],
        ChipFamily.Stm32F2 or ChipFamily.Stm32F4 or ChipFamily.Stm32G0 or ChipFamily.Stm32G4 => [0x4000_641C, 0x4000_681C],
        ChipFamily.Stm32H7 => [0x4000_A01C, 0x4000_A41C],
        ChipFamily.Lpc176x => [0x4004_4014, 0x4004_8014],
        ChipFamily.Samd when mcu.Name.StartsWith("same", StringComparison.Ordinal) => [0x4200_001C, 0x4200_041C],
        ChipFamily.Sam when mcu.Name.StartsWith("same", StringComparison.Ordinal) => [0x4003_001C, 0x4003_401C],
        _ => [],
    };

    /// <summary>The one that serves these pins, which are as RESERVE_PINS_CAN of the dictionary.</summary>
    public static uint? Address(Mcu mcu, string? pins) => Addresses(mcu) switch
    {
        [_, var second] when SecondControllers.Contains(pins) => second,
        [var first, ..] => first,
        _ => null,
    };

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
            ChipFamily.Samd => 48_000_000u,
            ChipFamily.Sam => 80_000_000u,
            _ => clock,
        };
        var isFd = family is ChipFamily.Stm32G0 or ChipFamily.Stm32G4 or ChipFamily.Stm32H7 or ChipFamily.Samd or ChipFamily.Sam;
        var (prescaler, quanta) = isFd
            ? ((timing >> 16 & 0x1FF) + 1, 3 + (timing >> 8 & 0xFF) + (timing & 0x7F))
            : ((timing & 0x3FF) + 1, 3 + (timing >> 16 & 0xF) + (timing >> 20 & 7));
        var rate = (int)Math.Round(peripheral / (double)(prescaler * quanta) / 1000) * 1000;
        return rate is >= 10_000 and <= 1_000_000 ? rate : null;
    }
}
