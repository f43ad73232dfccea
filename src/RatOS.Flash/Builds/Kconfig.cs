using System.Collections.Immutable;
using System.Globalization;

namespace RatOS.Flash.Builds;

/// <summary>A parsed .config. Every line is an assignment, a symbol that is not set, or a comment.</summary>
internal static class Kconfig
{
    /// <summary>Real ones have 3 to 6 KiB.</summary>
    public const int MaxLength = 64 * 1024;

    private const string Prefix = "CONFIG_";
    private const string NotSet = " is not set";

    /// <summary>Symbols that Klipper computes and uses as paths or in a shell: a file may not set them.</summary>
    private static readonly string[] Computed = ["BOARD_DIRECTORY", "MCU", "AVR_BUILD_MCU", "RP2040_STAGE2_FILE", "AVRDUDE_PROTOCOL"];

    /// <summary>Symbols without CONFIG_, values as Kconfig writes them (a text in quotes); <c>n</c> for what is not set.</summary>
    /// <exception cref="FormatException">With the reason.</exception>
    public static ImmutableSortedDictionary<string, string> Parse(string text)
    {
        if (text.Length > MaxLength)
            throw new FormatException($"it is longer than {MaxLength / 1024} KiB");
        var symbols = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var whole in text.Split('\n'))
        {
            number++;
            var line = whole.Trim();
            if (line.Length == 0)
                continue;
            if (line[0] == '#')
            {
                // An ordinary comment.
                if (line[1..].TrimStart() is var rest && rest.EndsWith(NotSet, StringComparison.Ordinal)
                    && rest.StartsWith(Prefix, StringComparison.Ordinal)
                    && rest[Prefix.Length..^NotSet.Length] is var unset && IsName(unset))
                    symbols[unset] = "n";
                continue;
            }
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !line.StartsWith(Prefix, StringComparison.Ordinal) || !IsName(line[Prefix.Length..equals]))
                throw new FormatException($"line {number} is not an assignment of a CONFIG_ symbol");
            symbols[line[Prefix.Length..equals]] = Value(line[(equals + 1)..], number);
        }
        return symbols.ToImmutable();
    }

    /// <summary>
    /// Writes an equal .config. Its values go through make, which expands a '$', and in places through a shell:
    /// <see cref="Parse"/> accepts nothing that either could interpret.
    /// </summary>
    public static string Write(IEnumerable<KeyValuePair<string, string>> symbols) =>
        string.Concat(symbols.Where(symbol => !Computed.Contains(symbol.Key))
        .Select(symbol => symbol.Value == "n" ? $"# {Prefix}{symbol.Key}{NotSet}\n" : $"{Prefix}{symbol.Key}={symbol.Value}\n"));

    /// <summary>Numbers are equal in hexadecimal and decimal, everything else by its text.</summary>
    public static bool Same(string one, string other)
    {
        (one, other) = (Unquoted(one), Unquoted(other));
        return one == other || (Number(one) is { } a && Number(other) is { } b && a == b);
    }

    /// <summary>Characters of a value: no quotes, nothing that make or a shell interprets.</summary>
    public static bool IsPlain(string value) =>
        value.All(c => char.IsAsciiLetterOrDigit(c) || " _-+.,:!^~/@=".Contains(c, StringComparison.Ordinal));

    private static long? Number(string text) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex) ? hex : null
            : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>A value without the quotes that a text has in a .config.</summary>
    public static string Unquoted(string value) => value.Length >= 2 && value[0] == '"' && value[^1] == '"' ? value[1..^1] : value;

    public static string Quoted(string text) => $"\"{text}\"";

    private static string Value(string text, int line) =>
        IsPlain(Unquoted(text)) ? text
            : throw new FormatException($"line {line} has a value that make or a shell could take for a command");

    private static bool IsName(string name) => name.Length is > 0 and <= 100 && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_');
}
