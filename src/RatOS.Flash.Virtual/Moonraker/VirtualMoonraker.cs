using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>
/// Moonraker in front of a virtual printer, as agents, front ends and scripts use it: its exact words, and its failures. Recordings of the
/// real one hold it.
/// </summary>
/// <remarks>
/// Everything runs on the printer's own thread: sockets complete on other threads and continue there. Members that say so may be read by
/// any thread; all others are for that one.
/// </remarks>
public sealed class VirtualMoonraker : IAsyncDisposable
{
    private static readonly TimeSpan LinkTime = TimeSpan.FromSeconds(0.7);      // from its own start to its connection to Klipper
    private static readonly TimeSpan GreetTime = TimeSpan.FromSeconds(0.3);     // ... and to Klipper's state
    private static readonly TimeSpan StatusTime = TimeSpan.FromSeconds(0.25);   // between Klipper's status updates
    private static readonly TimeSpan StatisticsTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ShutdownTime = TimeSpan.FromSeconds(0.05);
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(0.1);    // of server.restart, before the restart
    private static readonly TimeSpan DownTime = TimeSpan.FromSeconds(0.65);     // of a recorded restart

    private readonly JsonRpcRouter _router;
    private readonly MoonrakerHttp _http;
    private readonly CancellationTokenSource _over = new();
    private readonly Action<KlippyMoment> _onMoment;
    private ImmutableList<string> _console = [];
    private bool _isGreeting;    // connected to Klipper, without its state
    private int _starts;

    private VirtualMoonraker(VirtualPrinter printer, MoonrakerSetup setup)
    {
        (Printer, Setup, _onMoment) = (printer, setup, OnMoment);
        (Clients, Agents, Access, Component) = (new(this), new(this), new(this), new(this));
        (Services, Listener) = (new(this), new(this));
        Files = setup.DataFolder is { } data ? new(this, data) : null;
        Klipper = new KlippyApi(printer, Print, Respond, Agents.Call);
        _router = new JsonRpcRouter(this) { Methods = MethodTable.Create(this) };
        _http = new MoonrakerHttp(this, _router);
        printer.Klippy.OnMoment += _onMoment;
        Services.Begin();
        Link();
        _ = NotifyStatisticsAsync();
        _ = NotifyStatusAsync();
    }

    /// <summary>
    /// Listens where the setup says, connected to the printer's Klipper. Called on the time's thread, and disposed there.
    /// </summary>
    /// <param name="printer">The printer; its time is live if there is a socket.</param>
    /// <param name="setup">Sockets, version and components.</param>
    /// <exception cref="FlashException">The port or the path is taken.</exception>
    public static VirtualMoonraker Start(VirtualPrinter printer, MoonrakerSetup setup)
    {
        if (!printer.Time.IsLive && (setup.Port is not null || setup.UnixSocket is not null))
            throw new ArgumentException("Only a live printer can be served.", nameof(printer));
        var moonraker = new VirtualMoonraker(printer, setup);
        try
        {
            moonraker.Listener.Begin();
        }
        catch
        {
            moonraker.End();
            throw;
        }
        return moonraker;
    }

    /// <summary>Its TCP port, the same after a restart; 0 without one.</summary>
    public int Port => Listener.Port;

    /// <summary>
    /// Responses to G-code in order, as consoles show them: <c>// ...</c>, <c>!! ...</c>, <c>echo: ...</c>. One of several lines is one.
    /// Any thread may read them.
    /// </summary>
    public IReadOnlyList<string> Console => _console;

    /// <inheritdoc cref="FlashComponent.Dialog"/>
    public IReadOnlyList<string> Dialog => Component.Dialog;

    /// <inheritdoc cref="AgentRegistry.Events"/>
    public IReadOnlyList<JsonElement> AgentEvents => Agents.Events;

    /// <inheritdoc cref="JsonRpcRouter.Calls"/>
    public IReadOnlyList<string> Calls => _router.Calls;

    /// <summary>It accepts requests and ignores them, and sends no notifications.</summary>
    public bool IsSilent { get; set; }

    /// <summary>False: from its next start on, its <c>klippy_uds_address</c> names a socket without a listener.</summary>
    public bool FindsKlipper { get; set; } = true;

    /// <inheritdoc cref="JsonRpcRouter.AnswerDelay"/>
    public TimeSpan AnswerDelay
    {
        get => _router.AnswerDelay;
        set => _router.AnswerDelay = value;
    }

    /// <summary>The application that its update manager updates now; null for none.</summary>
    public string? UpdateBusy { get; set; }

    /// <summary>The Klipper that its update manager offers; null where Klipper is up to date.</summary>
    public OfferedKlipper? Offer { get; set; }

    /// <inheritdoc cref="FlashComponent.Announcement"/>
    public string? Announcement => Component.Announcement;

    /// <inheritdoc cref="FlashComponent.Holding"/>
    public IReadOnlyCollection<string> Holding => Component.Holding;

    /// <summary>The printer's activity.</summary>
    public VirtualPrintState Print { get; } = new();

    internal VirtualPrinter Printer { get; }

    internal MoonrakerSetup Setup { get; }

    internal VirtualTime Time => Printer.Time;

    internal VirtualKlippy Klippy => Printer.Klippy;

    internal KlippyApi Klipper { get; }

    internal MoonrakerClients Clients { get; }

    internal AgentRegistry Agents { get; }

    internal MoonrakerAccess Access { get; }

    internal FlashComponent Component { get; }

    internal MoonrakerFiles? Files { get; }

    internal ServiceManager Services { get; }

    internal MoonrakerListener Listener { get; }

    internal bool IsUp { get; private set; } = true;

    internal bool IsOver { get; private set; }

    internal bool IsAnswering => IsUp && !IsSilent;

    /// <summary>Connected to Klipper's API.</summary>
    internal bool IsLinked { get; private set; }

    internal string KlippyState => !IsLinked ? "disconnected" : _isGreeting ? "startup" : Klippy.ApiState ?? "disconnected";

    /// <summary>
    /// Runs a script as <c>printer.gcode.script</c> does. Complete when the script is done, behind all earlier ones.
    /// </summary>
    public async Task<GcodeResult> RunGcodeAsync(string script) =>
        IsLinked ? await Klipper.RunAsync(script) : new GcodeResult(503, "Klippy Host not connected");

    /// <summary>
    /// Restarts it: every socket closes (websockets with code 1001, "Server Shutdown"), and new ones are refused for a while. It returns
    /// without registrations, is disconnected from Klipper for about a second more, and then notifies when Klipper is ready.
    /// </summary>
    /// <param name="down">Virtual time.</param>
    public async Task RestartAsync(TimeSpan down)
    {
        var start = ++_starts;
        (IsUp, IsLinked) = (false, false);
        Klipper.Forget();
        Listener.Stop();
        HangUpAll(withGoodbye: true);
        Component.Stop();
        foreach (var client in Clients.All)
            Disconnect(client);
        Component.Forget();
        await Task.Delay(down, Time);
        if (IsOver || start != _starts)
            return;
        IsUp = true;
        Services.Begin();
        Listener.Begin();
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

    /// <summary>It has looked for updates, as it does once a day and when a user presses the button.</summary>
    public void NotifyRefreshed() =>
        Clients.Notify("notify_update_refreshed", SystemAnswers.UpdateStatus(this, UpdateBusy is not null));

    /// <summary>Closes every connection without a goodbye; new ones are accepted.</summary>
    public void DropConnections() => HangUpAll(withGoodbye: false);

    public ValueTask DisposeAsync()
    {
        if (!IsOver)
            End();
        return ValueTask.CompletedTask;
    }

    // ---- for sockets and methods

    internal MoonrakerClient Connect(Action<ReadOnlyMemory<byte>> send, Action<bool> hangUp, bool isTrusted) =>
        Clients.Add(send, hangUp, isTrusted);

    /// <summary>A connection has ended. Only the first call counts.</summary>
    internal void Disconnect(MoonrakerClient client)
    {
        if (!Clients.Remove(client))
            return;
        Component.Remove(client);
        Agents.Remove(client);
    }

    /// <inheritdoc cref="JsonRpcRouter.ReceiveAsync"/>
    internal Task ReceiveAsync(MoonrakerClient client, ReadOnlyMemory<byte> text) => _router.ReceiveAsync(client, text);

    /// <inheritdoc cref="MoonrakerHttp.ServeAsync"/>
    internal Task<HttpAnswer?> ServeAsync(HttpRequest request) => _http.ServeAsync(request);

    internal void ShowOnConsole(string text)
    {
        _console = _console.Add(text);
        Clients.Notify("notify_gcode_response", text);
    }

    /// <summary>Restarts it as recorded, after the answer.</summary>
    internal JsonNode RestartSoon()
    {
        Time.Schedule(AnswerTime, () =>
        {
            if (!IsOver)
                _ = RestartAsync(DownTime);
        });
        return "ok";
    }

    /// <summary>False when it is over.</summary>
    internal async Task<bool> WaitAsync(TimeSpan time)
    {
        if (IsOver)
            return false;
        try
        {
            await Task.Delay(time, Time, _over.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        return !IsOver;
    }

    private void HangUpAll(bool withGoodbye)
    {
        foreach (var client in Clients.All)
            client.HangUp(withGoodbye);
        Listener.HangUpAll(withGoodbye);
    }

    private void End()
    {
        (IsOver, IsUp) = (true, false);
        _starts++;
        _over.Cancel();
        Klippy.OnMoment -= _onMoment;
        Listener.Stop();
        HangUpAll(withGoodbye: false);
        _over.Dispose();
    }

    // ---- Klipper's life

    private void OnMoment(KlippyMoment moment)
    {
        switch (moment)
        {
            case KlippyMoment.Started:
                Klipper.Begin();
                Services.NoticeSoon();
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
            case KlippyMoment.Shutdown when IsLinked:
                Time.Schedule(ShutdownTime, NotifyShutdown);
                break;
            case KlippyMoment.Restarting:
                Respond("// Klipper state: Disconnect");
                break;
            case KlippyMoment.Disconnected or KlippyMoment.Stopped:
                Unlink();
                Services.NoticeSoon();
                break;
        }
    }

    private void Link()
    {
        if (IsLinked || !IsUp || !FindsKlipper || Klippy.ApiState is null)
            return;
        IsLinked = true;
        if (Klippy.ApiState == "ready")
            BecomeReady();
    }

    private void BecomeReady()
    {
        if (!IsLinked || _isGreeting)
            return;
        foreach (var method in Agents.RemoteMethods)
            Klipper.Register(method);
        Clients.Notify("notify_klippy_ready");
    }

    private void Unlink()
    {
        Klipper.Begin();
        if (!IsLinked)
            return;
        IsLinked = false;
        Clients.EndSubscriptions();
        Clients.Notify("notify_klippy_disconnected");
    }

    private void Respond(string text)
    {
        if (IsLinked)
            ShowOnConsole(text);
    }

    private void NotifyShutdown()
    {
        if (!IsLinked || Klippy.ApiState != "shutdown")
            return;
        Clients.NotifyStatus();
        Clients.Notify("notify_klippy_shutdown");
    }

    private async Task NotifyStatisticsAsync()
    {
        while (await WaitAsync(StatisticsTime))
            Clients.Notify("notify_proc_stat_update", SystemAnswers.Statistics(Time.GetUtcNow(), Clients.Count));
    }

    private async Task NotifyStatusAsync()
    {
        while (await WaitAsync(StatusTime))
            Clients.NotifyStatus();
    }
}
