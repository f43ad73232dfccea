using System.Collections.Immutable;

namespace RatOS.Flash.Boards;

/// <summary>The boards of Klipper's own tool for cards in a running board (<c>scripts/flash-sdcard.sh</c>).</summary>
/// <param name="Chips">By a board's name: its chip, by Klipper's name.</param>
public sealed record FlashSdCardBoards(ImmutableDictionary<string, string> Chips)
{
    private const int MostBoards = 1000;

    public static readonly FlashSdCardBoards None = new(ImmutableDictionary<string, string>.Empty);

    /// <summary>Reads Klipper's <c>scripts/spi_flash/board_defs.py</c>: literals, a board or an alias on a line. It is never run.</summary>
    public static FlashSdCardBoards Read(string python)
    {
        var chips = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        string? board = null;
        foreach (var line in python.AsSpan().EnumerateLines())
        {
            if (Quoted(line, out var after) is not { } name || chips.Count == MostBoards)
                continue;
            var rest = after.TrimStart(": ");
            if (rest is ['{', ..])
                board = name;
            else if (rest.StartsWith("BOARD_DEFS[") && Quoted(rest[10..], out _) is { } of && chips.TryGetValue(of, out var its))
                chips[name] = its;
            else if (name == "mcu" && board is not null && Quoted(rest, out _) is { } chip)
                chips[board] = chip;
        }
        return new(chips.ToImmutable());
    }

    /// <summary>
    /// The name of a board of one of Klipper's configurations; null where none is clearly the same. Makers are written in full there and
    /// short here, chips and <c>.0</c> stand in one of the two.
    /// </summary>
    /// <param name="config">Its file without the ending: <c>generic-bigtreetech-octopus-v1.1</c>.</param>
    /// <param name="chip">Its chip, by Klipper's name.</param>
    public string? NameOf(string config, string chip)
    {
        if (!config.StartsWith("generic-", StringComparison.Ordinal))
            return null;
        var words = WordsOf(config["generic-".Length..], chip);
        var same = Chips.Where(board => board.Value == chip).Select(board => board.Key).Order(StringComparer.Ordinal).ToList();
        var withoutMaker = words[(words.IndexOf('-', StringComparison.Ordinal) + 1)..];
        return same.Find(name => WordsOf(name, chip) == words) ?? same.Find(name => name == withoutMaker);
    }

    private static string WordsOf(string name, string chip) => string.Join('-', name.Split('-')
        .Select(word => word == "bigtreetech" ? "btt" : word.EndsWith(".0", StringComparison.Ordinal) ? word[..^2] : word)
        .Where(word => !(word.Length >= 4 && chip.Contains(word, StringComparison.Ordinal))));

    private static string? Quoted(ReadOnlySpan<char> text, out ReadOnlySpan<char> after)
    {
        after = default;
        var from = text.IndexOfAny('\'', '"');
        if (from < 0 || text[..from].IndexOf('#') >= 0)
            return null;
        var length = text[(from + 1)..].IndexOf(text[from]);
        if (length < 1)
            return null;
        after = text[(from + length + 2)..];
        var name = text.Slice(from + 1, length).ToString();
        return name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') ? name : null;
    }
}
