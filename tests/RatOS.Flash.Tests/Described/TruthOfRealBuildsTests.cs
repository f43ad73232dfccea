using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Described;

/// <summary>Virtual chips have the registers, and virtual firmware the constants, of real builds with the same choices.</summary>
public sealed class TruthOfRealBuildsTests
{
    private const uint Vtor = 0xE000_ED08;
    private const uint Ram = 0x2000_0000;

    public static TheoryData<string> Builds => [.. DescribedBuild.All.Select(build => build.Name)];

    private static DescribedBuild Find(string name) => DescribedBuild.All.Single(build => build.Name == name);

    /// <summary>The board that a build is for, from its configuration.</summary>
    public static BoardTruth TruthOf(DescribedBuild real)
    {
        var machine = real.Config.Where(symbol => symbol.Value == "y" && symbol.Key.StartsWith("MACH_", StringComparison.Ordinal))
            .Select(symbol => symbol.Key[5..]).Where(name => KconfigChips.All.Any(chip => chip.Machine == name))
            .MaxBy(name => name.Length)!;
        var chip = KconfigChips.Find(machine);
        return new BoardTruth
        {
            Machine = machine,
            FlashKib = real.Start >= chip.FlashEnd ? 2048 : null,   // an H750 that has more than its size register says
            Start = real.Start,
            Clock = ClockOf(real, chip),
            ClockFrequency = long.Parse(real.Constants["CLOCK_FREQ"], CultureInfo.InvariantCulture),
            Link = LinkOf(real, chip),
            BridgeRate = int.Parse(real.Config.GetValueOrDefault("CANBUS_FREQUENCY", "1000000"), CultureInfo.InvariantCulture),
            InitialPins = real.Config.GetValueOrDefault("INITIAL_PINS") is { Length: > 0 } pins ? pins : null,
            OptimizesStepEdges = real.Config.GetValueOrDefault("WANT_STEPPER_OPTIMIZED_BOTH_EDGE") == "y",
            DisablesSwd = real.Config.GetValueOrDefault("STM32F103GD_DISABLE_SWD") == "y",
            IsRemapped = real.Config.Any(symbol => symbol.Value == "y" && symbol.Key.EndsWith("_REMAP", StringComparison.Ordinal)),
        };
    }

    private static ClockSource ClockOf(DescribedBuild real, VirtualChip chip) => chip.Family switch
    {
        VirtualFamily.Samd21 or VirtualFamily.Samc21 or VirtualFamily.Samd51 =>
            real.Config.GetValueOrDefault("CLOCK_REF_X32K") == "y" ? ClockSource.Crystal32K
            : real.Config.GetValueOrDefault("CLOCK_REF_X12M") == "y" ? ClockSource.Crystal(12)
            : real.Config.GetValueOrDefault("CLOCK_REF_X25M") == "y" ? ClockSource.Crystal(25) : ClockSource.Internal,
        _ when int.TryParse(real.Derived.GetValueOrDefault("CLOCK_REF_FREQ"), out var hertz) => new(hertz == 1 ? 0 : hertz),
        _ => chip.UsualClock,
    };

    private static FirmwareLink LinkOf(DescribedBuild real, VirtualChip chip)
    {
        int? Number(string name) => real.Constants.TryGetValue(name, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : null;
        var can = real.Constants.GetValueOrDefault("RESERVE_PINS_CAN");
        if (Number("SERIAL_BAUD") is { } baud)
            return new(FirmwareLinkKind.Uart, real.Constants.GetValueOrDefault("RESERVE_PINS_serial") ?? RpPins(real), baud);
        if (Number("CANBUS_BRIDGE") is not null)
            return new(FirmwareLinkKind.CanBridge, can);
        return Number("CANBUS_FREQUENCY") is { } rate ? new(FirmwareLinkKind.Can, can, rate)
            : new(FirmwareLinkKind.Usb, real.Constants.GetValueOrDefault("RESERVE_PINS_USB1") ?? FirmwareLink.UsbOf(chip).Pins);
    }

    /// <summary>RPXXXX_SERIAL_UART1_PINS_4_5: both pins.</summary>
    private static string? RpPins(DescribedBuild real) =>
        real.Config.FirstOrDefault(symbol => symbol.Value == "y" && symbol.Key.Contains("_PINS_", StringComparison.Ordinal)).Key is { } key
        ? string.Join(',', key.Split('_')[^2..].Reverse().Select(pin => $"gpio{pin}")) : null;

    [Theory]
    [MemberData(nameof(Builds))]
    public void Its_registers_are_those_of_a_virtual_chip(string name)
    {
        var real = Find(name);
        var build = TruthOf(real).Build;
        var flash = new VirtualFlash(build.Chip);
        flash.Preset(build.Start, VirtualFirmware.Build(build, "v0.13.0"));
        var memory = new ChipMemory(flash, new byte[16], build);
        var differing = real.Words.Where(word => word.Key >= 0x4000_0000 && !IsOfTheRecorder(build, word.Key, word.Value))
            .Where(word => memory.Read(word.Key, 4) != word.Value)
            .Select(word => $"{word.Key:x8}: {word.Value:x8} in the real build, {memory.Read(word.Key, 4):x8} here");
        Assert.Empty(differing);
        // A copy of the vectors, or none.
        if (real.Words.TryGetValue(Ram + 4, out var copied) && real.Words.TryGetValue(build.Start + 4, out var vector))
            Assert.Equal(copied == vector, memory.Read(Ram + 4, 4) == memory.Read(build.Start + 4, 4));
    }

    /// <summary>
    /// The recorder's core has a VTOR where a Cortex-M0 has none, does not gate the clocks of CAN controllers (their registers keep the
    /// values after reset), and lets HSI48 stop while it is in use. It begins at the vectors of SAM3 and SAM4, whose ROM maps the flash to
    /// 0 instead. RCC_CR of G4, L4 and H7, with flags that both sides guess, is not modelled.
    /// </summary>
    private static bool IsOfTheRecorder(FirmwareBuild build, uint address, uint value) => address switch
    {
        Vtor => build.Chip.Family is VirtualFamily.F0 or VirtualFamily.Sam3 or VirtualFamily.Sam4,
        0x4002_1000 => build.Chip.Family is VirtualFamily.G4 or VirtualFamily.L4,
        0x4002_1034 => build.Chip.Family == VirtualFamily.F0,
        0x5802_4400 => true,
        _ => value is 0x0123_0000 or 0x0600_0A03,
    };

    [Theory]
    [MemberData(nameof(Builds))]
    public void Its_constants_are_those_of_virtual_firmware(string name)
    {
        var real = Find(name);
        var build = TruthOf(real).Build;
        using var packed = new MemoryStream(VirtualDictionary.Compressed(build, "v1", "gcc"));
        using var zlib = new ZLibStream(packed, CompressionMode.Decompress);
        using var json = JsonDocument.Parse(zlib);
        var ours = json.RootElement.GetProperty("config").EnumerateObject()
            .ToDictionary(constant => constant.Name, constant => constant.Value.ToString(), StringComparer.Ordinal);
        Assert.Equal(Of(real.Constants), Of(ours));

        static IEnumerable<string> Of(IReadOnlyDictionary<string, string> constants) => constants
            .Where(constant => constant.Key is not ("ADC_MAX" or "PWM_MAX" or "STATS_SUMSQ_BASE" or "RESERVE_PINS_adc")
                && !constant.Key.StartsWith("BUS_PINS_", StringComparison.Ordinal))
            .Select(constant => $"{constant.Key}={constant.Value}").Order(StringComparer.Ordinal);
    }
}
