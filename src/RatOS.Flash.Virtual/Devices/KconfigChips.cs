using System.Collections.Immutable;
using RatOS.Flash.Bootloaders;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Every chip that Klipper's Kconfig can build firmware for, by its symbol without <c>MACH_</c>, with the flash of the part that its boards
/// carry most. Sources: src/*/Kconfig (RAM), datasheets (flash pages and times), AN2606 and AN3156 (ROM), the families' reference manuals
/// (unique id, flash size, id code).
/// </summary>
public static class KconfigChips
{
    private const int K = 1024;

    public static readonly ImmutableArray<VirtualChip> All =
    [
        F0("stm32f031x6", "STM32F031", 32, 0x2000_1000, 0x444),
        F0("stm32f042x6", "STM32F042", 32, 0x2000_1800, 0x445) with { EmptyCheck = true, HoldsFirstPacket = true },
        F0("stm32f070xb", "STM32F070", 128, 0x2000_4000, 0x448) with { HoldsFirstPacket = true },
        F0("stm32f070xb", "STM32F070x6", 32, 0x2000_1800, 0x445) with { HoldsFirstPacket = true },
        VirtualChip.F072,
        F1("STM32F103", 128, 0x2000_5000, 0x2003_6410),
        F1("STM32F103x6", 32, 0x2000_2800, 0x1000_6412),
        F1("N32G452", 512, 0x2001_0000, 0),
        F1("N32G455", 512, 0x2001_0000, 0),
        F4("stm32f207xx", "STM32F207", 1024, 0x2002_0000, 0x411),
        F4("stm32f401xc", "STM32F401", 256, 0x2001_0000, 0x423) with { EntersRom = true },
        F4("stm32f405xx", "STM32F405", 1024, 0x2002_0000, 0x413) with { EntersRom = true },
        VirtualChip.F407,
        VirtualChip.F429,
        VirtualChip.F446,
        F7("stm32f765xx", "STM32F765", 2048),
        G0("stm32g070xx", "STM32G070", 128, 0x2000_9000, 0x460) with { EntersRom = false },
        G0("stm32g071xx", "STM32G071", 128, 0x2000_9000, 0x460) with { EntersRom = false },
        G0("stm32g0b0xx", "STM32G0B0", 512, 0x2002_4000, 0x467),
        VirtualChip.G0B1,
        G4("stm32g431xx", "STM32G431", 128, 0x2000_8000, 0x468),
        G4("stm32g474xx", "STM32G474", 512, 0x2002_0000, 0x469),
        VirtualChip.H723,
        H7("stm32h743xx", "STM32H743", 2048, 0x450),
        H7("stm32h750xx", "STM32H750", 128, 0x450),
        G0("stm32l412xx", "STM32L412", 128, 0x2000_A000, 0x464) with { IdCodeAddress = 0xE004_2000, IdCode = 0x1001_6464 },
        VirtualChip.Rp2040,
        VirtualChip.Rp2040 with
        {
            Name = "rp2350",
            RamEnd = 0x2008_2000,
            Bootsel = new(PicobootDriver.Rp2350, "RP2350 Boot", "5A1B2C3D4E5F6071", IsRp2350: true),
        },
        Lpc("lpc1768"),
        Lpc("lpc1769"),
        Plain("HC32F460", "HC32F460", 0, 512, 8 * K, 0x1FFF_8000, 0x2000_0000),
        Plain("samc21g18a", "SAMC21G18", 0, 256, K / 4, 0x2000_0000, 0x2000_8000) with { UsualClock = ClockSource.Crystal(12) },
        Plain("samd21g18a", "SAMD21G18", 0, 256, K / 4, 0x2000_0000, 0x2000_8000) with { UsualClock = ClockSource.Crystal32K },
        Plain("samd21e18a", "SAMD21E18", 0, 256, K / 4, 0x2000_0000, 0x2000_8000),
        Plain("samd21j18a", "SAMD21J18", 0, 256, K / 4, 0x2000_0000, 0x2000_8000) with { UsualClock = ClockSource.Crystal32K },
        Plain("samd21e15a", "SAMD21E15", 0, 32, K / 4, 0x2000_0000, 0x2000_1000),
        Plain("samd51g19a", "SAMD51G19", 0, 512, 8 * K, 0x2000_0000, 0x2003_0000),
        Plain("samd51j19a", "SAMD51J19", 0, 512, 8 * K, 0x2000_0000, 0x2003_0000) with { UsualClock = ClockSource.Crystal32K },
        Plain("samd51n19a", "SAMD51N19", 0, 512, 8 * K, 0x2000_0000, 0x2003_0000) with { UsualClock = ClockSource.Crystal(25) },
        Plain("samd51p20a", "SAMD51P20", 0, 1024, 8 * K, 0x2000_0000, 0x2004_0000) with { UsualClock = ClockSource.Crystal32K },
        Plain("same51j19a", "SAME51J19", 0, 512, 8 * K, 0x2000_0000, 0x2003_0000),
        Plain("same51n19a", "SAME51N19", 0, 512, 8 * K, 0x2000_0000, 0x2003_0000) with { UsualClock = ClockSource.Crystal(25) },
        Plain("same54p20a", "SAME54P20", 0, 1024, 8 * K, 0x2000_0000, 0x2004_0000) with { UsualClock = ClockSource.Crystal(25) },
        Plain("sam3x8e", "SAM3X8E", 0x0008_0000, 512, K / 4, 0x2000_0000, 0x2001_8000),
        Plain("sam3x8c", "SAM3X8C", 0x0008_0000, 512, K / 4, 0x2000_0000, 0x2001_8000),
        Plain("sam4s8c", "SAM4S8C", 0x0040_0000, 512, 8 * K, 0x2000_0000, 0x2002_0000),
        Plain("sam4e8e", "SAM4E8E", 0x0040_0000, 512, 8 * K, 0x2000_0000, 0x2002_0000),
        Plain("same70q20b", "SAME70Q20B", 0, 1024, 8 * K, 0x2040_0000, 0x2042_0000),
        Avr("atmega2560", 256),
        Avr("atmega1280", 128),
        Avr("at90usb1286", 128),
        Avr("at90usb646", 64),
        Avr("atmega32u4", 32),
        Avr("atmega1284p", 128) with { UsualClock = ClockSource.Crystal(16) },
        Avr("atmega644p", 64),
        Avr("atmega328p", 32),
        Avr("atmega328", 32),
        Avr("atmega168", 16),
        Avr("lgt8f328p", 32),
    ];

    /// <param name="machine">Kconfig's symbol without MACH_, in any case: <c>STM32F446</c>, <c>N32G452</c>, <c>atmega2560</c>.</param>
    /// <exception cref="ArgumentException">Klipper's Kconfig has no such chip.</exception>
    public static VirtualChip Find(string machine) =>
        All.FirstOrDefault(chip => string.Equals(chip.Machine, machine, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException($"Klipper builds nothing for {machine}", nameof(machine));

    /// <param name="mcu">Klipper's name, as dictionaries have it: the usual part of that name.</param>
    /// <exception cref="ArgumentException">Klipper's Kconfig has no such chip.</exception>
    public static VirtualChip OfMcu(string mcu) =>
        All.FirstOrDefault(chip => string.Equals(chip.Name, mcu, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException($"Klipper builds nothing for {mcu}", nameof(mcu));

    /// <summary>A part with the same sectors and another amount of flash.</summary>
    /// <param name="chip">A part.</param>
    /// <param name="kib">KiB of flash: the first sectors of the part, or more of the last size.</param>
    public static VirtualChip WithFlash(this VirtualChip chip, int kib)
    {
        var sectors = new List<VirtualSector>();
        for (var size = 0; size < kib * K; size += sectors[^1].Size)
            sectors.Add(chip.Sectors[Math.Min(sectors.Count, chip.Sectors.Length - 1)]);
        return chip with { Sectors = [.. sectors] };
    }

    private static ImmutableArray<VirtualSector> Pages(int kib, int page, double milliseconds) =>
        [.. Enumerable.Repeat(new VirtualSector(page, TimeSpan.FromMilliseconds(milliseconds)), kib * K / page)];

    private static VirtualRom RomOf(VirtualRom like, int id, string layout) => like with { UartId = (ushort)id, AlternateNames = [layout] };

    private static VirtualChip F0(string name, string machine, int kib, uint ramEnd, int id)
    {
        var pages = kib > 64 ? $"{kib / 2:000}*0002Kg" : $"{kib:000}*0001Kg";
        return VirtualChip.F072 with
        {
            Name = name,
            Machine = machine,
            Sectors = Pages(kib, kib > 64 ? 2 * K : K, 30),
            RamEnd = ramEnd,
            EntersRom = false,
            HoldsFirstPacket = false,
            Rom = RomOf(VirtualChip.F072.Rom!, id, $"@Internal Flash  /0x08000000/{pages}") with { HasUsb = machine != "STM32F031" },
        };
    }

    // DS5319: pages of 1 or 2 KiB. The ROM knows USART1 only (AN2606), and its id code reads 0 while no debugger is there (ES096).
    private static VirtualChip F1(string machine, int kib, uint ramEnd, uint idCode) => VirtualChip.F072 with
    {
        Name = "stm32f103xe",
        Machine = machine,
        Sectors = Pages(kib, kib > 128 ? 2 * K : K, 20),
        RamEnd = ramEnd,
        UidAddress = 0x1FFF_F7E8,
        FlashSizeAddress = 0x1FFF_F7E0,
        IdCodeAddress = 0xE004_2000,
        IdCode = 0,
        EntersRom = false,
        Rom = RomOf(VirtualChip.F072.Rom!, (int)(idCode & 0xFFF), "") with { HasUsb = false, UartVersion = 0x22 },
    };

    private static VirtualChip F4(string name, string machine, int kib, uint ramEnd, uint id) => VirtualChip.F407.WithFlash(kib) with
    {
        Name = name,
        Machine = machine,
        RamEnd = ramEnd,
        IdCode = 0x1000_0000 | id,
        EntersRom = false,
        Rom = RomOf(VirtualChip.F407.Rom!, (int)id, $"@Internal Flash  /0x08000000/04*016Kg,01*064Kg,{(kib - 128) / 128:00}*128Kg"),
    };

    // DS11532 table 49: 4 x 32, 128, and 256 KiB.
    private static VirtualChip F7(string name, string machine, int kib) => VirtualChip.F407 with
    {
        Name = name,
        Machine = machine,
        Sectors = [.. Pages(128, 32 * K, 250), .. Pages(128, 128 * K, 1000), .. Pages(kib - 256, 256 * K, 2000)],
        RamEnd = 0x2008_0000,
        UidAddress = 0x1FF0_F420,
        FlashSizeAddress = 0x1FF0_F442,
        IdCode = 0x1000_6451,
        EntersRom = true,
        Rom = RomOf(VirtualChip.F407.Rom!, 0x451, $"@Internal Flash  /0x08000000/04*032Kg,01*128Kg,{(kib - 256) / 256:00}*256Kg") with
        {
            TransferSize = 1024,
        },
    };

    /// <summary>G0, and G4 and L4, whose flash works alike.</summary>
    private static VirtualChip G0(string name, string machine, int kib, uint ramEnd, int id) => VirtualChip.G0B1 with
    {
        Name = name,
        Machine = machine,
        Sectors = Pages(kib, 2 * K, 22),
        RamEnd = ramEnd,
        Rom = RomOf(VirtualChip.G0B1.Rom!, id, $"@Internal Flash   /0x08000000/{kib / 2}*02Kg") with
        {
            HasUsb = machine is not ("STM32G070" or "STM32G071"),
        },
    };

    private static VirtualChip G4(string name, string machine, int kib, uint ramEnd, uint id) =>
        G0(name, machine, kib, ramEnd, (int)id) with
        {
            IdCodeAddress = 0xE004_2000,
            IdCode = 0x2001_6000 | id,
            EmptyCheck = false,
        };

    private static VirtualChip H7(string name, string machine, int kib, int id) => VirtualChip.H723 with
    {
        Name = name,
        Machine = machine,
        Sectors = Pages(kib, 128 * K, 1000),
        IdCode = 0x2003_6000 | (uint)id,
        Rom = RomOf(VirtualChip.H723.Rom!, id, $"@Internal Flash   /0x08000000/{kib / 128}*128Kg"),
    };

    // UM10360: 16 sectors of 4 KiB, then 32 KiB; the highest 32 bytes of RAM are the ROM's.
    private static VirtualChip Lpc(string name) => Plain(name, name.ToUpperInvariant(), 0, 512, 4 * K, 0x1000_0000, 0x1000_7FE0) with
    {
        Sectors = [.. Pages(64, 4 * K, 100), .. Pages(448, 32 * K, 100)],
    };

    /// <summary>A chip of another maker: no ROM that this project knows. Times of its datasheet's order.</summary>
    private static VirtualChip Plain(string name, string machine, uint flashBase, int kib, int page, uint ramBase, uint ramEnd) => new()
    {
        Name = name,
        Machine = machine,
        FlashBase = flashBase,
        Sectors = Pages(kib, page, 10),
        ProgramUnit = 16,
        ProgramTime = TimeSpan.FromMicroseconds(40),
        ClearsFurtherBits = true,
        RamBase = ramBase,
        RamEnd = ramEnd,
    };

    private static VirtualChip Avr(string name, int kib) => Plain(name, name, 0, kib, K / 4, 0x100, 0) with
    {
        UsualClock = ClockSource.Crystal(16),
    };
}
