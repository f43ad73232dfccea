using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// A configuration file of Klipper or Moonraker for a bug report: a value stays only if its section and its key are known to hold nothing
/// private and it looks as such values do. Comments, macros and all other values go; the lines stay.
/// </summary>
internal static class ConfigRedaction
{
    public const string Removed = "(removed)";

    // First words of sections. What they hold is hardware, motion or how software is updated.
    private static readonly HashSet<string> Sections = new(StringComparer.OrdinalIgnoreCase)
    {
        "mcu", "printer", "extruder", "extruder_stepper", "heater_bed", "heater_generic", "heater_fan", "controller_fan", "fan",
        "fan_generic", "temperature_sensor", "temperature_fan", "stepper_x", "stepper_y", "stepper_z", "stepper_a", "stepper_b",
        "stepper_c", "stepper_x1", "stepper_y1", "stepper_z1", "stepper_z2", "stepper_z3", "tmc2130", "tmc2208", "tmc2209", "tmc2240",
        "tmc5160", "bltouch", "probe", "beacon", "cartographer", "scanner", "adxl345", "lis2dw", "lis3dh", "mpu9250",
        "resonance_tester", "input_shaper", "bed_mesh", "z_tilt", "quad_gantry_level", "canbus_stats", "output_pin", "neopixel",
        "filament_switch_sensor", "filament_motion_sensor", "virtual_sdcard", "display", "board_pins", "verify_heater", "include",
        "server", "update_manager", "machine", "power", "ratos_flash", "agent", "board",
    };

    private static readonly HashSet<string> Numbers = new(StringComparer.OrdinalIgnoreCase)
    {
        "baud", "canbus_speed", "max_velocity", "max_accel", "rotation_distance", "microsteps", "full_steps_per_rotation", "run_current",
        "hold_current", "sense_resistor", "position_min", "position_max", "position_endstop", "homing_speed", "min_temp", "max_temp",
        "max_temp_rate", "klippy_uds_timeout", "port", "poll_interval", "off_when_shutdown_delay", "restart_delay",
    };

    private static readonly HashSet<string> Words = new(StringComparer.OrdinalIgnoreCase)
    {
        "kinematics", "restart_method", "canbus_interface", "sensor_mcu", "type", "channel", "primary_branch", "bound_service",
        "provider", "policy", "rollback", "when_idle", "klipper_service", "log_level", "id", "bootloader", "power", "initial_state",
        "is_non_critical", "locked_while_printing", "restart_klipper_when_powered", "off_when_shutdown",
    };

    private static readonly Regex Number = Of(@"^-?\d{1,9}(\.\d{1,9})?$");
    private static readonly Regex Word = Of(@"^[A-Za-z][\w.-]{0,31}$|^\d{1,3}$");
    private static readonly Regex WordList = Of(@"^[A-Za-z][\w .,-]{0,95}$");
    private static readonly Regex Pin = Of(
        @"^[!^~]*([A-Za-z]\w{0,31}:)?[!^~]*(P[A-K]\d{1,2}|gpio\d{1,2}|P\d\.\d{1,2}|gpiochip\d{1,2}/gpio\d{1,3}|ar\d{1,2}|analog\d{1,2}"
        + @"|\w{1,32}:(z_)?virtual_endstop)$");
    private static readonly Regex Port = Of(
        @"^(/dev/(serial/by-(id|path)/[\w:.+-]{1,128}|tty\w{1,16}|RatOS/[\w-]{1,48}|[a-z][a-z0-9-]{1,40})|/tmp/klipper_\w{1,24}"
        + @"|\d-[\d.]{1,16}|can\d)$");
    private static readonly Regex Uuid = Of("^[0-9a-fA-F]{12}$");
    private static readonly Regex Name = Of(@"^[A-Za-z_][\w.-]{0,31}( [A-Za-z_][\w.-]{0,31})?$");
    private static readonly Regex File = Of(@"^[\w./*-]{1,96}\.(cfg|conf)$");

    /// <summary>The redacted text of a file, or of a part of one.</summary>
    public static string Of(IEnumerable<string> lines)
    {
        var (text, isKnown) = (new StringBuilder(), false);
        foreach (var raw in lines)
        {
            var line = WithoutComment(raw.TrimEnd('\r'));
            if (line.StartsWith('['))
            {
                isKnown = IsKnown(line);
                text.Append(Header(line, isKnown));
            }
            else if (line.Length > 0 && !char.IsWhiteSpace(line[0]) && line.IndexOfAny([':', '=']) is var at and > 0)
            {
                var (key, value) = (line[..at].TrimEnd(), line[(at + 1)..].Trim());
                text.Append(Name.IsMatch(key) ? key : Removed).Append(": ")
                    .Append(value.Length == 0 || (isKnown && IsHarmless(key, value)) ? value : Removed);
            }
            else if (line.Trim().Length > 0)
            {
                text.Append("  ").Append(Removed);
            }
            text.Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The value of this key may be seen by anyone.</summary>
    public static bool IsHarmless(string key, string value) => key.ToLowerInvariant() switch
    {
        "serial" or "port" when Port.IsMatch(value) => true,
        "canbus_uuid" or "uuid" => Uuid.IsMatch(value),
        "pin" => Pin.IsMatch(value),
        var pin when pin.EndsWith("_pin", StringComparison.Ordinal) => Pin.IsMatch(value),
        var name when Numbers.Contains(name) => Number.IsMatch(value),
        var name when Words.Contains(name) => Word.IsMatch(value),
        "sensor_type" or "bound_services" or "managed_services" or "aliases_of" => WordList.IsMatch(value),
        _ => false,
    };

    private static bool IsKnown(string header) => Sections.Contains(header.Trim('[', ']', ' ').Split(' ')[0]);

    private static string Header(string line, bool isKnown)
    {
        var words = line.Trim('[', ']', ' ');
        var first = words.Split(' ')[0];
        if (isKnown && (Name.IsMatch(words) || (first == "include" && File.IsMatch(words[first.Length..].Trim()))))
            return $"[{words}]";
        return !Name.IsMatch(first) || first.Length > 24 ? $"[{Removed}]" : words == first ? $"[{first}]" : $"[{first} {Removed}]";
    }

    private static string WithoutComment(string line)
    {
        var at = line.IndexOfAny(['#', ';']);
        return at < 0 ? line : line[..at].TrimEnd();
    }

    private static Regex Of(string pattern) => new(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}
