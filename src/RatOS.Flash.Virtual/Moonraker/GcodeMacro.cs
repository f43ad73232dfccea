using System.Globalization;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A macro of Klipper's configuration, its template written in C#.</summary>
/// <param name="Name">As in the section <c>gcode_macro NAME</c>; upper case for a macro that is called.</param>
/// <param name="Template">Evaluates it: returns the lines of G-code to run, or none.</param>
internal sealed record GcodeMacro(string Name, Func<MacroContext, string> Template)
{
    public const string Flag = "_RATOS_FLASH", Settled = "settled";
    public static readonly TimeSpan Settling = TimeSpan.FromSeconds(10);
    private readonly IReadOnlyDictionary<string, int> _beginning = new Dictionary<string, int>(StringComparer.Ordinal);

    /// <summary>Its <c>variable_</c> options, integers, which each start of Klipper sets.</summary>
    public IReadOnlyDictionary<string, int> Beginning
    {
        get => _beginning;
        init
        {
            _beginning = value;
            Reset();
        }
    }

    /// <summary>Its variables now: any JSON.</summary>
    public Dictionary<string, JsonNode?> Variables { get; } = new(StringComparer.Ordinal);

    public string Evaluate(MacroContext context) => Template(context);

    public void Reset()
    {
        foreach (var (name, value) in Beginning)
            Variables[name] = (double)value;
    }

    /// <summary>The macros of config/ratos_flash.cfg.</summary>
    public static IEnumerable<GcodeMacro> OfProduct() =>
    [
        new(Flag, _ => "")
        {
            Beginning = new Dictionary<string, int>(StringComparer.Ordinal) { ["alive"] = 0, ["asked"] = 0, [Settled] = 0 },
        },
        new("FLASH_MCU", context => Call(context, "FLASH_MCU", "ratos_flash_mcu", new JsonObject
        {
            ["board"] = (context.Parameter("BOARD") ?? context.Parameter("MCU") ?? "all").ToLowerInvariant(),
            ["force"] = context.Integer("FORCE"),
            ["hot"] = context.Integer("HOT"),
            ["sd_card"] = context.Integer("CARD"),
            ["ask"] = context.Parameter("BOARD") is null && context.Parameter("MCU") is null ? 1 : 0,
            ["printing"] = context.IsPrinting ? 1 : 0,
        })),
        new("FLASH_RECOVER", context => Call(context, "FLASH_RECOVER", "ratos_flash_mcu", new JsonObject
        {
            ["board"] = (context.Parameter("BOARD") ?? "all").ToLowerInvariant(),
            ["recover"] = 1,
            ["hot"] = context.Integer("HOT"),
            ["printing"] = context.IsPrinting ? 1 : 0,
        })),
        new("FLASH_ROLLBACK", context => Call(context, "FLASH_ROLLBACK", "ratos_flash_mcu", new JsonObject
        {
            ["board"] = context.Parameter("BOARD")?.ToLowerInvariant()
                ?? throw new GcodeException("gcode.CommandError: FLASH_ROLLBACK needs a board: FLASH_ROLLBACK BOARD=octopus"),
            ["rollback"] = 1,
            ["hot"] = context.Integer("HOT"),
            ["printing"] = context.IsPrinting ? 1 : 0,
        })),
        new("FLASH_STATUS", context => Call(context, "FLASH_STATUS", "ratos_flash_status", [])),
        new("FLASH_CANCEL", context => Call(context, "FLASH_CANCEL", "ratos_flash_cancel", [])),
        new("FLASH_DOCTOR", context => Call(context, "FLASH_DOCTOR", "ratos_flash_doctor", [])),
        new("FLASH_BUNDLE", context => Call(
            context, "FLASH_BUNDLE", "ratos_flash_bundle",
            context.Parameter("JOB") is { } job ? new JsonObject { ["job"] = job.ToLowerInvariant() } : [])),
    ];

    private static string Call(MacroContext context, string macro, string method, JsonObject arguments)
    {
        if (context.Variable(Flag, Settled) is not (null or 0) && context.Variable(Flag, "alive") is null or 0)
            throw new GcodeException($"gcode.CommandError: {macro}: ratos-flash is not connected to Moonraker");
        context.CallRemote(method, arguments);
        return $"SET_GCODE_VARIABLE MACRO={Flag} VARIABLE=asked VALUE=1";   // until the agent has received it
    }
}

/// <summary>The context of a macro's template.</summary>
/// <param name="Find">A macro by its name.</param>
/// <param name="Parameters">By upper-case name, always texts.</param>
/// <param name="RawParameters">The whole text behind the command.</param>
/// <param name="IsPrinting"><c>printer.virtual_sdcard.is_active</c>.</param>
/// <param name="CallRemote"><c>action_call_remote_method</c>.</param>
internal sealed record MacroContext(
    Func<string, GcodeMacro?> Find, IReadOnlyDictionary<string, string> Parameters, string RawParameters,
    bool IsPrinting, Action<string, JsonObject> CallRemote)
{
    public string? Parameter(string name) => Parameters.GetValueOrDefault(name);

    /// <summary>As Jinja's filter <c>int</c>: 0 for a text that is no number.</summary>
    public int Integer(string name) =>
        double.TryParse(Parameter(name), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            && Math.Abs(number) < int.MaxValue ? (int)number : 0;

    /// <summary>A variable as a number; null where it does not exist, or is no number.</summary>
    public double? Variable(string macro, string name) =>
        Find(macro)?.Variables.GetValueOrDefault(name) is JsonValue value && value.TryGetValue(out double number) ? number : null;
}
