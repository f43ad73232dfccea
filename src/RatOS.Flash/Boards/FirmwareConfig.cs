using System.Buffers;
using RatOS.Flash.Chips;

namespace RatOS.Flash.Boards;

/// <summary>
/// A <c>firmware.config</c>, read as Kconfig reads one (Klipper lib/kconfiglib/kconfiglib.py, <c>_load_config</c>): blanks behind a value
/// do not count, the last line about a symbol does, and a value of the wrong form is left out. Klipper's Makefile includes this very file,
/// so make would run what stands in a <c>$(shell ...)</c>: a file with a line that is neither an assignment nor a comment is not read at
/// all.
/// </summary>
internal sealed class FirmwareConfig
{
    private const string Prefix = "CONFIG_";
    private const string NotSet = " is not set";
    private const string Machine = "MACH_";
    private const string LettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create(LettersAndDigits + "_");
    private static readonly SearchValues<char> ValueCharacters = SearchValues.Create(LettersAndDigits + "-");
    private static readonly SearchValues<char> TextCharacters = SearchValues.Create(LettersAndDigits + "- _.,:!^~/+");

    /// <summary>What Kconfig makes of the chip.</summary>
    private static readonly string[] OfChip = ["MCU", "FLASH_SIZE", "RAM_SIZE", "STM32_DFU_ROM_ADDRESS"];

    private readonly Dictionary<string, string> _symbols = new(StringComparer.Ordinal);
    private readonly List<string> _machines = [];   // in the order of their last assignment

    /// <exception cref="FormatException">A line is of another kind.</exception>
    public FirmwareConfig(string text)
    {
        var (number, isChanged) = (0, false);
        var lines = new List<string>();
        foreach (var range in text.AsSpan().Split('\n'))
        {
            number++;
            var whole = text.AsSpan(range);
            var line = whole.TrimEnd();
            var kept = Read(line, out var isBad);
            if (isBad)
                throw new FormatException($"line {number} of its firmware.config is nothing that Kconfig writes");
            if (kept is not null)
                lines.Add(kept);
            // Three of RatOS's own files have CR at the ends of their lines.
            isChanged |= kept is null || kept.Length != whole.TrimEnd('\r').Length;
        }
        if (ChosenChip is { } chip && _symbols.GetValueOrDefault("MCU")?.StartsWith(chip.Prefix, StringComparison.Ordinal) != true)
        {
            Chip = chip.Name;
            isChanged |= lines.RemoveAll(line => OfChip.Any(symbol => line.StartsWith($"{Prefix}{symbol}=", StringComparison.Ordinal))) > 0;
        }
        else
        {
            Chip = _symbols.GetValueOrDefault("MCU");
        }
        Text = isChanged ? string.Join('\n', lines) : text;
    }

    /// <summary>The same configuration with nothing in it that Kconfig would leave out; word for word where there is nothing.</summary>
    public string Text { get; }

    /// <summary>
    /// The chip of the choice, such as <c>MACH_STM32F072</c>: Kconfig computes CONFIG_MCU from it, whatever the file says. Without a choice
    /// that is known, CONFIG_MCU; null without either.
    /// </summary>
    public string? Chip { get; }

    /// <summary>A value without quotes; null for a symbol that is not there.</summary>
    public string? this[string symbol] => _symbols.GetValueOrDefault(symbol);

    public bool IsSet(string symbol) => this[symbol] == "y";

    /// <summary>The symbols that are set.</summary>
    public IEnumerable<string> Chosen => _symbols.Where(symbol => symbol.Value == "y").Select(symbol => symbol.Key);

    /// <summary>
    /// Klipper renamed the family in 2024 (Klipper src/rp2040/Kconfig), and for the old name its Kconfig silently takes the first
    /// family.
    /// </summary>
    public static bool IsObsolete(string config) => config.Contains("CONFIG_MACH_RP2040=y", StringComparison.Ordinal)
        && !config.Contains("CONFIG_MACH_RPXXXX=y", StringComparison.Ordinal);

    /// <returns>The line as it counts; null where Kconfig leaves it out.</returns>
    private string? Read(ReadOnlySpan<char> line, out bool isBad)
    {
        isBad = line.IndexOfAny("$`\\\r") >= 0;
        if (isBad || line.Length == 0)
            return "";
        if (line.TrimStart()[0] == '#')
        {
            if (line[0] == '#' && !line.EndsWith(NotSet, StringComparison.Ordinal))
                return line.ToString();
            // Behind other blanks it is a comment like any other.
            if (!line.StartsWith($"# {Prefix}", StringComparison.Ordinal) || line.Length <= Prefix.Length + 2 + NotSet.Length)
                return null;
            Set(line[(Prefix.Length + 2)..^NotSet.Length].ToString(), "n");
            return line.ToString();
        }
        var at = line.IndexOf('=');
        isBad = at <= Prefix.Length || !line.StartsWith(Prefix, StringComparison.Ordinal)
            || line[Prefix.Length..at].TrimEnd() is var name && (name.Length == 0 || name.ContainsAnyExcept(NameCharacters));
        if (isBad)
            return null;
        var value = ValueOf(line[(at + 1)..], out isBad);
        // Kconfig knows no symbol with a blank in its name.
        if (isBad || value is null || line[at - 1] is ' ' or '\t')
            return null;
        var symbol = line[Prefix.Length..at].ToString();
        Set(symbol, value.Trim('"'));
        return $"{Prefix}{symbol}={value}";
    }

    /// <returns>With its quotes; null for none that Kconfig takes.</returns>
    private static string? ValueOf(ReadOnlySpan<char> text, out bool isBad)
    {
        var isText = text.Length > 0 && text[0] == '"';
        var end = isText ? text[1..].IndexOf('"') + 2 : text.IndexOfAny(' ', '\t');
        var value = (isText && end < 2) || end < 0 ? text : text[..end];
        var rest = text[value.Length..].TrimStart();
        var bare = isText ? value.Trim('"') : value;
        isBad = (rest.Length > 0 && rest[0] != '#' && value.Length > 0) || bare.Contains("..", StringComparison.Ordinal)
            || bare.ContainsAnyExcept(isText ? TextCharacters : ValueCharacters);
        return isBad || value.Length == 0 || (isText && end < 2) ? null
            : isText ? value.ToString()
            // Of a bool only the first character counts, so a comment behind it does no harm.
            : value[0] is 'y' or 'n' ? value[..1].ToString()
            : rest.Length > 0 ? null : value.ToString();
    }

    private void Set(string symbol, string value)
    {
        _symbols[symbol] = value;
        if (!symbol.StartsWith(Machine, StringComparison.Ordinal))
            return;
        _machines.Remove(symbol);
        if (value == "y")
            _machines.Add(symbol);
    }

    /// <summary>The chip of the last choice; null where none is known.</summary>
    private (string Prefix, string Name)? ChosenChip
    {
        get
        {
            foreach (var machine in Enumerable.Reverse(_machines))
            {
                var prefix = machine[Machine.Length..].ToLowerInvariant();
                // STM32, STM32F0 and SAM3X are families.
                var isFamily = (prefix.StartsWith("stm32", StringComparison.Ordinal) && prefix.Length < "stm32f072".Length)
                    || _machines.Exists(other => other.Length > machine.Length && other.StartsWith(machine, StringComparison.Ordinal));
                if (!isFamily && Mcu.All.FirstOrDefault(mcu => mcu.Name.StartsWith(prefix, StringComparison.Ordinal)) is { } chip)
                    return (prefix, chip.Name);
            }
            return null;
        }
    }
}
