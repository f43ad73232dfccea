using System.Collections.Immutable;

namespace RatOS.Flash.Boards;

/// <summary>The pins that a configuration gives to one MCU, as features of its board.</summary>
/// <param name="Features">Each once.</param>
public sealed record PinSet(ImmutableArray<PinFeature> Features)
{
    /// <summary>A printer has some forty features; more than this many are no printer's.</summary>
    private const int MostFeatures = 1000;

    private const int LongestPin = 24;

    public static readonly PinSet None = new([]);

    public ImmutableArray<PinFeature> Features { get; init; } = Features.IsDefault ? [] : Features;

    /// <summary>It uses PA13 or PA14: on an STM32 the pins of the debugger, which then must be switched off (SWJ, RM0008 9.3.5).</summary>
    public bool UsesDebugPins { get; init; }

    /// <summary>Of all features together.</summary>
    public int Weight => Features.Sum(feature => feature.Weight);

    /// <summary>The sets of all MCUs of a configuration, by <c>mcu</c> or the NAME of <c>[mcu NAME]</c>, in any case.</summary>
    /// <param name="sections">All sections; of two with one name both count.</param>
    public static IReadOnlyDictionary<string, PinSet> Of(IReadOnlyList<ConfigSection> sections) => new Reading(sections).Sets();

    /// <summary>Pins of one configuration while they are read.</summary>
    private sealed class Reading
    {
        private readonly IReadOnlyList<ConfigSection> _sections;
        private readonly Dictionary<string, OrderedFeatures> _mcus = new(StringComparer.OrdinalIgnoreCase) { [MainMcu] = new() };
        private readonly Dictionary<(string Mcu, string Alias), string> _aliases = [];

        /// <summary>By the stepper's section: its step pin. Null where two sections have one name.</summary>
        private readonly Dictionary<string, McuPin?> _steppers = new(StringComparer.OrdinalIgnoreCase);

        public Reading(IReadOnlyList<ConfigSection> sections)
        {
            _sections = sections;
            foreach (var section in sections.Where(section => section.Type is "mcu" && section.Own.Length > 0))
                _mcus.TryAdd(section.Own, new());
            foreach (var section in sections.Where(section => section.Type is "board_pins"))
                ReadAliases(section);
        }

        private const string MainMcu = "mcu";

        public Dictionary<string, PinSet> Sets()
        {
            foreach (var section in _sections)
            {
                if (PinOf(section, "step_pin") is { } step)
                    _steppers[section.Name] = _steppers.ContainsKey(section.Name) ? null : step;
            }
            foreach (var section in _sections.Where(section => section.Type is not "board_pins"))
                ReadSection(section);
            return _mcus.ToDictionary(
                mcu => mcu.Key, mcu => new PinSet([.. mcu.Value.All]) { UsesDebugPins = mcu.Value.UsesDebugPins },
                StringComparer.OrdinalIgnoreCase);
        }

        private void ReadSection(ConfigSection section)
        {
            var isDriver = section.Type.StartsWith("tmc", StringComparison.Ordinal);
            if (PinOf(section, "step_pin") is { } step && PinOf(section, "dir_pin") is { } direction && direction.Mcu == step.Mcu)
            {
                var enable = PinOf(section, "enable_pin") is { } pin && pin.Mcu == step.Mcu ? pin.Name : "-";
                Add(PinRole.Driver, step.Mcu, $"{step.Name} {direction.Name} {enable}");
            }
            if (isDriver && _steppers.GetValueOrDefault(section.Own) is { } stepper
                && (PinOf(section, "uart_pin") ?? PinOf(section, "cs_pin")) is { } line && line.Mcu == stepper.Mcu)
            {
                Add(PinRole.DriverLine, stepper.Mcu, $"{stepper.Name} {line.Name}");
            }
            foreach (var (option, value) in section.Options)
            {
                if (!option.EndsWith("pin", StringComparison.Ordinal) && !option.EndsWith("pins", StringComparison.Ordinal))
                    continue;
                foreach (var text in value.Split([',', '\n'], StringSplitOptions.RemoveEmptyEntries))
                {
                    if (Resolve(text) is not { } pin)
                        continue;
                    _mcus[pin.Mcu].UsesDebugPins |= pin.Name is "PA13" or "PA14";
                    if (RoleOf(section.Type, option) is { } role)
                        Add(role, pin.Mcu, pin.Name);
                }
            }
        }

        private void Add(PinRole role, string mcu, string pins) => _mcus[mcu].Add(new(role, pins));

        private static PinRole? RoleOf(ReadOnlySpan<char> section, string option) => option switch
        {
            "heater_pin" => PinRole.Heater,
            // Of probes and filament sensors it is a switch.
            "sensor_pin" when section is "extruder" or "heater_bed" or "heater_generic" or "temperature_sensor" or "temperature_fan"
                || section.StartsWith("extruder") => PinRole.Thermistor,
            "pin" when section is "fan" or "heater_fan" or "controller_fan" or "fan_generic" or "temperature_fan" => PinRole.Fan,
            "endstop_pin" or "diag_pin" or "diag0_pin" or "diag1_pin" => PinRole.Endstop,
            "cs_pin" when section is "adxl345" or "lis2dw" or "lis3dh" or "mpu9250" or "icm20948" or "bmi160" => PinRole.Accelerometer,
            _ => null,
        };

        /// <summary>The first pin that a section has for an option.</summary>
        private McuPin? PinOf(ConfigSection section, string option)
        {
            foreach (var (name, value) in section.Options)
            {
                if (name == option && Resolve(value) is { } pin)
                    return pin;
            }
            return null;
        }

        /// <summary>A pin as <c>^!EBBCan:PB12</c>; null where it is no MCU's: <c>probe:z_virtual_endstop</c>.</summary>
        private McuPin? Resolve(string text)
        {
            var pin = text.AsSpan().Trim(" \t^~!");
            var mcu = MainMcu;
            if (pin.IndexOf(':') is var at and >= 0)
            {
                mcu = pin[..at].Trim().ToString();
                pin = pin[(at + 1)..].Trim(" \t^~!");
            }
            if (!_mcus.ContainsKey(mcu))
                return null;
            mcu = mcu.ToLowerInvariant();
            var name = pin.ToString();
            // An alias of an alias is none in Klipper either (klippy/pins.py).
            name = _aliases.GetValueOrDefault((mcu, name)) ?? name;
            // RatOS writes "null" for a socket that a board lacks.
            return name.Length is > 1 and <= LongestPin && char.IsAsciiLetter(name[0]) && name.All(IsPinCharacter) && name != "null"
                ? new(mcu, name) : null;
        }

        private static bool IsPinCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '_';

        private void ReadAliases(ConfigSection section)
        {
            var named = section.Options.Where(option => option.Key == "mcu").SelectMany(option => option.Value.Split(','))
                .Select(mcu => mcu.Trim().ToLowerInvariant()).Where(mcu => mcu.Length > 0).Take(16).ToList();
            foreach (var (_, value) in section.Options.Where(option => option.Key.StartsWith("aliases", StringComparison.Ordinal)))
            {
                foreach (var pair in value.Split([',', '\n'], StringSplitOptions.RemoveEmptyEntries))
                {
                    if (pair.IndexOf('=', StringComparison.Ordinal) is not (var at and > 0))
                        continue;
                    foreach (var mcu in named is [] ? [MainMcu] : named)
                        _aliases[(mcu, pair[..at].Trim())] = pair[(at + 1)..].Trim(" \t^~!".ToCharArray());
                }
            }
        }

        private readonly record struct McuPin(string Mcu, string Name);
    }

    /// <summary>Features in the order of the file, each once.</summary>
    private sealed class OrderedFeatures
    {
        private readonly HashSet<PinFeature> _known = [];

        public List<PinFeature> All { get; } = [];

        public bool UsesDebugPins { get; set; }

        public void Add(PinFeature feature)
        {
            if (All.Count < MostFeatures && _known.Add(feature))
                All.Add(feature);
        }
    }
}
