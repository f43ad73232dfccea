using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>Connections and JSON-RPC, without sockets (moonraker: common.py, JsonRPC; transcript 01).</content>
public sealed partial class VirtualMoonraker
{
    /// <summary>What a method does with its parameters; its result is any JSON.</summary>
    /// <param name="Verb">By HTTP: GET, POST or DELETE; null for a method of sockets alone.</param>
    /// <param name="RunAsync">The work.</param>
    private sealed record Method(string? Verb, Func<Call, Task<JsonNode?>> RunAsync)
    {
        /// <summary>Its HTTP path, where that is not the method's name with slashes.</summary>
        public string? Path { get; init; }

        /// <summary>Whoever is not trusted may call it too: it looks at the caller itself.</summary>
        public bool IsOpen { get; init; }
    }

    /// <summary>A request as its method sees it.</summary>
    private sealed record Call(MoonrakerClient Client, JsonElement Parameters)
    {
        public JsonElement? Optional(string name) =>
            Parameters.ValueKind == JsonValueKind.Object && Parameters.TryGetProperty(name, out var value) ? value : null;

        public JsonElement Required(string name) => Optional(name) ?? throw MoonrakerException.Missing(name);

        /// <summary>A text; other scalars are taken as they are written.</summary>
        public string Text(string name)
        {
            var value = Required(name);
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
        }
    }

    /// <summary>Somebody connects.</summary>
    internal MoonrakerClient Connect(Action<ReadOnlyMemory<byte>> send, Action<bool> hangUp, bool isTrusted)
    {
        var client = new MoonrakerClient(NextId(), send, hangUp) { IsTrusted = isTrusted };
        _clients.Add(client);
        return client;
    }

    /// <summary>A connection has ended, by whomever. Only the first call counts.</summary>
    internal void Disconnect(MoonrakerClient client)
    {
        if (client.IsGone)
            return;
        client.IsGone = true;
        _clients.Remove(client);
        Leave(client);
    }

    /// <summary>Takes one JSON text: a request, a notification, an answer of an agent, or a list of them. Each is worked on by itself.</summary>
    internal async Task ReceiveAsync(MoonrakerClient client, ReadOnlyMemory<byte> text)
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
            // A text that is JSON by its signs alone: half a surrogate pair, or no UTF-8.
            answer = MoonrakerJson.Write(Error(null, -32600, "Invalid Request"));
        }
        if (answer is not null && !IsSilent && _isUp)
            client.Send(answer);
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
                return await TakeAsync(client, document.RootElement) is { } answer ? MoonrakerJson.Write(answer) : null;
            var answers = new List<JsonNode>();
            foreach (var request in document.RootElement.EnumerateArray())
            {
                if (await TakeAsync(client, request) is { } one)
                    answers.Add(one);
            }
            return answers.Count > 0 ? MoonrakerJson.Write(new JsonArray([.. answers])) : null;
        }
    }

    private async Task<JsonObject?> TakeAsync(MoonrakerClient client, JsonElement request)
    {
        if (request.ValueKind != JsonValueKind.Object)
            return Error(null, -32600, "Invalid Request");
        var id = request.TryGetProperty("id", out var given) && given.ValueKind != JsonValueKind.Null ? MoonrakerJson.ToNode(given) : null;
        if (!request.TryGetProperty("jsonrpc", out var version) || version.ValueKind != JsonValueKind.String || !version.ValueEquals("2.0"))
            return Error(id, -32600, "Invalid Request");
        if (!request.TryGetProperty("method", out var method))
        {
            TakeAnswer(client, request);
            return null;
        }
        if (method.ValueKind != JsonValueKind.String)
            return Error(id, -32600, "Invalid Request");
        _calls = _calls.Add(method.GetString()!);
        if (IsSilent)
            return null;
        if (!_methods.TryGetValue(method.GetString()!, out var known))
            return await LateAsync(Error(id, -32601, "Method not found"));
        if (request.TryGetProperty("params", out var parameters) && parameters.ValueKind != JsonValueKind.Object)
            return await LateAsync(Error(id, -32602, "Invalid params:"));
        try
        {
            var result = await RunAsync(known, new Call(client, parameters));
            return id is null ? null : await LateAsync(new JsonObject { ["jsonrpc"] = "2.0", ["result"] = result, ["id"] = id });
        }
        catch (MoonrakerException failed)
        {
            // One without an id is answered all the same, with the id null.
            return await LateAsync(Error(id, failed.RpcCode, failed.Message, failed));
        }
    }

    private async Task<JsonNode?> RunAsync(Method method, Call call)
    {
        if (!call.Client.IsTrusted && !method.IsOpen)
            throw new MoonrakerException(401, "Unauthorized");
        try
        {
            return await method.RunAsync(call);
        }
        catch (Exception stumbled) when (stumbled is not MoonrakerException)
        {
            // Mostly parameters of a kind that the method is not made for: there Moonraker has an exception of Python's.
            throw new MoonrakerException(_setup.IsOld ? -31000 : 500, stumbled.Message);
        }
    }

    private async Task<JsonObject> LateAsync(JsonObject answer)
    {
        if (AnswerDelay > TimeSpan.Zero)
            await Task.Delay(AnswerDelay, Time);
        return answer;
    }

    private static JsonObject Error(JsonNode? id, int code, string message, MoonrakerException? failed = null)
    {
        var error = new JsonObject { ["code"] = code, ["message"] = message };
        if (failed is { HasDetails: true })
            error["data"] = failed.Details;
        return new JsonObject { ["jsonrpc"] = "2.0", ["error"] = error, ["id"] = id };
    }

    /// <summary>Without a parameter the key <c>params</c> is absent.</summary>
    private static byte[] Notification(string method, JsonNode? parameter, double? time = null)
    {
        var notification = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method };
        if (parameter is not null)
            notification["params"] = time is { } at ? new JsonArray(parameter, at) : new JsonArray(parameter);
        return MoonrakerJson.Write(notification);
    }

    private long NextId() => _lastId += 0x30 + (_lastId % 7 * 0x10);
}
