using RatOS.Flash.Chips;

namespace RatOS.Flash.Klipper;

/// <summary>
/// The crystal that a running firmware was built for, from the words of its clock tree and its CLOCK_FREQ. Only the ratio of the PLL
/// counts: the divider that Klipper chooses before it has changed between versions. Sources: RM0008, RM0091, RM0090, RM0390, RM0410,
/// RM0444, RM0440, RM0394, RM0433, RM0468.
/// </summary>
internal static class ClockTree
{
    /// <summary>Klipper's CLOCK_REF_FREQ for the internal clock.</summary>
    public const int Internal = 1;

    /// <summary>
    /// How far a crystal is from the clock divided by its multiplier, where that alone makes the clock: with 25 MHz Klipper runs an F103 at
    /// 2.5 times the crystal, and calls it 72 MHz (Klipper src/stm32/stm32f1.c).
    /// </summary>
    private const double WholeMultiplier = 0.16;

    private static readonly int[] Crystals = [8_000_000, 12_000_000, 16_000_000, 20_000_000, 24_000_000, 25_000_000];

    /// <summary>The words that <see cref="Reference"/> wants, in order; none for a family without a choice of crystal.</summary>
    public static uint[] Addresses(ChipFamily family) => family switch
    {
        ChipFamily.Stm32F0 or ChipFamily.Stm32F1 => [0x4002_1004],                                 // RCC_CFGR
        ChipFamily.Stm32F2 or ChipFamily.Stm32F4 or ChipFamily.Stm32F7 => [0x4002_3804],           // RCC_PLLCFGR
        ChipFamily.Stm32G0 or ChipFamily.Stm32G4 or ChipFamily.Stm32L4 => [0x4002_100C],           // RCC_PLLCFGR
        ChipFamily.Stm32H7 => [0x5802_4428, 0x5802_4430],                                          // RCC_PLLCKSELR, RCC_PLL1DIVR
        _ => [],
    };

    /// <param name="family">The chip's family.</param>
    /// <param name="clock">CLOCK_FREQ of the firmware.</param>
    /// <param name="words">As <see cref="Addresses"/>.</param>
    /// <returns>Hz, or <see cref="Internal"/>; null where the words fit no crystal that Klipper offers.</returns>
    public static int? Reference(ChipFamily family, uint clock, ReadOnlySpan<uint> words)
    {
        var word = words[0];
        switch (family)
        {
            case ChipFamily.Stm32F1:
                return !Bit(word, 16) ? Internal
                    : Nearest(clock * (Bit(word, 17) ? 2.0 : 1.0) / (Field(word, 18, 4) + 2), WholeMultiplier);
            case ChipFamily.Stm32F0:
                return Field(word, 2, 2) == 3 || Field(word, 15, 2) != 2 ? Internal : Nearest((double)clock / (Field(word, 18, 4) + 2));
            case ChipFamily.Stm32F2 or ChipFamily.Stm32F4 or ChipFamily.Stm32F7:
                return !Bit(word, 22) ? Internal
                    : Nearest(clock * 2.0 * (Field(word, 16, 2) + 1) * Field(word, 0, 6) / Field(word, 6, 9));
            case ChipFamily.Stm32G0:
                return Source(3, clock * (Field(word, 29, 3) + 1.0) * (Field(word, 4, 3) + 1) / Field(word, 8, 7));
            case ChipFamily.Stm32G4:
                return Source(3, clock * 2.0 * (Field(word, 25, 2) + 1) * (Field(word, 4, 4) + 1) / Field(word, 8, 7));
            case ChipFamily.Stm32L4:
                return Source(3, clock * 2.0 * (Field(word, 25, 2) + 1) * (Field(word, 4, 3) + 1) / Field(word, 8, 7));
            case ChipFamily.Stm32H7:
                return Source(2, clock * (Field(words[1], 9, 7) + 1.0) * Field(word, 4, 6) / (Field(words[1], 0, 9) + 1));
            default:
                return null;
        }

        int? Source(uint external, double reference) => Field(word, 0, 2) == external ? Nearest(reference) : Internal;
    }

    /// <summary>Klipper's dividers are whole numbers, so that 24 and 25 MHz may give the same words: both build the same code.</summary>
    private static int? Nearest(double reference, double tolerance = 0.03)
    {
        var nearest = Crystals.MinBy(crystal => Math.Abs(crystal - reference));
        return Math.Abs(nearest - reference) <= nearest * tolerance ? nearest : null;
    }

    private static bool Bit(uint word, int bit) => (word >> bit & 1) != 0;

    private static uint Field(uint word, int shift, int bits) => word >> shift & ((1u << bits) - 1);
}
