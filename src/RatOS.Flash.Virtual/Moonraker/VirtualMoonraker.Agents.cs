using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>
/// Who is connected, and what agents do: remote methods, events, requests (moonraker: components/websockets.py, components/extensions.py;
/// transcripts 02, 03, 07, 08), and the product's own component, which shows an agent's words.
/// </content>
public sealed partial class VirtualMoonraker
{
    private const string Application = "ratos-flash";

    private static readonly string[] ClientTypes = ["web", "mobile", "desktop", "display", "bot", "agent", "other"];
    private static readonly string[] OwnMethods = ["reboot_machine", "shutdown_machine", "pause_job_queue", "start_job_queue"];

    private readonly Dictionary<string, MoonrakerClient> _agents = new(StringComparer.Ordinal);

    // Null: Moonraker's own.
    private readonly Dictionary<string, MoonrakerClient?> _remoteMethods = OwnMethods.ToDictionary(name => name, _ => (MoonrakerClient?)null, StringComparer.Ordinal);

    private static readonly TimeSpan ShowerGrace = TimeSpan.FromSeconds(10);

    private MoonrakerClient? _shower;   // whose dialog is open
    private long _dialogId;
    private JsonObject? _announcement;

    private JsonNode Identify(Call call)
    {
        if (call.Optional("api_key") is { } key)
        {
            if (key.ToString() != ApiKey)
                throw new MoonrakerException(401, "Invalid API Key");
            call.Client.IsTrusted = true;
        }
        if (!call.Client.IsTrusted)
            throw new MoonrakerException(401, "Unauthorized");
        if (call.Client.Identity is { } before)
            throw new MoonrakerException(400, $"Connection already identified: {MoonrakerJson.Repr(JsonElement.Parse(MoonrakerJson.Write(before.ToJson())))}");
        var identity = new MoonrakerIdentity(call.Text("client_name"), call.Text("version"), call.Text("type"), call.Text("url"));
        if (!ClientTypes.Contains(identity.Type.ToLowerInvariant()))
            throw new MoonrakerException(400, $"Invalid Client Type: {identity.Type}");
        identity = identity with { Type = identity.Type.ToLowerInvariant() };
        if (identity.Type == "agent" && _agents.ContainsKey(identity.Name))
        {
            // The socket is spoiled: what it said is kept, but it never becomes an agent.
            call.Client.Identity = identity with { Type = "" };
            throw new MoonrakerException(400, $"Agent '{identity.Name}' already registered and connected'");
        }
        call.Client.Identity = identity;
        if (call.Client.IsAgent)
        {
            _agents[identity.Name] = call.Client;
            TellAgentEvent(call.Client, "connected", identity.ToJson(), hasData: true);
        }
        return new JsonObject { ["connection_id"] = call.Client.Id };
    }

    private JsonNode Register(Call call)
    {
        if (!call.Client.IsAgent)
            throw new MoonrakerException(400, "Only connections of the 'agent' type can register methods");
        var name = call.Text("method_name");
        if (!_remoteMethods.TryAdd(name, call.Client))
            throw new MoonrakerException(400, $"Remote method ({name}) already registered");
        // Klipper takes it when it is ready; else it is told then.
        if (KlippyState == "ready")
            _klipper.Register(name);
        return "ok";
    }

    /// <summary>A macro's call; what nobody has registered is lost.</summary>
    private void CallAgent(string method, JsonObject arguments)
    {
        if (IsSilent || _remoteMethods.GetValueOrDefault(method) is not { } agent)
            return;
        var call = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method };
        if (arguments.Count > 0)
            call["params"] = arguments;
        agent.Send(MoonrakerJson.Write(call));
    }

    private JsonNode SendEvent(Call call)
    {
        if (!call.Client.IsAgent)
            throw new MoonrakerException(400, "Only connections of the 'agent' type can send events");
        var name = call.Text("event");
        if (name is "connected" or "disconnected")
            throw new MoonrakerException(400, $"Event '{name}' is reserved");
        var data = call.Optional("data") is { ValueKind: not JsonValueKind.Null } given ? given.Clone() : JsonElement.Parse("null"u8);
        _agentEvents = _agentEvents.Add(data);
        TellAgentEvent(call.Client, name, MoonrakerJson.ToNode(data), data.ValueKind != JsonValueKind.Null);
        return "ok";
    }

    private void TellAgentEvent(MoonrakerClient agent, string name, JsonNode? data, bool hasData)
    {
        var happened = new JsonObject { ["agent"] = agent.Identity!.Name, ["event"] = name };
        if (hasData)
            happened["data"] = data;
        Tell("notify_agent_event", happened, except: agent);
    }

    private JsonObject ListAgents() =>
        new() { ["agents"] = new JsonArray([.. _agents.Values.Select(agent => (JsonNode)agent.Identity!.ToJson())]) };

    /// <summary>Asks an agent. Nothing limits how long it takes.</summary>
    private async Task<JsonNode?> AskAgentAsync(Call call)
    {
        var (name, method) = (call.Text("agent"), call.Text("method"));
        var arguments = call.Optional("arguments");
        if (arguments is { ValueKind: not (JsonValueKind.Object or JsonValueKind.Array or JsonValueKind.Null) })
            throw new MoonrakerException(400, "The 'arguments' field must contain an object or a list");
        if (!_agents.TryGetValue(name, out var agent))
            throw new MoonrakerException(400, $"Agent {name} not connected");
        var id = NextId();
        var request = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method, ["id"] = id };
        if (arguments is { } some && (some.ValueKind == JsonValueKind.Object ? some.EnumerateObject().Any() : some.ValueKind == JsonValueKind.Array && some.GetArrayLength() > 0))
            request["params"] = MoonrakerJson.ToNode(some);
        var answered = agent.Asked[id] = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        agent.Send(MoonrakerJson.Write(request));
        var answer = await answered.Task;
        if (answer.TryGetProperty("result", out var result) && result.ValueKind != JsonValueKind.Null)
            return MoonrakerJson.ToNode(result);
        throw AgentFailed(name, answer);
    }

    /// <summary>An answer without a result is an error, whatever it is; the two versions tell it differently.</summary>
    private MoonrakerException AgentFailed(string name, JsonElement answer)
    {
        var error = answer.TryGetProperty("error", out var given) ? given : default;
        if (!_setup.IsOld)
            return new MoonrakerException(424, $"Agent {name} RPC error") { HasDetails = true, Details = MoonrakerJson.ToNode(error) };
        var (code, message) = ("-32600", $"Invalid Response: {MoonrakerJson.Repr(answer)}");
        if (error.ValueKind == JsonValueKind.Object)
        {
            code = error.TryGetProperty("code", out var itsCode) ? itsCode.GetRawText() : code;
            message = error.TryGetProperty("message", out var itsMessage) ? itsMessage.ToString() : message;
        }
        return new MoonrakerException(418, $"{name} rpc error: {code} {message}");
    }

    private static void TakeAnswer(MoonrakerClient client, JsonElement answer)
    {
        if (answer.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.Number && id.TryGetInt64(out var number) && client.Asked.Remove(number, out var asked))
            asked.TrySetResult(answer.Clone());
    }

    /// <summary>Nothing of a connection that has ended is left.</summary>
    private void Leave(MoonrakerClient client)
    {
        foreach (var asked in client.Asked.Values)
            asked.TrySetException(new MoonrakerException(500, "Client Socket Disconnected"));
        client.Asked.Clear();
        foreach (var (name, _) in _remoteMethods.Where(method => method.Value == client).ToList())
            _remoteMethods.Remove(name);
        // An agent that only lost its socket is back within moments, and goes on.
        if (_shower == client)
        {
            Time.Schedule(ShowerGrace, () =>
            {
                if (_shower == client && !_isOver)
                    CompleteFor("RatOS.Flash is not running. The result of the job is not known here. On the printer run: systemctl status ratos-flash");
            });
        }
        if (client.IsAgent && _agents.Remove(client.Identity!.Name))
            TellAgentEvent(client, "disconnected", null, hasData: false);
    }

    /// <summary>A new start: nobody is registered.</summary>
    private void Forget()
    {
        if (_shower is not null)
            CompleteFor("Moonraker is stopping. A running flash continues, and is shown again when Moonraker is back.");
        foreach (var client in _clients.ToList())
            Disconnect(client);
        _announcement = null;
    }

    // ---- the product's component

    private JsonObject ComponentInfo() => new() { ["api"] = 1, ["dialog"] = _setup.HasUpdateManager, ["announcements"] = true };

    private JsonNode Show(Call call)
    {
        if (call.Text("job").Length == 0)
            throw new MoonrakerException(400, "'job' must be a non-empty text");
        var (dialog, console) = (Lines(call, "dialog"), Lines(call, "console"));
        var isComplete = call.Optional("complete") is { ValueKind: JsonValueKind.True };
        foreach (var line in console)
        {
            if (!line.StartsWith("// ", StringComparison.Ordinal) && !line.StartsWith("!! ", StringComparison.Ordinal) && !line.StartsWith("echo: ", StringComparison.Ordinal))
                throw new MoonrakerException(400, $"a line of 'console' must begin with '// ', '!! ' or 'echo: ', unlike {line}");
        }
        if (_setup.HasUpdateManager)
            ShowInDialog(call.Client, dialog, isComplete);
        foreach (var line in console)
            ShowOnConsole(line);
        return new JsonObject { ["shown"] = true };
    }

    private void ShowInDialog(MoonrakerClient client, List<string> lines, bool isComplete)
    {
        foreach (var (index, line) in lines.Index())
        {
            if (_shower is null)
                _dialogId = NextId();
            _shower = client;
            _dialog = _dialog.Add(line);
            if (!isComplete || index < lines.Count - 1)
                TellDialog(line, isComplete: false);
        }
        if (isComplete && _shower is not null)
            Complete(lines.LastOrDefault() ?? "");
    }

    private void CompleteFor(string line)
    {
        _dialog = _dialog.Add(line);
        Complete(line);
    }

    private void Complete(string line)
    {
        _dialog = _dialog.Add("(complete)");
        TellDialog(line, isComplete: true);
        _shower = null;
    }

    private void TellDialog(string line, bool isComplete) => Tell("notify_update_response", new JsonObject
    {
        ["message"] = Escape(line),
        ["application"] = Application,
        ["proc_id"] = _dialogId,
        ["complete"] = isComplete,
    });

    /// <summary>As Python's html.escape.</summary>
    private static string Escape(string text) => new StringBuilder(text).Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;")
        .Replace("\"", "&quot;").Replace("'", "&#x27;").ToString();

    private static List<string> Lines(Call call, string name) => call.Optional(name) switch
    {
        null or { ValueKind: JsonValueKind.Null } => [],
        { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(line => line.ValueKind == JsonValueKind.String) => [.. list.EnumerateArray().Select(line => line.GetString()!)],
        _ => throw new MoonrakerException(400, $"The argument '{name}' must be a list of strings"),
    };

    private JsonNode Announce(Call call)
    {
        if (call.Optional("dismiss") is { ValueKind: JsonValueKind.True })
        {
            if (_announcement is not null)
                Tell("notify_announcement_dismissed", new JsonObject { ["entry_id"] = _announcement["entry_id"]!.DeepClone() });
            _announcement = null;
            return new JsonObject { ["shown"] = false };
        }
        var at = Time.GetUtcNow();
        _announcement = new JsonObject
        {
            ["entry_id"] = $"{Application}/{at:s}",
            ["url"] = "",
            ["title"] = call.Text("title"),
            ["description"] = call.Text("description"),
            ["priority"] = "high",
            ["date"] = at.ToUnixTimeMilliseconds() / 1000.0,
            ["dismissed"] = false,
            ["date_dismissed"] = null,
            ["dismiss_wake"] = null,
            ["source"] = "internal",
            ["feed"] = Application,
        };
        Tell("notify_announcement_update", new JsonObject { ["entries"] = new JsonArray(_announcement.DeepClone()) });
        return new JsonObject { ["shown"] = true };
    }
}
