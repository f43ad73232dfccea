using RatOS.Flash.Boards;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Boards known by their pins from the configurations of a Klipper checkout.</summary>
public sealed class KlipperBoardConfigTests : IDisposable
{
    private readonly DirectoryInfo _klipper = Directory.CreateTempSubdirectory("ratos-flash-configs");

    private const string Pins = """
        [stepper_x]
        step_pin: PB13
        dir_pin: PB12
        enable_pin: !PB14
        [stepper_y]
        step_pin: PB10
        dir_pin: PB2
        enable_pin: !PB11
        [extruder]
        heater_pin: PC8
        sensor_pin: PA0
        """;

    public void Dispose() => _klipper.Delete(recursive: true);

    [Fact]
    public void A_board_is_known_by_its_pins_and_by_what_the_head_of_its_file_says()
    {
        Config("generic-maker-robin-v2.0.cfg", """
            # This file contains common pin mappings for MAKER Robin V2.0 boards. To
            # use this config, the firmware should be compiled for the STM32F103 with a
            # "28KiB bootloader" and serial (on USART3 PB11/PB10) communication. Also,
            # configure "GPIO pins to set at micro-controller startup" to "!PC6,
            # !PD13".

            # The "make flash" command does not work. Run:
            #   ./scripts/update_mks_robin.py out/klipper.bin out/Robin_e3.bin
            # Copy it to an SD card.
            """);
        var match = Load().Match(Board, "stm32f103xe")!;
        Assert.Equal(("MAKER Robin V2.0", 1.0, 12), (match.Name, match.Score, match.Weight));
        Assert.Equal((28 * 1024, null, "!PC6,!PD13"), (match.Head.BootloaderOffset, match.Head.CrystalHz, match.Head.InitialPins));
        Assert.Equal(["serial (on USART3 PB11/PB10)"], match.Head.Links);
        Assert.Equal(new CardFile("Robin_e3.bin") { Encoding = CardEncoding.MksRobin }, match.Head.CardFile);
    }

    [Fact]
    public void Its_facts_never_tell_chip_start_crystal_or_link()
    {
        Config("generic-octo-v1.1.cfg", """
            # For the STM32F446 with a "32KiB bootloader", a "12MHz crystal", USB (on PA11/PA12); "firmware.bin" on an SD card.
            """);
        var facts = Load().Match(Board, "stm32f446xx")!.FactsFor(Board);
        Assert.Equal((FactSource.KlipperConfig, "Octo V1.1"), (facts.Source, facts.KnownAs));
        Assert.Equal(("firmware.bin", 0x0800_8000u), (facts.CardFile?.Name, facts.CardFile?.ApplicationStart));
        Assert.Equal((null, null, null, null), (facts.Chip, facts.ApplicationStart, facts.ClockReference, facts.Link));
        Assert.Equal((null, null, null), (facts.FlashSize, facts.UsbSerial, facts.InitialPins));
    }

    [Fact]
    public void A_start_may_be_said_as_an_address_and_a_card_of_two_forms_is_unknown()
    {
        var head = ConfigHead.Read("""
            # Make firmware for STM32F103 with bootloader offset
            # at 0x8008800 (Chitu v6 Bootloader). Use update_chitu.py for out/update.cbd, and put it onto an SD card.
            """).About("stm32f103xe");
        Assert.Equal((0x8800, CardEncoding.Chitu), (head.BootloaderOffset, head.CardFile?.Encoding));
        Assert.Null(ConfigHead.Read("""
            # For the STM32F103 use update_chitu.py or update_mks_robin.py for out/update.bin, and put it onto an SD card.
            """).About("stm32f103xe").CardFile);
    }

    [Fact]
    public void Another_chip_is_another_board()
    {
        Config("generic-octo.cfg", "# Compile for the STM32F446.\n");
        Assert.Null(Load().Match(Board, "stm32h743xx"));
        Assert.NotNull(Load().Match(Board, null));
    }

    [Fact]
    public void A_bootloader_and_a_crystal_go_with_the_chip_that_they_are_said_of()
    {
        Config("generic-octo.cfg", """
            # It may be an STM32F446, STM32F429, or an STM32H723. For STM32F446 boards use a "32KiB bootloader" and a "12MHz crystal".
            # For STM32F429 boards use a "32KiB bootloader" and an "8MHz crystal". For STM32H723 boards use a "128KiB bootloader".
            """);
        Assert.Equal((32 * 1024, 12_000_000), About("stm32f446xx"));
        Assert.Equal((32 * 1024, 8_000_000), About("stm32f429xx"));
        Assert.Equal((128 * 1024, null), About("stm32h723xx"));
        Assert.Null(Load().Match(Board, "stm32f407xx"));

        (int?, int?) About(string chip) => (Load().Match(Board, chip)!.Head.BootloaderOffset, Load().Match(Board, chip)!.Head.CrystalHz);
    }

    [Fact]
    public void Boards_that_differ_in_what_matters_have_no_name_together()
    {
        Config("generic-one.cfg", "# For the STM32F446 with a \"32KiB bootloader\".\n");
        Config("generic-two.cfg", "# For the STM32F446 with a \"64KiB bootloader\".\n");
        var match = Load().Match(Board, "stm32f446xx")!;
        Assert.Equal((null, null, 2), (match.Name, match.Head.BootloaderOffset, match.Configs.Length));
    }

    [Fact]
    public void Boards_that_differ_in_nothing_that_matters_are_named_together_boards_before_printers()
    {
        Config("printer-maker-mini-2020.cfg", "# For the STM32F446 with a \"32KiB bootloader\".\n");
        Config("generic-two.cfg", "# For the STM32F446 and an SD card with \"firmware.bin\".\n");
        var match = Load().Match(Board, "stm32f446xx")!;
        Assert.Equal(("Two or Maker Mini 2020", 32 * 1024), (match.Name, match.Head.BootloaderOffset));
    }

    private const string Other = "# For the STM32F446 with a \"32KiB bootloader\". Copy it to an SD card";

    [Theory]
    [InlineData("", "Robin.bin mks")]                                // the other one names none: it may be another
    [InlineData(" as \"firmware.bin\"", "Robin.bin mks", "firmware.bin")]
    [InlineData(" as \"one.bin\" or \"two.bin\"", "Robin.bin mks", "one.bin", "two.bin")]
    [InlineData(" in a directory named \"UP\" as \"firmware.bin\"", "Robin.bin mks", "UP/firmware.bin")]
    [InlineData(", under a name that must not match the last", "Robin.bin mks", "*.bin new")]
    public void Boards_that_take_different_files_leave_the_file_open(string form, params string[] values)
    {
        Config("generic-one.cfg",
            "# For the STM32F446 with a \"32KiB bootloader\". Use update_mks_robin.py for out/Robin.bin on an SD card.\n");
        Config("generic-two.cfg", $"{Other}{form}.\n");
        foreach (var chip in (string?[])["stm32f446xx", null])
        {
            var facts = Load().Match(Board, chip)!.FactsFor(Board);
            Assert.Null(facts.CardFile);
            var profile = new BoardProfile("b", Boards.Board.Unknown("b") with { McuName = "stm32f446xx" }, facts);
            Assert.Null(profile.SdCard);
            var question = MissingFact.OfCard(profile)!;
            Assert.Equal("card", question.Fact);
            Assert.Equal(values, question.Choices.Select(choice => choice.Value));
            Assert.Equal("One, encoded for MKS Robin", question.Choices[0].Label);
        }
    }

    [Fact]
    public void A_file_that_the_user_names_is_used_at_the_start_that_its_board_has()
    {
        Config("generic-one.cfg", "# For the STM32F446 with a \"32KiB bootloader\", and \"one.bin\" on an SD card.\n");
        Config("generic-two.cfg", "# For the STM32F446 with a \"64KiB bootloader\", and \"two.bin\" on an SD card.\n");
        var pins = Load().Match(Board, "stm32f446xx")!.FactsFor(Board);
        BoardProfile Told(string card) => new("b", Boards.Board.Unknown("b") with { McuName = "stm32f446xx" }, pins,
            new BoardFacts(FactSource.User, "your answer") { ApplicationStart = 0x0800_8000, CardFile = CardSetting.Parse(card) });
        Assert.Equal(("ONE.BIN", "your answer"), (Told("ONE.BIN").SdCard?.Value.Path, Told("ONE.BIN").SdCard?.Where));
        Assert.Null(Told("two.bin").SdCard);
        Assert.Equal("three.bin", Told("three.bin").SdCard?.Value.Path);
    }

    [Fact]
    public void A_file_that_goes_with_one_chip_is_known_once_the_chip_is()
    {
        Config("generic-one.cfg", """
            # For the STM32F103 or STM32F401. Copy it to an SD card as "firmware.bin". With STM32F401 in a directory named "UP".
            """);
        var facts = Load().Match(Board, null)!.FactsFor(Board);
        string? On(string chip) => new BoardProfile("b", Boards.Board.Unknown("b") with { McuName = chip }, facts).SdCard?.Value.Path;
        Assert.Equal(("firmware.bin", "UP/firmware.bin"), (On("stm32f103xe"), On("stm32f401xc")));
    }

    [Fact]
    public void An_LPC_takes_firmware_bin_unless_boards_with_its_pins_take_other_files()
    {
        Config("generic-one.cfg", "# For the LPC1768, and \"one.bin\" on an SD card.\n");
        Config("generic-two.cfg", "# For the LPC1768.\n");
        BoardProfile With(params BoardFacts[] facts) => new("b", Boards.Board.Unknown("b") with { McuName = "lpc1768" }, facts);
        Assert.Equal("firmware.bin", With().SdCard?.Value.Path);
        Assert.Null(With(Load().Match(Board, "lpc1768")!.FactsFor(Board)).SdCard);
    }

    [Theory]
    [InlineData("firmware.bin", "firmware.bin")]
    [InlineData("STM32F4_UPDATE/firmware.bin", "STM32F4_UPDATE/firmware.bin")]
    [InlineData("Robin_nano35.bin  mks", "Robin_nano35.bin mks")]
    [InlineData("update.cbd chitu", "update.cbd chitu")]
    [InlineData("firmware.srec srec", "firmware.srec srec")]
    [InlineData("*.bin new", "*.bin new")]
    [InlineData("UP/*.bin mks new", "UP/*.bin mks new")]
    [InlineData("", null)]
    [InlineData("*.bin", null)]
    [InlineData("*.bin new new", null)]
    [InlineData("firmware.bin new", null)]
    [InlineData("firmware.bin mks chitu", null)]
    [InlineData("firmware.bin MKS", null)]
    [InlineData("firmware", null)]
    [InlineData(".bin", null)]
    [InlineData("firmware.", null)]
    [InlineData("-f.bin", null)]
    [InlineData("a..b.bin", null)]
    [InlineData("../firmware.bin", null)]
    [InlineData("./firmware.bin", null)]
    [InlineData("/firmware.bin", null)]
    [InlineData("a/b/firmware.bin", null)]
    [InlineData("a\\firmware.bin", null)]
    [InlineData("ä.bin", null)]
    [InlineData("a$b.bin", null)]
    [InlineData("firmware.binary", null)]
    [InlineData("a12345678901234567890123456789.bin", null)]
    public void A_file_for_a_card_is_one_value(string text, string? value)
    {
        var file = CardSetting.Parse(text);
        Assert.Equal(value, file is null ? null : CardSetting.Of(file));
    }

    [Theory]
    [InlineData(0, true)]      // 12 of 12
    [InlineData(1, true)]      // 12 of 14: 0.857
    [InlineData(2, false)]     // 12 of 16: 0.75
    public void A_board_with_other_pins_than_the_file_s_is_known_down_to_a_score(int others, bool isKnown)
    {
        Config("generic-octo.cfg", "# For the STM32F446.\n");
        var more = Enumerable.Range(0, others).Select(i => new PinFeature(PinRole.Heater, $"PE{i}"));
        Assert.Equal(isKnown, Load().Match(new([.. Board.Features, .. more]), "stm32f446xx") is not null);
    }

    [Fact]
    public void Too_few_pins_tell_nothing()
    {
        Config("generic-octo.cfg", "# For the STM32F446.\n");
        Assert.Null(Load().Match(new([.. Board.Features.Skip(1)]), "stm32f446xx"));
    }

    [Fact]
    public void The_debugger_is_switched_off_where_its_pins_are_used()
    {
        Config("generic-octo.cfg", "# For the STM32F103.\n");
        var match = Load().Match(Board, "stm32f103xe")!;
        Assert.Null(match.FactsFor(Board).DisablesSwd);
        Assert.True(match.FactsFor(Board with { UsesDebugPins = true }).DisablesSwd);
        Assert.True(new BoardProfile("b", Boards.Board.Unknown("b"), match.FactsFor(Board with { UsesDebugPins = true })).DisablesSwd);
    }

    [Theory]
    [InlineData("generic-bigtreetech-octopus-v1.1", "stm32f446xx", "btt-octopus-f446-v1.1")]
    [InlineData("generic-bigtreetech-skr-mini-e3-v2.0", "stm32f103xe", "btt-skr-mini-e3-v2")]
    [InlineData("generic-mks-monster8", "stm32f407xx", "monster8")]
    [InlineData("generic-mks-monster8", "stm32f446xx", null)]
    [InlineData("printer-mks-monster8", "stm32f407xx", null)]
    [InlineData("x", "stm32f407xx", null)]
    public void Klipper_s_tool_for_cards_has_names_of_its_own(string config, string chip, string? name) => Assert.Equal(
        name, FlashSdCardBoards.Read("""
            BOARD_DEFS = {
                'btt-skr-mini': {
                    'mcu': "stm32f103xe",
                    "cs_pin": "PA4"
                },
                # 'nothing': {
                'monster8': {
                    'mcu': "stm32f407xx",
                },
                'btt-octopus-f446-v1': {
                    'mcu': "stm32f446xx",
                }
            }
            BOARD_ALIASES = {
                'btt-skr-mini-e3-v2': BOARD_DEFS['btt-skr-mini'],
                'btt-octopus-f446-v1.1': BOARD_DEFS['btt-octopus-f446-v1'],
                'broken': BOARD_DEFS['none'],
            """).NameOf(config, chip));

    [Fact]
    public void A_checkout_without_configurations_is_a_finding_and_the_built_in_boards_remain()
    {
        var configs = Load();
        Assert.Equal(BuiltInPins.Boards, configs.Configs);
        Assert.Equal((FaultKind.PinsUnread, FindingSeverity.Note), (configs.Findings.Single().Kind, configs.Findings.Single().Severity));
    }

    [Fact]
    public void Links_large_files_and_files_of_other_names_are_passed_over()
    {
        Config("example-octo.cfg", "# For the STM32F446.\n");
        File.WriteAllText(PathOf("generic-large.cfg"), new string('#', 200_000));
        File.WriteAllText(Path.Combine(_klipper.FullName, "secret"), $"# For the STM32F446.\n{Pins}");
        File.CreateSymbolicLink(PathOf("generic-link.cfg"), Path.Combine(_klipper.FullName, "secret"));
        File.WriteAllText(PathOf("generic-empty.cfg"), "");
        Assert.Null(Load().Match(Board, "stm32f446xx"));
    }

    [Fact]
    public void A_tree_of_more_text_than_any_klipper_s_is_read_in_part_and_a_finding()
    {
        for (var i = 0; i < 80; i++)
            File.WriteAllText(PathOf($"generic-{i:00}.cfg"), $"# For the STM32F446.\n{Pins}\n{new string('#', 60_000)}\n");
        var configs = Load();
        Assert.NotEmpty(configs.Findings);
        Assert.InRange(configs.Configs.Length, 20 + BuiltInPins.Boards.Length, 79 + BuiltInPins.Boards.Length);
    }

    private KlipperBoardConfigs Load() => KlipperBoardConfigs.Load(_klipper.FullName, null);

    private static PinSet Board => PinSet.Of(ConfigSection.Read(Pins, withCommented: false, new WorkBudget(10_000)))["mcu"];

    private string PathOf(string name) => Path.Combine(_klipper.CreateSubdirectory("config").FullName, name);

    private void Config(string name, string head) => File.WriteAllText(PathOf(name), $"{head}\n{Pins}\n");
}
