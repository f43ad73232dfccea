using System.IO.Compression;
using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Klipper's status objects, with the members that the recordings show (klipper: docs/Status_Reference.md).</summary>
/// <param name="printer">The printer.</param>
/// <param name="print">Its activity.</param>
/// <param name="macros">The macros of its configuration.</param>
/// <param name="isBusy">A script runs.</param>
internal sealed class KlippyObjects(
    VirtualPrinter printer, VirtualPrintState print, IReadOnlyDictionary<string, GcodeMacro> macros, Func<bool> isBusy)
{
    private const string IdleTimeout = "3600";
    private const string MacroPrefix = "gcode_macro ";

    private readonly Dictionary<VirtualFirmware, JsonObject> _builds = [];

    /// <summary>Names of all objects.</summary>
    public IEnumerable<string> Names =>
    [
        "gcode", "webhooks", "configfile", .. printer.Boards.Select(Klippy.Config.SectionOf), "gcode_move", "print_stats",
        "virtual_sdcard",
        "display_status", "pause_resume", "idle_timeout", "heaters", .. print.Heaters.Keys,
        .. macros.Keys.Select(name => MacroPrefix + name),
        "toolhead", "system_stats",
    ];

    private VirtualKlippy Klippy => printer.Klippy;

    /// <summary>The status of objects: one member for each requested one, empty for an unknown object.</summary>
    /// <param name="wanted">By name: a list of members (null in the result where they do not exist), or null for all.</param>
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
        {
            var power = heater.Target > heater.Temperature ? 1.0 : 0.0;
            return new JsonObject { ["temperature"] = heater.Temperature, ["target"] = heater.Target, ["power"] = power };
        }
        if (name.StartsWith(MacroPrefix, StringComparison.Ordinal) && macros.TryGetValue(name[MacroPrefix.Length..], out var macro))
            return new JsonObject(macro.Variables.Select(variable => KeyValuePair.Create(variable.Key, variable.Value?.DeepClone())));
        return name switch
        {
            "webhooks" => new() { ["state"] = Klippy.ApiState, ["state_message"] = Klippy.ApiMessage },
            "print_stats" => PrintStats(),
            "idle_timeout" => new()
            {
                ["state"] = isBusy() ? "Printing" : print.IdleState,
                ["printing_time"] = 0.0,
                ["idle_timeout"] = double.Parse(IdleTimeout),
            },
            "virtual_sdcard" => new()
            {
                ["file_path"] = null,
                ["progress"] = 0.0,
                ["is_active"] = print.IsPrinting,
                ["file_position"] = 0,
                ["file_size"] = 0,
            },
            "display_status" => new() { ["progress"] = 0.0, ["message"] = null },
            "pause_resume" => new() { ["is_paused"] = print.PrintState == "paused" },
            "heaters" => new()
            {
                ["available_heaters"] = MoonrakerJson.Texts(print.Heaters.Keys),
                ["available_sensors"] = MoonrakerJson.Texts(print.Heaters.Keys),
                ["available_monitors"] = new JsonArray(),
            },
            "toolhead" => Toolhead(),
            "configfile" => ConfigFile(),
            "system_stats" => new() { ["sysload"] = 0.1, ["cputime"] = printer.Time.Now.TotalSeconds, ["memavail"] = 23_714_816 },
            _ => null,
        };
    }

    private JsonObject PrintStats() => new()
    {
        ["filename"] = print.FileName,
        ["total_duration"] = 0.0,
        ["print_duration"] = 0.0,
        ["filament_used"] = 0.0,
        ["state"] = print.PrintState,
        ["message"] = "",
        ["info"] = new JsonObject { ["total_layer"] = null, ["current_layer"] = null },
    };

    private JsonObject Toolhead() => new()
    {
        ["homed_axes"] = print.IsPrinting ? "xyz" : "",
        ["print_time"] = 0.0,
        ["stalls"] = 0,
        ["estimated_print_time"] = printer.Time.Now.TotalSeconds,
        ["extruder"] = "extruder",
        ["position"] = new JsonArray(0.0, 0.0, 0.0, 0.0),
        ["max_velocity"] = 300.0,
        ["max_accel"] = 3000.0,
    };

    /// <summary>Null for a board that was never identified; without statistics before it is configured.</summary>
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
        {
            mcu["last_stats"] = new JsonObject
            {
                ["mcu_awake"] = 0.001,
                ["bytes_retransmit"] = 0,
                ["bytes_invalid"] = 0,
                ["srtt"] = 0.0,
                ["freq"] = firmware.ClockFrequency,
            };
        }
        return mcu;
    }

    private static JsonObject Inflate(ReadOnlyMemory<byte> dictionary)
    {
        using var packed = new MemoryStream(dictionary.ToArray());
        using var zlib = new ZLibStream(packed, CompressionMode.Decompress);
        return JsonNode.Parse(zlib)!.AsObject();
    }

    private JsonObject ConfigFile() => new()
    {
        ["config"] = Configuration(isParsed: false),
        ["warnings"] = new JsonArray([.. Klippy.Deprecated.Select(lack => new JsonObject
        {
            ["type"] = "deprecated_mcu_code",
            ["message"] = $"MCU '{lack.Key}' has deprecated code (it is missing feature '{lack.Value}').",
            ["mcu"] = lack.Key,
            ["feature"] = lack.Value,
        })]),
        ["save_config_pending"] = false,
        ["save_config_pending_items"] = new JsonObject(),
        ["settings"] = Configuration(isParsed: true),
    };

    /// <summary>printer.cfg: as written (all texts), or as Klipper parsed it (names in lower case, numbers, defaults).</summary>
    private JsonObject Configuration(bool isParsed)
    {
        var sections = new JsonObject();
        foreach (var board in printer.Boards)
            sections[Name(Klippy.Config.SectionOf(board))] = McuSection(board, isParsed);
        foreach (var macro in macros.Values)
        {
            var section = new JsonObject { ["gcode"] = "", ["description"] = "G-Code macro" };
            foreach (var (variable, value) in macro.Beginning)
                section[$"variable_{variable}"] = $"{value}";
            sections[MacroPrefix + Name(macro.Name)] = section;
        }
        foreach (var heater in print.Heaters.Keys)
            sections[heater] = new JsonObject { ["sensor_type"] = "Generic 3950", ["max_temp"] = Value("300") };
        sections["idle_timeout"] = new JsonObject { ["timeout"] = Value(IdleTimeout) };
        sections["printer"] = new JsonObject { ["kinematics"] = "none", ["max_velocity"] = Value("300"), ["max_accel"] = Value("3000") };
        return sections;

        string Name(string name) => isParsed ? name.ToLowerInvariant() : name;

        JsonValue Value(string text) => isParsed ? JsonValue.Create(double.Parse(text)) : JsonValue.Create(text);
    }

    private JsonObject McuSection(VirtualBoard board, bool isParsed)
    {
        var named = Klippy.Config.Section(board);
        if (named.CanbusUuid is { } uuid)
            return new JsonObject { ["canbus_uuid"] = uuid, ["canbus_interface"] = named.CanbusInterface };
        var section = new JsonObject { ["serial"] = named.Serial };
        if (board.Setup.IsUart || isParsed)
            section["baud"] = isParsed ? board.Setup.HostBaud : named.Baud;
        section["restart_method"] = named.RestartMethod;
        return section;
    }
}
