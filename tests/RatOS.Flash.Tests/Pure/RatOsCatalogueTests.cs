using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// RatOS's own definitions are read as they are; what is broken or hostile is passed over and named, and harms no other board.
/// </summary>
public sealed class RatOsCatalogueTests : IDisposable
{
    private const string OctopusConfig = """
        #
        # Automatically generated file; DO NOT EDIT.
        #
        CONFIG_LOW_LEVEL_OPTIONS=y
        CONFIG_MACH_STM32=y
        CONFIG_MCU="stm32f446xx"
        CONFIG_USBSERIAL=y
        CONFIG_FLASH_START=0x8008000
        CONFIG_CLOCK_REF_FREQ=12000000
        CONFIG_USB_SERIAL_NUMBER="btt-octopus-11"
        # CONFIG_SERIAL is not set
        CONFIG_INITIAL_PINS=""

        """;

    private readonly string _root = Directory.CreateTempSubdirectory("ratos-boards-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private string Put(string folder, string? definition, string? config = OctopusConfig)
    {
        var path = Directory.CreateDirectory(Path.Combine(_root, folder)).FullName;
        if (definition is not null)
            File.WriteAllText(Path.Combine(path, "board-definition.json"), definition);
        if (config is not null)
            File.WriteAllText(Path.Combine(path, "firmware.config"), config);
        return path;
    }

    private static string Definition(string id, string name = "Some board", string more = "") =>
        $$"""{ "$schema": "../board-definition.schema.json", "id": "{{id}}", "name": "{{name}}", "manufacturer": "ACME", """
        + $$""" "compileScript": "compile.sh"{{more}} }""";

    private RatOsCatalogue Load() => RatOsCatalogue.Load(_root);

    private string PassedOver()
    {
        var read = Load();
        Assert.Equal(BoardCatalogue.BuiltIn.Boards, read.Catalogue.Boards);
        var finding = Assert.Single(read.Findings);
        Assert.Equal((FindingSeverity.Warning, "bad-board-definition"), (finding.Severity, finding.Code));
        Assert.DoesNotContain('\n', finding.Text);
        return finding.Text;
    }

    [Fact]
    public void A_known_board_keeps_what_we_know_and_gets_RatOSs_configuration_word_for_word()
    {
        Put("btt-octopus-11", Definition("btt-octopus-11", "Octopus V1.1 F446"));
        var read = Load();
        Assert.Empty(read.Findings);
        Assert.Equal(50, read.Catalogue.Boards.Length);
        var octopus = read.Catalogue.Find("btt-octopus-11")!;
        Assert.Equal((OctopusConfig, "RatOS's definition"), (octopus.FirmwareConfig, octopus.Origin));
        Assert.Equal(BoardCatalogue.BuiltIn.Find("btt-octopus-11")!, octopus with
        {
            Origin = null,
            FirmwareConfig = null,
            Manufacturer = "BIGTREETECH",
            FirmwareBinaryName = "firmware-btt-octopus-11.bin",
        });
    }

    [Fact]
    public void A_board_that_only_RatOS_knows_is_added_with_the_values_of_its_configuration()
    {
        Put("btt-octopus-12", Definition("btt-octopus-12", "Octopus V1.2", """
            , "isToolboard": false, "disableAutoFlash": true, "firmwareBinaryName": "firmware-btt-octopus-12.bin",
            "flashInstructions": "Take the card out.",
            "dfu": { "flashDevice": "0483:df11", "hasBoot0Jumper": true, "instructions": ["Fit the jumper", "Press reset."] }
            """), OctopusConfig.Replace("\n", "\r\n", StringComparison.Ordinal));
        var read = Load();
        Assert.Empty(read.Findings);
        var board = read.Catalogue.Find("btt-octopus-12")!;
        Assert.Equal(
            ("octopus", "mainboard", "stm32f446xx", 12_000_000, 0x0800_8000u, "USB", "btt-octopus-12", true, true),
            (board.ShortName, board.Kind, board.McuName, board.CrystalHz, board.ApplicationStart, board.Comm, board.UsbSerial,
                BoardProfile.Of(board).EntersDfu, board.DisableAutoFlash));
        Assert.Equal(["Fit the jumper.", "Press reset."], board.Dfu!.Steps);
        Assert.Equal(["Take the card out."], board.Preconditions);
        Assert.Equal(board, read.Catalogue.FindBySerial("BTT-Octopus-12-t1"));
        Assert.Equal(FlashMethod.Engine, BoardGuide.Of(board).Method);
    }

    [Theory]
    [InlineData("CONFIG_SERIAL=y\nCONFIG_STM32_USB_PA11_PA12=y\n", "USB")]   // RatOS's SKR 2
    [InlineData("CONFIG_SERIAL=y\nCONFIG_HAVE_STM32_USBOTG=y\nCONFIG_STM32_USB_DOUBLE_BUFFER_TX=y\nCONFIG_STM32_SERIAL_USART1=y\n",
        "serial")]
    [InlineData("CONFIG_CANSERIAL=y\nCONFIG_HAVE_STM32_USBCANBUS=y\n", "CAN")]
    [InlineData("CONFIG_LPC_USB=y\n", "USB")]
    public void The_link_is_recognised_by_the_chosen_pins(string config, string link)
    {
        Put("acme", Definition("acme"), config);
        Assert.Equal(link, Load().Catalogue.Find("acme")!.Comm);
    }

    [Fact]
    public void The_host_process_and_a_tool_board_are_recognised_by_their_flags()
    {
        Put("pi5", Definition("pi5", "Pi 5", """, "isHost": true, "serialPath": "/tmp/klipper_host_mcu5" """),
            "CONFIG_MACH_LINUX=y\nCONFIG_USB_SERIAL_NUMBER=\"12345\"\n");
        Put("acme-tool", Definition("acme-tool", "Tool", """, "isToolboard": true"""));
        var read = Load();
        Assert.Empty(read.Findings);
        var (host, tool) = (read.Catalogue.Find("pi5")!, read.Catalogue.Find("acme-tool")!);
        Assert.Equal(("host", "linux", "klipper_host_mcu5", null), (host.Kind, host.McuName, host.HostPty, host.UsbSerial));
        Assert.Equal(("toolboard", "acme-tool"), (tool.Kind, tool.ShortName));
    }

    [Fact]
    public void Where_RatOS_is_known_to_be_wrong_ours_is_taken_and_elsewhere_RatOSs()
    {
        // The Spider 2.2 has a defect on record; the Octopus has none, so its definition was changed.
        Put("spider", Definition("fysetc-spider-22", "Spider v2.2"),
            OctopusConfig.Replace("0x8008000", "0x8000000", StringComparison.Ordinal));
        Put("octopus", Definition("btt-octopus-11", "Octopus V1.1 F446"),
            OctopusConfig.Replace("f446", "f407", StringComparison.Ordinal).Replace("0x8008000", "0x8000000", StringComparison.Ordinal));
        var read = Load();
        Assert.Equal(["ratos-differs", "ratos-corrected"], read.Findings.Select(finding => finding.Code));
        Assert.Equal(0x0800_8000u, read.Catalogue.Find("fysetc-spider-22")!.ApplicationStart);
        var octopus = read.Catalogue.Find("btt-octopus-11")!;
        Assert.Equal(("stm32f407xx", 0x0800_0000u), (octopus.McuName, octopus.ApplicationStart));
        Assert.Contains("stm32f407xx instead of stm32f446xx, the start 0x8000000 instead of 0x8008000", read.Findings[0].Text,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CONFIG_MACH_RP2040=y\nCONFIG_MCU=\"rp2040\"\nCONFIG_USBSERIAL=y\nCONFIG_FLASH_APPLICATION_ADDRESS=0x10000100\n",
        "CONFIG_RPXXXX_USB=y", "ratos-corrected")]
    [InlineData(
        "CONFIG_MACH_RPXXXX=y\nCONFIG_MACH_RP2040=y\nCONFIG_MCU=\"rp2040\"\nCONFIG_USBSERIAL=y\n"
        + "CONFIG_FLASH_APPLICATION_ADDRESS=0x10000100\n#new\n", "#new", null)]
    public void An_obsolete_configuration_that_would_build_for_an_AVR_is_replaced_until_RatOS_has_a_new_one(string config,
        string has, string? code)
    {
        Put("btt-sb-2209-10-rp2040", Definition("btt-sb-2209-10-rp"), config);
        var read = Load();
        Assert.Equal(code, read.Findings.SingleOrDefault()?.Code);
        Assert.Contains(has, read.Catalogue.Find("btt-sb-2209-10-rp")!.FirmwareConfig, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("{", "no JSON")]
    [InlineData("[]", "no object")]
    [InlineData("{}", "no id")]
    [InlineData("{\"id\": 3}", "id is no text")]
    [InlineData("{\"id\": \"\\ud800\"}", "characters that it must not have")]
    [InlineData("{\"id\": \"../../etc\"}", "must not have")]
    [InlineData("{\"id\": \"-rf\"}", "must not have")]
    [InlineData("{\"id\": \"a;reboot\"}", "must not have")]
    [InlineData("{\"id\": \"a\\nb\"}", "must not have")]
    [InlineData("{\"id\": \"ok\", \"name\": \"$(reboot)\"}", "name has")]
    [InlineData("{\"id\": \"ok\", \"flashScript\": \"../../../bin/sh\"}", "flashScript has")]
    [InlineData("{\"id\": \"ok\", \"firmwareBinaryName\": \"/etc/passwd\"}", "firmwareBinaryName has")]
    [InlineData("{\"id\": \"ok\", \"serialPath\": \"/dev/../etc/passwd\"}", "serialPath has")]
    public void A_broken_or_hostile_definition_is_passed_over(string definition, string why)
    {
        Put("bad", definition);
        Assert.Contains(why, PassedOver(), StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_JSON_does_not_end_us()
    {
        Put("deep", "{\"id\": " + new string('[', 100_000) + new string(']', 100_000) + "}");
        Assert.Contains("no JSON", PassedOver(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CONFIG_MCU=$(shell reboot)")]
    [InlineData("# $(shell reboot)")]
    [InlineData("CONFIG_MCU=\"a`reboot`\"")]
    [InlineData("CONFIG_MCU=\"a\";reboot")]
    [InlineData("CONFIG_BOARD_DIRECTORY=\"../../evil\"")]
    [InlineData("CONFIG_MCU=y\\")]
    [InlineData("include /etc/passwd")]
    [InlineData("all: ; reboot")]
    [InlineData("CONFIG_A B=y")]
    public void Lines_that_make_would_run_are_ignored(string line)
    {
        Put("bad", Definition("bad"), OctopusConfig + line + "\n");
        Assert.Contains("line 13 of its firmware.config", PassedOver(), StringComparison.Ordinal);
    }

    [Fact]
    public void Ten_megabytes_are_not_read()
    {
        Put("big", Definition("big"), new string('#', 10 << 20));
        Assert.Contains("10485760 bytes", PassedOver(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_that_is_not_text_is_ignored()
    {
        File.WriteAllBytes(Path.Combine(Put("noise", Definition("noise")), "firmware.config"), [0xff, 0xfe, 0x00]);
        Assert.Contains("no text", PassedOver(), StringComparison.Ordinal);
    }

    [Fact]
    public void Links_are_not_followed_be_they_cycles_or_ways_out()
    {
        var outside = Directory.CreateTempSubdirectory("outside-");
        try
        {
            File.WriteAllText(Path.Combine(outside.FullName, "board-definition.json"), Definition("outside"));
            Directory.CreateSymbolicLink(Path.Combine(_root, "a-out"), outside.FullName);
            Directory.CreateSymbolicLink(Path.Combine(_root, "b-cycle"), _root);
            File.CreateSymbolicLink(Path.Combine(Put("c-file", null), "board-definition.json"),
                Path.Combine(outside.FullName, "board-definition.json"));
            File.CreateSymbolicLink(Path.Combine(Put("d-config", Definition("linked"), config: null), "firmware.config"), "/dev/zero");
            File.CreateSymbolicLink(Path.Combine(Put("e-dangling", null), "board-definition.json"), "nowhere");
            var read = Load();
            Assert.Equal(BoardCatalogue.BuiltIn.Boards, read.Catalogue.Boards);
            // The cycle leads to a folder that holds no definition itself.
            Assert.Equal(["a-out", "c-file", "d-config", "e-dangling"],
                read.Findings.Select(finding => finding.Text.Split("boards/")[1].Split(' ')[0]));
            Assert.All(read.Findings, finding => Assert.Contains("link", finding.Text, StringComparison.Ordinal));
        }
        finally
        {
            outside.Delete(recursive: true);
        }
    }

    [Fact]
    public void Of_two_definitions_with_one_id_the_first_counts_and_of_one_name_both()
    {
        Put("a", Definition("acme-one", "One"));
        Put("b", Definition("ACME-One", "Another"));
        Put("c", Definition("acme-two", "One"));
        var read = Load();
        Assert.Equal(["ACME One", "ACME One (acme-two)"], read.Catalogue.Boards.Skip(50).Select(board => board.DisplayName));
        Assert.Contains("id 'ACME-One'", Assert.Single(read.Findings).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void RatOSs_two_boards_of_one_name_keep_the_names_that_tell_them_apart()
    {
        Put("mellow-fly-sht-36", Definition("mellow-fly-sht-36", "FLY-SHT36"));
        Put("mellow-fly-sht-36-v3", Definition("mellow-fly-sht-36-v3", "FLY-SHT36"));
        Assert.Equal("ACME FLY-SHT36 v3", Load().Catalogue.Find("mellow-fly-sht-36-v3")!.DisplayName);
    }

    /// <summary>As RatOS has it for the Orbitool O2s: a blank behind a value, and another chip than the choice.</summary>
    [Theory]
    [InlineData("ldo-orbitool-o2s")]
    [InlineData("acme-tool")]
    public void A_chip_that_the_choice_contradicts_is_that_of_the_choice(string id)
    {
        Put("tool", Definition(id), """
            CONFIG_LOW_LEVEL_OPTIONS=y
            CONFIG_MACH_STM32=y
            CONFIG_MCU="stm32f042x6"
            CONFIG_FLASH_SIZE=0x8000
            CONFIG_RAM_SIZE=0x1800
            CONFIG_FLASH_APPLICATION_ADDRESS=0x8000000
            CONFIG_MACH_STM32F072=y
            CONFIG_MACH_STM32F0=y
            CONFIG_STM32_DFU_ROM_ADDRESS=0x1fffc400
            CONFIG_STM32_CLOCK_REF_12M=y 
            CONFIG_CLOCK_REF_FREQ=12000000
            CONFIG_STM32_USB_PA11_PA12=y
            CONFIG_USBSERIAL=y
            CONFIG_USB_SERIAL_NUMBER="tool"
            """);
        var board = Load().Catalogue.Find(id)!;
        Assert.Equal(("stm32f072xb", 12_000_000, "0x1fffc800"), (board.McuName, board.CrystalHz, board.DfuRomAddress));
        var build = BuildConfig.FromText(board.FirmwareConfig!, board);
        Assert.Equal("stm32f072xb", build.Mcu);
        Assert.Contains("CONFIG_STM32_CLOCK_REF_12M=y\n", build.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("FLASH_SIZE", build.Text, StringComparison.Ordinal);
    }

    /// <summary>As Kconfig reads it (Klipper lib/kconfiglib/kconfiglib.py): each line either counts or is left out of the build.</summary>
    [Theory]
    [InlineData("CONFIG_USBSERIAL=y \t", "CONFIG_USBSERIAL=y", "USB")]
    [InlineData("CONFIG_USBSERIAL=yes", "CONFIG_USBSERIAL=y", "USB")]
    [InlineData("CONFIG_USBSERIAL=y # the cable", "CONFIG_USBSERIAL=y", "USB")]
    [InlineData("CONFIG_USBSERIAL=y\n  # CONFIG_USBSERIAL is not set", "CONFIG_USBSERIAL=y", "USB")]
    [InlineData("CONFIG_USBSERIAL=y\n# CONFIG_USBSERIAL is not set", "# CONFIG_USBSERIAL is not set", null)]
    [InlineData("CONFIG_USBSERIAL=y\nCONFIG_USBSERIAL=n", "CONFIG_USBSERIAL=n", null)]
    [InlineData("CONFIG_USBSERIAL= y", null, null)]
    [InlineData("CONFIG_USBSERIAL =y", null, null)]
    [InlineData("CONFIG_USBSERIAL=", null, null)]
    [InlineData("CONFIG_INITIAL_PINS=\"!PA1\"   # fan", "CONFIG_INITIAL_PINS=\"!PA1\"", null)]
    [InlineData("CONFIG_INITIAL_PINS=\"!PA1", null, null)]
    [InlineData("CONFIG_SERIAL_BAUD=250000 # fast", null, null)]
    public void A_configuration_is_read_as_Kconfig_reads_it(string lines, string? kept, string? link)
    {
        Put("acme", Definition("acme"), "CONFIG_MCU=\"stm32f446xx\"\n" + lines + "\nCONFIG_CANBUS_FREQUENCY=1\n");
        var read = Load();
        Assert.Empty(read.Findings);
        var board = read.Catalogue.Find("acme")!;
        Assert.Equal(("stm32f446xx", link), (board.McuName, board.Comm));
        if (kept is not null)
            Assert.EndsWith($"\n{kept}\nCONFIG_CANBUS_FREQUENCY=1\n", board.FirmwareConfig, StringComparison.Ordinal);
        else
            Assert.Equal("CONFIG_MCU=\"stm32f446xx\"\nCONFIG_CANBUS_FREQUENCY=1\n", board.FirmwareConfig);
    }

    [Theory]
    [InlineData("CONFIG_MACH_STM32F072=y\nCONFIG_MACH_STM32F0=y\n", "stm32f072xb")]   // savedefconfig leaves CONFIG_MCU out
    [InlineData("CONFIG_MACH_STM32F446=y\nCONFIG_MACH_STM32F072=y\nCONFIG_MCU=\"stm32f446xx\"\n", "stm32f072xb")]   // the last one
    [InlineData("CONFIG_MACH_STM32F446=y\nCONFIG_MACH_STM32F072=y\n# CONFIG_MACH_STM32F072 is not set\n", "stm32f446xx")]
    [InlineData("CONFIG_MACH_RPXXXX=y\nCONFIG_MACH_RP2350=y\nCONFIG_MCU=\"rp2040\"\n", "rp2350")]
    [InlineData("CONFIG_MACH_LPC176X=y\nCONFIG_MACH_LPC1769=y\nCONFIG_MCU=\"lpc1768\"\n", "lpc1769")]
    [InlineData("CONFIG_MACH_STM32F0=y\nCONFIG_MCU=\"stm32f042x6\"\n", "stm32f042x6")]   // a family decides nothing
    [InlineData("CONFIG_MACH_ACME9=y\nCONFIG_MCU=\"acme9\"\n", "acme9")]
    public void The_choice_decides_the_chip_of_every_family(string lines, string chip)
    {
        Put("acme", Definition("acme"), "CONFIG_MACH_STM32=y\n" + lines);
        Assert.Equal(chip, Load().Catalogue.Find("acme")!.McuName);
    }

    [Theory]
    [InlineData("mellow-fly-sht-36-t0", "mellow-fly-sht-36")]
    [InlineData("mellow-fly-sht-36-v3", "mellow-fly-sht-36-v3")]
    [InlineData("mellow-fly-sht-36-v3-T12", "mellow-fly-sht-36-v3")]
    [InlineData("acme-t1-t0", "acme-t1")]
    [InlineData("acme-t1", "acme-t1")]
    [InlineData("acme-t0", null)]
    [InlineData("mellow-fly-sht-36-toolhead", null)]
    [InlineData("mellow-fly-sht-36-t", null)]
    public void A_serial_with_a_tool_head_has_the_longest_id_in_front_of_it(string serial, string? id)
    {
        Put("acme", Definition("acme-t1"));
        Put("v1", Definition("mellow-fly-sht-36", "FLY-SHT36"));
        Put("v3", Definition("mellow-fly-sht-36-v3", "FLY-SHT36"));
        Assert.Equal(id, Load().Catalogue.FindBySerial(serial)?.Id);
    }

    [Fact]
    public void Every_definition_that_is_not_used_is_named_with_its_reason()
    {
        Put("a", Definition("acme-one"));
        Put("b", Definition("acme-one"));
        Put("c", "{");
        Put("d", null);
        for (var i = 0; i < 8; i++)
            Put($"e{i}", Definition($"big-{i}"), new string('#', 200 * 1024));
        var read = Load();
        Assert.Equal(["b", "c", "e6", "e7"], read.Skipped.Select(definition => definition.Folder));
        Assert.Equal("the definitions before it have more than 1 MiB together", read.Skipped[^1].Reason);
        Assert.Equal(read.Skipped.Select(definition => definition.ToFinding().Text),
            read.Findings.Where(finding => finding.Code == "bad-board-definition").Select(finding => finding.Text));
        Assert.Equal(["acme-one", "big-0"], read.Definitions.Keys.Order(StringComparer.Ordinal).Take(2));
    }

    [Fact]
    public void A_broken_definition_does_not_affect_other_boards_and_a_folder_without_one_is_no_board()
    {
        Put("a-broken", "{");
        Put("b-empty", null);
        Put("c-fine", Definition("acme-fine"));
        var read = Load();
        Assert.NotNull(read.Catalogue.Find("acme-fine"));
        Assert.Equal("bad-board-definition", Assert.Single(read.Findings).Code);
    }

    [Fact]
    public void A_board_without_configuration_is_known_and_said_to_be_unbuildable()
    {
        Put("acme", Definition("acme-bare"), config: null);
        var read = Load();
        Assert.Equal("no-build-configuration", Assert.Single(read.Findings).Code);
        Assert.Null(read.Catalogue.Find("acme-bare")!.FirmwareConfig);
    }

    [Fact]
    public void Without_RatOS_there_is_what_is_built_in_and_nothing_to_say()
    {
        var read = RatOsCatalogue.Load(Path.Combine(_root, "not-there"));
        Assert.Equal(BoardCatalogue.BuiltIn.Boards, read.Catalogue.Boards);
        Assert.Empty(read.Findings);
    }
}
