using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Boards;

/// <summary>
/// What the comment at the head of one of Klipper's configurations says about the board. People wrote it for people, so this is the
/// weakest source: shown beside what the board says, never instead of it.
/// </summary>
/// <param name="Text">The comment.</param>
/// <param name="Chips">All chips that it names, by the beginning of Klipper's names: <c>stm32f446</c>.</param>
public sealed partial record ConfigHead(string Text, ImmutableArray<string> Chips)
{
    private const int LongestHead = 8192;
    private const int MatchLimit = 10_000;   // milliseconds; the expressions are linear in the text

    private readonly ImmutableArray<Statement> _statements = [];

    private ConfigHead(string text, ImmutableArray<Statement> statements)
        : this(text, [.. statements.SelectMany(statement => statement.Chips).Distinct(StringComparer.Ordinal)]) =>
        _statements = statements;

    /// <summary>Reads the comment above the first section.</summary>
    public static ConfigHead Read(string config)
    {
        var text = HeadOf(config);
        var statements = ImmutableArray.CreateBuilder<Statement>();
        ImmutableArray<string> last = [];   // the chips that were named last, in any sentence
        foreach (var sentence in SentenceEnd().Split(text))
        {
            var chips = ImmutableArray<string>.Empty;
            var end = 0;
            foreach (var token in Tokens().EnumerateMatches(sentence))
            {
                var match = Tokens().Match(sentence, token.Index, token.Length);
                if (match.Groups["chip"] is { Success: true } chip)
                {
                    // "STM32F446, STM32F429, or an STM32H723" are named together.
                    var isList = !chips.IsEmpty && Between().IsMatch(sentence[end..token.Index]);
                    chips = isList ? chips.Add(ChipOf(chip.Value)) : [ChipOf(chip.Value)];
                    (last, end) = (chips, token.Index + token.Length);
                    statements.Add(new(chips, HeadWord.Chip, ""));
                    continue;
                }
                if (Said(match) is not var (word, value))
                    continue;
                // A bootloader, a crystal and an encoding go with a chip; the rest with the board, unless the sentence is about one chip.
                var about = !chips.IsEmpty ? chips : word is HeadWord.Offset or HeadWord.Crystal or HeadWord.Encoding ? last : [];
                statements.Add(new(about, word, value));
            }
        }
        return new(text, statements.ToImmutable());
    }

    /// <summary>It names this chip.</summary>
    /// <param name="chip">By Klipper's name.</param>
    public bool Names(string chip) => Chips.Any(named => IsSame(named, chip));

    /// <summary>What it says about the board with this chip; things that it says twice and differently are left out.</summary>
    /// <param name="chip">By Klipper's name; null for any.</param>
    public HeadFacts About(string? chip)
    {
        var said = _statements.Where(statement => statement.Chips.IsEmpty || chip is null
            || statement.Chips.Any(named => IsSame(named, chip))).ToList();
        var names = Values(HeadWord.File).Where(name => !name.StartsWith("klipper.", StringComparison.Ordinal))
            .Distinct(StringComparer.OrdinalIgnoreCase).ToList();
        var folders = Values(HeadWord.Folder).DefaultIfEmpty().ToList();
        var isNew = Values(HeadWord.NewName).Any();
        var isCard = Text.Contains("card", StringComparison.OrdinalIgnoreCase);
        var encodings = Values(HeadWord.Encoding).ToList();
        return new()
        {
            BootloaderOffset = Only(HeadWord.Offset) is { } offset ? int.Parse(offset, CultureInfo.InvariantCulture) : null,
            CrystalHz = Only(HeadWord.Crystal) is { } crystal ? int.Parse(crystal, CultureInfo.InvariantCulture) * 1_000_000 : null,
            Links = [.. Values(HeadWord.Link)],
            InitialPins = Only(HeadWord.InitialPins),
            DisablesSwd = Values(HeadWord.DisableSwd).Any(),
            CardFiles = !isCard || encodings.Count > 1 ? []
                : [.. from name in isNew ? (string?[])[null] : [.. names]
                      from folder in folders
                      select new CardFile(name)
                      {
                          Folder = folder,
                          NeedsNewName = isNew,
                          Encoding = encodings is [var one] ? Enum.Parse<CardEncoding>(one) : CardEncoding.None,
                      }],
        };

        IEnumerable<string> Values(HeadWord word) =>
            said.Where(statement => statement.Word == word).Select(statement => statement.Value).Distinct(StringComparer.Ordinal);

        string? Only(HeadWord word) => Values(word).ToList() is [var only] ? only : null;
    }

    /// <summary>Two names of one chip: the comments leave out package and size, <c>lpc176x</c> is each of them.</summary>
    internal static bool IsSame(string named, string chip)
    {
        var one = named.AsSpan().TrimEnd('x');
        var other = chip.AsSpan().TrimEnd('x');
        return one.StartsWith(other, StringComparison.OrdinalIgnoreCase) || other.StartsWith(one, StringComparison.OrdinalIgnoreCase);
    }

    private static string HeadOf(string config)
    {
        var head = new StringBuilder();
        foreach (var line in config.AsSpan().EnumerateLines())
        {
            var bare = line.TrimStart("# \t").TrimEnd();
            if ((line.Length > 0 && line[0] != '#') || bare is ['[', ..] || ConfigOption().IsMatch(line) || head.Length > LongestHead)
                break;
            // An empty line ends a sentence that has no full stop.
            head.Append(bare.IsEmpty ? "\n" : bare).Append(' ');
        }
        return head.ToString(0, Math.Min(head.Length, LongestHead)).Trim();
    }

    private static string ChipOf(string word) => word.ToLowerInvariant() switch
    {
        var due when due.StartsWith("arduino", StringComparison.Ordinal) => "sam3x8e",
        var pru when pru.StartsWith("beaglebone", StringComparison.Ordinal) => "pru",
        var chip => chip,
    };

    private static (HeadWord Word, string Value)? Said(Match match)
    {
        foreach (var (group, word) in Words)
        {
            if (match.Groups[group] is not { Success: true } found)
                continue;
            return (word, word switch
            {
                HeadWord.Offset when group == "none" => "0",
                HeadWord.Offset when group == "start" => $"{int.Parse(found.Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture)}",
                HeadWord.Offset =>
                    $"{(int.Parse(found.Value, CultureInfo.InvariantCulture) * 1024) + (match.Groups["plus"].Success ? 512 : 0)}",
                HeadWord.Link => WhiteSpace().Replace(found.Value, " "),
                HeadWord.InitialPins => WhiteSpace().Replace(found.Value, ""),
                HeadWord.File => found.Value[(found.Value.LastIndexOf('/') + 1)..],
                HeadWord.Encoding => group switch { "mks" => "MksRobin", "chitu" => "Chitu", _ => "SRecord" },
                _ => found.Value,
            });
        }
        return null;
    }

    private static readonly (string Group, HeadWord Word)[] Words =
    [
        ("kib", HeadWord.Offset), ("none", HeadWord.Offset), ("start", HeadWord.Offset), ("mhz", HeadWord.Crystal), ("link", HeadWord.Link),
        ("pins", HeadWord.InitialPins), ("swd", HeadWord.DisableSwd), ("mks", HeadWord.Encoding), ("chitu", HeadWord.Encoding),
        ("srec", HeadWord.Encoding), ("file", HeadWord.File), ("folder", HeadWord.Folder), ("new", HeadWord.NewName),
    ];

    // "v1.0" ends no sentence.
    [GeneratedRegex("""(?<=[.:!])\s+(?=[-A-Z"./])|\s*\n\s*""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(
        """
        \b(?<chip>stm32[a-z]\d[\da-z]\d|lpc176[\dx]|rp2\d{3}|hc32f\d{3}|sam(3x8[ec]|4[es]8[a-z]|[dce]\d\d[a-z\d]*)
            |at(mega|90usb)\d+p?|arduino\s+due|beaglebone\s+pru)\b
        |\b(?<kib>\d{1,3})\s?Ki?B\b(?<plus>\s*\+\s*512\s+byte)?
        |\b(?<none>no\s+bootloader)\b
        |\boffset\s+at\s+0x80(?<start>[\da-f]{5})\b
        |\b(?<mhz>\d{1,2})\s?MHz"?\s+(crystal|clock)
        |\b(?<link>(USB|CAN\s+bus|serial)\s+\((on\s)?[^)]{3,40}\)|USB\s+communication)
        |\bstartup"?(\s+set)?\s+to\s+"(?<pins>[!\w.,\s]{2,80})"
        |(?<swd>\bDisable\s+SWD\b)
        |(?<mks>\bupdate_mks_robin\b)|(?<chitu>\bupdate_chitu\b)|(?<srec>-O\s+srec\b)
        |(?<file>[\w./-]{1,60}\.(bin|cbd))\b
        |\b(directory\s+named|card\s+called)\s+"(?<folder>[\w-]{1,32})"
        |\b(?<new>must\s+not\s+match\s+the\s+last)\b
        """,
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase | RegexOptions.IgnorePatternWhitespace | RegexOptions.CultureInvariant,
        MatchLimit)]
    private static partial Regex Tokens();

    [GeneratedRegex("""^["\s,]*(or|and)?\s*(an?\s)?["\s]*$""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Between();

    [GeneratedRegex("^#?[a-z_0-9]+:", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex ConfigOption();

    [GeneratedRegex(@"\s+", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex WhiteSpace();

    private enum HeadWord
    {
        Chip,
        Offset,
        Crystal,
        Link,
        InitialPins,
        DisableSwd,
        Encoding,
        File,
        Folder,
        NewName,
    }

    /// <param name="Chips">The chips that it is about; none for the board with any.</param>
    private sealed record Statement(ImmutableArray<string> Chips, HeadWord Word, string Value);
}

/// <summary>What the head of a configuration says about a board with one chip; null where it says nothing.</summary>
public sealed record HeadFacts
{
    /// <summary>Bytes below the application, as menuconfig offers them; 0 for no bootloader.</summary>
    public int? BootloaderOffset { get; init; }

    public int? CrystalHz { get; init; }

    /// <summary>In menuconfig's words: <c>USB (on PA11/PA12)</c>, <c>serial (on USART1 PA10/PA9)</c>.</summary>
    public ImmutableArray<string> Links { get; init; } = [];

    /// <summary>The file for a card; null for none, and for several.</summary>
    public CardFile? CardFile { get => CardFiles is [var only] ? only : null; init => CardFiles = value is null ? [] : [value]; }

    /// <summary>Every file for a card that it names.</summary>
    public ImmutableArray<CardFile> CardFiles { get; init; } = [];

    /// <summary>As Klipper's INITIAL_PINS has them.</summary>
    public string? InitialPins { get; init; }

    /// <summary>Klipper is built with "Disable SWD at startup" for a GD32F103.</summary>
    public bool DisablesSwd { get; init; }
}
