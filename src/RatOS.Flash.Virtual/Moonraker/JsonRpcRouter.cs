using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>JSON-RPC as Moonraker speaks it (moonraker: common.py, JsonRPC), without sockets.</summary>
internal sealed class JsonRpcRouter(VirtualMoonraker moonraker)
{
    private ImmutableList<string> _calls = [];

    /// <summary>Every method there is, by name.</summary>
    public IReadOnlyDictionary<string, MoonrakerMethod> Methods { get; set; } = ImmutableDictionary<string, MoonrakerMethod>.Empty;

    /// <summary>Names of the called methods in order, also of those that were refused. Any thread may read them.</summary>
    public IReadOnlyList<string> Calls => _calls;

    /// <summary>Virtual time from the end of each call's work to its answer.</summary>
    public TimeSpan AnswerDelay { get; set; }

    /// <summary>Takes one JSON text: a request, a notification, an answer of an agent, or a list of them.</summary>
    public async Task ReceiveAsync(MoonrakerClient client, ReadOnlyMemory<byte> text)
    {
        if (client.IsGone)
            return;
        byte[]? answer;
        try
        {
            answer = await AnswerAsync(client, text);
        }
        catch (InvalidOperationException)
        {
            // Valid JSON syntax with invalid text: half a surrogate pair, or no UTF-8.
            answer = MoonrakerJson.Write(Error(null, -32600, "Invalid Request"));
        }
        if (answer is not null && moonraker.IsAnswering)
            client.Send(answer);
    }

    /// <summary>Runs a method for a client. Every failure is Moonraker's own exception.</summary>
    public async Task<JsonNode?> RunAsync(MoonrakerMethod method, MoonrakerCall call)
    {
        if (!call.Client.IsTrusted && !method.IsOpen)
            throw new MoonrakerException(401, "Unauthorized");
        try
        {
            return await method.RunAsync(call);
        }
        catch (Exception failed) when (failed is not MoonrakerException)
        {
            // Mostly parameters of an unexpected kind, for which Moonraker has a Python exception.
            throw new MoonrakerException(moonraker.Setup.IsOld ? -31000 : 500, failed.Message);
        }
    }

    /// <summary>Records a call; false when it gets no answer.</summary>
    public bool TryBegin(string method)
    {
        _calls = _calls.Add(method);
        return !moonraker.IsSilent;
    }

    public async Task<JsonObject> DelayAsync(JsonObject answer)
    {
        if (AnswerDelay > TimeSpan.Zero)
            await Task.Delay(AnswerDelay, moonraker.Time);
        return answer;
    }

    private async Task<byte[]?> AnswerAsync(MoonrakerClient client, ReadOnlyMemory<byte> text)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(text);
        }
        catch (JsonException)
        {
            return MoonrakerJson.Write(Error(null, -32700, "Parse error"));
        }
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Array)
                return await AnswerAsync(client, document.RootElement) is { } answer ? MoonrakerJson.Write(answer) : null;
            var answers = new List<JsonNode>();
            foreach (var request in document.RootElement.EnumerateArray())
            {
                if (await AnswerAsync(client, request) is { } one)
                    answers.Add(one);
            }
            return answers.Count > 0 ? MoonrakerJson.Write(new JsonArray([.. answers])) : null;
        }
    }

    private async Task<JsonObject?> AnswerAsync(MoonrakerClient client, JsonElement request)
    {
        if (request.ValueKind != JsonValueKind.Object)
            return Error(null, -32600, "Invalid Request");
        var id = request.TryGetProperty("id", out var given) && given.ValueKind != JsonValueKind.Null ? MoonrakerJson.ToNode(given) : null;
        if (!request.TryGetProperty("jsonrpc", out var version) || version.ValueKind != JsonValueKind.String
            || !version.ValueEquals("2.0"))
            return Error(id, -32600, "Invalid Request");
        if (!request.TryGetProperty("method", out var method))
        {
            AgentRegistry.TakeAnswer(client, request);
            return null;
        }
        if (method.ValueKind != JsonValueKind.String)
            return Error(id, -32600, "Invalid Request");
        if (!TryBegin(method.GetString()!))
            return null;
        if (!Methods.TryGetValue(method.GetString()!, out var known))
            return await DelayAsync(Error(id, -32601, "Method not found"));
        if (request.TryGetProperty("params", out var parameters) && parameters.ValueKind != JsonValueKind.Object)
            return await DelayAsync(Error(id, -32602, "Invalid params:"));
        try
        {
            var result = await RunAsync(known, new MoonrakerCall(client, parameters));
            return id is null ? null : await DelayAsync(new JsonObject { ["jsonrpc"] = "2.0", ["result"] = result, ["id"] = id });
        }
        catch (MoonrakerException failed)
        {
            // A failed notification is answered too, with the id null.
            return await DelayAsync(Error(id, failed.RpcCode, failed.Message, failed));
        }
    }

    private static JsonObject Error(JsonNode? id, int code, string message, MoonrakerException? failed = null)
    {
        var error = new JsonObject { ["code"] = code, ["message"] = message };
        if (failed is { HasDetails: true })
            error["data"] = failed.Details;
        return new JsonObject { ["jsonrpc"] = "2.0", ["error"] = error, ["id"] = id };
    }
}
