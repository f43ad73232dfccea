using RatOS.Flash.Chips;

namespace RatOS.Flash.Klipper;

/// <summary>Registers of a running board's chip; null for those that could not be read.</summary>
public sealed record ChipEvidence
{
    /// <summary>Nothing is known: an old firmware, a host process, a chip without such registers.</summary>
    public static readonly ChipEvidence None = new();

    /// <summary>The unique id, 12 bytes in memory order.</summary>
    public ReadOnlyMemory<byte>? Uid { get; init; }

    /// <summary>Flash in KiB.</summary>
    public int? FlashKib { get; init; }

    /// <summary>DBGMCU_IDCODE &amp; fff. Null also when the chip answers 0, as F0, F1 and G0 do: unknown, never wrong.</summary>
    public int? IdCode { get; init; }

    /// <summary>Where the running firmware's vectors are; null also where they are at no address that Klipper offers.</summary>
    public uint? ApplicationStart { get; init; }

    /// <summary>Katapult stands below the application, and this firmware's request will reach it.</summary>
    public bool? Katapult { get; init; }
}

/// <summary>
/// The only addresses that are read on a running board. A read of an unmapped address is a hard fault: the firmware hangs until its
/// watchdog resets the chip.
/// </summary>
internal static class ChipAddresses
{
    public const int UidLength = 12;

    /// <summary>VTOR, which every Cortex-M has in its system control block or reads as 0 (Cortex-M0).</summary>
    public const uint VectorTable = 0xE000_ED08;

    /// <summary>SYSCFG_CFGR1 of an STM32F0: MEM_MODE 3 maps RAM to address 0 (RM0091 9.1.1; Klipper src/stm32/stm32f0.c).</summary>
    public const uint MemoryMode = 0x4001_0000;

    /// <summary>Where Klipper copies its vectors on a chip that has them in RAM.</summary>
    public const uint RamBase = 0x2000_0000;

    /// <summary>A Cortex-M0: its vectors are at the flash's beginning, or copied to RAM.</summary>
    public static bool HasNoVectorTable(Mcu mcu) => mcu.Name.StartsWith("stm32f0", StringComparison.Ordinal);

    /// <summary>
    /// Where a bootloader's vectors stand: the application's address when there is none (rp2040: behind the second-stage boot code).
    /// </summary>
    public static uint BootStart(Mcu mcu) => mcu.FlashBase + mcu.Offsets[0];

    /// <summary>Refuses a read outside of the table.</summary>
    /// <param name="size">2 or 4 bytes, aligned.</param>
    /// <exception cref="InvalidOperationException">A bug of the caller.</exception>
    public static void Guard(Mcu mcu, uint applicationStart, uint address, int size)
    {
        var end = address + (ulong)size;
        var allowed = size switch
        {
            2 => address == mcu.FlashSizeAddress,
            4 => (mcu.UidAddress is { } uid && address >= uid && end <= uid + (ulong)UidLength)
                || address == mcu.IdCodeAddress || address == VectorTable || (address == MemoryMode && HasNoVectorTable(mcu))
                || (address == RamBase + 4 && (HasNoVectorTable(mcu) || mcu.HandlersInRam))
                || (address >= mcu.FlashBase + 4 && mcu.Offsets.Contains(address - mcu.FlashBase - 4))
                || (address >= mcu.FlashBase && end <= Math.Min(applicationStart, mcu.FlashEnd)),
            _ => false,
        };
        if (!allowed || address % size != 0)
            throw new InvalidOperationException($"{size} bytes at {address:x8} of a {mcu.Name} must not be read");
    }
}
