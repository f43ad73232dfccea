using RatOS.Flash.Boards;

namespace RatOS.Flash.Tests.Corpus;

/// <summary>Names of the corpus's boards by their pins, against what people wrote beside them.</summary>
public sealed class BoardNameTests
{
    /// <summary>Boards of the corpus that are known by their pins, and those of them that get one name. Fewer are a loss.</summary>
    private const int Known = 106, Named = 101;

    /// <summary>Kinds whose label is no part of the names of Klipper's files.</summary>
    private static readonly Dictionary<string, string> Words = new(StringComparer.Ordinal)
    {
        // Its maker calls the EBB for a Stealthburner SB2209 or SB2240.
        ["btt-ebb"] = "ebb|sb-2209|sb-2240",
        ["btt-ebb36"] = "ebb",
        ["mellow-sht36"] = "sht-36",
        ["btt-ebb-sb2240"] = "ebb-sb|sb-2240",
        // The heads of these printers name the board.
        ["creality-4.2.2"] = "creality-ender3",
        ["tronxy-chitu"] = "tronxy",
        // The label comes from the section's name, "nhk", and both Nitehawks with an RP2040 are called so.
        ["ldo-nitehawk-sb"] = "nitehawk",
    };

    private static readonly List<(CorpusPrinter Printer, CorpusMcu Mcu, PinMatch Match)> Matches =
        [.. from printer in CorpusPrinter.All
            from mcu in printer.Mcus
            where mcu.IsBoard
            let match = BoardConfigFacts.Configs.Match(mcu.PinSet, mcu.Chip)
            where match is not null
            select (printer, mcu, match)];

    [Fact]
    public void No_board_of_the_corpus_gets_a_wrong_name()
    {
        var wrong = from found in Matches
                    where found is { Match.Name: not null, Mcu.Kind: not null }
                    let words = Plain(Words.GetValueOrDefault(found.Mcu.Kind!) ?? WithoutMaker(found.Mcu.Kind!)).Split('|')
                    where !found.Match.Configs.Any(config => words.Any(Plain(config.File).Contains))
                    select $"printer {found.Printer.Number} [{found.Mcu.Section}], {found.Mcu.Kind}: {found.Match.Name}";
        Assert.Equal([], wrong);
    }

    [Fact]
    public void No_fewer_boards_of_the_corpus_are_known_than_before()
    {
        Assert.InRange(Matches.Count, Known, int.MaxValue);
        Assert.InRange(Matches.Count(found => found.Match.Name is not null), Named, int.MaxValue);
    }

    [Fact]
    public void A_board_with_the_pins_of_another_chip_is_not_known() =>
        // Three boards with an H743 share their pins with boards that have an F446 or an H723.
        Assert.DoesNotContain(Matches, found => found.Mcu.Chip == "stm32h743xx");

    [Theory]
    [InlineData("generic-mks-robin-nano-v2.cfg", "stm32f103xe", "Robin_nano35.bin", CardEncoding.MksRobin, false, null)]
    [InlineData("printer-tronxy-x5sa-pro-2020.cfg", "stm32f103xe", "update.cbd", CardEncoding.Chitu, false, null)]
    [InlineData("generic-creality-v4.2.7.cfg", "stm32f103xe", null, CardEncoding.None, true, null)]
    [InlineData("printer-creality-ender5-s1-2023.cfg", "stm32f401xc", null, CardEncoding.None, true, "STM32F4_UPDATE")]
    [InlineData("printer-creality-ender3-s1-2021.cfg", "stm32f103xe", "firmware.bin", CardEncoding.None, false, null)]
    [InlineData("printer-creality-ender3-s1-2021.cfg", "stm32f401xc", "firmware.bin", CardEncoding.None, false, "STM32F4_UPDATE")]
    [InlineData("printer-elegoo-neptune2-2021.cfg", "stm32f103xe", "elegoo.bin", CardEncoding.MksRobin, false, null)]
    [InlineData("printer-elegoo-neptune2-2021.cfg", "stm32f407xx", "elegoo.bin", CardEncoding.None, false, null)]
    [InlineData("generic-th3d-ezboard-v2.0.cfg", "stm32f405xx", "firmware.bin", CardEncoding.SRecord, false, null)]
    public void The_file_for_a_board_s_card_is_kept(
        string file, string chip, string? name, CardEncoding encoding, bool needsNewName, string? folder)
    {
        var config = BoardConfigFacts.Configs.Configs.First(config => config.File == file);
        Assert.Equal(
            new CardFile(name) { Encoding = encoding, NeedsNewName = needsNewName, Folder = folder }, config.Head!.About(chip).CardFile);
    }

    private static string WithoutMaker(string kind) => kind[(kind.IndexOf('-', StringComparison.Ordinal) + 1)..];

    private static string Plain(string name) => name.Replace("-v", "-", StringComparison.OrdinalIgnoreCase);
}
