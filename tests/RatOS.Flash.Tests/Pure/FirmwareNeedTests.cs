using System.Text;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Whether a board needs a flash: reason by reason, and each reason's opposite.</summary>
public sealed class FirmwareNeedTests
{
    private const string Old = "v0.12.0-0-g98ec63a", New = "v0.12.0-1-gbbad17d";

    /// <summary>As a real Klipper said it (recorded: transcript 06).</summary>
    private const string Complaint =
        "MCU Protocol error\n\nThis is frequently caused by running an older version of the\nfirmware on the MCU(s). Fix by recompiling "
        + "and flashing the\nfirmware.\n\n"
        + "Your Klipper version is: v0.12.0-1-gbbad17d\nMCU(s) which should be updated:\nmcu: Current version "
        + "v0.12.0-0-g98ec63a\ntoolboard_t0: Current version v0.11.0-5-g1234567\n"
        + "Up-to-date MCU(s):\nrpi: Current version v0.12.0-1-gbbad17d\n\nOnce the underlying issue is corrected, use the \"RESTART\"\n"
        + "command to reload the config and restart the host software.\n\nmcu 'mcu': Unable to encode: allocate_oids";

    private static DataDictionary Dictionary(
        string version = Old, string commands = "\"identify offset=%u count=%c\":1,\"reset\":-8",
        string responses = "\"identify_response offset=%u data=%.*s\":0",
        string enumerations = "{\"pin\":{\"PA0\":[0,16],\"PB0\":[16,16]}}",
        string config = "\"MCU\":\"stm32f446xx\",\"CLOCK_FREQ\":180000000") =>
        DataDictionary.Parse(Images.Compress(Encoding.UTF8.GetBytes(
            $$"""{"version":"{{version}}","commands":{ {{commands}} },"responses":{ {{responses}} },"""
            + $$""" "enumerations":{{enumerations}},"config":{ {{config}} } }""")));

    private static NeedEvidence Known => new() { Section = "mcu", Running = Old, Host = New, State = "ready" };

    private static void Is(NeedLevel level, string words, NeedEvidence known)
    {
        var need = FirmwareNeed.Of(known);
        Assert.Contains(words, need.Reason, StringComparison.Ordinal);
        Assert.Equal(level, need.Level);
        Assert.EndsWith(".", need.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_complaint_of_Klipper_requires_the_board_that_it_is_about()
    {
        var known = Known with { State = "error", Message = Complaint, ChangedPaths = [] };
        Is(NeedLevel.Required, "Unable to encode: allocate_oids", known);
        // Listed because its version differs, but Klipper did not fail at it.
        Is(NeedLevel.Needless, "Only files of Klipper's host changed",
            known with { Section = "mcu toolboard_t0", Running = "v0.11.0-5-g1234567" });
        Is(NeedLevel.Needless, "same version as Klipper", known with { Section = "mcu rpi", Running = New });
    }

    [Fact]
    public void A_deprecation_by_Klipper_is_a_reason_unless_the_same_sources_would_lack_it_again()
    {
        const string words = "Klipper says that this board's firmware is older than it will support: it lacks i2c_transfer.";
        var known = Known with { MissingFeatures = ["i2c_transfer"] };
        Is(NeedLevel.Useful, words, known);
        Is(NeedLevel.Useful, $"{words} Firmware sources changed since {Old}: src/i2c.c.", known with { ChangedPaths = ["src/i2c.c"] });
        Is(NeedLevel.Needless, "Only files of Klipper's host changed", known with { ChangedPaths = ["klippy/mcu.py"] });
        Is(NeedLevel.Unknown, "update Klipper first", known with { Running = New, Host = Old });
        Is(NeedLevel.Needless, "same version as Klipper", known with { Running = New });
    }

    [Fact]
    public void A_complaint_that_names_no_board_requires_all_that_it_lists()
    {
        var known = Known with
        {
            State = "error",
            Message = Complaint.Replace("mcu 'mcu': ", "", StringComparison.Ordinal),
            ChangedPaths = []
        };
        Is(NeedLevel.Required, "allocate_oids", known);
        Is(NeedLevel.Required, "allocate_oids", known with { Section = "mcu toolboard_t0" });
        Is(NeedLevel.Needless, "same version as Klipper", known with { Section = "mcu rpi", Running = New });
    }

    [Fact]
    public void The_complaint_is_taken_apart_as_Klipper_writes_it()
    {
        var complaint = ProtocolError.Parse("error", Complaint)!;
        Assert.Equal((New, "mcu", "Unable to encode: allocate_oids"), (complaint.Host, complaint.Section, complaint.Error));
        Assert.Equal([("mcu", Old), ("mcu toolboard_t0", "v0.11.0-5-g1234567")],
            complaint.Outdated.Select(board => (board.Key, board.Value)));
        Assert.Null(ProtocolError.Parse("ready", Complaint));
        Assert.Null(ProtocolError.Parse("error", "mcu 'mcu': Unable to connect"));
        Assert.Null(ProtocolError.Parse("error", null));
        var none = ProtocolError.Parse("error", "MCU Protocol error\nMCU(s) which should be updated:\n<none>\nUp-to-date MCU(s):\n<none>")!;
        Assert.Empty(none.Outdated);
        Assert.Equal("?[31m", ProtocolError.Parse("error", "MCU Protocol error\nmcu 'mcu': \u001b[31m")!.Error);
    }

    [Theory]
    [InlineData("\"reset\":-8")]                                                     // one is gone
    [InlineData("\"identify offset=%u\":1,\"reset\":-8")]                            // one has other parameters
    public void A_board_that_lacks_a_command_of_todays_firmware_needs_it_unless_Klipper_is_ready_without(string commands)
    {
        var known = Known with
        {
            State = "disconnected",
            RunningDictionary = Dictionary(commands: commands),
            BuiltDictionary = Dictionary(New)
        };
        Is(NeedLevel.Required, "lacks or differs in identify", known);
        Is(NeedLevel.Useful, "Klipper works with it, but", known with { State = "ready" });
        // Ready with an older host says nothing about the one that is installed now.
        Is(NeedLevel.Required, "identify", known with { State = "ready", Host = Old });
    }

    [Fact]
    public void A_response_that_is_missing_counts_as_a_command()
    {
        var built = Dictionary(New, responses: "\"identify_response offset=%u data=%.*s\":0,\"stats count=%u\":5");
        Is(NeedLevel.Required, "stats", Known with { State = null, RunningDictionary = Dictionary(), BuiltDictionary = built });
    }

    [Theory]
    [InlineData("{\"pin\":{\"PA0\":[0,16]}}", "\"MCU\":\"stm32f446xx\",\"CLOCK_FREQ\":180000000",
        "\"identify offset=%u count=%c\":1,\"reset\":-8", "pin")]
    [InlineData("{\"pin\":{\"PA0\":[0,16],\"PB0\":[16,16]}}", "\"MCU\":\"stm32f446xx\",\"CLOCK_FREQ\":168000000",
        "\"identify offset=%u count=%c\":1,\"reset\":-8", "CLOCK_FREQ")]
    [InlineData("{\"pin\":{\"PA0\":[0,16],\"PB0\":[16,16]}}",
        "\"MCU\":\"stm32f446xx\",\"CLOCK_FREQ\":180000000,\"RESERVE_PINS_USB\":\"PA11\"", "\"identify offset=%u count=%c\":1,\"reset\":-8",
        "RESERVE_PINS_USB")]
    [InlineData("{\"pin\":{\"PA0\":[0,16],\"PB0\":[16,16]}}", "\"MCU\":\"stm32f446xx\",\"CLOCK_FREQ\":180000000",
        "\"identify offset=%u count=%c\":1,\"reset\":-8,\"old_one\":9", "old_one")]
    public void Any_other_difference_of_the_dictionaries_is_useful(string enumerations, string config, string commands, string word) =>
        Is(NeedLevel.Useful, word,
            Known with
            {
                RunningDictionary = Dictionary(commands: commands, enumerations: enumerations, config: config),
                BuiltDictionary = Dictionary(New)
            });

    [Fact]
    public void Ids_and_the_order_of_names_mean_nothing()
    {
        var built = Dictionary(New, commands: "\"reset\":-16,\"identify offset=%u count=%c\":1",
            enumerations: "{\"pin\":{\"PB0\":[16,16],\"PA0\":[0,16]}}");
        var known = Known with { RunningDictionary = Dictionary(), BuiltDictionary = built };
        Is(NeedLevel.Unknown, "are unknown", known);
        Is(NeedLevel.Needless, "Only files of Klipper's host changed", known with { ChangedPaths = ["klippy/mcu.py"] });
    }

    [Fact]
    public void The_same_build_needs_no_flash_but_a_dirty_version_proves_nothing()
    {
        Is(NeedLevel.Needless, "the version that a build would give",
            Known with { Running = Old, RunningDictionary = Dictionary(), BuiltDictionary = Dictionary() });
        const string dirty = "v0.12.0-0-g98ec63a-dirty-20260101_120000-pi";
        Is(NeedLevel.Unknown, "modified sources",
            Known with { Running = dirty, RunningDictionary = Dictionary(dirty), BuiltDictionary = Dictionary(dirty), ChangedPaths = [] });
    }

    [Fact]
    public void A_dictionary_of_another_chip_decides_nothing() =>
        Is(NeedLevel.Unknown, "stm32f407xx",
            Known with { RunningDictionary = Dictionary(), BuiltDictionary = Dictionary(config: "\"MCU\":\"stm32f407xx\"") });

    [Fact]
    public void A_configuration_that_changed_since_our_flash_is_useful_and_one_that_moves_the_firmware_required()
    {
        var known = Known with { Last = new(Old, "a", null), ConfigHash = "b", ChangedPaths = [] };
        Is(NeedLevel.Useful, "build configuration changed since the last flash.", known);
        Is(NeedLevel.Useful, "changed since the last flash: CONFIG_WANT_ADXL345", known with { ChangedSymbols = ["CONFIG_WANT_ADXL345"] });
        Is(NeedLevel.Required, "CONFIG_STM32_FLASH_START_8000",
            known with { ChangedSymbols = ["CONFIG_WANT_ADXL345", "CONFIG_STM32_FLASH_START_8000"] });
        Is(NeedLevel.Required, "STM32_USB_PA11_PA12",
            known with
            {
                ChangedSymbols = ["STM32_USB_PA11_PA12"],
                RunningDictionary = Dictionary(config: "\"MCU\":\"stm32f446xx\""),
                BuiltDictionary = Dictionary()
            });
        Is(NeedLevel.Needless, "Only files of Klipper's host changed", known with { ConfigHash = "a" });
        // Another program has flashed it since.
        Is(NeedLevel.Needless, "Only files of Klipper's host changed", known with { Last = new("v0.11.0-5-g1234567", "a", null) });
        Is(NeedLevel.Useful, "build configuration",
            known with { Running = Old, Host = Old, RunningDictionary = Dictionary(), BuiltDictionary = Dictionary() });
    }

    [Fact]
    public void Our_own_record_identifies_even_a_dirty_build()
    {
        const string dirty = "v0.12.0-0-g98ec63a-dirty-20260101_120000-pi";
        var known = Known with { Running = dirty, Last = new(dirty, "config", "sources"), ConfigHash = "config", SourceId = "sources" };
        Is(NeedLevel.Needless, "the same sources", known);
        Is(NeedLevel.Unknown, "modified sources", known with { SourceId = "others" });
        Is(NeedLevel.Unknown, "modified sources", known with { Running = dirty + "2" });
    }

    [Theory]
    [InlineData("src/stm32/stm32f4.c", true)]
    [InlineData("src/Kconfig", true)]
    [InlineData("lib/can2040/can2040.c", true)]
    [InlineData("Makefile", true)]
    [InlineData("scripts/buildcommands.py", true)]
    [InlineData("klippy/extras/bed_mesh.py", false)]
    [InlineData("docs/src/Kconfig.md", false)]
    [InlineData("scripts/graph_accelerometer.py", false)]
    [InlineData("config/generic-btt-octopus.cfg", false)]
    public void Only_files_that_end_up_in_a_firmware_make_it_useful(string path, bool isUseful) =>
        Is(isUseful ? NeedLevel.Useful : NeedLevel.Needless, isUseful ? path : "Only files of Klipper's host changed",
            Known with { ChangedPaths = ["README.md", path] });

    [Theory]
    [InlineData(null, New, NeedLevel.Unknown, "is unknown")]
    [InlineData("?", New, NeedLevel.Unknown, "reports no version")]
    [InlineData("?-20260101_120000-pi", New, NeedLevel.Unknown, "reports no version")]
    [InlineData("?", "?", NeedLevel.Unknown, "reports no version")]
    [InlineData(New, New, NeedLevel.Needless, "same version as Klipper")]
    // the compiler's version could not be read
    [InlineData("v0.12.0-1-gbbad17d-20260101_120000-pi", New, NeedLevel.Needless, "same version as Klipper")]
    [InlineData("v0.12.0-1-gbbad17d99", New, NeedLevel.Needless, "same version as Klipper")]                        // another shortening
    [InlineData(New, New + "-dirty", NeedLevel.Unknown, "sources were modified locally")]
    [InlineData(New + "-dirty-20260101_120000-pi", New, NeedLevel.Unknown, "built from modified sources")]
    [InlineData(Old, New, NeedLevel.Unknown, "are unknown")]
    [InlineData("2026.04.00-3-gabcdef1", New, NeedLevel.Unknown, "are unknown")]                     // a fork
    [InlineData("v0.13.0", "v0.13.0", NeedLevel.Needless, "same version as Klipper")]                               // from .version
    [InlineData("v0.13.0", New, NeedLevel.Unknown, "names no commit")]
    [InlineData("vendor special edition", New, NeedLevel.Unknown, "names no commit")]
    [InlineData("bbad17d", "bbad17d", NeedLevel.Needless, "same version as Klipper")]                               // a tree without tags
    public void Versions_alone_prove_only_what_they_can(string? running, string host, NeedLevel level, string words) =>
        Is(level, words, Known with { Running = running, Host = host });

    [Theory]
    [InlineData("v0.13.0-730-g84104bbbd", "v0.13.0", 730, "84104bbbd", false, null)]
    [InlineData("v0.13.0-0-g84104bbbd-dirty", "v0.13.0", 0, "84104bbbd", true, null)]
    [InlineData("v0.13.0-730-g84104bbbd-dirty-20260807_101112-my-host-dirty", "v0.13.0", 730, "84104bbbd", true, null)]
    [InlineData("v0.13.0-730-g84104bbbd-20260807_101112-pi", "v0.13.0", 730, "84104bbbd", false, null)]
    [InlineData("my-tag-with-dashes-2-gabcd", "my-tag-with-dashes", 2, "abcd", false, null)]
    [InlineData("84104bbbd", null, null, "84104bbbd", false, null)]
    [InlineData("84104bbbd-dirty", null, null, "84104bbbd", true, null)]
    [InlineData("v0.13.0", null, null, null, false, "v0.13.0")]
    [InlineData("decade", null, null, null, false, "decade")]
    [InlineData("v0.13.0-99999999999-g84104bbbd", null, null, null, false, "v0.13.0-99999999999-g84104bbbd")]
    [InlineData("?", null, null, null, false, null)]
    [InlineData("  ", null, null, null, false, null)]
    public void A_version_is_taken_apart(string text, string? tag, int? commits, string? sha, bool isDirty, string? other)
    {
        var version = KlipperVersion.Parse(text);
        Assert.Equal((tag, commits, sha, isDirty, other), (version.Tag, version.Commits, version.Sha, version.IsDirty, version.Other));
        Assert.Equal(sha is null && other is null, version.IsUnknown);
        Assert.Equal(text.Trim(), version.Text);
    }

    [Fact]
    public void Builds_of_the_same_version_share_a_core_and_overlong_text_ends_no_run()
    {
        Assert.Equal("v0.13.0-730-g84104bbbd", KlipperVersion.Parse("v0.13.0-730-g84104bbbd-dirty-20260807_101112-pi").Core);
        Assert.Equal("v0.13.0-730-g84104bbbd", KlipperVersion.Parse("v0.13.0-730-g84104bbbd-dirty").Core);
        Assert.Equal(200, KlipperVersion.Parse(new string('-', 1 << 20)).Text.Length);
    }
}
