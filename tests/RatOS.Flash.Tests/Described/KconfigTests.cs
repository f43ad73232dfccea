using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Chips;

namespace RatOS.Flash.Tests.Described;

/// <summary>All that Klipper's Kconfig offers for a chip can be written by its facts.</summary>
public sealed class KconfigTests
{
    /// <summary>But for the N32G455, which no firmware tells apart from the N32G452.</summary>
    public static TheoryData<string> Chips => [.. KconfigChip.All.Select(chip => chip.ToString()).Where(name => name != "MACH_N32G455")];

    [Theory]
    [MemberData(nameof(Chips))]
    public void Its_starts_and_its_ram_are_known(string name)
    {
        var chip = Chip(name);
        if (chip.Machine[0] == "MACH_AVR")
            return;
        var mcu = Mcu.Find(chip.Mcu);
        Assert.NotNull(mcu);
        Assert.True(mcu.IsRamEnd(KconfigChip.Address(chip.RamEnd!)), chip.RamEnd);
        // Several chips may share a name: an F103, its small variant and the N32G45x.
        var offered = KconfigChip.All.Where(other => other.Mcu == chip.Mcu)
            .SelectMany(other => other.Starts.Values.Append(other.Start).OfType<string>()).Select(KconfigChip.Address);
        Assert.Equal(offered.Distinct().Order(), mcu.Offsets.Select(offset => mcu.FlashBase + offset).Order());
    }

    [Theory]
    [MemberData(nameof(Chips))]
    public void Every_choice_can_be_written(string name)
    {
        var chip = Chip(name);
        var links = chip.Links.SelectMany(link => Transports(chip, link.Key, link.Value))
            .DefaultIfEmpty((new(BuildLink.Uart), [])).ToList();
        Assert.All(links, link => Holds(chip, [.. chip.Machine, .. link.Symbols], Facts(chip) with { Link = link.Transport }));
        Assert.All(chip.Starts, start => Holds(
            chip, [start.Key], Facts(chip) with { Link = links[0].Transport, ApplicationStart = KconfigChip.Address(start.Value) }));
        Assert.All(chip.Clocks, clock => Holds(
            chip, [clock.Key], Facts(chip) with
            {
                Link = links[0].Transport,
                ClockFrequency = clock.Value[0],
                ClockReference = clock.Value is [_, var crystal] ? crystal : ReferenceOf(clock.Key),
            }));
    }

    private static void Holds(KconfigChip chip, string[] symbols, BoardFacts facts)
    {
        var config = BuildConfig.For(BoardProfile.Of(Board.Unknown("board")).With(facts), usbSerial: null);
        var written = Kconfig.Parse(config.Text);
        Assert.All(symbols, symbol => Assert.Equal((symbol, "y"), (symbol, written.GetValueOrDefault(symbol))));
        // Of each choice no other: the last one would win.
        var choices = ((IEnumerable<string>[])[chip.Links.Keys, chip.Bridges, chip.Starts.Keys])
            .Select(choice => choice.Count(symbol => written.GetValueOrDefault(symbol) == "y"));
        Assert.All(choices, count => Assert.InRange(count, 0, 1));
    }

    private static KconfigChip Chip(string name) => KconfigChip.All.Single(chip => chip.ToString() == name);

    private static BoardFacts Facts(KconfigChip chip) => new(FactSource.Board, "its running firmware")
    {
        Chip = chip.Mcu,
        StackEnd = chip.RamEnd is { } end ? KconfigChip.Address(end) : null,
        ApplicationStart = chip.Starts.Values.Append(chip.Start).FirstOrDefault() is { } start ? KconfigChip.Address(start) : null,
    };

    /// <summary>In Hz, of a SAM D/E/C, which has no CLOCK_REF_FREQ.</summary>
    private static int? ReferenceOf(string symbol) => symbol switch
    {
        "CLOCK_REF_X32K" => 32_768,
        "CLOCK_REF_X12M" => 12_000_000,
        "CLOCK_REF_X25M" => 25_000_000,
        "CLOCK_REF_INTERNAL" => 1,
        _ => null,
    };

    private static IEnumerable<(BuildTransport Transport, string[] Symbols)> Transports(KconfigChip chip, string symbol, string kind)
    {
        switch (kind)
        {
            case "usb":
                yield return (new(BuildLink.Usb, After(symbol, "_USB_")), [symbol]);
                break;
            case "uart":
                yield return (new(BuildLink.Uart, After(symbol, "_SERIAL_")), [symbol]);
                break;
            case "can":
                yield return (new(BuildLink.Can, After(symbol, "CANBUS_") ?? "4_5"), [symbol]);
                break;
            default:
                foreach (var pins in chip.Bridges)
                    yield return (new(BuildLink.UsbCanBridge, After(pins, "CANBUS_"), 500_000), [symbol, pins]);
                if (chip.Bridges.Length == 0)
                    yield return (new(BuildLink.UsbCanBridge, "4_5", 500_000), [symbol]);
                break;
        }
    }

    private static string? After(string symbol, string part) =>
        symbol.IndexOf(part, StringComparison.Ordinal) is >= 0 and var at ? symbol[(at + part.Length)..] : null;
}
