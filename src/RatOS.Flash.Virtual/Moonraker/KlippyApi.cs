using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>
/// Klipper's host process for Moonraker, as far as a flasher uses it: G-code with the product's macros, remote methods, status objects
/// (klipper: klippy/gcode.py, klippy/webhooks.py). <see cref="VirtualKlippy"/> is its life and its boards.
/// </summary>
internal sealed class KlippyApi
{
    private readonly VirtualPrinter _printer;
    private readonly VirtualPrintState _print;
    private readonly Action<string> _respond;
    private readonly Action<string, JsonObject> _call;
    private readonly HashSet<string> _remoteMethods = new(StringComparer.Ordinal);
    private Task _last = Task.CompletedTask;
    private TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);   // of this run of the host process
    private int _running;

    /// <param name="printer">The printer.</param>
    /// <param name="print">Its activity.</param>
    /// <param name="respond">Takes each response as the console shows it, one or more lines.</param>
    /// <param name="call">Takes a macro's call of a remote method that Moonraker has registered.</param>
    public KlippyApi(VirtualPrinter printer, VirtualPrintState print, Action<string> respond, Action<string, JsonObject> call)
    {
        (_printer, _print, _respond, _call) = (printer, print, respond, call);
        Objects = new KlippyObjects(printer, print, Macros, () => _running > 0);
        Macros[GcodeMacro.Flag].Variables[GcodeMacro.Settled] = 1.0;   // it has been running for a while
    }

    /// <summary>The macros of its configuration by name.</summary>
    public Dictionary<string, GcodeMacro> Macros { get; } =
        GcodeMacro.OfProduct().ToDictionary(macro => macro.Name, StringComparer.Ordinal);

    public KlippyObjects Objects { get; }

    private VirtualKlippy Klippy => _printer.Klippy;

    /// <summary>The host process starts or stops: nothing remains of its last run.</summary>
    public void Begin()
    {
        Forget();
        _end.TrySetResult();
        (_last, _end, _running) = (Task.CompletedTask, new(TaskCreationOptions.RunContinuationsAsynchronously), 0);
        _print.Reset();
        foreach (var macro in Macros.Values)
            macro.Reset();
        _ = SettleAsync(_end.Task);
    }

    /// <summary>A delayed_gcode of the product's configuration.</summary>
    private async Task SettleAsync(Task end)
    {
        await Task.WhenAny(Task.Delay(GcodeMacro.Settling, _printer.Time), end);
        if (!end.IsCompleted && Macros.TryGetValue(GcodeMacro.Flag, out var macro))
            macro.Variables[GcodeMacro.Settled] = 1.0;
    }

    /// <summary>Moonraker registers a method for macros to call.</summary>
    public void Register(string method) => _remoteMethods.Add(method);

    /// <summary>Moonraker has disconnected.</summary>
    public void Forget() => _remoteMethods.Clear();

    /// <summary>Runs a script behind all earlier ones. It ends early when the host process ends.</summary>
    public async Task<GcodeResult> RunAsync(string script)
    {
        var (before, end, done) = (_last, _end, new TaskCompletionSource());
        _last = done.Task;
        try
        {
            await Task.WhenAny(before, end.Task);
            _running++;
            foreach (var line in script.Split('\n'))
            {
                if (end.Task.IsCompleted)
                    break;
                await RunAsync(GcodeLine.Parse(line), end.Task);
            }
            return end.Task.IsCompleted ? new GcodeResult(503, "Klippy Disconnected") : GcodeResult.Ok;
        }
        catch (GcodeException refused)
        {
            RespondError(refused.Message);
            return new GcodeResult(400, refused.Message);
        }
        finally
        {
            if (!end.Task.IsCompleted)
                _running--;
            done.SetResult();
        }
    }

    private async Task RunAsync(GcodeLine line, Task end)
    {
        if (line.Command.Length == 0)
            return;
        switch (line.Command)
        {
            // These work in every state (klipper: klippy/extras/respond.py, klippy/gcode.py).
            case "RESPOND":
                Respond(line.Parameters);
                return;
            case "M118":
                _respond($"echo: {line.Rest}");
                return;
            case "M112":
                Klippy.ShutDown("Shutdown due to M112 command");
                return;
            case "RESTART" or "FIRMWARE_RESTART":
                _ = Klippy.RestartAsync(line.Command == "FIRMWARE_RESTART");
                return;
            case "STATUS":
                if (Klippy.ApiState != "ready")
                    throw new GcodeException($"{Klippy.ApiMessage.TrimEnd()}\nKlipper state: Not ready");
                _respond("// Klipper state: Ready");
                return;
        }
        if (Klippy.ApiState != "ready")
            throw new GcodeException(Klippy.ApiMessage);
        if (Macros.TryGetValue(line.Command, out var macro))
        {
            await RunAsync(macro, line, end);
            return;
        }
        switch (line.Command)
        {
            case "TURN_OFF_HEATERS":
                _print.TurnOffHeaters();
                break;
            case "SET_HEATER_TEMPERATURE":
                SetHeater(
                    Required(line, "HEATER"),
                    double.TryParse(line.Parameters.GetValueOrDefault("TARGET", "0"), out var target) ? target : 0);
                break;
            case "M104" or "M109":
                SetHeater("extruder", line.Number('S') ?? 0);
                break;
            case "M140" or "M190":
                SetHeater("heater_bed", line.Number('S') ?? 0);
                break;
            case "SET_GCODE_VARIABLE":
                SetVariable(line);
                break;
            case "G4":
                await Task.WhenAny(Task.Delay(TimeSpan.FromMilliseconds(Math.Max(0, line.Number('P') ?? 0)), _printer.Time), end);
                break;
            case "SET_IDLE_TIMEOUT":
                _respond(
                    $"// idle_timeout: Timeout set to {double.Parse(Required(line, "TIMEOUT"), CultureInfo.InvariantCulture):0.00} s");
                break;
            case "G28" or "M117" or "SET_DISPLAY_TEXT" or "M84" or "M18" or "M400":
                break;
            default:
                _respond($"// Unknown command:\"{line.Command}\"");
                break;
        }
    }

    /// <summary>Evaluates the whole macro first, with its calls of remote methods, and then runs the resulting lines.</summary>
    private async Task RunAsync(GcodeMacro macro, GcodeLine line, Task end)
    {
        var parameters = line.Parameters;
        string lines;
        try
        {
            lines = macro.Evaluate(
                new MacroContext(name => Macros.GetValueOrDefault(name), parameters, line.Rest, _print.IsPrinting, CallRemote));
        }
        catch (GcodeException error)
        {
            throw new GcodeException($"Error evaluating 'gcode_macro {macro.Name}:gcode': {error.Message}\n");
        }
        foreach (var next in lines.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!end.IsCompleted)
                await RunAsync(GcodeLine.Parse(next), end);
        }
    }

    /// <summary>A call of an unregistered method is only logged: the macro continues.</summary>
    private void CallRemote(string method, JsonObject arguments)
    {
        if (arguments.Select(argument => argument.Key).FirstOrDefault(key => key is "self" or "method") is { } taken)
            throw new GcodeException(
                $"TypeError: PrinterGCodeMacro._action_call_remote_method() got multiple values for argument '{taken}'");
        // Moonraker itself fails on these two names, and only logs that.
        if (_remoteMethods.Contains(method) && !arguments.ContainsKey("method_name") && !arguments.ContainsKey("callback"))
            _call(method, arguments);
    }

    private void Respond(IReadOnlyDictionary<string, string> parameters)
    {
        var type = parameters.GetValueOrDefault("TYPE", "echo");
        var prefix = type.ToLowerInvariant() switch
        {
            "echo" or "echo_no_space" => "echo:",
            "command" => "//",
            "error" => "!!",
            var other => throw new GcodeException($"RESPOND TYPE '{other}' is invalid. Must be one of 'echo', 'command', or 'error'"),
        };
        var space = type.Equals("echo_no_space", StringComparison.OrdinalIgnoreCase) ? "" : " ";
        _respond($"{parameters.GetValueOrDefault("PREFIX", prefix)}{space}{parameters.GetValueOrDefault("MSG", "")}");
    }

    /// <summary>Several lines come as a comment first; then the first line as the error.</summary>
    private void RespondError(string message)
    {
        var lines = message.Trim().Split('\n');
        if (lines.Length > 1)
            _respond("// " + string.Join("\n// ", lines.Select(line => line.Trim())));
        _respond($"!! {lines[0].Trim()}");
    }

    private void SetHeater(string name, double target)
    {
        if (!_print.Heaters.TryGetValue(name, out var heater))
            throw new GcodeException($"The value '{name}' is not valid for HEATER");
        _print.Heaters[name] = (heater.Temperature, target);
    }

    private void SetVariable(GcodeLine line)
    {
        var name = Required(line, "MACRO");
        var (variable, value) = (Required(line, "VARIABLE"), Required(line, "VALUE"));
        if (!Macros.TryGetValue(name, out var macro) || macro.Variables.Count == 0)
            throw new GcodeException($"The value '{name}' is not valid for MACRO");
        if (!macro.Variables.ContainsKey(variable))
            throw new GcodeException($"Unknown gcode_macro variable '{variable}'");
        try
        {
            // Python literals: those of JSON, and three words.
            macro.Variables[variable] = JsonNode.Parse(
                value switch { "True" => "true", "False" => "false", "None" => "null", _ => value.Replace('\'', '"') });
        }
        catch (JsonException)
        {
            throw new GcodeException($"Unable to parse '{value}' as a literal: malformed node or string in '{line.Text}'");
        }
    }

    private static string Required(GcodeLine line, string name) =>
        line.Parameters.GetValueOrDefault(name) ?? throw new GcodeException($"Error on '{line.Text}': missing {name}");
}
