using System.Collections.Immutable;

namespace RatOS.Flash.Chips;

/// <summary>
/// What must be known of a microcontroller before a byte is written to it. Sources: Klipper's Kconfig (RAM end, offsets), RM0390, RM0090,
/// RM0433, RM0468, RM0444, RM0091 (sectors, UID, flash size, DBGMCU), UM10360 (LPC176x), AN2606 (empty check).
/// </summary>
public sealed record Mcu
{
    /// <summary>Klipper's name, as in the data dictionary and in Katapult's CONNECT answer: <c>stm32f446xx</c>.</summary>
    public required string Name { get; init; }

    public required uint FlashBase { get; init; }

    /// <summary>Bytes of flash of the largest part that carries this name.</summary>
    public required uint FlashSize { get; init; }

    /// <summary>Initial stack pointer that Klipper's linker puts into word 0.</summary>
    public required uint RamEnd { get; init; }

    /// <summary>
    /// Other initial stack pointers of builds for this name: Klipper builds for parts with less RAM, and for N32G45x, under it (Klipper
    /// src/stm32/Kconfig, RAM_SIZE).
    /// </summary>
    public ImmutableArray<uint> OtherRamEnds { get; init; } = [];

    public bool IsRamEnd(uint address) => address == RamEnd || OtherRamEnds.Contains(address);

    /// <summary>Offsets of the application that Klipper offers, 0 included.</summary>
    public required ImmutableArray<uint> Offsets { get; init; }

    /// <summary>Sizes of the flash sectors from <see cref="FlashBase"/> on; the last one repeats up to <see cref="FlashSize"/>.</summary>
    public required ImmutableArray<int> Sectors { get; init; }

    /// <summary>Bytes that are programmed together: the last block is padded to a multiple of it (F4 4, G0 8, H7 32).</summary>
    public required int WriteUnit { get; init; }

    /// <summary>Exception handlers 2..7 stand in RAM (RP2040), so the vector table check skips them.</summary>
    public bool HandlersInRam { get; init; }

    /// <summary>
    /// With the first word erased the chip starts its ROM at power-on: writing the first page last survives a power cut (AN2606).
    /// </summary>
    public bool EmptyCheck { get; init; }

    /// <summary>The 96-bit unique id; null where a running board cannot be asked.</summary>
    public uint? UidAddress { get; init; }

    /// <summary>Flash size in KiB, 16 bit.</summary>
    public uint? FlashSizeAddress { get; init; }

    /// <summary>DBGMCU_IDCODE.</summary>
    public uint? IdCodeAddress { get; init; }

    /// <summary>Values of IDCODE &amp; fff that this name can have. A read of 0 means unknown, never wrong.</summary>
    public ImmutableArray<int> IdCodes { get; init; } = [];

    public uint FlashEnd => FlashBase + FlashSize;

    /// <summary>Least flash that a part of this name has on the boards known; less is another chip.</summary>
    public required uint LeastFlash { get; init; }

    /// <summary>
    /// Flash of the smallest part of this name that holds an ordinary build: what is counted on while a chip's own size is not known.
    /// </summary>
    public uint SmallestFlash { get => field == 0 ? LeastFlash : field; init; }

    /// <summary>G0, G4, H7 and later: their ROM calls itself <c>DFU in FS Mode</c>, older ones <c>STM32  BOOTLOADER</c>.</summary>
    public bool HasLaterRom => Name.StartsWith("stm32g", StringComparison.Ordinal) || Name.StartsWith("stm32h7", StringComparison.Ordinal);

    public bool IsStm32 => Name.StartsWith("stm32", StringComparison.Ordinal);

    /// <summary>
    /// Where the image of an application begins: on an RP2040 without a bootloader at the boot code before it, else at the application.
    /// </summary>
    public uint ImageStart(uint applicationStart) => applicationStart == FlashBase + Offsets[0] ? FlashBase : applicationStart;

    /// <summary>Flash sectors in ascending order.</summary>
    public IEnumerable<Sector> AllSectors()
    {
        var address = FlashBase;
        for (var i = 0; address < FlashEnd; i++)
        {
            var size = Sectors[Math.Min(i, Sectors.Length - 1)];
            yield return new Sector(address, size);
            address += (uint)size;
        }
    }

    /// <summary>Finds by Klipper's name, in any case; null when this product does not know the chip.</summary>
    public static Mcu? Find(string name) => All.FirstOrDefault(mcu => string.Equals(mcu.Name, name, StringComparison.OrdinalIgnoreCase));

    private const int K = 1024;

    private static Mcu F4(string name, uint kib, uint smallestKib, uint ramEnd, uint[] offsets, params int[] idCodes) => new()
    {
        Name = name,
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

    private static Mcu Small(
        string name, uint kib, uint ramEnd, int page, uint[] offsets, uint uid, uint size, uint id, params int[] idCodes) => new()
        {
            Name = name,
            FlashBase = 0x0800_0000,
            FlashSize = kib * K,
            LeastFlash = Math.Min(kib, 64) * K,
            RamEnd = ramEnd,
            Offsets = [.. offsets],
            Sectors = [page],
            WriteUnit = 8,
            EmptyCheck = name.StartsWith("stm32g0", StringComparison.Ordinal) || name.StartsWith("stm32f04", StringComparison.Ordinal),
            UidAddress = uid,
            FlashSizeAddress = size,
            IdCodeAddress = id,
            IdCodes = [.. idCodes],
        };

    private static Mcu G0(string name, uint kib, uint ramEnd, int idCode) =>
        Small(name, kib, ramEnd, 2 * K, [0, 0x2000], 0x1FFF_7590, 0x1FFF_75E0, 0x4001_5800, idCode);

    private static Mcu G4(string name, uint kib, uint ramEnd, int idCode) =>
        Small(name, kib, ramEnd, 2 * K, [0, 0x2000], 0x1FFF_7590, 0x1FFF_75E0, 0xE004_2000, idCode);

    private static Mcu F0(string name, uint kib, uint ramEnd, int page, uint[] offsets, int idCode) =>
        Small(name, kib, ramEnd, page, offsets, 0x1FFF_F7AC, 0x1FFF_F7CC, 0x4001_5800, idCode);

    private static Mcu Rp(string name, uint flashSize, uint ramEnd, params uint[] offsets) => new()
    {
        Name = name,
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
        FlashBase = 0,
        FlashSize = 512 * K,
        LeastFlash = 512 * K,
        RamEnd = 0x1000_7FE0,
        Offsets = [0, 0x4000],
        Sectors = [.. Enumerable.Repeat(4 * K, 16), 32 * K],
        WriteUnit = 256,
    };

    public static readonly ImmutableArray<Mcu> All =
    [
        F4("stm32f446xx", 512, 256, 0x2002_0000, [0, 0x8000, 0x1_0000], 0x421),
        F4("stm32f407xx", 1024, 512, 0x2002_0000, [0, 0x4000, 0x8000, 0xC000, 0x1_0000, 0x2_0200], 0x413),
        F4("stm32f405xx", 1024, 512, 0x2002_0000, [0, 0x4000, 0x8000, 0xC000, 0x1_0000, 0x2_0200], 0x413),
        F4("stm32f429xx", 2048, 512, 0x2002_0000, [0, 0x4000, 0x8000, 0xC000, 0x1_0000, 0x2_0200], 0x419),
        F4("stm32f401xc", 256, 128, 0x2001_0000, [0, 0x4000, 0x8000, 0xC000, 0x1_0000], 0x423, 0x433),
        H7("stm32h723xx", 1024, [0, 0x2_0000], 0x483),
        H7("stm32h743xx", 2048, [0, 0x2_0000], 0x450),
        G0("stm32g0b1xx", 512, 0x2002_4000, 0x467),
        G0("stm32g070xx", 128, 0x2000_9000, 0x460),
        G0("stm32g071xx", 128, 0x2000_9000, 0x460),
        G4("stm32g431xx", 128, 0x2000_8000, 0x468),
        G4("stm32g474xx", 512, 0x2002_0000, 0x469),
        F0("stm32f072xb", 128, 0x2000_4000, 2 * K, [0, 0x1000, 0x2000, 0x4000], 0x448),
        F0("stm32f042x6", 32, 0x2000_1800, K, [0, 0x1000, 0x2000], 0x445),
        Small(
            "stm32f103xe", 512, 0x2000_5000, 2 * K, [0, 0x800, 0x1000, 0x2000, 0x4000, 0x5000, 0x7000, 0x8000, 0x8800, 0x9000, 0x1_0000],
            0x1FFF_F7E8, 0x1FFF_F7E0, 0xE004_2000, 0x410, 0x414) with { OtherRamEnds = [0x2000_2800, 0x2001_0000] },
        Lpc("lpc1768"),
        Lpc("lpc1769"),
        Rp("rp2040", 16 * K * K, 0x2004_2000, 0x100, 0x4000),
        Rp("rp2350", 16 * K * K, 0x2008_2000, 0, 0x4000),
    ];
}

/// <summary>One erasable piece of flash.</summary>
public readonly record struct Sector(uint Address, int Size)
{
    public uint End => Address + (uint)Size;

    public bool Overlaps(uint start, uint end) => Address < end && start < End;

    public override string ToString() => $"{Address:x8}+{Size / 1024}K";
}
