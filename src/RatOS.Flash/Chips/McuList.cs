using System.Collections.Immutable;

namespace RatOS.Flash.Chips;

/// <summary>
/// The chips that Klipper's Kconfig offers, AVR aside. Sources as of <see cref="Mcu"/>; for F2, F7 and L4 also RM0033, RM0410 and RM0394.
/// </summary>
internal static class McuList
{
    private const int K = 1024;

    private static readonly uint[] F4x5Offsets = [0, 0x4000, 0x8000, 0xC000, 0x1_0000, 0x2_0200];

    public static readonly ImmutableArray<Mcu> All =
    [
        F4("stm32f446xx", 512, 256, 0x2002_0000, [0, 0x8000, 0x1_0000], 0x421),
        F4("stm32f407xx", 1024, 512, 0x2002_0000, F4x5Offsets, 0x413),
        F4("stm32f405xx", 1024, 512, 0x2002_0000, F4x5Offsets, 0x413),
        F4("stm32f429xx", 2048, 512, 0x2002_0000, F4x5Offsets, 0x419),
        F4("stm32f401xc", 256, 128, 0x2001_0000, [0, 0x4000, 0x8000, 0xC000, 0x1_0000], 0x423, 0x433),
        F4("stm32f207xx", 1024, 256, 0x2002_0000, [0, 0x4000, 0x8000], 0x411) with { Family = ChipFamily.Stm32F2 },
        new()
        {
            Name = "stm32f765xx",
            Family = ChipFamily.Stm32F7,
            FlashBase = 0x0800_0000,
            FlashSize = 2048 * K,
            LeastFlash = 2048 * K,
            SmallestFlash = 1024 * K,
            RamEnd = 0x2008_0000,
            Offsets = [0, 0x8000, 0x2_0000],
            Sectors = [32 * K, 32 * K, 32 * K, 32 * K, 128 * K, 256 * K],
            WriteUnit = 4,
            UidAddress = 0x1FF0_F420,
            FlashSizeAddress = 0x1FF0_F442,
            IdCodeAddress = 0xE004_2000,
            IdCodes = [0x451],
        },
        H7("stm32h723xx", 1024, [0, 0x2_0000], 0x483),
        H7("stm32h743xx", 2048, [0, 0x2_0000], 0x450),
        H7("stm32h750xx", 128, [0, 0x8000, 0x2_0000], 0x450) with { SmallestFlash = 128 * K },
        G0("stm32g0b1xx", 512, 0x2002_4000, 0x467),
        G0("stm32g0b0xx", 512, 0x2002_4000, 0x467),
        G0("stm32g070xx", 128, 0x2000_9000, 0x460),
        G0("stm32g071xx", 128, 0x2000_9000, 0x460),
        G4("stm32g431xx", 128, 0x2000_8000, 0x468),
        G4("stm32g474xx", 512, 0x2002_0000, 0x469),
        Small(ChipFamily.Stm32L4, "stm32l412xx", 128, 0x2000_A000, 2 * K, [0], 0x1FFF_7590, 0x1FFF_75E0, 0xE004_2000, 0x464),
        F0("stm32f072xb", 128, 0x2000_4000, 2 * K, [0, 0x1000, 0x2000, 0x4000], 0x448),
        F0("stm32f070xb", 128, 0x2000_4000, 2 * K, [0, 0x1000, 0x2000], 0x448, 0x445) with { OtherRamEnds = [0x2000_1800] },
        F0("stm32f042x6", 32, 0x2000_1800, K, [0, 0x1000, 0x2000], 0x445),
        F0("stm32f031x6", 32, 0x2000_1000, K, [0, 0x1000], 0x444),
        Small(
            ChipFamily.Stm32F1, "stm32f103xe", 512, 0x2000_5000, 2 * K,
            [0, 0x800, 0x1000, 0x2000, 0x4000, 0x5000, 0x7000, 0x8000, 0x8800, 0x9000, 0x1_0000],
            0x1FFF_F7E8, 0x1FFF_F7E0, 0xE004_2000, 0x410, 0x414) with
            {
                OtherRamEnds = [Mcu.F103x6RamEnd, Mcu.N32RamEnd],
                SectorOfSmallParts = K,
            },
        Lpc("lpc1768"),
        Lpc("lpc1769"),
        Rp("rp2040", 16 * K * K, 0x2004_2000, 0x100, 0x4000),
        Rp("rp2350", 16 * K * K, 0x2008_2000, 0, 0x4000),
        OnlyBuilt("HC32F460", ChipFamily.Hc32F460, 0, 256, 0x2000_0000, 0x8000, 0xC000, 0x1_0000),
        OnlyBuilt("samc21g18a", ChipFamily.Samd, 0, 256, 0x2000_8000, 0, 0x4000),
        .. from name in (string[])["samd21g18a", "samd21e18a", "samd21j18a"]
           select OnlyBuilt(name, ChipFamily.Samd, 0, 256, 0x2000_8000, 0, 0x2000, 0x4000),
        OnlyBuilt("samd21e15a", ChipFamily.Samd, 0, 32, 0x2000_1000, 0, 0x2000, 0x4000),
        .. from name in (string[])["samd51g19a", "samd51j19a", "samd51n19a", "same51j19a", "same51n19a"]
           select OnlyBuilt(name, ChipFamily.Samd, 0, 512, 0x2003_0000, 0, 0x4000),
        OnlyBuilt("samd51p20a", ChipFamily.Samd, 0, 1024, 0x2004_0000, 0, 0x4000),
        OnlyBuilt("same54p20a", ChipFamily.Samd, 0, 1024, 0x2004_0000, 0, 0x4000),
        OnlyBuilt("sam3x8e", ChipFamily.Sam, 0x8_0000, 512, 0x2001_8000, 0),
        OnlyBuilt("sam3x8c", ChipFamily.Sam, 0x8_0000, 512, 0x2001_8000, 0),
        OnlyBuilt("sam4s8c", ChipFamily.Sam, 0x40_0000, 512, 0x2002_0000, 0),
        OnlyBuilt("sam4e8e", ChipFamily.Sam, 0x40_0000, 512, 0x2002_0000, 0),
        OnlyBuilt("same70q20b", ChipFamily.Sam, 0, 1024, 0x2042_0000, 0),
    ];

    private static Mcu F4(string name, uint kib, uint smallestKib, uint ramEnd, uint[] offsets, params int[] idCodes) => new()
    {
        Name = name,
        Family = ChipFamily.Stm32F4,
        FlashBase = 0x0800_0000,
        FlashSize = kib * K,
        // An F446 with half its flash and an F407 with half of its would look alike, so only the full part is believed.
        LeastFlash = kib * K,
        SmallestFlash = smallestKib * K,
        RamEnd = ramEnd,
        Offsets = [.. offsets],
        // 2 MiB parts repeat the pattern in their second bank (RM0090 table 6).
        Sectors = kib == 2048
            ? [16 * K, 16 * K, 16 * K, 16 * K, 64 * K, .. Enumerable.Repeat(128 * K, 7), 16 * K, 16 * K, 16 * K, 16 * K, 64 * K, 128 * K]
            : [16 * K, 16 * K, 16 * K, 16 * K, 64 * K, 128 * K],
        WriteUnit = 4,
        UidAddress = 0x1FFF_7A10,
        FlashSizeAddress = 0x1FFF_7A22,
        IdCodeAddress = 0xE004_2000,
        IdCodes = [.. idCodes],
    };

    private static Mcu H7(string name, uint kib, uint[] offsets, int idCode) => new()
    {
        Name = name,
        Family = ChipFamily.Stm32H7,
        FlashBase = 0x0800_0000,
        FlashSize = kib * K,
        LeastFlash = kib * K,
        SmallestFlash = kib * K / 2,
        RamEnd = 0x2002_0000,
        Offsets = [.. offsets],
        Sectors = [128 * K],
        WriteUnit = 32,
        UidAddress = 0x1FF1_E800,
        FlashSizeAddress = 0x1FF1_E880,
        IdCodeAddress = 0x5C00_1000,
        IdCodes = [idCode],
    };

    private static Mcu Small(ChipFamily family, string name, uint kib, uint ramEnd, int page, uint[] offsets,
        uint uid, uint size, uint id, params int[] idCodes) => new()
        {
            Name = name,
            Family = family,
            FlashBase = 0x0800_0000,
            FlashSize = kib * K,
            LeastFlash = Math.Min(kib, 64) * K,
            RamEnd = ramEnd,
            Offsets = [.. offsets],
            Sectors = [page],
            WriteUnit = 8,
            EmptyCheck = family is ChipFamily.Stm32G0 or ChipFamily.Stm32L4 || name.StartsWith("stm32f04", StringComparison.Ordinal),
            UidAddress = uid,
            FlashSizeAddress = size,
            IdCodeAddress = id,
            IdCodes = [.. idCodes],
        };

    private static Mcu G0(string name, uint kib, uint ramEnd, int idCode) =>
        Small(ChipFamily.Stm32G0, name, kib, ramEnd, 2 * K, [0, 0x2000], 0x1FFF_7590, 0x1FFF_75E0, 0x4001_5800, idCode);

    private static Mcu G4(string name, uint kib, uint ramEnd, int idCode) =>
        Small(ChipFamily.Stm32G4, name, kib, ramEnd, 2 * K, [0, 0x2000], 0x1FFF_7590, 0x1FFF_75E0, 0xE004_2000, idCode);

    private static Mcu F0(string name, uint kib, uint ramEnd, int page, uint[] offsets, params int[] idCodes) =>
        Small(ChipFamily.Stm32F0, name, kib, ramEnd, page, offsets, 0x1FFF_F7AC, 0x1FFF_F7CC, 0x4001_5800, idCodes);

    private static Mcu Rp(string name, uint flashSize, uint ramEnd, params uint[] offsets) => new()
    {
        Name = name,
        Family = ChipFamily.Rp,
        FlashBase = 0x1000_0000,
        FlashSize = flashSize,
        LeastFlash = 2 * K * K,
        RamEnd = ramEnd,
        Offsets = [.. offsets],
        Sectors = [4 * K],
        WriteUnit = 256,
        HandlersInRam = true,
    };

    // UM10360: 16 sectors of 4 KiB and 14 of 32; the top 32 bytes of RAM are the ROM's (Klipper leaves them out).
    private static Mcu Lpc(string name) => new()
    {
        Name = name,
        Family = ChipFamily.Lpc176x,
        FlashBase = 0,
        FlashSize = 512 * K,
        LeastFlash = 512 * K,
        RamEnd = 0x1000_7FE0,
        Offsets = [0, 0x4000],
        Sectors = [.. Enumerable.Repeat(4 * K, 16), 32 * K],
        WriteUnit = 256,
    };

    private static Mcu OnlyBuilt(string name, ChipFamily family, uint flashBase, uint kib, uint ramEnd, params uint[] offsets) => new()
    {
        Name = name,
        Family = family,
        FlashBase = flashBase,
        FlashSize = kib * K,
        LeastFlash = kib * K,
        RamEnd = ramEnd,
        Offsets = [.. offsets],
    };
}
