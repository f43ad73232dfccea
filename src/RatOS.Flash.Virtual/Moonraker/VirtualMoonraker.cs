using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>How a virtual Moonraker is reached, and which one it is.</summary>
public sealed record MoonrakerSetup
{
    /// <summary>Path of its unix socket, at most some 100 bytes long; null for none. A file that is there is replaced.</summary>
    public string? UnixSocket { get; init; }

    /// <summary>TCP port on 127.0.0.1; 0 for any that is free, null for none.</summary>
    public int? Port { get; init; }

    /// <summary>Null: TCP clients are trusted. Else they need it as <c>X-Api-Key</c>, as <c>api_key</c> of identify, or a <c>?token=</c>.</summary>
    public string? ApiKey { get; init; }

    /// <summary>It answers as v0.9.3 (API 1.4.0) instead of v0.10 (API 1.5.0).</summary>
    public bool IsOld { get; init; }

    /// <summary>The product's own component is loaded (<c>server.ratos_flash.*</c>).</summary>
    public bool HasComponent { get; init; } = true;

    public bool HasUpdateManager { get; init; } = true;

    /// <summary>Its <c>[power]</c> devices: by name, the boards whose supply they switch.</summary>
    public ImmutableDictionary<string, ImmutableArray<string>> PowerDevices { get; init; } = ImmutableDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary>From where the unit takes the program of the process that is an MCU; null where that unit is not installed.</summary>
    public string? HostMcuFolder { get; init; }
}

/// <summary>
/// Moonraker in front of a virtual printer: what an agent, a front end or a script uses of it, with its exact words, and what can go wrong with it.
/// Pinned by recordings of the real one.
/// </summary>
/// <remarks>
/// Everything runs on the printer's own thread: sockets complete elsewhere and go on there. The members that tell what happened may be read by any
/// thread; all others are for that one.
/// </remarks>
public sealed partial class VirtualMoonraker : IAsyncDisposable
{
    private static readonly TimeSpan LinkTime = TimeSpan.FromSeconds(0.7);      // after its own start, until it is connected to Klipper
    private static readonly TimeSpan GreetTime = TimeSpan.FromSeconds(0.3);     // ... and knows how that is
    private static readonly TimeSpan StatusTime = TimeSpan.FromSeconds(0.25);   // how often Klipper tells what has changed
    private static readonly TimeSpan ShutdownTime = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan ServiceTime = TimeSpan.FromSeconds(0.9);   // how late it notices what a service does

    private readonly VirtualPrinter _printer;
    private readonly MoonrakerSetup _setup;
    private readonly StandInKlipper _klipper;
    private readonly Dictionary<string, Method> _methods;
    private readonly List<MoonrakerClient> _clients = [];
    private readonly CancellationTokenSource _over = new();
    private readonly Action<KlippyMoment> _happened;
    private ImmutableList<string> _console = [];
    private ImmutableList<string> _dialog = [];
    private ImmutableList<string> _calls = [];
    private ImmutableList<JsonElement> _agentEvents = [];
    private bool _isUp = true;
    private bool _isLinked;      // to Klipper's API
    private bool _isGreeting;    // ... and does not know yet how it is
    private bool _isOver;
    private int _starts;
    private string _serviceShown = "";
    private long _lastId = 140_592_537_000_000;   // 47 bits, as the real one's

    private VirtualMoonraker(VirtualPrinter printer, MoonrakerSetup setup)
    {
        (_printer, _setup, _happened) = (printer, setup, Happened);
        _klipper = new StandInKlipper(printer, Print, Respond, CallAgent);
        _methods = Methods();
        printer.Klippy.OnMoment += _happened;
        _serviceShown = ServiceState;
        Link();
        _ = TellStatisticsAsync();
        _ = TellStatusAsync();
    }

    /// <summary>Starts to listen where the setup says, connected to the printer's Klipper. To be called on the time's thread, and disposed there.</summary>
    /// <param name="printer">Whose Klipper; its time is live where there is a socket.</param>
    /// <param name="setup">Where it listens, and what it is.</param>
    /// <exception cref="FlashException">The port or the path is taken.</exception>
    public static VirtualMoonraker Start(VirtualPrinter printer, MoonrakerSetup setup)
    {
        if (!printer.Time.IsLive && (setup.Port is not null || setup.UnixSocket is not null))
            throw new ArgumentException("Only a live printer can be served.", nameof(printer));
        var moonraker = new VirtualMoonraker(printer, setup);
        try
        {
            moonraker.Listen();
        }
        catch
        {
            moonraker.End();
            throw;
        }
        return moonraker;
    }

    /// <summary>Responses to G-code in order, as consoles show them: <c>// ...</c>, <c>!! ...</c>, <c>echo: ...</c>; one of several lines is one.</summary>
    public IReadOnlyList<string> Console => _console;

    /// <summary>Lines of the update dialog as people read them, and <c>(complete)</c> where it could be closed.</summary>
    public IReadOnlyList<string> Dialog => _dialog;

    /// <summary>The data of each event that an agent sent; null (JSON) where it had none.</summary>
    public IReadOnlyList<JsonElement> AgentEvents => _agentEvents;

    /// <summary>Methods that were called, in order, by whomever: also those that were refused.</summary>
    public IReadOnlyList<string> Calls => _calls;

    /// <summary>It takes requests and does nothing with them; nobody hears anything.</summary>
    public bool IsSilent { get; set; }

    /// <summary>False: its <c>klippy_uds_address</c> names a socket that nobody listens on, from its next start on.</summary>
    public bool FindsKlipper { get; set; } = true;

    /// <summary>Virtual time from the end of each request's work to its answer.</summary>
    public TimeSpan AnswerDelay { get; set; }

    /// <summary>What its update manager is updating now: an application's name; null for nothing.</summary>
    public string? UpdateBusy { get; set; }

    /// <summary>What the printer is busy with.</summary>
    public VirtualPrintState Print { get; } = new();

    /// <summary>Runs a script as <c>printer.gcode.script</c> does; complete when the script is done, behind those that came before.</summary>
    public async Task<GcodeResult> RunGcodeAsync(string script) =>
        _isLinked ? await _klipper.RunAsync(script) : new GcodeResult(503, "Klippy Host not connected");

    /// <summary>
    /// Restarts it: every socket is closed (websockets with code 1001, "Server Shutdown") and new ones are refused for a while. It comes back without
    /// any registration, has Klipper as disconnected for about a second more, and then tells when that is ready.
    /// </summary>
    /// <param name="down">Virtual time.</param>
    public async Task RestartAsync(TimeSpan down)
    {
        var start = ++_starts;
        (_isUp, _isLinked) = (false, false);
        _klipper.Forget();
        StopListening();
        HangUpAll(withWord: true);
        Forget();
        await Task.Delay(down, Time);
        if (_isOver || start != _starts)
            return;
        _isUp = true;
        _serviceShown = ServiceState;
        Listen();
        Time.Schedule(LinkTime, () =>
        {
            if (start == _starts)
                Link();
        });
        _isGreeting = true;
        Time.Schedule(LinkTime + GreetTime, () =>
        {
            if (start != _starts)
                return;
            _isGreeting = false;
            if (Klippy.ApiState == "ready")
                BecomeReady();
        });
    }

    /// <summary>Closes every connection without a word; new ones are taken.</summary>
    public void DropConnections() => HangUpAll(withWord: false);

    public ValueTask DisposeAsync()
    {
        if (!_isOver)
            End();
        return ValueTask.CompletedTask;
    }

    private VirtualTime Time => _printer.Time;

    private VirtualKlippy Klippy => _printer.Klippy;

    private string KlippyState => !_isLinked ? "disconnected" : _isGreeting ? "startup" : Klippy.ApiState ?? "disconnected";

    internal StandInKlipper Klipper => _klipper;

    internal VirtualPrinter Printer => _printer;

    private void End()
    {
        (_isOver, _isUp) = (true, false);
        _starts++;
        _over.Cancel();
        _printer.Klippy.OnMoment -= _happened;
        StopListening();
        HangUpAll(withWord: false);
        _over.Dispose();
    }

    // ---- Klipper's life

    private void Happened(KlippyMoment moment)
    {
        switch (moment)
        {
            case KlippyMoment.Started:
                _klipper.Begin();
                Time.Schedule(ServiceTime, TellService);
                break;
            case KlippyMoment.Listening:
                Link();
                break;
            case KlippyMoment.Ready:
                BecomeReady();
                break;
            case KlippyMoment.ShuttingDown:
                Respond("// Klipper state: Shutdown");
                break;
            case KlippyMoment.Shutdown when _isLinked:
                Time.Schedule(ShutdownTime, () =>
                {
                    if (!_isLinked || Klippy.ApiState != "shutdown")
                        return;
                    TellStatus();
                    Tell("notify_klippy_shutdown");
                });
                break;
            case KlippyMoment.Restarting:
                Respond("// Klipper state: Disconnect");
                break;
            case KlippyMoment.Disconnected or KlippyMoment.Stopped:
                Unlink();
                Time.Schedule(ServiceTime, TellService);
                break;
        }
    }

    private void Link()
    {
        if (_isLinked || !_isUp || !FindsKlipper || Klippy.ApiState is null)
            return;
        _isLinked = true;
        if (Klippy.ApiState == "ready")
            BecomeReady();
    }

    private void BecomeReady()
    {
        if (!_isLinked || _isGreeting)
            return;
        foreach (var method in _remoteMethods.Keys)
            _klipper.Register(method);
        Tell("notify_klippy_ready");
    }

    private void Unlink()
    {
        _klipper.Begin();
        if (!_isLinked)
            return;
        _isLinked = false;
        foreach (var client in _clients)
            client.Subscription = null;
        Tell("notify_klippy_disconnected");
    }

    // ---- what everybody is told

    private void Respond(string text)
    {
        if (!_isLinked)
            return;
        ShowOnConsole(text);
    }

    private void ShowOnConsole(string text)
    {
        _console = _console.Add(text);
        Tell("notify_gcode_response", text);
    }

    private void Tell(string method, JsonNode? parameter = null, MoonrakerClient? except = null)
    {
        if (!_isUp || IsSilent || _clients.Count == 0)
            return;
        var text = Notification(method, parameter);
        foreach (var client in _clients.ToList())
        {
            if (client.IsTrusted && client != except)
                client.Send(text);
        }
    }

    private void TellService()
    {
        if (_isOver || ServiceState == _serviceShown)
            return;
        _serviceShown = ServiceState;
        Tell("notify_service_state_changed", new JsonObject { ["klipper"] = ServiceStatus(_serviceShown) });
    }

    private async Task TellStatisticsAsync()
    {
        while (await WaitAsync(TimeSpan.FromSeconds(1)))
            Tell("notify_proc_stat_update", Statistics());
    }

    private async Task TellStatusAsync()
    {
        while (await WaitAsync(StatusTime))
            TellStatus();
    }

    private void TellStatus()
    {
        foreach (var client in _clients.ToList())
        {
            if (_isLinked && _isUp && !IsSilent && client.Subscription is { } wanted)
                TellChanges(client, wanted);
        }
    }

    private void TellChanges(MoonrakerClient client, IReadOnlyDictionary<string, IReadOnlyList<string>?> wanted)
    {
        var (before, now) = (client.LastStatus, _klipper.Query(wanted));
        client.LastStatus = now.DeepClone().AsObject();
        var changes = new JsonObject();
        foreach (var (name, status) in now)
        {
            var changed = new JsonObject();
            foreach (var (member, value) in status!.AsObject())
            {
                if (!JsonNode.DeepEquals(value, before[name]?[member]))
                    changed[member] = value?.DeepClone();
            }
            if (changed.Count > 0)
                changes[name] = changed;
        }
        if (changes.Count > 0)
            client.Send(Notification("notify_status_update", changes, Time.Now.TotalSeconds));
    }

    /// <summary>False when it is over.</summary>
    private async Task<bool> WaitAsync(TimeSpan time)
    {
        if (_isOver)
            return false;
        try
        {
            await Task.Delay(time, Time, _over.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        return !_isOver;
    }
}
