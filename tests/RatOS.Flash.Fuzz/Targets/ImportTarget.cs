using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Migration;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>Files of other updaters, and what they would set in <c>ratos-flash.conf</c>. The first byte chooses the kind.</summary>
internal sealed class ImportTarget : FuzzTarget
{
    private const string Present =
        "# mine\n[agent]\npolicy: ask   # why\nklipper_path: /home/pi/klipper\n\n[board octopus]\npower: printer\n";

    private static readonly string[] Kinds =
        ["fleet.json", "mcus.ini", "mcu-updater.cfg", "devices.yaml", "last-printer-settings.json", "export.json", "x.config"];

    public override string Name => "import";

    public override string Oracle => "A file is read or refused with a fault, and an import changes single values only.";

    public override IEnumerable<string> Tokens =>
    [
        "\"name\":", "\"id\":", "\"profile\":", "\"method\":\"can\"", "\"format\":\"ratos-flash-export\"", "\"version\":1",
        "\"boards\":[", "\"values\":{", "\"power\":\"", "\"settings\":{", "\"policy\":\"", "\\n[agent]\\nklipper_path: /tmp\\n",
        "[type a]\n", "chipset: stm32f446xx\n", "serials:\n  ", "klipper_section: mcu\n", "config_name: ../x\n",
        "action_command: flashtool.py -u 0f1e2d3c4b5a -d /dev/ttyACM0\n", "- id: a\n", "..", "/", "\\u0000", "\ud800", "\u202e", "\r", "\0",
    ];

    public override IEnumerable<byte[]> Seeds() =>
    [
        Bytes("\0[{\"name\":\"mcu a (x)\",\"id\":\"0f1e2d3c4b5a\",\"profile\":\"a\",\"method\":\"can\",\"serial_id\":null}]"),
        Bytes("\u0001[a]\nklipper_section: mcu\naction_command: python3 flashtool.py -i can0 -u 0f1e2d3c4b5a; sleep 2\n"),
        Bytes("\u0002[type a]\nchipset: rp2040\nfirmware: klipper, katapult\nserials:\n  1234-if00  # x\n  5678-if00\n"),
        Bytes("\u0003devices:\n  - id: a\n    mcu_section: mcu a\n    canbus_uuid: 0f1e2d3c4b5a\n"),
        Bytes("\u0004{\"controlboard\":\"btt-octopus-11\",\"toolheads\":[{\"toolboard\":null},{\"toolboard\":\"btt-ebb42-12\"}]}"),
        Bytes("\u0005{\"format\":\"ratos-flash-export\",\"version\":1,\"product\":\"0\",\"settings\":{\"policy\":\"never\"},"
            + "\"boards\":[{\"board\":\"octopus\",\"values\":{\"power\":\"x\"},\"config\":\"CONFIG_MCU=\\\"rp2040\\\"\"}]}"),
        Bytes("\u0006CONFIG_MCU=\"rp2040\"\n"),
    ];

    public override void Run(byte[] input)
    {
        if (input.Length == 0)
            return;
        var path = ScratchFile.Write($"import/{Kinds[input[0] % Kinds.Length]}", input.AsSpan(1));
        try
        {
            var file = ForeignTools.Read(path);
            var edit = SettingsImport.Edit(Present, file.Settings, file.Boards.Select(board =>
                (board.Tool == JsonExport.Tool ? board.Name : "octopus", board.Values)));
            var removed = edit.Changes.Count(line => line[0] == '-');
            var before = Present.Split('\n');
            Hold(before.Except(edit.Text.Split('\n')).Count() <= removed, "all other lines stay");
            var paths = edit.Text.Split('\n').Count(line => AgentSettings.KeyAndValue(line)?.Key == "klipper_path");
            Hold(paths == 1, "nothing that is executed is set");
            Hold(!edit.Changes.Any(line => line.Any(char.IsControl)), "changes are lines");
        }
        catch (FlashException fault)
        {
            Hold(!fault.Cause.Any(char.IsControl), "plain faults");
        }
    }
}
