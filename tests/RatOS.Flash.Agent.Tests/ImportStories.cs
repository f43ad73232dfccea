using System.Runtime.Versioning;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Tests.Builds;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Boards of other updaters and of another installation come to this printer, by the command line.</summary>
[SupportedOSPlatform("linux")]
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

    private async Task<string> ShownAsync(params string[] args) => (await RunAsync(args)).Output;

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
        Assert.Contains("    Clock Reference: STM32_CLOCK_REF_12M\n", shown, StringComparison.Ordinal);
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
        Write(Kept("mcu")!.Replace("12", "25", StringComparison.Ordinal), "printer_data", "ratos-flash", "configs", "mcu.config");
        Assert.Contains(
            "    Clock Reference: STM32_CLOCK_REF_25M -> STM32_CLOCK_REF_12M\n", await ShownAsync("import"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_configuration_that_does_not_fit_the_board_is_not_imported()
    {
        var other = Write(PicoConfig, "x.config");
        var (exit, shown) = await RunAsync("import", other, "mcu", "--yes");
        Assert.Equal(3, exit);
        Assert.Contains("CONFIG_MCU is rp2040, but the board has stm32f446xx", shown, StringComparison.Ordinal);
        // This Klipper no longer knows its family's name, and would take the first one.
        var old = Write(PicoConfig.Replace("RPXXXX", "RP2040", StringComparison.Ordinal), "old.config");
        Assert.Contains("CONFIG_MCU should be rp2040, but becomes atmega2560",
            await ShownAsync("import", old, "pico", "--yes"), StringComparison.Ordinal);
        var command = Write("CONFIG_MCU=\"rp2040\"\nCONFIG_USB_SERIAL_NUMBER=\"$(shell reboot)\"\n", "command.config");
        Assert.Contains("make or a shell could take for a command",
            await ShownAsync("import", command, "pico", "--yes"), StringComparison.Ordinal);
        Assert.Contains("[unknown-board]", await ShownAsync("import", other, "stranger", "--yes"), StringComparison.Ordinal);
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

    /// <summary>An export with one board; each part as JSON, without it null.</summary>
    private string Export(string board, object? values = null, string? section = null, string? serial = null, string? uuid = null,
        string? config = null, object? settings = null) => Write(JsonSerializer.Serialize(new
        {
            format = JsonExport.Name,
            version = 1,
            product = "0.1.0",
            settings,
            boards = new[] { new { board, section, serial, uuid, values, config } },
        }), "export.json");

    [Fact]
    public async Task A_forged_export_sets_nothing_that_is_executed_and_adds_no_line()
    {
        var before = await File.ReadAllTextAsync(Data.Settings);
        object evil = new { klipper_path = "/tmp/evil", api_key = "x", moonraker_url = "ws://evil", policy = "ask\n[board x]\nport: 1" };
        object values = new { power = "a\nklipper_path: /tmp/evil", klipper_path = "/tmp/evil", port = "a # b", clock = (string?)null };
        foreach (var name in (string[])["mcu", "../../evil"])
        {
            var (exit, shown) = await RunAsync("import", Export(name, values, settings: evil), "--yes");
            Assert.Equal((0, "Nothing to import.\n"), (exit, shown));
        }
        foreach (var name in (string[])["mcu\n[agent]", "mcu] # x", ""])
            Assert.Contains("[import-unreadable]", await ShownAsync("import", Export(name, values), "--yes"), StringComparison.Ordinal);
        Assert.Contains("[bad-settings]",
            await ShownAsync("import", Export("mcu", settings: new { policy = "perhaps" }), "--yes"), StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(Data.Settings));
        // Its own section is wrong already: another one can be imported.
        await File.AppendAllTextAsync(Data.Settings, "\n[board x]\nnonsense: 1\n");
        Assert.Equal(0, (await _home.RunAsync("import", Export("mcu", new { power = "printer" }), "--yes")).Exit);
        Assert.EndsWith("[board mcu]\npower: printer\n", await File.ReadAllTextAsync(Data.Settings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_come_to_the_board_that_is_described_and_to_no_other_one()
    {
        object values = new { start = "0x8002000", power = "printer" };
        var before = await File.ReadAllTextAsync(Data.Settings);
        // At another uuid; of a section that is not here; with a configuration that does not fit.
        foreach (var file in (Func<string>[])[
            () => Export("toolhead", values, "mcu toolhead", uuid: "aabbccddeeff"), () => Export("spare", values, "mcu spare"),
            () => Export("mcu", values, "mcu", Octopus, config: PicoConfig)])
        {
            var (exit, shown) = await RunAsync("import", file(), "--yes");
            Assert.Equal(3, exit);
            Assert.Contains("not imported", shown, StringComparison.Ordinal);
            Assert.Equal(before, await File.ReadAllTextAsync(Data.Settings));
        }
        // Its chip alone tells what to build, and no more.
        Assert.Equal(0, (await RunAsync("import", Export("spare", values, config: PicoConfig), "--yes")).Exit);
        Assert.Equal((true, before), (Kept("pico") is not null, await File.ReadAllTextAsync(Data.Settings)));
        var many = Write(
            """{"format":"ratos-flash-export","version":1,"product":"0","boards":[{"board":"a"},{"board":"b"}]}""", "many.json");
        Assert.Contains("describes 2 boards", await ShownAsync("import", many, "mcu", "--yes"), StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("import", Export("other name", values, "mcu toolhead", uuid: Uuid), "--yes")).Exit);
        Assert.EndsWith(
            "\n[board toolhead]\nstart: 0x8002000\npower: printer\n", await File.ReadAllTextAsync(Data.Settings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_kind_of_RatOS_counts_only_where_it_is_known_and_fits_the_chip()
    {
        foreach (var (kind, why) in ((string, string)[])[("nonexistent", "its kind is unknown here"),
            ("btt-skr-mini-e3-30", "it has a stm32g0b1xx, but the board has a stm32f446xx")])
        {
            Write($$"""{"controlboard":"{{kind}}","toolheads":[]}""", "printer_data", "ratos", "last-printer-settings.json");
            Assert.Contains($"{kind} there): not imported: {why}", Join(await ShownAsync("import", "--yes")), StringComparison.Ordinal);
        }
        Write("""{"controlboard":"btt-octopus-11","toolheads":[]}""", "printer_data", "ratos", "last-printer-settings.json");
        Assert.Contains("    + id: btt-octopus-11\n", await ShownAsync("import", "--yes"), StringComparison.Ordinal);

        static string Join(string text) => text.Replace('\n', ' ');
    }

    [Fact]
    public async Task What_a_board_has_not_told_is_said_before_the_yes_and_a_wrong_link_or_bootloader_is_refused()
    {
        // The small tree's own defaults: a start that nothing here knows is imported all the same.
        var defaults = PicoConfig.Replace("4000", "0100", StringComparison.Ordinal);
        var (_, shown) = await RunAsync("import", Write(defaults, "x.config"), "pico");
        Assert.Contains("Check this: the board has not told its application start", shown, StringComparison.Ordinal);
        Assert.Contains("Bootloader offset: RPXXXX_FLASH_START_0100\n", shown, StringComparison.Ordinal);
        var usb = OctopusConfig.Replace("STM32F446", "STM32G0B1", StringComparison.Ordinal)
            .Replace("f446xx", "g0b1xx", StringComparison.Ordinal);
        Assert.Contains("CONFIG_CANSERIAL is n, but the board has y",
            await ShownAsync("import", Write(usb, "usb.config"), "toolhead", "--yes"), StringComparison.Ordinal);
        Assert.Contains("it is one of Katapult, not of Klipper", await ShownAsync(
            "import", Write(PicoConfig + "CONFIG_LAUNCH_APP_ADDRESS=0x10004000\n", "k.config"), "pico", "--yes"), StringComparison.Ordinal);
        Write(PicoConfig, "katchup", "katapult", "pico.config");
        Assert.Contains("[import-unreadable]", await ShownAsync("import", _home.PathOf("katchup", "katapult")), StringComparison.Ordinal);
        Assert.Contains("This Klipper does not have: DANGER_OPTIONS", await ShownAsync(
            "import", Write(PicoConfig + "CONFIG_DANGER_OPTIONS=y\n", "d.config"), "pico"), StringComparison.Ordinal);
        Assert.Null(Kept("pico") ?? Kept("toolhead"));
    }

    [Fact]
    public async Task One_bad_file_does_not_hide_the_others_and_a_reader_that_goes_is_no_internal_error()
    {
        Write("", "printer_data", "config", "klipperfleet", "fleet.json");
        Write(PicoConfig, "klipper-kconfigs", "pico.config");
        var (exit, shown) = await RunAsync("import", "--yes");
        Assert.Equal(0, exit);
        Assert.Contains("fleet.json cannot be imported: it is empty", shown, StringComparison.Ordinal);
        Assert.NotNull(Kept("pico"));
        File.Delete(Path.Combine(Data.Configs, "pico.config"));
        using var gone = _home.StartByShell("$program import --yes | true; echo; echo ended");
        Assert.DoesNotContain("Internal", await ProgramHome.ReadUntilAsync(gone, null) + await gone.StandardError.ReadToEndAsync(),
            StringComparison.Ordinal);
        using var pipe = _home.StartByShell($"mkfifo '{_home.PathOf("pipe")}'");
        await pipe.WaitForExitAsync();
        foreach (var verb in (string[])["export", "bundle"])
            Assert.Contains("there is no regular file", await ShownAsync(verb, "-o", _home.PathOf("pipe")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_export_has_what_the_agent_uses()
    {
        Write("[agent]\npolicy: ask\npolicy: never   # x\n[board Pico]\npower: a\n[board Pico]\npower: b\n",
            "printer_data", "config", "ratos-flash.conf");
        Write(PicoConfig, "printer_data", "ratos-flash", "configs", "pico.config");
        Assert.Equal(0, (await RunAsync("export", "-o", _home.PathOf("e.json"))).Exit);
        var export = JsonSerializer.Deserialize(await File.ReadAllTextAsync(_home.PathOf("e.json")), JsonContract.Shapes.JsonExport)!;
        Assert.Equal("never", export.Settings!["policy"]);
        var board = Assert.Single(export.Boards);
        Assert.Equal(("Pico", "mcu pico", "b", PicoConfig), (board.Board, board.Section, board.Values!["power"], board.Config));
    }

    [Fact]
    public async Task The_settings_keep_their_mode_their_link_and_their_bytes()
    {
        byte[] bytes = [.. "\ufeff# "u8, 0xe9, .. System.Text.Encoding.ASCII.GetBytes($"\n[agent]\nklipper_path: {_tree.Folder}\n")];
        var real = _home.PathOf("real.conf");
        await File.WriteAllBytesAsync(real, bytes);
        File.SetUnixFileMode(real, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.Delete(Data.Settings);
        File.CreateSymbolicLink(Data.Settings, real);
        Assert.Equal(0, (await RunAsync("import", Export("mcu", new { power = "p" }), "--yes")).Exit);
        var expected = bytes.Concat("\n[board mcu]\npower: p\n"u8.ToArray());
        Assert.Equal(expected, await File.ReadAllBytesAsync(real));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(real).UnixFileMode);
        Assert.Equal(real, new FileInfo(Data.Settings).LinkTarget);
        File.SetUnixFileMode(real, UnixFileMode.UserRead);
        var refused = await ShownAsync("import", Export("mcu", new { power = "q" }), "--yes");
        Assert.Contains("write-protected", refused, StringComparison.Ordinal);
    }

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
}
