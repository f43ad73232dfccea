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

    public required ChipFamily Family { get; init; }

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

    /// <summary>The end of RAM of an F103 with 10 KiB, which Klipper builds for by MACH_STM32F103x6.</summary>
    public const uint F103x6RamEnd = 0x2000_2800;

    /// <summary>The end of RAM of an F070 with 6 KiB (MACH_STM32F070x6), and of an F042.</summary>
    public const uint F070x6RamEnd = 0x2000_1800;

    /// <summary>The end of RAM of an N32G45x, whose builds call themselves stm32f103xe.</summary>
    public const uint N32RamEnd = 0x2001_0000;

    public bool IsRamEnd(uint address) => address == RamEnd || OtherRamEnds.Contains(address);

    /// <summary>Offsets of the application that Klipper offers, 0 included.</summary>
    public required ImmutableArray<uint> Offsets { get; init; }

    /// <summary>
    /// Sizes of the flash sectors from <see cref="FlashBase"/> on; the last one repeats up to <see cref="FlashSize"/>. None for a chip
    /// that is recognised and built for, and not written here.
    /// </summary>
    public ImmutableArray<int> Sectors { get; init; } = [];

    /// <summary>
    /// Bytes of a sector of parts with less flash, where theirs are smaller: an F103 of 128 KiB or less has pages of 1 KiB (PM0075).
    /// </summary>
    public int? SectorOfSmallParts { get; init; }

    /// <summary>Bytes that are programmed together: the last block is padded to a multiple of it (F4 4, G0 8, H7 32).</summary>
    public int WriteUnit { get; init; }

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

    /// <summary>
    /// G0, G4 and H7: their ROM calls itself <c>DFU in FS Mode</c>, older ones <c>STM32  BOOTLOADER</c>. Null where that is not known.
    /// </summary>
    public bool? HasLaterRom => Family == ChipFamily.Stm32L4 ? null
        : Family is ChipFamily.Stm32G0 or ChipFamily.Stm32G4 or ChipFamily.Stm32H7;

    public bool IsStm32 => Name.StartsWith("stm32", StringComparison.Ordinal);

    /// <summary>
    /// Where the image of an application begins: on an RP2040 without a bootloader at the boot code before it, else at the application.
    /// </summary>
    public uint ImageStart(uint applicationStart) => applicationStart == BootStart ? FlashBase : applicationStart;

    /// <summary>
    /// The ROM has USB DFU (AN2606). An F103, F031 or G07x has none, whatever its board's USB connector is for.
    /// </summary>
    public bool HasUsbDfu =>
        IsStm32 && Family != ChipFamily.Stm32F1 && Name is not ("stm32f031x6" or "stm32g070xx" or "stm32g071xx");

    /// <summary>
    /// Klipper's request starts that ROM from a build for USB (Klipper src/stm32/Kconfig, STM32_DFU_ROM_ADDRESS). An F429 and an F042
    /// do not get there although they are listed (AN2606: the ROM's own checks).
    /// </summary>
    public bool EntersUsbDfu => Family switch
    {
        ChipFamily.Stm32F4 => Name != "stm32f429xx",
        ChipFamily.Stm32F7 or ChipFamily.Stm32G0 or ChipFamily.Stm32G4 or ChipFamily.Stm32H7 or ChipFamily.Stm32L4 => HasUsbDfu,
        _ => Name == "stm32f072xb",
    };

    /// <summary>
    /// One of the AVRs (Klipper src/avr/Kconfig), by Klipper's name: it is recognised and built for, and none of <see cref="All"/>.
    /// </summary>
    public static bool IsAvr(string name) => name == "lgt8f328p"
        || name.StartsWith("atmega", StringComparison.Ordinal) || name.StartsWith("at90usb", StringComparison.Ordinal);

    /// <summary>Katapult has been ported to it (Katapult src/Kconfig).</summary>
    public bool MayHaveKatapult => IsStm32 || Family is ChipFamily.Rp or ChipFamily.Lpc176x;

    /// <summary>Firmware can be written here, through one of its bootloaders.</summary>
    public bool IsWritten => !Sectors.IsEmpty;

    /// <summary>
    /// Where the chip starts a program: the application without a bootloader, or the bootloader. On an RP2040 it is behind the second boot
    /// stage.
    /// </summary>
    public uint BootStart => FlashBase + (Name == "rp2040" ? Offsets[0] : 0);

    /// <summary>Flash sectors in ascending order.</summary>
    public IEnumerable<Sector> AllSectors()
    {
        var address = FlashBase;
        for (var i = 0; IsWritten && address < FlashEnd; i++)
        {
            var size = Sectors[Math.Min(i, Sectors.Length - 1)];
            yield return new Sector(address, size);
            address += (uint)size;
        }
    }

    /// <summary>Finds by Klipper's name, in any case; null when this product does not know the chip.</summary>
    public static Mcu? Find(string name) =>
        McuList.All.FirstOrDefault(mcu => string.Equals(mcu.Name, name, StringComparison.OrdinalIgnoreCase));

    /// <inheritdoc cref="McuList.All"/>
    public static ImmutableArray<Mcu> All => McuList.All;
}

/// <summary>One erasable piece of flash.</summary>
public readonly record struct Sector(uint Address, int Size)
{
    public uint End => Address + (uint)Size;

    public bool Overlaps(uint start, uint end) => Address < end && start < End;

    public override string ToString() => $"{Address:x8}+{Size / 1024}K";
}
