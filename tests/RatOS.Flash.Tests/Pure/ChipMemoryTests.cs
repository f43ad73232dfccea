using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// What a virtual chip answers to <c>debug_read</c>. The words are written out from Klipper's sources and the reference manuals, by hand.
/// </summary>
public sealed class ChipMemoryTests
{
    private const uint Vtor = 0xE000_ED08;

    private static ClockSource Clock(double megahertz) => megahertz switch
    {
        0 => ClockSource.Internal,
        0.032768 => ClockSource.Crystal32K,
        _ => ClockSource.Crystal((int)megahertz),
    };

    private static ChipMemory Memory(BoardTruth truth)
    {
        var build = truth.Build;
        var flash = new VirtualFlash(build.Chip);
        flash.Preset(build.Start, VirtualFirmware.Build(build, "v0.13.0"));
        return new ChipMemory(flash, Convert.FromHexString("2B0007000C5042553939302031323334"), build);
    }

    [Theory]
    [InlineData("STM32F446", 8, 0x4002_3804u, 0x6740_2D04u)]   // RM0390 6.3.2
    [InlineData("STM32F446", 12, 0x4002_3804u, 0x6740_2D06u)]
    [InlineData("STM32F446", 16, 0x4002_3804u, 0x6740_2D08u)]
    [InlineData("STM32F446", 24, 0x4002_3804u, 0x6740_2D0Cu)]
    [InlineData("STM32F446", 25, 0x4002_3804u, 0x6740_2D0Cu)]
    [InlineData("STM32F446", 0, 0x4002_3804u, 0x6700_2D08u)]
    [InlineData("STM32F407", 8, 0x4002_3804u, 0x0740_2A04u)]   // RM0090 7.3.2
    [InlineData("STM32F405", 12, 0x4002_3804u, 0x0740_2A06u)]
    [InlineData("STM32F429", 25, 0x4002_3804u, 0x0740_5419u)]
    [InlineData("STM32F401", 8, 0x4002_3804u, 0x0741_2A04u)]   // RM0368 6.3.2
    [InlineData("STM32F401", 25, 0x4002_3804u, 0x0741_5419u)]
    [InlineData("STM32F401", 0, 0x4002_3804u, 0x0701_2A08u)]
    [InlineData("STM32F207", 8, 0x4002_3804u, 0x0540_3C08u)]   // RM0033 5.3.2
    [InlineData("STM32F207", 25, 0x4002_3804u, 0x0540_3C19u)]
    [InlineData("STM32F765", 25, 0x4002_3804u, 0x2940_360Cu)]  // RM0410 5.3.2
    [InlineData("STM32F103", 8, 0x4002_1004u, 0x001D_E40Au)]   // RM0008 7.3.2
    [InlineData("STM32F103", 12, 0x4002_1004u, 0x0011_E40Au)]
    [InlineData("STM32F103", 16, 0x4002_1004u, 0x001F_E40Au)]
    [InlineData("STM32F103", 20, 0x4002_1004u, 0x0017_E40Au)]
    [InlineData("STM32F103", 24, 0x4002_1004u, 0x0005_E40Au)]
    [InlineData("STM32F103", 25, 0x4002_1004u, 0x000F_E40Au)]
    [InlineData("STM32F103", 0, 0x4002_1004u, 0x0038_E40Au)]
    [InlineData("N32G452", 8, 0x4002_1004u, 0x0039_E40Au)]
    [InlineData("N32G455", 24, 0x4002_1004u, 0x000D_E40Au)]
    [InlineData("N32G455", 25, 0x4002_1004u, 0x000D_E40Au)]
    [InlineData("STM32F072", 8, 0x4002_1004u, 0x0011_000Au)]   // RM0091 6.4.2
    [InlineData("STM32F072", 12, 0x4002_1004u, 0x0009_000Au)]
    [InlineData("STM32F042", 16, 0x4002_1004u, 0x0005_000Au)]
    [InlineData("STM32F070", 20, 0x4002_1004u, 0x0001_000Au)]
    [InlineData("STM32F070", 24, 0x4002_1004u, 0x0001_000Au)]
    [InlineData("STM32F072", 0, 0x4002_1004u, 0x0000_000Fu)]   // HSI48, because of USB
    [InlineData("STM32F070", 0, 0x4002_1004u, 0x0028_000Au)]
    [InlineData("STM32G0B1", 8, 0x4002_100Cu, 0x5700_3013u)]   // RM0444 5.4.4
    [InlineData("STM32G0B1", 12, 0x4002_100Cu, 0x5700_3023u)]
    [InlineData("STM32G0B1", 25, 0x4002_100Cu, 0x5700_3053u)]
    [InlineData("STM32G0B1", 0, 0x4002_100Cu, 0x5700_3032u)]
    [InlineData("STM32G070", 8, 0x4002_100Cu, 0x5000_3013u)]   // has no PLLQ
    [InlineData("STM32G431", 8, 0x4002_100Cu, 0x0100_5513u)]   // RM0440 7.4.4
    [InlineData("STM32G474", 24, 0x4002_100Cu, 0x0100_5553u)]
    [InlineData("STM32G431", 0, 0x4002_100Cu, 0x0100_5532u)]
    [InlineData("STM32L412", 8, 0x4002_100Cu, 0x0100_2813u)]   // RM0394 6.4.4
    [InlineData("STM32L412", 0, 0x4002_100Cu, 0x0100_2832u)]
    [InlineData("STM32H723", 25, 0x5802_4428u, 0x0000_0052u)]  // RM0468 8.7.11
    [InlineData("STM32H723", 25, 0x5802_4430u, 0x0003_0067u)]
    [InlineData("STM32H723", 8, 0x5802_4430u, 0x0003_0081u)]
    [InlineData("STM32H723", 0, 0x5802_4428u, 0x0000_0100u)]
    [InlineData("STM32H743", 25, 0x5802_4430u, 0x0007_029Fu)]  // RM0433 8.7.13
    [InlineData("STM32H743", 8, 0x5802_4428u, 0x0000_0022u)]
    [InlineData("STM32H743", 8, 0x5802_4430u, 0x0007_02C7u)]
    [InlineData("STM32H750", 25, 0x5802_4430u, 0x0007_02BFu)]
    [InlineData("SAMC21G18", 12, 0x4000_1020u, 0x0000_005Fu)]  // the ratio is the same for both crystals
    [InlineData("SAMC21G18", 25, 0x4000_1020u, 0x0000_005Fu)]
    [InlineData("SAMC21G18", 12, 0x4000_1024u, 0x000B_1010u)]
    [InlineData("SAMC21G18", 25, 0x4000_1024u, 0x0018_1010u)]
    [InlineData("SAMD21G18", 0.032768, 0x4000_0848u, 0x0000_05B8u)]
    [InlineData("SAMD21E18", 0, 0x4000_0824u, 0x0000_0126u)]
    [InlineData("SAMD51P20", 0.032768, 0x4000_1034u, 0x0000_0E4Du)]
    [InlineData("SAME54P20", 25, 0x4000_1034u, 0x0000_002Fu)]
    public void Clock_registers_are_as_Klippers_start_up_code_leaves_them(string machine, double megahertz, uint address, uint expected) =>
        Assert.Equal($"{expected:x8}", $"{Memory(new() { Machine = machine, Clock = Clock(megahertz) }).Read(address, 4):x8}");

    [Theory]
    [InlineData("STM32F446", "PB8,PB9", 1_000_000, 0x4000_641Cu, 0x010C_0002u)]   // RM0390 30.9.2
    [InlineData("STM32F446", "PB5,PB6", 500_000, 0x4000_681Cu, 0x011E_0004u)]
    [InlineData("STM32F429", "PD0,PD1", 1_000_000, 0x4000_641Cu, 0x010B_0002u)]
    [InlineData("STM32F072", "PB8,PB9", 500_000, 0x4000_641Cu, 0x011C_0005u)]
    [InlineData("STM32G0B1", "PD0,PD1", 250_000, 0x4000_641Cu, 0x020F_0C01u)]     // RM0444 36.4.7
    [InlineData("STM32G0B1", "PB0,PB1", 250_000, 0x4000_681Cu, 0x020F_0C01u)]
    [InlineData("STM32G431", "PB8,PB9", 1_000_000, 0x4000_641Cu, 0x0204_0D01u)]
    [InlineData("STM32H723", "PB12,PB13", 500_000, 0x4000_A41Cu, 0x0213_0A00u)]   // RM0468 59.5.7
    [InlineData("STM32H723", "PD0,PD1", 500_000, 0x4000_A01Cu, 0x0213_0A00u)]
    [InlineData("SAME54P20", "PB15,PB14", 1_000_000, 0x4200_041Cu, 0x0202_0C01u)]
    public void Bit_timing_is_that_of_nodes_and_of_bridges(string machine, string pins, int rate, uint address, uint expected)
    {
        var node = Memory(new() { Machine = machine, Link = new(FirmwareLinkKind.Can, pins, rate) });
        var bridge = Memory(new() { Machine = machine, Link = new(FirmwareLinkKind.CanBridge, pins), BridgeRate = rate });
        Assert.Equal((expected, expected), (node.Read(address, 4)!.Value, bridge.Read(address, 4)!.Value));
        Assert.Equal(0u, Memory(new() { Machine = machine }).Read(address, 4));   // a controller without clock
    }

    [Theory]
    [InlineData("STM32F446", 0x0800_8000u)]
    [InlineData("STM32F103", 0x0800_7000u)]
    [InlineData("STM32G0B1", 0x0800_2000u)]
    [InlineData("STM32H743", 0x0802_0000u)]
    [InlineData("LPC1768", 0x0000_4000u)]
    [InlineData("HC32F460", 0x0000_C000u)]
    [InlineData("SAMD21G18", 0x0000_2000u)]
    public void The_vector_table_register_points_to_the_start(string machine, uint start)
    {
        var memory = Memory(new() { Machine = machine, Start = start });
        Assert.Equal(start, memory.Read(Vtor, 4));
        Assert.Equal(KconfigChips.Find(machine).RamEnd, memory.Read(start, 4));
    }

    [Fact]
    public void An_F0_maps_its_copied_vectors_to_0_where_it_has_an_offset()
    {
        var offset = Memory(new() { Machine = "STM32F072", Start = 0x0800_2000 });
        Assert.Equal((0u, 3u), (offset.Read(Vtor, 4)!.Value, offset.Read(0x4001_0000, 4)!.Value));
        Assert.Equal(offset.Read(0x0800_2004, 4), offset.Read(0x2000_0004, 4));
        var plain = Memory(new() { Machine = "STM32F072" });
        Assert.Equal((0u, 0u), (plain.Read(0x4001_0000, 4)!.Value, plain.Read(0x2000_0004, 4)!.Value));
        Assert.Equal(0x10u, Memory(new() { Machine = "STM32F042", IsRemapped = true }).Read(0x4001_0000, 4));
        Assert.Equal(0x13u, Memory(new() { Machine = "STM32F042", IsRemapped = true, Start = 0x0800_1000 }).Read(0x4001_0000, 4));
    }

    [Theory]
    [InlineData("RP2040", 0x1000_0100u, 0x4001_4004u)]
    [InlineData("RP2040", 0x1000_4000u, 0x4001_4004u)]
    [InlineData("RP2350", 0x1000_0000u, 0x4002_8004u)]
    public void An_RP_has_its_vectors_in_RAM_and_only_its_links_pins_have_a_function(string machine, uint start, uint control)
    {
        var uart = Memory(new()
        {
            Machine = machine,
            Start = start,
            Link = new(FirmwareLinkKind.Uart, "gpio13,gpio12", 250_000),
            InitialPins = "!gpio3",
        });
        Assert.Equal(0x2000_0000u, uart.Read(Vtor, 4));
        Assert.Equal(uart.Read(start + 4, 4), uart.Read(0x2000_0004, 4));
        var functions = Enumerable.Range(0, 30).ToDictionary(pin => pin, pin => uart.Read(control + (8 * (uint)pin), 4)!.Value);
        Assert.Equal([12, 13], functions.Where(pin => pin.Value == 2).Select(pin => pin.Key));
        Assert.Equal([3], functions.Where(pin => pin.Value == 5).Select(pin => pin.Key));
        Assert.Equal(27, functions.Values.Count(function => function == 0x1F));
    }

    [Theory]
    [InlineData(Boot2Kind.W25Q080, 0x7A4E_B274u)]
    [InlineData(Boot2Kind.Generic03, 0x0D21_EC2Cu)]
    [InlineData(Boot2Kind.Generic03Div8, 0xADFA_71A0u)]
    public void The_boot_code_has_the_checksum_of_the_real_one(Boot2Kind kind, uint checksum)
    {
        var code = Boot2.StandIn(kind);
        Assert.Equal(checksum, VirtualCrc.OfBootCode(code.AsSpan(0, 252)));
        Assert.Equal(checksum, BitConverter.ToUInt32(code, 252));
    }

    [Fact]
    public void Firmware_without_SWD_reads_like_any_other()
    {
        var truth = new BoardTruth { Machine = "STM32F103", Link = new(FirmwareLinkKind.Can, "PB8,PB9", 500_000) };
        Assert.Equal(0x4000u, Memory(truth).Read(0x4001_0004, 4));
        Assert.Equal(0x4000u, Memory(truth with { DisablesSwd = true }).Read(0x4001_0004, 4));
    }

    [Theory]
    [InlineData("STM32F446", 0x1FFF_7A22u, 512u)]
    [InlineData("STM32F103", 0x1FFF_F7E0u, 128u)]
    [InlineData("STM32F207", 0x1FFF_7A22u, 1024u)]
    [InlineData("STM32F765", 0x1FF0_F442u, 2048u)]
    [InlineData("STM32L412", 0x1FFF_75E0u, 128u)]
    [InlineData("STM32G474", 0x1FFF_75E0u, 512u)]
    [InlineData("STM32H750", 0x1FF1_E880u, 128u)]
    [InlineData("STM32F042", 0x1FFF_F7CCu, 32u)]
    public void The_flash_size_is_a_half_word(string machine, uint address, uint kib) =>
        Assert.Equal(kib, Memory(new() { Machine = machine }).Read(address, 2));

    [Fact]
    public void A_clone_answers_with_its_own_id_and_an_original_F103_with_none()
    {
        Assert.Equal(0u, Memory(new() { Machine = "STM32F103" }).Read(0xE004_2000, 4));
        Assert.Equal(0x1303_0410u, Memory(new() { Machine = "STM32F103", CloneId = 0x1303_0410 }).Read(0xE004_2000, 4));
        Assert.Equal(0u, Memory(new() { Machine = "STM32G0B1" }).Read(0x4001_5800, 4));   // DBGMCU has no clock
    }

    [Theory]
    [InlineData("STM32F103", 0x0802_0000u, 4)]    // behind the flash of a part of 128 KiB
    [InlineData("STM32F103", 0x1FFF_E000u, 4)]
    [InlineData("STM32F103", 0x2000_5000u, 4)]    // behind the RAM
    [InlineData("STM32F401", 0x0804_0000u, 4)]
    [InlineData("STM32H750", 0x0802_0000u, 4)]
    [InlineData("STM32H723", 0x0810_0000u, 4)]    // no second bank
    [InlineData("STM32F446", 0x4001_0002u, 4)]    // a register's half
    [InlineData("STM32F072", 0x0800_0002u, 4)]    // Cortex-M0
    [InlineData("STM32G0B1", 0x0800_0001u, 2)]
    [InlineData("RP2040", 0x1000_0102u, 4)]
    [InlineData("RP2040", 0x4003_C000u, 4)]       // SPI0, in reset
    [InlineData("RP2040", 0x4003_4000u, 4)]       // UART0, in reset in a build for USB
    [InlineData("RP2040", 0x3000_0000u, 4)]
    [InlineData("LPC1768", 0x0008_0000u, 4)]
    [InlineData("HC32F460", 0x0008_0000u, 4)]
    [InlineData("SAMD21G18", 0x0004_0000u, 4)]
    [InlineData("SAMD21G18", 0x0000_0002u, 4)]
    [InlineData("SAME54P20", 0x0010_0000u, 4)]
    public void A_read_that_the_bus_refuses_faults(string machine, uint address, int size) =>
        Assert.Null(Memory(new() { Machine = machine }).Read(address, size));

    [Theory]
    [InlineData("STM32F446", 0x0800_0001u, 4)]    // a Cortex-M4 reads words anywhere in memory
    [InlineData("STM32F446", 0x4000_4400u, 4)]    // a UART without clock
    [InlineData("RP2040", 0x1020_0000u, 4)]       // the flash chip ignores the address line
    [InlineData("STM32F446", 0x2000_0000u, 1)]
    public void A_read_that_the_bus_allows_does_not(string machine, uint address, int size) =>
        Assert.NotNull(Memory(new() { Machine = machine }).Read(address, size));

    [Fact]
    public void Flash_with_ECC_refuses_a_half_written_word()
    {
        foreach (var (machine, faults) in new[] { ("STM32G0B1", true), ("STM32H743", true), ("STM32F446", false), ("STM32F072", false) })
        {
            var build = new BoardTruth { Machine = machine }.Build;
            var flash = new VirtualFlash(build.Chip);
            flash.Program(build.Start, new byte[256], TimeSpan.Zero);
            flash.CutPower(TimeSpan.FromMicroseconds(1));
            Assert.Equal(faults, new ChipMemory(flash, new byte[12], build).Read(build.Start, 4) is null);
        }
    }

    [Fact]
    public void An_AVR_faults_nowhere() => Assert.Equal(0u, Memory(new() { Machine = "atmega2560" }).Read(0xFFFF_FFFF, 4));

    [Fact]
    public void Bytes_and_half_words_are_parts_of_their_word()
    {
        var memory = Memory(new() { Machine = "STM32F446" });
        Assert.Equal(0x6740_2D06u, memory.Read(0x4002_3804, 4));
        Assert.Equal((0x06u, 0x2Du, 0x6740u), (memory.Read(0x4002_3804, 1)!.Value, memory.Read(0x4002_3805, 1)!.Value,
            memory.Read(0x4002_3806, 2)!.Value));
        Assert.Equal(0x0007_002Bu, memory.Read(0x1FFF_7A10, 4));
    }
}
