using RatOS.Flash.Agent.Migration;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Tests;

/// <summary>What is read of other updaters' files, and how a setting is set.</summary>
public sealed class ForeignToolTests : IDisposable
{
    private const string Octopus = "/dev/serial/by-id/usb-Klipper_stm32f446xx_1A0023000951313338370001-if00";
    private const string Uuid = "0f1e2d3c4b5a";
    private const string Config = "CONFIG_MCU=\"stm32f446xx\"\n";

    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("rf-");

    private string PathOf(params ReadOnlySpan<string> names) => Path.Combine([_home.FullName, .. names]);

    public void Dispose() => _home.Delete(recursive: true);

    private string Write(string text, params ReadOnlySpan<string> names)
    {
        var path = PathOf(names);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
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
            Write(Config, ["tool", .. config.Split('/')]);
        var folder = Path.GetDirectoryName(file)!;
        foreach (var place in (string[])[file, folder])
            Assert.Equal(expected, ForeignTools.Read(place).Boards.Select(board => Told(board, folder)));
    }

    [Fact]
    public void Katchup_names_its_boards_by_files()
    {
        string[] files = [$"my-board-{Uuid}.config", "pico--usb-katapult_rp2040_45503571290B0001-if00.config", "host-.config",
            $"octopus-{Uuid}-usb-katapult_stm32f446xx_1A0023000951313338370001-if00.config", "empty-a1b2c3d4e5f6.config"];
        foreach (var file in files)
            Write(file.StartsWith("empty", StringComparison.Ordinal) ? "" : Config, "katchup", "klipper", file);
        Assert.Equal(
            ["katchup empty a1b2c3d4e5f6 empty-a1b2c3d4e5f6.config: it is empty or no regular file", "katchup host host config",
                $"katchup my-board {Uuid} config",
                $"katchup octopus {Uuid} /dev/serial/by-id/usb-katapult_stm32f446xx_1A0023000951313338370001-if00 config",
                "katchup pico /dev/serial/by-id/usb-katapult_rp2040_45503571290B0001-if00 config"],
            ForeignTools.Read(PathOf("katchup", "klipper")).Boards.Select(board => Told(board, PathOf("katchup", "klipper"))));
    }

    private static string Told(ForeignBoard board, string folder) => string.Join(' ', ((string?[])
    [
        board.Tool, board.Name, board.Section, .. board.Uuids.Select(uuid => uuid.ToString()), .. board.Ports,
        .. board.Values.Select(pair => $"{pair.Key}={pair.Value}"), board.IsHostMcu ? "host" : null,
        board.Config is not null ? "config" : board.Skipped is { } why && why.Contains(folder, StringComparison.Ordinal)
            ? why[(why.LastIndexOf('/') + 1)..] : board.Skipped,
    ]).Where(word => !string.IsNullOrEmpty(word)));

    [Theory]
    [InlineData("", "agent", "policy: never\n", "[agent]\npolicy: never\n")]
    [InlineData("# a\n", "board x", "power: p\n", "# a\n\n[board x]\npower: p\n")]
    [InlineData("[agent]\r\npolicy: ask  ; why\r\n\r\n\r\n", "agent", "policy: never\n", "[agent]\r\npolicy: never  ; why\r\n\r\n\r\n")]
    [InlineData("[agent]\r\n#policy: x", "agent", "policy: never\n", "[agent]\r\npolicy: never\r\n#policy: x\n")]
    [InlineData("[agent]\npolicy: ask\n[board x]\n[agent]\nrollback: ask\n", "agent", "policy: never\n",
        "[agent]\npolicy: never\n[board x]\n[agent]\nrollback: ask\n")]
    [InlineData("[board X]\npower: a\n[board x]\nport: 1\n[y]\n", "board x", "port: 2\nuuid: 3\n",
        "[board X]\npower: a\n[board x]\nport: 2\nuuid: 3\n[y]\n")]
    [InlineData("#\f\u2028 é\n[agent]\n", "agent", "policy: never\n", "#\f\u2028 é\n[agent]\npolicy: never\n")]
    public void Settings_are_set_and_every_other_line_stays(string before, string section, string set, string after)
    {
        var edit = new SettingsEdit(before);
        for (var again = 0; again < 2; again++)
        {
            foreach (var line in set.TrimEnd('\n').Split('\n'))
                edit.Set(section, line.Split(": ")[0], line.Split(": ")[1]);
            Assert.Equal(after, edit.Text);
        }
        Assert.Equal(set.Count(c => c == '\n'), edit.Changes.Count(line => line[0] == '+' && line[2] != '['));
    }

    [Fact]
    public void A_file_without_an_end_costs_a_bounded_time()
    {
        var many = Write("[" + string.Join(',', Enumerable.Repeat("{\"name\":\"a\",\"id\":\"b\"}", 10_000)) + "]", "tool", "fleet.json");
        Assert.Contains("more than 64 boards", Refused(many), StringComparison.Ordinal);
        Assert.Contains("no file of an updater", Refused("/dev/zero"), StringComparison.Ordinal);
        var huge = Write(new string('x', 2 << 20), "tool", "mcus.ini");
        Assert.Contains("too much", Refused(huge), StringComparison.Ordinal);

        static string Refused(string file) => Assert.Throws<FlashException>(() => ForeignTools.Read(file)).Cause;
    }
}
