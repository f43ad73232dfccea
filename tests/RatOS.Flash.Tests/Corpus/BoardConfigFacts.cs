using System.Text;
using System.Text.Json.Nodes;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Tests.Corpus;

/// <summary>
/// <c>board-configs.jsonl</c>: the statements of Klipper's configurations about boards, as data: chips, features, and what heads say. So
/// the tests need no tree. <c>RATOS_FLASH_WRITE_CONFIGS=KLIPPER:BOARDS</c> makes it again from a checkout of Klipper, and
/// <c>board-pins.json</c> of the product from RatOS's folder of boards; boards of other origin stay in that.
/// </summary>
internal static class BoardConfigFacts
{
    private const string Variable = "RATOS_FLASH_WRITE_CONFIGS";

    private static readonly string File = CorpusFiles.Path("board-configs.jsonl");

    private static readonly Lazy<KlipperBoardConfigs> Loaded = new(() =>
    {
        if (Environment.GetEnvironmentVariable(Variable)?.Split(':') is [var klipper, var boards])
        {
            WriteConfigs(KlipperBoardConfigs.Load(klipper, null));
            WritePins(KlipperBoardConfigs.Load(null, RatOsCatalogue.Load(boards)));
        }
        return new KlipperBoardConfigs([.. System.IO.File.ReadLines(File).Select(Read), .. BuiltInPins.Boards]);
    });

    public static KlipperBoardConfigs Configs => Loaded.Value;

    private static void WriteConfigs(KlipperBoardConfigs real)
    {
        var configs = real.Configs.Where(config => config.Head is not null && !config.Chips.IsEmpty).ToList();
        System.IO.File.WriteAllLines(File, configs.Select(config => new JsonObject
        {
            ["file"] = config.File,
            ["name"] = config.Name,
            ["chips"] = string.Join(' ', config.Chips),
            ["head"] = string.Join(' ', config.Chips.Select(chip => Sentence(chip, config.Head!.About(chip)))),
            ["pins"] = string.Join(", ", config.Pins.Features),
        }.ToJsonString()));
        // What is kept must lead to the same.
        foreach (var (kept, config) in System.IO.File.ReadLines(File).Select(Read).Zip(configs))
        {
            Assert.Equal(config.Pins.Features, kept.Pins.Features);
            Assert.All(config.Chips, chip => Assert.Equal(
                Sentence(chip, config.Head!.About(chip)), Sentence(chip, kept.Head!.About(chip))));
        }
    }

    private static void WritePins(KlipperBoardConfigs real)
    {
        var lines = real.Configs.OrderBy(board => board.File, StringComparer.Ordinal).Select(board => new JsonObject
        {
            ["id"] = board.File,
            ["name"] = board.Name,
            ["chip"] = board.Chips[0],
            ["pins"] = string.Join(", ", board.Pins.Features),
        }.ToJsonString());
        System.IO.File.WriteAllText(
            Path.Combine(TidyTests.Root, "src", "RatOS.Flash", "Boards", "board-pins.json"),
            $"{{\"boards\": [\n{string.Join(",\n", lines)}\n]}}\n");
    }

    private static KlipperBoardConfig Read(string line)
    {
        var json = JsonNode.Parse(line)!;
        return new(
            (string)json["file"]!, (string)json["name"]!, [.. ((string)json["chips"]!).Split(' ')],
            new PinSet([.. ((string)json["pins"]!).Split(", ").Select(feature => PinFeature.TryParse(feature)!.Value)]),
            ConfigHead.Read($"# {(string)json["head"]!}"));
    }

    /// <summary>What is known, in the words that heads have for it, as one sentence about one chip.</summary>
    private static string Sentence(string chip, HeadFacts facts)
    {
        var words = new StringBuilder(chip);
        if (facts.BootloaderOffset is { } offset)
            words.Append(offset == 0 ? " no bootloader" : $" {offset / 1024}KiB{(offset % 1024 == 512 ? " + 512 byte" : "")}");
        if (facts.CrystalHz is { } crystal)
            words.Append($" {crystal / 1_000_000}MHz crystal");
        words.Append(string.Concat(facts.Links.Select(link => $" {link}")));
        if (facts.InitialPins is { } pins)
            words.Append($" startup to \"{pins}\"");
        words.Append(facts.DisablesSwd ? " Disable SWD" : "");
        if (facts.CardFile is { } card)
        {
            words.Append($" card {card.Name}{(card.NeedsNewName ? " must not match the last" : "")}")
                .Append(card.Folder is { } folder ? $" card called \"{folder}\"" : "")
                .Append(card.Encoding switch
                {
                    CardEncoding.MksRobin => " update_mks_robin",
                    CardEncoding.Chitu => " update_chitu",
                    CardEncoding.SRecord => " -O srec",
                    _ => "",
                });
        }
        return words.Append('.').ToString();
    }
}
