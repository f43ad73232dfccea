using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Boards;

/// <summary>
/// The boards that an installed Klipper describes (<c>config/generic-*.cfg</c> and the like), RatOS's and those built in, by their pins.
/// A board that people wired up with them is known by its pins, though it says no name.
/// </summary>
/// <param name="Configs">One for each MCU of a file that has pins.</param>
public sealed record KlipperBoardConfigs(ImmutableArray<KlipperBoardConfig> Configs)
{
    /// <summary>Klipper has some 220 of them with 0.7 MB together, RatOS 50; the largest has 27 KB.</summary>
    private const int MaxFiles = 1000, MaxFile = 64 * 1024, MaxTogether = 2 * 1024 * 1024;

    /// <summary>Without any tree.</summary>
    public static KlipperBoardConfigs BuiltIn { get; } = new(BuiltInPins.Boards);

    /// <summary>The boards of Klipper's tool for cards.</summary>
    public FlashSdCardBoards FlashSdCard { get; init; } = FlashSdCardBoards.None;

    /// <summary>What could not be read.</summary>
    public ImmutableArray<Finding> Findings { get; init; } = [];

    /// <summary>Reads both trees.</summary>
    /// <param name="klipper">Klipper's checkout; null for none.</param>
    /// <param name="ratOs">RatOS's boards; null for none.</param>
    public static KlipperBoardConfigs Load(string? klipper, RatOsCatalogue? ratOs)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        var together = new WorkBudget(MaxTogether);
        var configs = ImmutableArray.CreateBuilder<KlipperBoardConfig>();
        var tool = FlashSdCardBoards.None;
        if (klipper is not null)
        {
            var folder = Path.Combine(klipper, "config");
            foreach (var file in FilesIn(folder, findings))
            {
                if (ReadText(file, together, findings) is { } text)
                    configs.AddRange(Read(Path.GetFileName(file), text));
            }
            var boards = Path.Combine(klipper, "scripts", "spi_flash", "board_defs.py");
            if (configs.Count > 0 && ReadText(boards, together, findings) is { } defs)
                tool = FlashSdCardBoards.Read(defs);
        }
        var installed = ratOs is null ? [] : new RatOsPins(text => ReadText(text, together, findings)).Read(ratOs).ToList();
        configs.AddRange(installed);
        configs.AddRange(BuiltInPins.Boards.Where(board => !installed.Exists(other => other.File == board.File)));
        return new(configs.ToImmutable()) { FlashSdCard = tool, Findings = findings.ToImmutable() };
    }

    /// <summary>The boards of one of Klipper's files.</summary>
    /// <param name="file">Its name.</param>
    /// <param name="text">Its content.</param>
    public static IEnumerable<KlipperBoardConfig> Read(string file, string text)
    {
        var head = ConfigHead.Read(text);
        var name = KlipperBoardConfig.NameOf(Path.GetFileNameWithoutExtension(file), head.Text);
        return PinSet.Of(ConfigSection.Read(text, withCommented: true, new WorkBudget(MaxFile))).Values
            .Where(pins => pins.Weight > 0).Select(pins => new KlipperBoardConfig(file, name, head.Chips, pins, head));
    }

    /// <summary>The board that has these pins; null where none has enough of them, or they are too few to tell.</summary>
    /// <param name="pins">Those that a printer uses of one MCU.</param>
    /// <param name="chip">Its chip by Klipper's name; null where it is not known.</param>
    public PinMatch? Match(PinSet pins, string? chip)
    {
        var all = pins.Weight;
        if (all < PinMatch.LeastWeight)
            return null;
        var (best, most) = (new List<KlipperBoardConfig>(), 0);
        foreach (var config in Configs)
        {
            // Boards with other chips share pins, so the chip comes first. A file that names no chip describes no board of a known one.
            if (chip is not null && !config.Has(chip))
                continue;
            var weight = config.WeightOf(pins);
            if (weight > most)
                (best, most) = ([config], weight);
            else if (weight == most && weight > 0)
                best.Add(config);
        }
        return most < PinMatch.LeastScore * all ? null : MatchOf([.. best], (double)most / all, all, chip);
    }

    private PinMatch MatchOf(ImmutableArray<KlipperBoardConfig> best, double score, int weight, string? chip)
    {
        // RatOS's own description of a board that Klipper describes too says nothing new.
        var ofKlipper = best.Where(config => config.Head is not null).ToList();
        best = best.RemoveAll(config => config.Head is null
            && ofKlipper.Exists(other => other.WeightOf(config.Pins) >= PinMatch.LeastScore * config.Pins.Weight));
        best = [.. best.OrderByDescending(config => config.IsOfBoard).DistinctBy(config => config.File)];
        var heads = best.Select(config => config.Head?.About(chip) ?? new()).ToList();
        var cards = best.Where(config => config.Head is not null).SelectMany(config => CardsOf(config, chip)).ToImmutableArray();
        var isOneCard = cards.DistinctBy(card => card.File).Count() < 2;
        // Without the chip there is one at least that all of them may have.
        var mayBeOne = chip is not null || best[0].Chips.Any(named => best.All(config => config.Has(named)));
        var boards = chip is null ? [] : best.Select(config => FlashSdCard.NameOf(Path.GetFileNameWithoutExtension(config.File), chip))
            .Distinct().ToList();
        var isOne = mayBeOne && Said(heads, head => head.CardFile).Count < 2
            && Said(heads, head => (object?)head.BootloaderOffset).Count < 2 && Said(heads, head => (object?)head.CrystalHz).Count < 2;
        return new(best, score, weight, chip)
        {
            Name = isOne ? PinMatch.Joined([.. best.Select(config => config.Name).Distinct()]) : null,
            Head = new()
            {
                BootloaderOffset = (int?)Common(heads, head => (object?)head.BootloaderOffset),
                CrystalHz = (int?)Common(heads, head => (object?)head.CrystalHz),
                CardFile = isOneCard && !cards.IsEmpty ? cards[0].File : null,
                InitialPins = Common(heads, head => head.InitialPins),
                DisablesSwd = heads.TrueForAll(head => head.DisablesSwd),
                Links = [.. heads[0].Links.Where(link => heads.TrueForAll(head => head.Links.Contains(link)))],
            },
            CardCandidates = isOneCard ? [] : cards,
            FlashSdCardBoard = boards is [{ } one] ? one : null,
        };
    }

    /// <summary>The files by a configuration: each that it names, for each of its chips.</summary>
    private static IEnumerable<CardCandidate> CardsOf(KlipperBoardConfig config, string? chip)
    {
        foreach (var about in chip is null ? config.Chips : [chip])
        {
            var facts = config.Head!.About(about);
            var files = facts.CardFiles.IsEmpty ? (CardFile?[])[null] : [.. facts.CardFiles];
            foreach (var file in files)
                yield return new(file, config.Name, about, facts.BootloaderOffset);
        }
    }

    /// <summary>What the heads say of a thing; a head that says nothing contradicts none.</summary>
    private static List<T> Said<T>(List<HeadFacts> heads, Func<HeadFacts, T?> get)
        where T : class => [.. heads.Select(get).OfType<T>().Distinct()];

    private static T? Common<T>(List<HeadFacts> heads, Func<HeadFacts, T?> get)
        where T : class => Said(heads, get) is [var only] ? only : null;

    // ---- the files

    private static readonly string[] Prefixes = ["generic-", "printer-", "kit-", "sample-"];

    private static List<string> FilesIn(string folder, ImmutableArray<Finding>.Builder findings)
    {
        try
        {
            var files = Directory.EnumerateFiles(folder, "*.cfg")
                .Where(file => Prefixes.Any(prefix => Path.GetFileName(file).StartsWith(prefix, StringComparison.Ordinal)))
                .Take(MaxFiles + 1).Order(StringComparer.Ordinal).ToList();
            if (files.Count > MaxFiles)
                findings.Add(Unread(folder, $"it has more than {MaxFiles} configurations of boards"));
            return files.Count > MaxFiles ? files[..MaxFiles] : files;
        }
        catch (Exception why) when (why is IOException or UnauthorizedAccessException)
        {
            findings.Add(Unread(folder, why is DirectoryNotFoundException ? "it is not there" : why.Message.TrimEnd('.')));
            return [];
        }
    }

    /// <summary>A file that is ordinary and not too large; null for any other.</summary>
    private static string? ReadText(string path, WorkBudget together, ImmutableArray<Finding>.Builder findings)
    {
        try
        {
            var info = new FileInfo(path);
            // A link may lead anywhere; a pipe has no length, and opening one waits for ever.
            if (!info.Exists || info.LinkTarget is not null || info.Length is 0 or > MaxFile || together.IsSpent)
                return null;
            if (!together.TrySpend(info.Length))
            {
                findings.Add(Unread(Path.GetDirectoryName(path)!, $"its files have more than {MaxTogether >> 20} MiB together"));
                return null;
            }
            using var stream = info.OpenRead();
            var bytes = new byte[info.Length];
            return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
        }
        catch (Exception why) when (why is IOException or UnauthorizedAccessException)
        {
            findings.Add(Unread(path, why.Message.TrimEnd('.')));
            return null;
        }
    }

    private static Finding Unread(string where, string why) =>
        Finding.Of(FindingSeverity.Note, BoardFaults.PinsUnread(DataDictionary.Clean(where), why));
}
