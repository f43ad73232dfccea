using RatOS.Flash.Chips;

namespace RatOS.Flash.Klipper;

/// <summary>The only addresses that are read on a running board.</summary>
/// <param name="Mcu">Its chip.</param>
/// <param name="FlashSize">Bytes of its flash that are certain to be there: a read behind them may be a hard fault.</param>
internal sealed record ReadableMemory(Mcu Mcu, uint FlashSize)
{
    public const int UidLength = 12;

    /// <summary>VTOR, which every Cortex-M has in its system control block or reads as 0 (Cortex-M0).</summary>
    public const uint VectorTable = 0xE000_ED08;

    /// <summary>SYSCFG_CFGR1 of an STM32F0: MEM_MODE 3 maps RAM to address 0 (RM0091 9.1.1; Klipper src/stm32/stm32f0.c).</summary>
    public const uint MemoryMode = 0x4001_0000;

    /// <summary>Where Klipper copies its vectors on a chip that has them in RAM.</summary>
    public const uint RamBase = 0x2000_0000;

    /// <summary>The last word of an RP2040's second boot stage: the checksum that its ROM wants (RP2040 datasheet 2.8.1.3.1).</summary>
    public const uint SecondStageChecksum = 0x1000_00FC;

    /// <summary>OSCCTRL_DPLLCTRLB of a SAMC21: the divider of its crystal, whose ratio to the clock is then the same for all.</summary>
    public const uint SamcPll = 0x4000_1024;

    /// <summary>The running application's start, once it is known: the flash below it may be read.</summary>
    public uint? ApplicationStart { get; init; }

    /// <summary>Where VTOR points in RAM, once that is checked.</summary>
    public uint? VectorCopy { get; init; }

    /// <summary>GPIOx_CTRL of an RP2040 or RP2350, whose IO_BANK0 Klipper takes out of reset.</summary>
    public static uint PinFunction(Mcu mcu, int pin) => (mcu.Name == "rp2040" ? 0x4001_4004u : 0x4002_8004u) + (8 * (uint)pin);

    /// <summary>The first words of a firmware at this address are within the flash.</summary>
    public bool HoldsVectors(uint start) => start >= Mcu.FlashBase && start + 8ul <= Mcu.FlashBase + (ulong)FlashSize;

    /// <summary>Refuses a read outside of the list.</summary>
    /// <param name="address">Aligned.</param>
    /// <param name="bytes">2 or 4.</param>
    /// <exception cref="InvalidOperationException">A bug of the caller.</exception>
    public void Guard(uint address, int bytes)
    {
        if (address % bytes != 0 || !(bytes == 2 ? address == Mcu.FlashSizeAddress : bytes == 4 && IsWord(address)))
            throw new InvalidOperationException($"{bytes} bytes at {address:x8} of a {Mcu.Name} must not be read");
    }

    private bool IsWord(uint address)
    {
        var end = address + 4ul;
        return address == VectorTable || address == Mcu.IdCodeAddress
            || (Mcu.UidAddress is { } uid && address >= uid && end <= uid + (ulong)UidLength)
            || ClockTree.Addresses(Mcu.Family).Contains(address) || CanTiming.Addresses(Mcu).Contains(address)
            || (address >= Mcu.FlashBase && end <= Math.Min(ApplicationStart ?? Mcu.FlashBase, Mcu.FlashEnd))
            || Mcu.Offsets.Any(offset => HoldsVectors(Mcu.FlashBase + offset)
                && (address == Mcu.FlashBase + offset || address == Mcu.FlashBase + offset + 4))
            || Mcu.Family switch
            {
                ChipFamily.Stm32F0 => address == MemoryMode || address == RamBase + 4,
                ChipFamily.Rp => (VectorCopy is { } copy && address == copy + 4)
                    || (Mcu.Name == "rp2040" && address == SecondStageChecksum)
                    || (address >= PinFunction(Mcu, 0) && address <= PinFunction(Mcu, 29) && (address - PinFunction(Mcu, 0)) % 8 == 0),
                ChipFamily.Samd => address == SamcPll && Mcu.Name.StartsWith("samc21", StringComparison.Ordinal),
                _ => false,
            };
    }
}
