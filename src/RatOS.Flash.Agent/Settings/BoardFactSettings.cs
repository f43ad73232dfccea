using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Settings;

/// <summary>
/// The single facts of a <c>[board NAME]</c> section: what the board cannot tell, and the user knows. Each is optional, and each is one
/// statement of the user beside what the board says itself.
/// </summary>
internal static class BoardFactSettings
{
    public static readonly ImmutableArray<string> Keys = ["chip", "start", "clock", "link", "card"];

    private const int LeastCrystal = 1_000_000, MostCrystal = 50_000_000;   // Klipper's Kconfig has 8 to 25 MHz
    private const int LeastBaud = 2400, MostBaud = 4_000_000;
    private const int LeastBitrate = 10_000, MostBitrate = 1_000_000;

    /// <summary>The facts of a section; null where it has none.</summary>
    /// <param name="values">The section's values by key.</param>
    /// <param name="where">Where they stand, in words.</param>
    /// <param name="fault">Makes the fault of a key's value, with the reason.</param>
    /// <exception cref="FlashException">A value is invalid.</exception>
    public static BoardFacts? Read(
        IReadOnlyDictionary<string, string> values, string where, Func<string, string, FlashException> fault)
    {
        if (!Keys.Any(key => Value(key) is not null))
            return null;
        var chip = Value("chip") is { } named ? ChipOf(named) : null;
        return new(FactSource.User, where)
        {
            Chip = chip,
            ApplicationStart = Value("start") is { } start ? StartOf(start, chip is null ? null : Mcu.Find(chip)) : null,
            ClockReference = Value("clock") is { } clock ? ClockOf(clock) : null,
            Link = Value("link") is { } link ? LinkOf(link) : null,
            CardFile = Value("card") is { } card ? CardSetting.Parse(card)
                ?? throw fault("card", $"'{Text.Clean(card)}' is no file for a card: {CardSetting.Forms}") : null,
        };

        string? Value(string key) => values.GetValueOrDefault(key) is { Length: > 0 } value ? value : null;

        string ChipOf(string text)
        {
            if (Mcu.Find(text) is { } mcu)
                return mcu.Name;
            var name = text.ToLowerInvariant();
            if (name == "linux" || (name.Length <= 20 && name.All(char.IsAsciiLetterOrDigit) && Mcu.IsAvr(name)))
                return name;
            var near = Mcu.All.Select(known => known.Name).Where(known => FuzzyMatch.IsNear(name, known)).Take(3).ToList();
            throw fault("chip", $"'{Text.Clean(text)}' is no chip by Klipper's name"
                + (near.Count > 0 ? $"; names like it: {string.Join(", ", near)}" : ", such as stm32f446xx or rp2040"));
        }

        uint StartOf(string text, Mcu? mcu)
        {
            var digits = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? text[2..] : text.Length == 8 ? text : "";
            if (!uint.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var start))
                throw fault("start", $"'{Text.Clean(text)}' is no address such as 0x8008000");
            if (mcu is not null && !mcu.Offsets.Contains(start - mcu.FlashBase))
            {
                throw fault("start", $"Klipper builds for no start at {start:x8} on a {mcu.Name}, only for "
                    + string.Join(", ", mcu.Offsets.Select(offset => $"0x{mcu.FlashBase + offset:x}")));
            }
            return start;
        }

        int ClockOf(string text)
        {
            if (text == "internal")
                return 1;
            var (number, factor) = text.EndsWith("MHz", StringComparison.OrdinalIgnoreCase) ? (text[..^3].Trim(), 1_000_000) : (text, 1);
            return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var clock)
                && (long)clock * factor is >= LeastCrystal and <= MostCrystal
                ? clock * factor : throw fault("clock", $"'{Text.Clean(text)}' is no crystal such as 8000000 or 12 MHz, nor `internal`");
        }

        BuildTransport LinkOf(string text)
        {
            var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length > 3)
                throw BadLink(text);
            var kind = words[0].ToLowerInvariant() switch
            {
                "usb" => BuildLink.Usb,
                "uart" => BuildLink.Uart,
                "can" => BuildLink.Can,
                "bridge" => BuildLink.UsbCanBridge,
                _ => throw BadLink(text),
            };
            var result = new BuildTransport(kind);
            foreach (var word in words.Skip(1))
            {
                // An RP2040's pins begin with a digit as well, and have a line between them.
                if (word.All(char.IsAsciiDigit) && result.Rate is null && kind != BuildLink.Usb)
                    result = result with { Rate = RateOf(word, kind) };
                else if (result.Pins is null && word.Length <= 40
                    && word.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_') && !word.All(char.IsAsciiDigit))
                    result = result with { Pins = word };
                else
                    throw BadLink(text);
            }
            return result;
        }

        int RateOf(string word, BuildLink kind)
        {
            var (least, most) = kind == BuildLink.Uart ? (LeastBaud, MostBaud) : (LeastBitrate, MostBitrate);
            return int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var rate) && rate >= least && rate <= most
                ? rate : throw fault("link", $"{Text.Clean(word)} is no rate from {least} to {most}");
        }

        FlashException BadLink(string text) => fault("link", $"'{Text.Clean(text)}' is no link such as `usb`, `usb PB14_PB15`, "
            + "`uart USART2 250000`, `can PB8_PB9 1000000` or `bridge PB8_PB9 1000000`");
    }
}
