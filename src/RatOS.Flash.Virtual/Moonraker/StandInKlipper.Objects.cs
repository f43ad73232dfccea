using System.IO.Compression;
using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>Status objects, with the members that the recordings show (transcript 09).</content>
internal sealed partial class StandInKlipper
{
    private const string IdleTimeout = "3600";
    private readonly Dictionary<VirtualFirmware, JsonObject> _builds = [];

    /// <summary>Names of all objects that can be asked for.</summary>
    public IReadOnlyList<string> Objects =>
    [
        "gcode", "webhooks", "configfile", .. printer.Boards.Select(Klippy.Config.SectionOf), "gcode_move", "print_stats", "virtual_sdcard", "display_status",
        "pause_resume", "idle_timeout", "heaters", .. print.Heaters.Keys, .. Macros.Keys.Select(name => $"gcode_macro {name}"), "toolhead", "system_stats",
    ];

    /// <summary>The state of objects: one member for each that was asked for, empty for one that is not there.</summary>
    /// <param name="wanted">By name: a list of members, of which those that do not exist are null, or null for all.</param>
    public JsonObject Query(IReadOnlyDictionary<string, IReadOnlyList<string>?> wanted)
    {
        var status = new JsonObject();
        foreach (var (name, members) in wanted)
        {
            var found = Status(name) ?? [];
            if (members is null || found.Count == 0)
            {
                status[name] = found;
                continue;
            }
            var chosen = new JsonObject();
            foreach (var member in members.Distinct())
                chosen[member] = found[member]?.DeepClone();
            status[name] = chosen;
        }
        return status;
    }

    private JsonObject? Status(string name)
    {
        if (printer.Boards.FirstOrDefault(board => Klippy.Config.SectionOf(board) == name) is { } mcu)
            return Mcu(mcu);
        if (print.Heaters.TryGetValue(name, out var heater))
            return new JsonObject { ["temperature"] = heater.Temperature, ["target"] = heater.Target, ["power"] = heater.Target > heater.Temperature ? 1.0 : 0.0 };
        const string macro = "gcode_macro ";
        if (name.StartsWith(macro, StringComparison.Ordinal) && Macros.TryGetValue(name[macro.Length..], out var found))
            return new JsonObject(found.Variables.Select(variable => KeyValuePair.Create(variable.Key, variable.Value?.DeepClone())));
        var isPrinting = print.PrintState == "printing";
        return name switch
        {
            "webhooks" => new JsonObject { ["state"] = Klippy.ApiState, ["state_message"] = Klippy.ApiMessage },
            "print_stats" => new JsonObject
            {
                ["filename"] = print.FileName,
                ["total_duration"] = 0.0,
                ["print_duration"] = 0.0,
                ["filament_used"] = 0.0,
                ["state"] = print.PrintState,
                ["message"] = "",
                ["info"] = new JsonObject { ["total_layer"] = null, ["current_layer"] = null },
            },
            "idle_timeout" => new JsonObject
            {
                ["state"] = _running > 0 ? "Printing" : print.IdleState,
                ["printing_time"] = 0.0,
                ["idle_timeout"] = double.Parse(IdleTimeout),
            },
            "virtual_sdcard" => new JsonObject { ["file_path"] = null, ["progress"] = 0.0, ["is_active"] = isPrinting, ["file_position"] = 0, ["file_size"] = 0 },
            "display_status" => new JsonObject { ["progress"] = 0.0, ["message"] = null },
            "pause_resume" => new JsonObject { ["is_paused"] = print.PrintState == "paused" },
            "heaters" => new JsonObject
            {
                ["available_heaters"] = Texts(print.Heaters.Keys),
                ["available_sensors"] = Texts(print.Heaters.Keys),
                ["available_monitors"] = new JsonArray(),
            },
            "toolhead" => new JsonObject
            {
                ["homed_axes"] = isPrinting ? "xyz" : "",
                ["print_time"] = 0.0,
                ["stalls"] = 0,
                ["estimated_print_time"] = printer.Time.Now.TotalSeconds,
                ["extruder"] = "extruder",
                ["position"] = new JsonArray(0.0, 0.0, 0.0, 0.0),
                ["max_velocity"] = 300.0,
                ["max_accel"] = 3000.0,
            },
            "configfile" => new JsonObject
            {
                ["config"] = Configuration(isParsed: false),
                ["warnings"] = new JsonArray(),
                ["save_config_pending"] = false,
                ["save_config_pending_items"] = new JsonObject(),
                ["settings"] = Configuration(isParsed: true),
            },
            "system_stats" => new JsonObject { ["sysload"] = 0.1, ["cputime"] = printer.Time.Now.TotalSeconds, ["memavail"] = 23_714_816 },
            _ => null,
        };
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);

    /// <summary>Nothing of a board that never told what it is; no statistics before it is configured.</summary>
    private JsonObject? Mcu(VirtualBoard board)
    {
        if (Klippy.FirmwareOf(board) is not { } firmware)
            return null;
        if (!_builds.TryGetValue(firmware, out var build))
        {
            var dictionary = Inflate(firmware.CompressedDictionary);
            build = _builds[firmware] = new JsonObject
            {
                ["mcu_version"] = firmware.Version,
                ["mcu_build_versions"] = dictionary["build_versions"]?.DeepClone(),
                ["mcu_constants"] = dictionary["config"]?.DeepClone(),
            };
        }
        var mcu = build.DeepClone().AsObject();
        if (Klippy.HasConfigured)
            mcu["last_stats"] = new JsonObject { ["mcu_awake"] = 0.001, ["bytes_retransmit"] = 0, ["bytes_invalid"] = 0, ["srtt"] = 0.0, ["freq"] = firmware.ClockFrequency };
        return mcu;
    }

    private static JsonObject Inflate(ReadOnlyMemory<byte> dictionary)
    {
        using var packed = new MemoryStream(dictionary.ToArray());
        using var zlib = new ZLibStream(packed, CompressionMode.Decompress);
        return JsonNode.Parse(zlib)!.AsObject();
    }

    /// <summary>printer.cfg: as it is written (all texts), or as Klipper has read it (names in lower case, numbers, defaults).</summary>
    private JsonObject Configuration(bool isParsed)
    {
        var sections = new JsonObject();
        foreach (var board in printer.Boards)
            sections[isParsed ? Klippy.Config.SectionOf(board).ToLowerInvariant() : Klippy.Config.SectionOf(board)] = McuSection(board, isParsed);
        foreach (var macro in Macros.Values)
        {
            var section = new JsonObject { ["gcode"] = "", ["description"] = "G-Code macro" };
            foreach (var (variable, value) in macro.Beginning)
                section[$"variable_{variable}"] = $"{value}";
            sections[isParsed ? $"gcode_macro {macro.Name.ToLowerInvariant()}" : $"gcode_macro {macro.Name}"] = section;
        }
        foreach (var heater in print.Heaters.Keys)
            sections[heater] = new JsonObject { ["sensor_type"] = "Generic 3950", ["max_temp"] = isParsed ? 300.0 : "300" };
        sections["idle_timeout"] = new JsonObject { ["timeout"] = isParsed ? double.Parse(IdleTimeout) : IdleTimeout };
        sections["printer"] = new JsonObject { ["kinematics"] = "none", ["max_velocity"] = isParsed ? 300.0 : "300", ["max_accel"] = isParsed ? 3000.0 : "3000" };
        return sections;
    }

    private JsonObject McuSection(VirtualBoard board, bool isParsed)
    {
        var named = Klippy.Config.Section(board);
        if (named.CanbusUuid is { } uuid)
            return new JsonObject { ["canbus_uuid"] = uuid, ["canbus_interface"] = named.CanbusInterface };
        var section = new JsonObject { ["serial"] = named.Serial };
        if (board.Setup.IsUart || isParsed)
            section["baud"] = isParsed ? 250_000 : "250000";
        section["restart_method"] = named.RestartMethod;
        return section;
    }
}
