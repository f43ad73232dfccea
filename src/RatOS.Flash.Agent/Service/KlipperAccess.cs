using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Service;

/// <summary>Klipper as the agent uses it: for its jobs, for the list of boards, and for its macros.</summary>
/// <param name="moonraker">The connection.</param>
/// <param name="mcus">The printer's MCUs.</param>
/// <param name="service">Klipper's unit; null to ask Moonraker.</param>
/// <param name="findFlasher">Looks for a process beside Moonraker that flashes boards.</param>
/// <param name="time">The only clock.</param>
internal sealed class KlipperAccess(
    MoonrakerConnection moonraker, KnownMcus mcus, string? service, Func<OtherFlasher?> findFlasher, TimeProvider time)
{
    // Each of these is four calls, and Klipper answers some of them at its next quarter of a second.
    private readonly SharedWork<(McuFacts? Facts, int Epoch)> _refresh = new(async () =>
    {
        var epoch = moonraker.Epoch;
        return (await mcus.RefreshAsync(new(moonraker, time) { Service = service }), epoch);
    }, time);

    private readonly SharedWork<KlippyState> _look = new(
        () => new MoonrakerKlippy(moonraker, time) { Service = service, FindFlasher = findFlasher }
            .LookAsync(CancellationToken.None), time);

    private const string Macro = "gcode_macro _RATOS_FLASH";

    private int _refreshed = -1;   // the epoch in which Klipper listed its boards

    /// <summary>A job stopped Klipper's service, and it was not started again.</summary>
    public bool OwesStart { get; set; }

    /// <summary>Our macros are loaded. They call remote methods and wait for an acknowledgement.</summary>
    public bool HasMacro { get; private set; }

    /// <param name="options">Of the flash; null where nothing is flashed.</param>
    public MoonrakerKlippy Klippy(FlashOptions? options = null) =>
        new(moonraker, time) { Options = options, Service = service, FindFlasher = findFlasher };

    /// <summary>A process beside Moonraker that flashes boards; null for none.</summary>
    public OtherFlasher? FindFlasher() => findFlasher();

    /// <summary>The state of Klipper, for requests: it is asked once for all that wait.</summary>
    /// <param name="options">Of the flash that is planned.</param>
    public Task<KlippyState> LookAsync(FlashOptions? options = null) =>
        options?.AllowsHotHeaters == true ? Klippy(options).LookAsync(CancellationToken.None) : _look.RunAsync();

    /// <summary>Klipper for a job.</summary>
    /// <param name="job">The job.</param>
    /// <param name="journal">Called with the name of the service before it is stopped, and with true after it was started.</param>
    public MoonrakerKlippy KlippyFor(Job job, Action<string, bool> journal) => new(moonraker, time)
    {
        Options = job.Options,
        Service = service,
        FindFlasher = findFlasher,
        Journal = (name, isStarted) =>
        {
            OwesStart = !isStarted;
            journal(name, isStarted);
        },
    };

    /// <summary>Asks Klipper for its boards; null where it did not answer.</summary>
    public async Task<McuFacts?> RefreshAsync()
    {
        (var facts, _refreshed) = await _refresh.RunAsync();
        return facts;
    }

    /// <summary>
    /// The same, once for each start of Klipper: it takes a quarter of a second to answer, and its boards do not change while it runs.
    /// </summary>
    public Task RefreshOnceAsync() => _refreshed == moonraker.Epoch ? Task.CompletedTask : RefreshAsync();

    /// <summary>
    /// Subscribes to the printer's state and tells our macros that the agent is there. A restarted Klipper has forgotten both.
    /// </summary>
    public async Task GreetAsync()
    {
        static JsonArray State() => new(JsonValue.Create("state"));   // a collection expression would need reflection
        var objects = new JsonObject { ["print_stats"] = State(), ["idle_timeout"] = State() };
        await moonraker.CallAsync("printer.objects.subscribe", new() { ["objects"] = objects });
        HasMacro = (await moonraker.CallAsync("printer.objects.list")).Items("objects")
            .Any(name => name.ValueKind == JsonValueKind.String && name.GetString() == Macro);
        if (HasMacro)
            await SetMacroAsync("alive", true);
    }

    /// <summary>Sets a variable of our macros, by our component: a script of ours appears in the consoles of front ends.</summary>
    public async Task SetMacroAsync(string variable, bool value)
    {
        try
        {
            await moonraker.CallAsync("server.ratos_flash.macro", new() { ["variable"] = variable, ["value"] = value });
        }
        catch (MoonrakerException)   // there is no component, or an older one
        {
            var script = $"SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE={variable} VALUE={(value ? 1 : 0)}";
            await moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = script });
        }
        catch (FlashException)
        {
            // A command keeps Klipper busy for longer than a call waits. The variable is set behind it.
        }
    }
}
