using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>
/// Clients with a name, and agents among them: remote methods, events, requests (moonraker: components/websockets.py,
/// components/extensions.py).
/// </summary>
internal sealed class AgentRegistry(VirtualMoonraker moonraker)
{
    private static readonly string[] ClientTypes = ["web", "mobile", "desktop", "display", "bot", "agent", "other"];
    private static readonly string[] OwnMethods = ["reboot_machine", "shutdown_machine", "pause_job_queue", "start_job_queue"];

    private readonly Dictionary<string, MoonrakerClient> _agents = new(StringComparer.Ordinal);

    // Null: Moonraker's own.
    private readonly Dictionary<string, MoonrakerClient?> _remoteMethods =
        OwnMethods.ToDictionary(name => name, _ => (MoonrakerClient?)null, StringComparer.Ordinal);

    private ImmutableList<JsonElement> _events = [];

    /// <summary>The data of each event of an agent, null (JSON) where it had none. Any thread may read them.</summary>
    public IReadOnlyList<JsonElement> Events => _events;

    /// <summary>Methods that Klipper's macros can call.</summary>
    public IEnumerable<string> RemoteMethods => _remoteMethods.Keys;

    public JsonNode Identify(MoonrakerCall call)
    {
        moonraker.Access.Check(call);
        if (call.Client.Identity is { } before)
        {
            var shown = MoonrakerJson.Repr(JsonElement.Parse(MoonrakerJson.Write(before.ToJson())));
            throw new MoonrakerException(400, $"Connection already identified: {shown}");
        }
        var identity = new MoonrakerIdentity(call.Text("client_name"), call.Text("version"), call.Text("type"), call.Text("url"));
        if (!ClientTypes.Contains(identity.Type.ToLowerInvariant()))
            throw new MoonrakerException(400, $"Invalid Client Type: {identity.Type}");
        identity = identity with { Type = identity.Type.ToLowerInvariant() };
        if (identity.Type == "agent" && _agents.ContainsKey(identity.Name))
        {
            // Its identity is kept, but the client never becomes an agent.
            call.Client.Identity = identity with { Type = "" };
            throw new MoonrakerException(400, $"Agent '{identity.Name}' already registered and connected'");
        }
        call.Client.Identity = identity;
        if (call.Client.IsAgent)
        {
            _agents[identity.Name] = call.Client;
            NotifyEvent(call.Client, "connected", identity.ToJson(), hasData: true);
        }
        return new JsonObject { ["connection_id"] = call.Client.Id };
    }

    public JsonNode Register(MoonrakerCall call)
    {
        if (!call.Client.IsAgent)
            throw new MoonrakerException(400, "Only connections of the 'agent' type can register methods");
        var name = call.Text("method_name");
        if (!_remoteMethods.TryAdd(name, call.Client))
            throw new MoonrakerException(400, $"Remote method ({name}) already registered");
        // If Klipper is not ready, the method is registered when it becomes ready.
        if (moonraker.KlippyState == "ready")
            moonraker.Klipper.Register(name);
        return "ok";
    }

    /// <summary>A macro's call; without a registered agent it is lost.</summary>
    public void Call(string method, JsonObject arguments)
    {
        if (moonraker.IsSilent || _remoteMethods.GetValueOrDefault(method) is not { } agent)
            return;
        var call = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method };
        if (arguments.Count > 0)
            call["params"] = arguments;
        agent.Send(MoonrakerJson.Write(call));
    }

    public JsonNode SendEvent(MoonrakerCall call)
    {
        if (!call.Client.IsAgent)
            throw new MoonrakerException(400, "Only connections of the 'agent' type can send events");
        var name = call.Text("event");
        if (name is "connected" or "disconnected")
            throw new MoonrakerException(400, $"Event '{name}' is reserved");
        var data = call.Optional("data") is { ValueKind: not JsonValueKind.Null } given ? given.Clone() : JsonElement.Parse("null"u8);
        _events = _events.Add(data);
        NotifyEvent(call.Client, name, MoonrakerJson.ToNode(data), data.ValueKind != JsonValueKind.Null);
        return "ok";
    }

    public JsonNode List() =>
        new JsonObject { ["agents"] = new JsonArray([.. _agents.Values.Select(agent => (JsonNode)agent.Identity!.ToJson())]) };

    /// <summary>Sends a request to an agent. Its answer may take any time.</summary>
    public async Task<JsonNode?> RequestAsync(MoonrakerCall call)
    {
        var (name, method) = (call.Text("agent"), call.Text("method"));
        var arguments = call.Optional("arguments");
        if (arguments is { ValueKind: not (JsonValueKind.Object or JsonValueKind.Array or JsonValueKind.Null) })
            throw new MoonrakerException(400, "The 'arguments' field must contain an object or a list");
        if (!_agents.TryGetValue(name, out var agent))
            throw new MoonrakerException(400, $"Agent {name} not connected");
        var id = moonraker.Clients.NextId();
        var request = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method, ["id"] = id };
        if (arguments is { } some && HasItems(some))
            request["params"] = MoonrakerJson.ToNode(some);
        var answered = agent.Requests[id] = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        agent.Send(MoonrakerJson.Write(request));
        var answer = await answered.Task;
        if (answer.TryGetProperty("result", out var result) && result.ValueKind != JsonValueKind.Null)
            return MoonrakerJson.ToNode(result);
        throw Failed(name, answer);
    }

    /// <summary>A text without a method: an agent's answer to a request.</summary>
    public static void TakeAnswer(MoonrakerClient client, JsonElement answer)
    {
        if (answer.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.Number && id.TryGetInt64(out var number)
            && client.Requests.Remove(number, out var request))
            request.TrySetResult(answer.Clone());
    }

    /// <summary>Removes a client that has disconnected.</summary>
    public void Remove(MoonrakerClient client)
    {
        foreach (var request in client.Requests.Values)
            request.TrySetException(new MoonrakerException(500, "Client Socket Disconnected"));
        client.Requests.Clear();
        foreach (var (name, _) in _remoteMethods.Where(method => method.Value == client).ToList())
            _remoteMethods.Remove(name);
        if (client.IsAgent && _agents.Remove(client.Identity!.Name))
            NotifyEvent(client, "disconnected", null, hasData: false);
    }

    private void NotifyEvent(MoonrakerClient agent, string name, JsonNode? data, bool hasData)
    {
        var happened = new JsonObject { ["agent"] = agent.Identity!.Name, ["event"] = name };
        if (hasData)
            happened["data"] = data;
        moonraker.Clients.Notify("notify_agent_event", happened, except: agent);
    }

    /// <summary>An answer without a result is an error. The two versions of Moonraker report it differently.</summary>
    private MoonrakerException Failed(string name, JsonElement answer)
    {
        var error = answer.TryGetProperty("error", out var given) ? given : default;
        if (!moonraker.Setup.IsOld)
            return new MoonrakerException(424, $"Agent {name} RPC error") { HasDetails = true, Details = MoonrakerJson.ToNode(error) };
        var (code, message) = ("-32600", $"Invalid Response: {MoonrakerJson.Repr(answer)}");
        if (error.ValueKind == JsonValueKind.Object)
        {
            code = error.TryGetProperty("code", out var itsCode) ? itsCode.GetRawText() : code;
            message = error.TryGetProperty("message", out var itsMessage) ? itsMessage.ToString() : message;
        }
        return new MoonrakerException(418, $"{name} rpc error: {code} {message}");
    }

    private static bool HasItems(JsonElement arguments) => arguments.ValueKind switch
    {
        JsonValueKind.Object => arguments.EnumerateObject().Any(),
        JsonValueKind.Array => arguments.GetArrayLength() > 0,
        _ => false,
    };
}
