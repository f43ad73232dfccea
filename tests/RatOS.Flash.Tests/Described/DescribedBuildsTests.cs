using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;

namespace RatOS.Flash.Tests.Described;

/// <summary>Real builds of Klipper come back from what they tell of themselves and leave in the registers of their chips.</summary>
public sealed class DescribedBuildsTests
{
    private const string SameCode = "the same machine code as the crystal that comes back: the divider is a whole number";
    /// <summary>What does not come back, and why. Nothing else may differ.</summary>
    private static readonly Dictionary<string, (string Symbol, string Reason)> Lost = new(StringComparer.Ordinal)
    {
        ["f103-uart3-8000-8m-swd"] = ("STM32F103GD_DISABLE_SWD", "its bits in AFIO_MAPR are write-only (RM0008)"),
        ["n32g455-can-pb8-2000-8m"] = ("MACH_N32G455", "the dictionary and the registers of a G452 are the same"),
        ["f072-usb-2000-20m"] = ("STM32_CLOCK_REF_20M", SameCode),
        ["f446-usb-8000-25m"] = ("STM32_CLOCK_REF_25M", SameCode),
        ["f765-usb-20000-25m"] = ("STM32_CLOCK_REF_25M", SameCode),
        ["g0b1-usb-2000-25m"] = ("STM32_CLOCK_REF_25M", SameCode),
    };

    /// <summary>Symbols of this Klipper. A configuration may also set those of v0.12, which it ignores.</summary>
    private static readonly HashSet<string> Known =
        [.. DescribedBuild.All.SelectMany(build => build.Config.Keys), .. KconfigChip.Symbols];

    public static TheoryData<string> Builds => [.. DescribedBuild.All.Select(build => build.Name)];

    [Fact]
    public void They_are_of_all_links_and_families()
    {
        Assert.True(DescribedBuild.All.Count >= 60, $"{DescribedBuild.All.Count} builds");
        Assert.All(
            (string[])["USBSERIAL", "SERIAL", "CANSERIAL", "USBCANBUS"],
            link => Assert.Contains(DescribedBuild.All, build => build.Derived.ContainsKey(link)));
        Assert.All(
            (string[])[
                "stm32f0", "stm32f1", "stm32f2", "stm32f4", "stm32f7", "stm32g0", "stm32g4", "stm32h7", "stm32l4", "rp2040", "rp2350",
                "lpc17", "HC32", "samd21", "samc21", "samd51", "same5", "sam3", "sam4", "same70", "atmega", "at90usb"],
            family => Assert.Contains(DescribedBuild.All, build => build.Constants["MCU"].StartsWith(family, StringComparison.Ordinal)));
        Assert.All(Lost.Keys, name => Assert.Contains(DescribedBuild.All, build => build.Name == name));
    }

    [Theory]
    [MemberData(nameof(Builds))]
    public async Task Its_configuration_comes_back(string name)
    {
        var build = DescribedBuild.All.Single(build => build.Name == name);
        var config = await ConfigAsync(build);
        var written = Kconfig.Parse(config.Text);

        var missing = build.Needed.Where(symbol => !written.ContainsKey(symbol));
        var wrong = written.Where(symbol => build.Config.TryGetValue(symbol.Key, out var value)
            ? !Kconfig.Same(symbol.Value, value) : symbol.Value != "n" && Known.Contains(symbol.Key));
        var differs = missing.Concat(wrong.Select(symbol => $"{symbol.Key}={symbol.Value}")).ToList();
        if (!Lost.TryGetValue(name, out var lost))
            Assert.Empty(differs);
        else
            Assert.Contains(differs, symbol => symbol.StartsWith(lost.Symbol, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Builds))]
    public async Task What_is_declared_comes_true_in_its_build(string name)
    {
        var build = DescribedBuild.All.Single(build => build.Name == name);
        var config = await ConfigAsync(build);
        Assert.All(
            config.Declared.Where(symbol => symbol.Value != "n" && !Lost.ContainsKey(name)),
            symbol => Assert.True(
                Kconfig.Same(
                    symbol.Value, build.Derived.GetValueOrDefault(symbol.Symbol) ?? build.Config.GetValueOrDefault(symbol.Symbol, "n")),
                $"{symbol.Symbol} is {symbol.Value}"));
    }

    /// <summary>Where a Klipper tree is named, its own olddefconfig is the judge, of every symbol.</summary>
    [Theory]
    [MemberData(nameof(Builds))]
    public async Task Klipper_completes_it_to_the_same_configuration(string name)
    {
        var tree = Environment.GetEnvironmentVariable("RATOS_FLASH_KLIPPER");
        Assert.SkipUnless(tree is not null, "RATOS_FLASH_KLIPPER names no Klipper tree");
        Assert.SkipWhen(Lost.ContainsKey(name), "not all of it comes back");
        var build = DescribedBuild.All.Single(build => build.Name == name);
        var config = await ConfigAsync(build);
        Assert.Equal(await CompletedAsync(tree, build.ConfigText), await CompletedAsync(tree, config.Text));
    }

    /// <summary>The derived configuration. A bridge that cannot tell its bitrate (an RP2040's CAN is software) is answered for.</summary>
    private static async Task<BuildConfig> ConfigAsync(DescribedBuild build)
    {
        var board = new DescribedBoard(build);
        var asked = await board.AskAsync();
        if (asked.Link is { Value: { Link: BuildLink.UsbCanBridge, Rate: null } })
        {
            Assert.StartsWith("rp2", asked.Chip!.Value, StringComparison.Ordinal);
            var rate = int.Parse(build.Config["CANBUS_FREQUENCY"], CultureInfo.InvariantCulture);
            asked = asked.With(new BoardFacts(FactSource.User, "your answer") { Link = new(BuildLink.UsbCanBridge, Rate: rate) });
        }
        return BuildConfig.For(asked, build.Derived.ContainsKey("USBSERIAL") ? board.UsbSerial : null);
    }

    private static async Task<string> CompletedAsync(string tree, string config)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, config);
            var start = new ProcessStartInfo("make", ["-s", "-C", tree, $"KCONFIG_CONFIG={file}", "olddefconfig"])
            {
                RedirectStandardOutput = true,
                UseShellExecute = false,
            };
            using var make = Process.Start(start)!;
            await make.StandardOutput.ReadToEndAsync();
            await make.WaitForExitAsync();
            Assert.Equal(0, make.ExitCode);
            return await File.ReadAllTextAsync(file);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [MemberData(nameof(Builds))]
    public void Its_vectors_stand_at_its_start_and_end_its_ram(string name)
    {
        var build = DescribedBuild.All.Single(build => build.Name == name);
        if (build.Start is not { } start || !build.Words.TryGetValue(start, out var stack))
            return;
        Assert.Equal(build.RamEnd, stack);
        Assert.Equal(1u, build.Words[start + 4] % 2);
    }
}
