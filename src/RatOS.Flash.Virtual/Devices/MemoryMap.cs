using System.Collections.Immutable;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The address ranges of a chip where a read does not fault, beside its flash: the memory maps of the families' reference manuals and
/// datasheets (RM0091, RM0008, RM0033, RM0090, RM0410, RM0444, RM0440, RM0433, RM0468, RM0394, RP2040 and RP2350 datasheets 2.2, UM10360 2,
/// HC32F460 user manual, SAM datasheets "Product Mapping").
/// </summary>
internal static class MemoryMap
{
    private static readonly ImmutableArray<MemoryRange> Core = [new(0xE000_E000, 0x1000), new(0xE00F_F000, 0x1000)];
    private static readonly ImmutableArray<MemoryRange> DebugCore = [.. Core, new(0xE000_0000, 0x3000), new(0xE004_0000, 0x3000)];

    /// <param name="build">The chip, and the firmware whose link decides which peripherals of an RP2040 are out of reset.</param>
    public static ImmutableArray<MemoryRange> Of(FirmwareBuild build)
    {
        var chip = build.Chip;
        var ram = new MemoryRange(chip.RamBase, Math.Max(chip.RamEnd - chip.RamBase, 0x1000));
        return chip.Family switch
        {
            VirtualFamily.F0 =>
            [
                .. Core, ram, new(0x4000_0000, 0x8000), new(0x4001_0000, 0x5C00), new(0x4002_0000, 0x4400), new(0x4800_0000, 0x1800),
                new(chip.Machine == "STM32F042" ? 0x1FFF_C400u : 0x1FFF_C800, chip.Machine == "STM32F042" ? 0x3400u : 0x3000),
                new(0x1FFF_F800, 0x10),
            ],
            VirtualFamily.F1 =>
            [
                .. DebugCore, ram, new(0x4000_0000, 0x8000), new(0x4001_0000, 0x8400), new(0x4002_0000, 0x3400), new(0x1FFF_F000, 0x810),
            ],
            VirtualFamily.F2 or VirtualFamily.F4 =>
            [
                .. DebugCore, ram, new(0x4000_0000, 0x8000), new(0x4001_0000, 0x6C00), new(0x4002_0000, 0x6_0000),
                new(0x5000_0000, 0x6_0C00), new(0x1FFF_0000, 0x7A10), new(0x1FFF_C000, 0x10),
                .. chip.Machine is "STM32F405" or "STM32F407" or "STM32F429" ? [new(0x1000_0000, 0x1_0000)] : Array.Empty<MemoryRange>(),
            ],
            VirtualFamily.F7 =>
            [
                .. DebugCore, ram, new(0, 0x4000), new(0x4000_0000, 0x8000), new(0x4001_0000, 0x7800), new(0x4002_0000, 0x6_0000),
                new(0x5000_0000, 0x6_0C00), new(0x1FF0_0000, 0xEDC0), new(0x1FF0_F000, 0x420),
            ],
            VirtualFamily.G0 =>
            [
                .. Core, ram, new(0x4000_0000, 0xC000), new(0x4001_0000, 0x5C00), new(0x4002_0000, 0x6400), new(0x5000_0000, 0x1800),
                new(0x1FFF_0000, 0x7400), new(0x1FFF_7500, 0x380),
            ],
            VirtualFamily.G4 =>
            [
                .. DebugCore, ram, new(0x1000_0000, 0x2800), new(0x4000_0000, 0xB000), new(0x4001_0000, 0x6C00), new(0x4002_0000, 0x3800),
                new(0x4800_0000, 0x2000), new(0x5000_0000, 0x6_0C00), new(0x1FFF_0000, 0x7400), new(0x1FFF_7500, 0x330),
            ],
            VirtualFamily.L4 =>
            [
                .. DebugCore, ram, new(0x1000_0000, 0x2000), new(0x4000_0000, 0x9800), new(0x4001_0000, 0x6400), new(0x4002_0000, 0x4400),
                new(0x4800_0000, 0x2000), new(0x5004_0000, 0x2_0C00), new(0x1FFF_0000, 0x7400), new(0x1FFF_7500, 0x330),
            ],
            VirtualFamily.H7 =>
            [
                .. DebugCore, ram, new(0, 0x1_0000), new(0x2400_0000, chip.Machine == "STM32H723" ? 0x5_0000u : 0x8_0000),
                new(0x3000_0000, chip.Machine == "STM32H723" ? 0x8000u : 0x4_8000), new(0x3800_0000, 0x4000),
                new(0x4000_0000, 0x1_0000), new(0x4001_0000, 0x7800), new(0x4002_0000, 0x6_0000), new(0x4802_0000, 0x2800),
                new(0x5000_0000, 0x4000), new(0x5100_0000, 0x100_9000), new(0x5800_0000, 0x2_6800), new(0x5C00_0000, 0x2_0000),
                new(0x1FF0_0000, 0x2_0000),
            ],
            VirtualFamily.Rp2040 => [.. Core, ram, .. Rp2040(build)],
            VirtualFamily.Rp2350 => [.. DebugCore, ram, .. Rp2350(build)],
            VirtualFamily.Lpc176x =>
            [
                .. DebugCore, new(0x1000_0000, 0x8000), new(0x2007_C000, 0x8000), new(0x2009_C000, 0x4000), new(0x1FFF_0000, 0x2000),
                new(0x4000_0000, 0x10_0000), new(0x5000_0000, 0x20_0000),
            ],
            VirtualFamily.Hc32f460 =>
            [
                .. DebugCore, new(0x1FFF_8000, 0x2_F000), new(0x200F_0000, 0x1000), new(0x4000_0000, 0x10_0000), new(0x0300_0C00, 0x300),
            ],
            VirtualFamily.Samd21 or VirtualFamily.Samc21 =>
            [
                .. Core, ram, new(0x0080_0000, 0xA100), new(0x4000_0000, 0x1_0000), new(0x4100_0000, 0x1_0000), new(0x4200_0000, 0x1_0000),
                new(0x6000_0000, 0x200),
            ],
            VirtualFamily.Samd51 =>
            [
                .. DebugCore, ram, new(0x0080_0000, 0x8000), new(0x4000_0000, 0x1_0000), new(0x4100_0000, 0x4_0000),
                new(0x4200_0000, 0x1_0000), new(0x4300_0000, 0x1_0000), new(0x4700_0000, 0x2000),
            ],
            VirtualFamily.Sam3 => [.. DebugCore, ram, new(0x2007_0000, 0x1_8000), new(0x0010_0000, 0x1_0000), new(0x4000_0000, 0xE_2000)],
            VirtualFamily.Sam4 => [.. DebugCore, ram, new(0x0080_0000, 0x8000), new(0x4000_0000, 0xE_2000)],
            VirtualFamily.Same70 =>
            [
                .. DebugCore, new(0x2000_0000, 0x2_0000), new(0x2040_0000, 0x6_0000), new(0x0080_0000, 0x8000), new(0x4000_0000, 0xE_2000),
            ],
            _ => [],
        };
    }

    /// <summary>
    /// The peripherals that Klipper takes out of reset (src/rp2040/main.c, clock_setup, and the drivers of its link) and those without
    /// reset, each 16 KiB; a read of another one faults.
    /// </summary>
    private static IEnumerable<MemoryRange> Rp2040(FirmwareBuild build)
    {
        yield return new(0, 0x4000);                 // ROM
        yield return new(0x1400_0000, 0x4000);       // XIP_CTRL
        yield return new(0x1500_0000, 0x4000);       // its cache as RAM
        yield return new(0x1800_0000, 0x4000);       // SSI
        yield return new(0xD000_0000, 0x180);        // SIO
        uint[] blocks =
        [
            0x4000_8000, 0x4000_C000, 0x4001_0000, 0x4001_4000, 0x4001_8000, 0x4001_C000, 0x4002_0000, 0x4002_4000, 0x4002_8000,
            0x4002_C000, 0x4005_4000, 0x4005_8000, 0x4006_0000, 0x4006_4000, .. ByLink(build, 0x4003_4000, 0x4003_8000),
        ];
        foreach (var block in blocks)
            yield return new(block, 0x4000);
    }

    /// <inheritdoc cref="Rp2040"/>
    private static IEnumerable<MemoryRange> Rp2350(FirmwareBuild build)
    {
        yield return new(0, 0x8000);
        yield return new(0x1800_0000, 0x4000);
        yield return new(0xD000_0000, 0x400);
        uint[] blocks =
        [
            0x4001_0000, 0x4001_8000, 0x4002_0000, 0x4002_8000, 0x4003_0000, 0x4003_8000, 0x4004_0000, 0x4004_8000, 0x4005_0000,
            0x4005_8000, 0x400B_0000, 0x400D_8000, 0x4010_8000, .. ByLink(build, 0x4007_0000, 0x4007_8000),
        ];
        foreach (var block in blocks)
            yield return new(block, 0x4000);
    }

    private static IEnumerable<uint> ByLink(FirmwareBuild build, uint uart0, uint uart1) => build.Link.Kind switch
    {
        FirmwareLinkKind.Uart =>
            [build.Link.Pins is "gpio1,gpio0" or "gpio13,gpio12" or "gpio17,gpio16" or "gpio29,gpio28" ? uart0 : uart1],
        FirmwareLinkKind.Can => [0x5020_0000],
        FirmwareLinkKind.CanBridge => [0x5020_0000, 0x5010_0000, 0x5011_0000],
        _ => [0x5010_0000, 0x5011_0000],
    };
}

/// <param name="Start">First address.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct MemoryRange(uint Start, uint Length)
{
    public bool Contains(uint address, int size) => address >= Start && address - Start + (ulong)size <= Length;
}
