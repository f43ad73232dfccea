namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The register contents that Klipper's start-up code leaves behind, forward from the choices of a build as its sources compute them:
/// src/stm32/stm32f0.c to stm32l4.c, src/atsamd/clock.c, samc21_clock.c and samd51_clock.c, src/rp2040/main.c. The bits that hardware adds
/// (ready flags, the clock switch status) are those of the reference manuals named beside each family.
/// </summary>
internal static class StartupCode
{
    private const uint FullUsbSpeed = 48_000_000;

    /// <summary>All registers that are known, by address.</summary>
    public static Dictionary<uint, uint> Registers(FirmwareBuild build)
    {
        var registers = Clock(build).ToDictionary(write => write.Address, write => write.Value);
        foreach (var (address, value) in Others(build).Concat(BitTimingCode.Registers(build)))
            registers[address] = value;
        return registers;
    }

    /// <summary>
    /// Firmware built for one clock reference has the same clock registers as for another: a chip that runs it cannot tell them apart.
    /// </summary>
    public static bool IsSameClock(FirmwareBuild build, ClockSource clock) => build.Chip.Family switch
    {
        // The reference is the core's clock; CLOCK_FREQ is what the build believes.
        VirtualFamily.Avr => build.ClockFrequency == build.Chip.FrequencyAt(clock),
        _ => Clock(build).SequenceEqual(Clock(build with { Clock = clock, ClockFrequency = FrequencyFor(build, clock) })),
    };

    /// <summary>On an F1 the clock reference decides about CLOCK_FREQ; elsewhere the build does.</summary>
    private static long FrequencyFor(FirmwareBuild build, ClockSource clock) =>
        build.Chip.Family == VirtualFamily.F1 ? build.Chip.FrequencyAt(clock) : build.ClockFrequency;

    /// <summary>The registers that depend on the clock reference.</summary>
    private static IEnumerable<(uint Address, uint Value)> Clock(FirmwareBuild build) => build.Chip.Family switch
    {
        VirtualFamily.F0 => F0(build),
        VirtualFamily.F1 => F1(build),
        VirtualFamily.F2 or VirtualFamily.F4 or VirtualFamily.F7 => F4(build),
        VirtualFamily.G0 => G0(build),
        VirtualFamily.G4 or VirtualFamily.L4 => G4(build),
        VirtualFamily.H7 => H7(build),
        VirtualFamily.Samd21 => Samd21(build),
        VirtualFamily.Samc21 => Samc21(build),
        VirtualFamily.Samd51 => Samd51(build),
        _ => [],
    };

    private static (uint Frequency, uint Reference, bool IsInternal) Of(FirmwareBuild build) =>
        ((uint)build.ClockFrequency, (uint)build.Clock.Hertz, build.Clock.IsInternal);

    /// <summary>RCC_CR of F0, F1, F2, F4 and F7: HSI on and ready with its usual trim, PLL and crystal on and ready.</summary>
    private static uint CrOf(bool isInternal, bool hasPll) => 0x83u | (hasPll ? 0x0300_0000u : 0) | (isInternal ? 0 : 0x0003_0000u);

    // RM0091: SW 1:0, SWS 3:2, PLLSRC 16:15, PLLMUL 21:18.
    private static IEnumerable<(uint, uint)> F0(FirmwareBuild build)
    {
        const uint rcc = 0x4002_1000, hsi14Ready = 0x3, hsi48Ready = 0x0003_0000;
        var (frequency, reference, isInternal) = Of(build);
        var hasHsi48 = isInternal && build.HasUsb && build.Chip.Machine is "STM32F042" or "STM32F072";
        uint cfgr;
        if (hasHsi48)
            cfgr = 0b1111;
        else if (isInternal)
            cfgr = ((((frequency / 8_000_000) * 2) - 2) << 18) | 0b1010;
        else
            cfgr = (2u << 15) | (((frequency / reference) - 2) << 18) | 0b1010;
        yield return (rcc, CrOf(isInternal, hasPll: !hasHsi48));
        yield return (rcc + 0x04, cfgr);
        yield return (rcc + 0x30, 0x10u | (!hasHsi48 && build.HasUsb ? 0x80u : 0));   // CFGR3: I2C1SW, USBSW
        yield return (rcc + 0x34, hsi14Ready | (hasHsi48 ? hsi48Ready : 0));   // no write ends an oscillator in use
    }

    // RM0008: SW 1:0, SWS 3:2, PPRE1 10:8, PPRE2 13:11, ADCPRE 15:14, PLLSRC 16, PLLXTPRE 17, PLLMUL 21:18.
    private static IEnumerable<(uint, uint)> F1(FirmwareBuild build)
    {
        const uint rcc = 0x4002_1000, pllSource = 1u << 16, halved = 1u << 17, buses = 0xE400;
        var (frequency, reference, isInternal) = Of(build);
        uint cfgr;
        if (isInternal)
        {
            cfgr = (((frequency / 8_000_000) * 2) - 2) << 18;
        }
        else
        {
            var factor = frequency / (reference / 2);
            cfgr = pllSource;
            if ((factor & 1) != 0 && factor <= 16)
                cfgr |= halved;
            else
                factor /= 2;
            cfgr |= (factor - 2) << 18;
        }
        yield return (rcc, CrOf(isInternal, hasPll: true));
        yield return (rcc + 0x04, cfgr | buses | 0b1010);
    }

    // RM0033, RM0090, RM0368, RM0390, RM0410: PLLM 5:0, PLLN 14:6, PLLP 17:16, PLLSRC 22, PLLQ 27:24, PLLR 30:28.
    private static IEnumerable<(uint, uint)> F4(FirmwareBuild build)
    {
        const uint rcc = 0x4002_3800;
        var (frequency, reference, isInternal) = Of(build);
        var machine = build.Chip.Machine;
        var hasFineStep = machine is "STM32F401" or "STM32F405" or "STM32F407" or "STM32F429" && reference == 25_000_000;
        var step = hasFineStep || machine == "STM32F207" ? 1_000_000u : 2_000_000u;
        var divider = machine == "STM32F401" ? 4u : 2u;
        var vco = frequency * divider;
        var source = isInternal ? 16_000_000 / step : (1u << 22) | (reference / step);
        // A second PLL makes the clock of USB and SDIO.
        var hasPllSai = machine == "STM32F446" || (machine == "STM32F765" && build.HasUsb);
        var lastOutput = machine switch { "STM32F446" => 6u << 28, "STM32F765" => 2u << 28, _ => 0u };
        yield return (rcc, CrOf(isInternal, hasPll: true) | (hasPllSai ? 0x3000_0000u : 0));
        yield return (rcc + 0x04,
            source | ((vco / step) << 6) | (((divider / 2) - 1) << 16) | ((vco / FullUsbSpeed) << 24) | lastOutput);
        yield return (rcc + 0x08, machine == "STM32F401" ? 0x900Au : 0xB40Au);
    }

    // RM0444: PLLSRC 1:0, PLLM 6:4, PLLN 14:8, PLLQEN 24, PLLQ 27:25, PLLREN 28, PLLR 31:29. A G070 has no output Q.
    private static IEnumerable<(uint, uint)> G0(FirmwareBuild build)
    {
        const uint rcc = 0x4002_1000, step = 4_000_000, vco = 192_000_000;
        var (frequency, reference, isInternal) = Of(build);
        var source = isInternal ? 2 | (((16_000_000 / step) - 1) << 4) : 3 | (((reference / step) - 1) << 4);
        var outputQ = build.Chip.Machine == "STM32G070" ? 0 : (1u << 24) | (((vco / FullUsbSpeed) - 1) << 25);
        yield return (rcc, 0x0300_0500u | (isInternal ? 0 : 0x0003_0000u));
        yield return (rcc + 0x08, 0b01_0010);   // CFGR: SW and SWS at PLLRCLK
        yield return (rcc + 0x0C, source | ((vco / step) << 8) | outputQ | (1u << 28) | (((vco / frequency) - 1) << 29));
    }

    // RM0440, RM0394: PLLSRC 1:0, PLLM from 4, PLLN 14:8, PLLREN 24, PLLR 26:25.
    private static IEnumerable<(uint, uint)> G4(FirmwareBuild build)
    {
        const uint rcc = 0x4002_1000, step = 4_000_000;
        var (frequency, reference, isInternal) = Of(build);
        var source = isInternal ? 2 | (((16_000_000 / step) - 1) << 4) : 3 | (((reference / step) - 1) << 4);
        yield return (rcc + 0x08, build.Chip.Family == VirtualFamily.G4 ? 0x240Fu : 0b1111);
        yield return (rcc + 0x0C, source | (((frequency * 2) / step) << 8) | (1u << 24));
    }

    // RM0433, RM0468: PLLSRC 1:0 and DIVM1 9:4; DIVN1 8:0, DIVP1 15:9, DIVQ1 22:16.
    private static IEnumerable<(uint, uint)> H7(FirmwareBuild build)
    {
        const uint rcc = 0x5802_4400;
        var (frequency, reference, isInternal) = Of(build);
        var step = !isInternal && reference == 25_000_000 ? 5_000_000u : 4_000_000u;
        var vco = frequency * (build.Chip.Machine == "STM32H723" ? 1u : 2u);
        yield return (rcc + 0x10, 0b01_1011);   // CFGR: SW and SWS at PLL1
        yield return (rcc + 0x28, isInternal ? (64_000_000 / step) << 4 : 2 | ((reference / step) << 4));
        yield return (rcc + 0x2C, 0x0003_0008);
        yield return (rcc + 0x30, ((vco / step) - 1) | (((vco / (frequency / 4)) - 1) << 16) | (((vco / frequency) - 1) << 9));
    }

    // SAM D21 datasheet 17.8: XOSC32K 14, DFLLCTRL 24, DPLLRATIO 48, DPLLCTRLB 4C.
    private static IEnumerable<(uint, uint)> Samd21(FirmwareBuild build)
    {
        const uint sysctrl = 0x4000_0800;
        if (build.Clock.IsInternal)
        {
            yield return (sysctrl + 0x24, build.HasUsb ? 0x126u : 0x2);
            yield break;
        }
        yield return (sysctrl + 0x14, 0x60E);
        yield return (sysctrl + 0x48, 1_464);   // 48 MHz / 32768 Hz, rounded, less one
        yield return (sysctrl + 0x4C, 0x1000);
    }

    // SAM C21 datasheet 20.8: DPLLRATIO 20, DPLLCTRLB 24. Both crystals are divided to 500 kHz: the ratio is 96 for both.
    private static IEnumerable<(uint, uint)> Samc21(FirmwareBuild build)
    {
        const uint oscctrl = 0x4000_1000;
        var divider = build.Clock.Hertz == 12_000_000 ? 24u : 50u;
        yield return (oscctrl + 0x10, build.Clock.Hertz == 12_000_000 ? 0xB06u : 0xC06u);   // XOSCCTRL: gain 3 or 4
        yield return (oscctrl + 0x20, Rounded(48_000_000, (uint)build.Clock.Hertz / divider) - 1);
        yield return (oscctrl + 0x24, (((divider / 2) - 1) << 16) | (1u << 12) | (1u << 4));
    }

    // SAM D5x/E5x datasheet 28.8: XOSCCTRL1 18, DPLL0RATIO 34, DPLL0CTRLB 38; OSC32KCTRL 29.8: XOSC32K 14.
    private static IEnumerable<(uint, uint)> Samd51(FirmwareBuild build)
    {
        const uint oscctrl = 0x4000_1000, osc32kctrl = 0x4000_1400, locksEarly = 1u << 11;
        var frequency = (uint)build.ClockFrequency;
        if (build.Clock == ClockSource.Crystal32K)
        {
            yield return (osc32kctrl + 0x14, 0x200E);
            yield return (oscctrl + 0x34, Rounded(frequency, 32_768) - 1);
            yield return (oscctrl + 0x38, locksEarly | (1u << 5));
        }
        else if (build.Clock.IsInternal)
        {
            yield return (oscctrl + 0x34, Rounded(frequency, 2_000_000) - 1);
            yield return (oscctrl + 0x38, locksEarly);
        }
        else
        {
            yield return (oscctrl + 0x18, 0x3606);
            yield return (oscctrl + 0x34, Rounded(frequency, 25_000_000 / 10) - 1);
            yield return (oscctrl + 0x38, (4u << 16) | locksEarly | (3u << 5));
        }
    }

    private static uint Rounded(uint value, uint by) => (value + (by / 2)) / by;

    /// <summary>Vector table, pin functions and remaps.</summary>
    private static IEnumerable<(uint Address, uint Value)> Others(FirmwareBuild build)
    {
        const uint vtor = 0xE000_ED08, ram = 0x2000_0000, syscfg = 0x4001_0000, mapr = 0x4001_0004;
        switch (build.Chip.Family)
        {
            case VirtualFamily.F0:
                // A Cortex-M0 has no VTOR: with an offset the vectors are copied, and RAM is mapped to 0 (MEM_MODE).
                yield return (vtor, 0);
                yield return (syscfg, (build.Start == build.Chip.FlashBase ? 0 : 3u) | (build.IsRemapped ? 1u << 4 : 0));
                break;
            case VirtualFamily.F1:
                // The SWJ bits are write-only (RM0008 9.4.2).
                yield return (vtor, build.Start);
                yield return (mapr, RemapOf(build.Link));
                break;
            case VirtualFamily.Rp2040 or VirtualFamily.Rp2350:
                yield return (vtor, ram);
                foreach (var pin in PinFunctions(build))
                    yield return pin;
                break;
            case VirtualFamily.Sam3 or VirtualFamily.Sam4 or VirtualFamily.Same70:
                yield return (vtor, 0);   // nothing sets it, and the chip maps its flash to 0
                break;
            case VirtualFamily.Avr or VirtualFamily.Linux:
                break;
            default:
                // LPC176x, HC32F460 and SAMD: the bootloader below set it (src/lpc176x/main.c and others do not).
                yield return (vtor, build.Start);
                break;
        }
    }

    /// <summary>AFIO_MAPR of an F1 for the pins of its link (src/stm32/stm32f1.c, gpio_peripheral).</summary>
    private static uint RemapOf(FirmwareLink link) => (link.Kind, link.Pins) switch
    {
        (FirmwareLinkKind.Uart, "PB7,PB6") => 1u << 2,
        (FirmwareLinkKind.Uart, "PD6,PD5") => 1u << 3,
        (FirmwareLinkKind.Uart, "PD9,PD8") => 3u << 4,
        (FirmwareLinkKind.Can, "PB8,PB9") => 2u << 13,
        (FirmwareLinkKind.Can, "PD0,PD1") => 3u << 13,
        _ => 0,
    };

    /// <summary>GPIOx_CTRL: no function but that of the link's pins, and the plain output of INITIAL_PINS.</summary>
    private static IEnumerable<(uint, uint)> PinFunctions(FirmwareBuild build)
    {
        const uint none = 0x1F, uart = 2, output = 5, pio0 = 6;
        var (bank, count) = build.Chip.Family == VirtualFamily.Rp2040 ? (0x4001_4000u, 30) : (0x4002_8000u, 48);
        var functions = Enumerable.Repeat(none, count).ToArray();
        Set(build.InitialPins, output);
        Set(build.Link.Pins, build.Link.Kind == FirmwareLinkKind.Uart ? uart : pio0);
        for (var i = 0u; i < count; i++)
            yield return (bank + 4 + (8 * i), functions[i]);

        void Set(string? pins, uint function)
        {
            foreach (var pin in pins?.Split(',') ?? [])
            {
                var name = pin.TrimStart('!');
                if (name.StartsWith("gpio", StringComparison.Ordinal) && int.TryParse(name.AsSpan(4), out var number) && number < count)
                    functions[number] = function;
            }
        }
    }
}
