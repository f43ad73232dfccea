using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json;
using PolyType;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;
using StreamJsonRpc;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// The connection to Moonraker. It reconnects with a growing pause, and registers again each time, because Moonraker forgets a client
/// with its socket.
/// </summary>
/// <param name="place">Where Moonraker is.</param>
/// <param name="time">The only clock.</param>
/// <param name="log">The log.</param>
internal sealed class MoonrakerConnection(MoonrakerEndpoint place, TimeProvider time, LogFile log)
{
    /// <summary>The agent's name in Moonraker, which requests are sent to.</summary>
    public const string AgentName = "ratos_flash";

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PingLimit = TimeSpan.FromSeconds(20);

    private Rpc? _rpc;
    private TaskCompletionSource _change = new();
    private string? _trouble;

    public string Name { get; init; } = AgentName;

    /// <summary>The methods that the agent offers; null for a command line. Set it before <see cref="RunAsync"/>.</summary>
    public IAgentApi? Api { get; set; }

    /// <summary>Called when the connection is up and registered; its exceptions are logged.</summary>
    public Func<Task>? Connected { get; init; }

    /// <summary>Called for each line of Klipper's console.</summary>
    public Action<string>? GcodeResponse { get; init; }

    /// <summary>Records the traffic while a job runs, and only then: a printer talks every second, and SD cards wear out.</summary>
    public CallRecorder? Recorder { get; init; }

    public bool IsConnected => _rpc is not null;

    /// <summary>The last attempt was refused: Moonraker is not running.</summary>
    public bool IsRefused { get; private set; }

    /// <summary>Moonraker answered the last attempt and wants another API key.</summary>
    public bool IsUnauthorized { get; private set; }

    /// <summary>The fault of a connection that is not up.</summary>
    public FlashException Fault(string why) => IsUnauthorized
        ? PrinterFaults.MoonrakerUnauthorized(place.ToString(), place.ApiKey is not null)
        : PrinterFaults.MoonrakerGone(place.ToString(), why);

    /// <summary>
    /// Increases each time that the connection comes up or Klipper becomes ready: both have forgotten what they were told.
    /// </summary>
    public int Epoch { get; private set; }

    /// <summary>Increases each time that Moonraker has looked for updates.</summary>
    public int Refreshes { get; private set; }

    /// <summary>Remote methods that another program registered first: those macros do not reach this agent.</summary>
    public IReadOnlyList<string> Taken { get; private set; } = [];

    public MoonrakerEndpoint Place => place;

    /// <summary>
    /// Completes at the next notification of Moonraker or change of the connection. Take it before a query, so that no change is missed.
    /// </summary>
    public Task NextChange => _change.Task;

    /// <summary>Keeps the connection up until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken over)
    {
        var pause = FirstPause;
        while (!over.IsCancellationRequested)
        {
            try
            {
                using var rpc = await ConnectAsync(over);
                _rpc = rpc;
                (pause, _trouble, IsRefused, IsUnauthorized) = (FirstPause, null, false, false);
                Epoch++;
                log.Say($"Connected to Moonraker at {place}.");
                Wake();
                if (Connected is { } connected)
                    await connected();
                await rpc.Completion.WaitAsync(over);
                log.Say("Moonraker closed the connection.");
            }
            catch (OperationCanceledException) when (over.IsCancellationRequested)
            {
                break;
            }
            catch (Exception fault) when (IsOutage(fault))
            {
                IsUnauthorized = fault is MoonrakerException { Code: MoonrakerException.Unauthorized };
                IsRefused = fault is SocketException { SocketErrorCode: SocketError.ConnectionRefused };
                // Logged once, not every ten seconds.
                if (fault.Message != _trouble)
                    log.Say($"No connection to Moonraker at {place}: {_trouble = fault.Message}");
            }
            catch (Exception bug) when (bug is not OperationCanceledException)
            {
                // The next connection may work, and the command line needs none.
                log.Bug(bug);
            }
            finally
            {
                _rpc = null;
                Wake();
            }
            await Task.Delay(pause, time, over).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    /// <summary>Calls a method of Moonraker.</summary>
    /// <returns>Its result, of any kind.</returns>
    /// <exception cref="MoonrakerException">Moonraker answered with an error.</exception>
    /// <exception cref="FlashException">There is no connection (<c>moonraker-gone</c>).</exception>
    public async Task<JsonElement> CallAsync(
        string method, Dictionary<string, object?>? arguments = null, CancellationToken cancel = default)
    {
        var rpc = _rpc ?? throw Fault(_trouble ?? "not connected");
        try
        {
            if (Recorder is { IsRecording: true } asked)
                asked.Moonraker("call", method, JsonSerializer.Serialize(arguments ?? [], RpcShapes.Default.DictionaryStringObject));
            var result = await rpc.CallAsync(method, arguments).WaitAsync(CallLimit, time, cancel);
            if (Recorder is { IsRecording: true } told)
                told.Moonraker("answer", method, result.GetRawText());
            return result;
        }
        catch (RemoteRpcException error) when (error is not ConnectionLostException)
        {
            Recorder?.Moonraker("refusal", method, error.Message);
            throw Rpc.ErrorOf(error);
        }
        catch (TimeoutException)
        {
            throw PrinterFaults.MoonrakerGone(place.ToString(), $"no answer to {method} within {CallLimit.TotalSeconds:0} s");
        }
        catch (Exception lost) when (IsOutage(lost))
        {
            throw PrinterFaults.MoonrakerGone(place.ToString(), $"the connection broke during {method}");
        }
    }

    /// <summary>As <see cref="CallAsync"/>, for calls that may fail.</summary>
    /// <returns>Null where it failed.</returns>
    public async Task<JsonElement?> TryCallAsync(string method, Dictionary<string, object?>? arguments = null)
    {
        try
        {
            return await CallAsync(method, arguments);
        }
        catch (MoonrakerException refused)
        {
            log.Say($"{method}: {refused.Message} ({refused.Code})");
        }
        catch (FlashException)
        {
            // The lost connection is logged already.
        }
        return null;
    }

    /// <summary>Waits for the connection.</summary>
    /// <returns>False where it was not up within the limit, or Moonraker is not running, or refuses this program.</returns>
    public async Task<bool> WaitConnectedAsync(TimeSpan limit, CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        while (true)
        {
            var change = NextChange;
            if (IsConnected)
                return true;
            var left = limit - time.GetElapsedTime(begin);
            if (IsRefused || IsUnauthorized)
                return false;
            if (left <= TimeSpan.Zero || !await change.WaitUpToAsync(left, time, cancel))
                return IsConnected;
        }
    }

    private async Task<Rpc> ConnectAsync(CancellationToken over)
    {
        using var limit = new CancellationTokenSource(ConnectLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, over);
        Rpc? rpc = null;
        try
        {
            rpc = await OpenAsync(either.Token);
            rpc.Offer<IAnnouncements>(new Announcements(this));
            if (Api is { } api)
                rpc.Offer(api);
            rpc.StartListening();
            var identity = new Dictionary<string, object?>
            {
                ["client_name"] = Api is null ? Name + "_cli" : Name,
                ["version"] = Product.Version,
                ["type"] = Api is null ? "other" : "agent",
                ["url"] = Product.Url,
            };
            if (place.ApiKey is { } key)
                identity["api_key"] = key;
            // Awaited before registering: Moonraker handles the requests of a socket concurrently.
            await rpc.CallAsync("server.connection.identify", identity).WaitAsync(either.Token);
            if (Api is not null)
                await RegisterAsync(rpc, either.Token);
            return rpc;
        }
        catch (RemoteRpcException error) when (error is not ConnectionLostException)
        {
            // After a refused identify Moonraker accepts no other on this socket.
            rpc?.Dispose();
            throw Rpc.ErrorOf(error);
        }
        catch (OperationCanceledException late) when (!over.IsCancellationRequested)
        {
            rpc?.Dispose();
            throw new TimeoutException($"it did not answer within {ConnectLimit.TotalSeconds:0} s", late);
        }
        catch
        {
            rpc?.Dispose();
            throw;
        }
    }

    private async Task RegisterAsync(Rpc rpc, CancellationToken cancel)
    {
        var taken = new List<string>();
        foreach (var method in RemoteMethods.All)
        {
            try
            {
                await rpc.CallAsync("connection.register_remote_method", new() { ["method_name"] = method }).WaitAsync(cancel);
            }
            catch (RemoteRpcException refused) when (refused is not ConnectionLostException)
            {
                taken.Add(method);
                log.Say($"The remote method {method} could not be registered: {Text.Clean(refused.Message)}");
            }
        }
        Taken = taken;
    }

    /// <summary>Opens the websocket of the settings, else the unix socket where it exists.</summary>
    private async Task<Rpc> OpenAsync(CancellationToken cancel)
    {
        if (place.Web is not { } url)
        {
            var unix = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await unix.ConnectAsync(new UnixDomainSocketEndPoint(place.Socket), cancel);
                return new Rpc(new NetworkStream(unix, ownsSocket: true), log.Say);
            }
            catch
            {
                unix.Dispose();
                throw;
            }
        }
        return new Rpc(await WebSocketClient.ConnectAsync(url, place.ApiKey, PingInterval, PingLimit, cancel), log.Say);
    }

    // A failure of the network or of the far side, and no bug.
    private static bool IsOutage(Exception fault) =>
        fault is IOException or SocketException or WebSocketException or TimeoutException or ConnectionLostException or MoonrakerException
        or ObjectDisposedException or FlashException or OperationCanceledException or JsonException or BadRpcHeaderException;

    /// <summary>Completes <see cref="NextChange"/>, for a change that Moonraker does not know.</summary>
    public void Wake()
    {
        var change = _change;
        _change = new(TaskCreationOptions.RunContinuationsAsynchronously);
        change.TrySetResult();
    }

    /// <summary>Moonraker's notifications. They cause a query, and their content is not used.</summary>
    private sealed class Announcements(MoonrakerConnection connection) : IAnnouncements
    {
        public Task KlippyReadyAsync(JsonElement arguments)
        {
            connection.Epoch++;
            return ChangedAsync("notify_klippy_ready", arguments);
        }

        public Task KlippyDisconnectedAsync(JsonElement arguments) => ChangedAsync("notify_klippy_disconnected", arguments);

        public Task KlippyShutdownAsync(JsonElement arguments) => ChangedAsync("notify_klippy_shutdown", arguments);

        public Task ServiceStateChangedAsync(JsonElement arguments) => ChangedAsync("notify_service_state_changed", arguments);

        public Task StatusUpdateAsync(JsonElement status, JsonElement eventTime) => ChangedAsync("notify_status_update", status);

        public Task UpdateResponseAsync(JsonElement arguments) =>
            arguments.ValueKind == JsonValueKind.Array && arguments.GetArrayLength() > 0 && arguments[0].Flag("complete")
                ? ChangedAsync("notify_update_response", arguments) : Task.CompletedTask;

        public Task UpdateRefreshedAsync(JsonElement arguments)
        {
            connection.Refreshes++;
            return ChangedAsync("notify_update_refreshed", default);   // with every commit of every program
        }

        public Task GcodeResponseAsync(JsonElement arguments)
        {
            if (arguments.ValueKind == JsonValueKind.Array && arguments.GetArrayLength() > 0
                && arguments[0].ValueKind == JsonValueKind.String)
                connection.GcodeResponse?.Invoke(arguments[0].GetString()!);
            return Task.CompletedTask;
        }

        private Task ChangedAsync(string method, JsonElement arguments)
        {
            if (connection.Recorder is { IsRecording: true } recorder)
                recorder.Moonraker("said", method, arguments.ValueKind == JsonValueKind.Undefined ? "" : arguments.GetRawText());
            connection.Wake();
            return Task.CompletedTask;
        }
    }
}

/// <summary>Methods that macros call. The prefix keeps them apart from other projects', such as <c>flash_mcu</c>.</summary>
internal static class RemoteMethods
{
    public static readonly string[] All =
        ["ratos_flash_mcu", "ratos_flash_status", "ratos_flash_cancel", "ratos_flash_doctor", "ratos_flash_bundle"];
}

/// <summary>Moonraker's notifications that are used here; others are ignored.</summary>
[JsonRpcContract]
[GenerateShape(IncludeMethods = MethodShapeFlags.PublicInstance)]
internal partial interface IAnnouncements
{
    [JsonRpcMethod("notify_klippy_ready")]
    Task KlippyReadyAsync(JsonElement arguments = default);

    [JsonRpcMethod("notify_klippy_disconnected")]
    Task KlippyDisconnectedAsync(JsonElement arguments = default);

    [JsonRpcMethod("notify_klippy_shutdown")]
    Task KlippyShutdownAsync(JsonElement arguments = default);

    [JsonRpcMethod("notify_service_state_changed")]
    Task ServiceStateChangedAsync(JsonElement arguments = default);

    /// <summary>The only one with two arguments: the change and its time.</summary>
    [JsonRpcMethod("notify_status_update")]
    Task StatusUpdateAsync(JsonElement status = default, JsonElement eventTime = default);

    [JsonRpcMethod("notify_update_response")]
    Task UpdateResponseAsync(JsonElement arguments = default);

    [JsonRpcMethod("notify_update_refreshed")]
    Task UpdateRefreshedAsync(JsonElement arguments = default);

    [JsonRpcMethod("notify_gcode_response")]
    Task GcodeResponseAsync(JsonElement arguments = default);
}
