using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Migration;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Tests.Builds;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Boards of other updaters and of another installation come to this printer, by the command line.</summary>
public sealed class ImportStories : IDisposable
{
    private const string Octopus = "/dev/serial/by-id/usb-Klipper_stm32f446xx_1A0023000951313338370001-if00";
    private const string Uuid = "0f1e2d3c4b5a";

    /// <summary>Build configurations as the small tree completes them.</summary>
    private const string OctopusConfig = """
        CONFIG_LOW_LEVEL_OPTIONS=y
        CONFIG_MACH_STM32=y
        CONFIG_MACH_STM32F446=y
        CONFIG_MCU="stm32f446xx"
        CONFIG_STM32_FLASH_START_8000=y
        CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000
        CONFIG_STM32_CLOCK_REF_12M=y
        CONFIG_CLOCK_REF_FREQ=12000000
        CONFIG_USBSERIAL=y
        CONFIG_USB_SERIAL_NUMBER="mine"

        """;

    private const string PicoConfig = """
        CONFIG_MACH_RPXXXX=y
        CONFIG_MACH_RP2040=y
        CONFIG_MCU="rp2040"
        CONFIG_RPXXXX_FLASH_START_4000=y
        CONFIG_FLASH_APPLICATION_ADDRESS=0x10004000
        CONFIG_USBSERIAL=y

        """;

    private readonly StandInTree _tree = null!;
    private readonly ProgramHome _home = null!;

    public ImportStories()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        (_tree, _home) = (new(), new());
        Write($"[agent]\nklipper_path: {_tree.Folder}\n", "printer_data", "config", "ratos-flash.conf");
        Write($$"""
            {"host":"v0.13.0","state":"ready","mcus":[
            {"section":"mcu","serial":"{{Octopus}}","version":"v0.12.0","chip":"stm32f446xx","constants":{} },
            {"section":"mcu toolhead","canbusUuid":"{{Uuid}}","version":"v0.12.0","chip":"stm32g0b1xx","constants":{} },
            {"section":"mcu pico","serial":"/dev/ttyACM3","version":"v0.12.0","chip":"rp2040","constants":{} }]}
            """, "printer_data", "ratos-flash", "mcus.json");
    }

    private DataFolder Data => new(_home.PathOf("printer_data"));

    public void Dispose()
    {
        _tree?.Dispose();
        _home?.Dispose();
    }

    private string Write(string text, params ReadOnlySpan<string> names)
    {
        var path = _home.PathOf(names);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    private async Task<(int Exit, string Output)> RunAsync(params string[] args)
    {
        Assert.Equal(0, (await _home.RunAsync("confirm", "--yes")).Exit);
        return await _home.RunAsync(args);
    }

    private string? Kept(string board) =>
        Path.Combine(Data.Configs, board + ".config") is var file && File.Exists(file) ? File.ReadAllText(file) : null;

    [Fact]
    public async Task Other_updaters_are_found_and_shown_and_taken_over_after_a_yes()
    {
        Write(OctopusConfig, "printer_data", "config", "klipperfleet", "profiles", "Octopus 1.1.config");
        Write($$"""
            [{"name": "main", "id": "{{Octopus.Replace("Klipper", "katapult", StringComparison.Ordinal)}}",
              "profile": "Octopus 1.1", "method": "serial"},
             {"name": "spare", "id": "aabbccddeeff", "profile": "Octopus 1.1", "method": "can"},
             {"name": "mcu pico (x)", "id": "/dev/ttyACM3", "profile": "", "method": "serial"},
             {"name": "probe", "id": "/dev/serial/by-id/usb-Beacon_Beacon_RevH_X-if00", "profile": null, "method": "beacon"}]
            """, "printer_data", "config", "klipperfleet", "fleet.json");
        Write(PicoConfig, "klipper-kconfigs", "anything.config");

        var (exit, shown) = await RunAsync("import");
        Assert.Equal(3, exit);
        Assert.Contains("mcu (main there): build options (KlipperFleet: ", shown, StringComparison.Ordinal);
        Assert.Contains("    Clock Reference: STM32_CLOCK_REF_8M -> STM32_CLOCK_REF_12M\n", shown, StringComparison.Ordinal);
        Assert.Contains("spare: not imported: no board of this printer is this one.", shown, StringComparison.Ordinal);
        Assert.Contains("pico (mcu pico (x) there): not imported: it has no profile there.", shown, StringComparison.Ordinal);
        Assert.Contains("probe: not imported: its maker's updater updates it.", shown, StringComparison.Ordinal);
        Assert.Contains("pico (anything there): build options (KIAUH: ", shown, StringComparison.Ordinal);   // the only board with its chip
        Assert.Contains("[consent-missing]", shown, StringComparison.Ordinal);
        Assert.Null(Kept("mcu") ?? Kept("pico"));

        (exit, shown) = await _home.AtTerminalAsync([("Import this? [y/N]", "y\n")], "import");
        Assert.Equal(0, exit);
        Assert.Contains("CONFIG_STM32_CLOCK_REF_12M=y", Kept("mcu"), StringComparison.Ordinal);
        Assert.Contains("CONFIG_FLASH_APPLICATION_ADDRESS=0x10004000", Kept("pico"), StringComparison.Ordinal);
        (exit, shown) = await RunAsync("import", "--yes");
        Assert.Equal(0, exit);
        Assert.EndsWith("Nothing to import.\n", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_configuration_that_does_not_fit_the_board_is_not_imported()
    {
        var other = Write(PicoConfig, "x.config");
        var (exit, shown) = await RunAsync("import", other, "mcu", "--yes");
        Assert.Equal(0, exit);
        Assert.Contains("CONFIG_MCU is rp2040, but the board has stm32f446xx", shown, StringComparison.Ordinal);
        // This Klipper no longer knows its family's name, and would take the first one.
        var old = Write(PicoConfig.Replace("RPXXXX", "RP2040", StringComparison.Ordinal), "old.config");
        Assert.Contains("CONFIG_MCU should be rp2040, but becomes atmega2560",
            (await RunAsync("import", old, "pico", "--yes")).Output, StringComparison.Ordinal);
        var command = Write("CONFIG_MCU=\"rp2040\"\nCONFIG_USB_SERIAL_NUMBER=\"$(shell reboot)\"\n", "command.config");
        Assert.Contains("make or a shell could take for a command",
            (await RunAsync("import", command, "pico", "--yes")).Output, StringComparison.Ordinal);
        Assert.Contains("[unknown-board]", (await RunAsync("import", other, "stranger", "--yes")).Output, StringComparison.Ordinal);
        Assert.Null(Kept("mcu") ?? Kept("pico"));
    }

    [Fact]
    public async Task Of_two_different_configurations_for_one_board_none_is_imported_until_one_is_named()
    {
        Write(OctopusConfig, "klipper-kconfigs", "one.config");
        var two = Write(OctopusConfig.Replace("mine", "yours", StringComparison.Ordinal), "klipper-kconfigs", "two.config");
        Write(OctopusConfig.Replace("mine", "yours", StringComparison.Ordinal), "klipper-kconfigs", "three.config");
        var (exit, shown) = await RunAsync("import", "--yes");
        Assert.Equal(0, exit);
        Assert.Equal(3, shown.Split("several configurations for it differ").Length - 1);
        Assert.Null(Kept("mcu"));
        Assert.Equal(0, (await RunAsync("import", two, "--yes")).Exit);
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"yours\"", Kept("mcu"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_export_is_imported_by_another_installation_without_what_is_secret_or_executed()
    {
        Write($"""
            [agent]
            policy: changed   # mine
            api_key: 0123456789abcdef0123456789abcdef
            klipper_path: {_tree.Folder}

            [board mcu]
            power: printer
            """, "printer_data", "config", "ratos-flash.conf");
        Write(OctopusConfig, "printer_data", "ratos-flash", "configs", "mcu.config");
        Assert.Equal(0, (await RunAsync("export", "-o", _home.PathOf("e.json"))).Exit);
        var text = await File.ReadAllTextAsync(_home.PathOf("e.json"));
        Assert.DoesNotContain("0123456789abcdef", text, StringComparison.Ordinal);
        Assert.DoesNotContain(_tree.Folder, text, StringComparison.Ordinal);

        File.Delete(Path.Combine(Data.Configs, "mcu.config"));
        Write($"""
            # kept
            [agent]
            klipper_path: {_tree.Folder}
            policy: never   # why

            [board other]
            port: 1-1.4
            """, "printer_data", "config", "ratos-flash.conf");
        var (exit, shown) = await RunAsync("import", _home.PathOf("e.json"), "--yes");
        Assert.Equal(0, exit);
        Assert.Contains("    - policy: never   # why\n    + policy: changed\n", shown, StringComparison.Ordinal);
        Assert.Contains("    + [board mcu]\n    + power: printer\n", shown, StringComparison.Ordinal);
        Assert.Equal(
            $"# kept\n[agent]\nklipper_path: {_tree.Folder}\npolicy: changed   # why\n\n[board other]\nport: 1-1.4\n\n"
            + "[board mcu]\npower: printer\n", await File.ReadAllTextAsync(Data.Settings));
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"mine\"", Kept("mcu"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_forged_export_sets_nothing_that_is_executed_and_adds_no_line()
    {
        var forged = Write(JsonSerializer.Serialize(new
        {
            format = JsonExport.Name,
            version = 1,
            product = "0.1.0",
            settings = new { klipper_path = "/tmp/evil", api_key = "x", moonraker_url = "ws://evil", policy = "never\n[board x]\nport: 1" },
            boards = new[]
            {
                new { board = "mcu\n[agent]", values = new { power = "a\nklipper_path: /tmp/evil", klipper_path = "/tmp/evil" } },
                new { board = "../../evil", values = new { power = "a", klipper_path = "b" } },
            },
        }), "forged.json");
        var before = await File.ReadAllTextAsync(Data.Settings);
        var (exit, shown) = await RunAsync("import", forged, "--yes");
        Assert.Equal(2, exit);
        Assert.Contains("[bad-settings]", shown, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(Data.Settings));
        // Without the policy, which is none, the rest is harmless.
        var text = await File.ReadAllTextAsync(forged);
        await File.WriteAllTextAsync(forged, text.Replace("never\\n[board x]\\nport: 1", "never", StringComparison.Ordinal));
        Assert.Equal(0, (await RunAsync("import", forged, "--yes")).Exit);
        var settings = AgentSettings.Read(Data.Settings);
        Assert.Equal((_tree.Folder, null, null), (settings.KlipperPath, settings.ApiKey, settings.MoonrakerUrl));
        Assert.Equal(["mcu?[agent]", "../../evil"], settings.Boards.Select(board => board.Name));
    }

    /// <summary>For each updater a file, the files beside it, and what is read of it.</summary>
    public static TheoryData<string, string, string[], string[]> Formats => new()
    {
        {
            "mcus.ini", $"""
            # version : 0.2
            [ebb 1]
            klipper_section: mcu toolhead
            quiet_command: enter_bootloader -u {Uuid}; sleep 2
            action_command = python3 ~/katapult/scripts/flashtool.py -i can0 -u {Uuid}
            [pico]
            config_name: ebb 1
            flash_command: make flash /dev/serial/by-id/usb-Klipper_rp2040_45474E621A860001-if00
            [cartographer]
            klipper_section: scanner
            is_klipper_fw: False
            action_command: ~/cartographer_firmware/fw_update.sh
            """,
            ["config/config.ebb_1"],
            [$"UKAM ebb 1 mcu toolhead {Uuid} config",
                "UKAM pico mcu pico /dev/serial/by-id/usb-Klipper_rp2040_45474E621A860001-if00 config",
                "UKAM cartographer mcu scanner its firmware is not built from Klipper's sources"]
        },
        {
            "mcu-updater.cfg", """
            [updater]
            make_jobs: -1
            [type bttebb36]   # two
            chipset: stm32g0b1xx
            firmware: klipper, katapult
            serials:
                230048001750304158370001-if00  # mcu EBBT0
                # spare
                290055001850304158370002-if00
            [type scanner]
            chipset: stm32g431xx
            firmware: cartographer, katapult
            serials: 1-if00
            """,
            ["types/bttebb36/klipper.config"],
            ["mcu-updater bttebb36 /dev/serial/by-id/usb-Klipper_stm32g0b1xx_230048001750304158370001-if00 config",
                "mcu-updater bttebb36 /dev/serial/by-id/usb-Klipper_stm32g0b1xx_290055001850304158370002-if00 config",
                "mcu-updater scanner /dev/serial/by-id/usb-Klipper_stm32g431xx_1-if00 its firmware is not built from Klipper's sources"]
        },
        {
            "devices.yaml", $"""
            devices:
              - id: EBBCan
                mcu_section: mcu EBBCan
                transport: can
                canbus_uuid: {Uuid}
              - id: mcu
                mcu_section: mcu
                serial: {Octopus}
            """,
            ["builds/EBBCan/current/.config.resolved"],
            [$"mcu-update-manager EBBCan mcu EBBCan {Uuid} config", $"mcu-update-manager mcu mcu {Octopus} it was not built there"]
        },
        {
            "last-printer-settings.json",
            """{"printer":"v-core-4","controlboard":"btt-octopus-11","toolheads":[{"toolboard":"btt-ebb42-12"},{"toolboard":null}]}""",
            [],
            ["RatOS btt-octopus-11 mcu id=btt-octopus-11", "RatOS btt-ebb42-12 mcu toolboard_t0 id=btt-ebb42-12"]
        },
        {
            "fleet.json",
            """[{"name":"a","id":"linux_process","profile":"../../../etc/passwd","method":"linux"}, 7, {"id":"x","profile":"none here"}]""",
            [],
            ["KlipperFleet a host it has no build configuration there", "KlipperFleet x none here.config: the file does not exist"]
        },
    };

    [Theory]
    [MemberData(nameof(Formats))]
    public void Each_updater_is_read(string name, string text, string[] configs, string[] expected)
    {
        var file = Write(text.ReplaceLineEndings("\r\n"), "tool", name);
        foreach (var config in configs)
            Write(OctopusConfig, ["tool", .. config.Split('/')]);
        var folder = Path.GetDirectoryName(file)!;
        foreach (var place in (string[])[file, folder])
            Assert.Equal(expected, ForeignTools.Read(place).Select(board => Told(board, folder)));
    }

    [Fact]
    public void Katchup_names_its_boards_by_files()
    {
        string[] files = [$"my-board-{Uuid}.config", "pico--usb-katapult_rp2040_45503571290B0001-if00.config", "host-.config",
            $"octopus-{Uuid}-usb-katapult_stm32f446xx_1A0023000951313338370001-if00.config", "empty-a1b2c3d4e5f6.config"];
        foreach (var file in files)
            Write(file.StartsWith("empty", StringComparison.Ordinal) ? "" : OctopusConfig, "katchup", "klipper", file);
        Assert.Equal(
            ["katchup empty a1b2c3d4e5f6 empty-a1b2c3d4e5f6.config: it is empty or no regular file", "katchup host host config",
                $"katchup my-board {Uuid} config",
                $"katchup octopus {Uuid} /dev/serial/by-id/usb-katapult_stm32f446xx_1A0023000951313338370001-if00 config",
                "katchup pico /dev/serial/by-id/usb-katapult_rp2040_45503571290B0001-if00 config"],
            ForeignTools.Read(_home.PathOf("katchup", "klipper")).Select(board => Told(board, _home.PathOf("katchup", "klipper"))));
    }

    private static string Told(ForeignBoard board, string folder) => string.Join(' ', ((string?[])
    [
        board.Tool, board.Name, board.Section, .. board.Uuids.Select(uuid => uuid.ToString()), .. board.Ports,
        .. board.Values.Select(pair => $"{pair.Key}={pair.Value}"), board.IsHostMcu ? "host" : null,
        board.Config is not null ? "config" : board.Skipped is { } why && why.Contains(folder, StringComparison.Ordinal)
            ? why[(why.LastIndexOf('/') + 1)..] : board.Skipped,
    ]).Where(word => !string.IsNullOrEmpty(word)));

    [Theory]
    [InlineData("fleet.json", "")]
    [InlineData("fleet.json", "{}")]
    [InlineData("fleet.json", "[[[[[")]
    [InlineData("devices.yaml", "\0")]
    [InlineData("e.json", "{\"format\":\"ratos-flash-export\",\"version\":2,\"product\":\"9\",\"boards\":[]}")]
    [InlineData("e.json", "{\"format\":\"ratos-flash-export\",\"version\":1,\"product\":\"9\",\"boards\":[null]}")]
    [InlineData("e.json", "{\"format\":\"ratos-flash-export\",\"version\":\"1\"}")]
    [InlineData("e.json", "[]")]
    [InlineData("notes.txt", "[mcu]")]
    public async Task A_file_that_cannot_be_read_is_refused_with_the_reason_or_has_nothing_to_import(string name, string text)
    {
        var (exit, shown) = await RunAsync("import", Write(text, "tool", name), "--yes");
        var isList = name == "devices.yaml";
        Assert.Equal(isList ? 0 : 2, exit);
        Assert.Contains(isList ? "Nothing to import." : "[import-unreadable]", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_without_an_end_costs_a_bounded_time()
    {
        var many = Write("[" + string.Join(',', Enumerable.Repeat("{\"name\":\"a\",\"id\":\"b\"}", 10_000)) + "]", "tool", "fleet.json");
        Assert.Contains("more than 64 boards", Refused(many), StringComparison.Ordinal);
        Assert.Contains("no file of an updater", Refused("/dev/zero"), StringComparison.Ordinal);
        var huge = Write(new string('x', 2 << 20), "tool", "mcus.ini");
        Assert.Contains("too much", Refused(huge), StringComparison.Ordinal);

        static string Refused(string file) => Assert.Throws<Core.FlashException>(() => ForeignTools.Read(file)).Cause;
    }
}
