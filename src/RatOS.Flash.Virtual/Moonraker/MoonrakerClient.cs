using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>One connection as Moonraker sees it, without its socket: JSON texts come in and go out.</summary>
/// <param name="id">Moonraker's number of it: 47 bits.</param>
/// <param name="send">Sends one JSON text (UTF-8).</param>
/// <param name="hangUp">Closes the socket; true: with the word that the server is shutting down, where the socket knows words.</param>
internal sealed class MoonrakerClient(long id, Action<ReadOnlyMemory<byte>> send, Action<bool> hangUp)
{
    public long Id { get; } = id;

    /// <summary>It may call methods, and is told what happens.</summary>
    public bool IsTrusted { get; set; }

    /// <summary>One request by HTTP: it is told nothing, and can be no agent.</summary>
    public bool IsHttp { get; init; }

    public bool IsGone { get; set; }

    /// <summary>Who it said it is. After it asked for a name that was taken its type is empty, for good.</summary>
    public MoonrakerIdentity? Identity { get; set; }

    public bool IsAgent => Identity?.Type == "agent";

    /// <summary>Status objects that it is told about: members by name, null for all of an object's; null while it is told of none.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>?>? Subscription { get; set; }

    public JsonObject LastStatus { get; set; } = [];

    /// <summary>Requests to it as an agent, by id: what becomes of its answer.</summary>
    public Dictionary<long, TaskCompletionSource<JsonElement>> Asked { get; } = [];

    public void Send(ReadOnlyMemory<byte> text)
    {
        if (!IsGone)
            send(text);
    }

    public void HangUp(bool withWord) => hangUp(withWord);
}

/// <summary>Who a client says it is; all as it was given.</summary>
internal sealed record MoonrakerIdentity(string Name, string Version, string Type, string Url)
{
    public JsonObject ToJson() => new() { ["name"] = Name, ["version"] = Version, ["type"] = Type, ["url"] = Url };
}

/// <summary>A request fails.</summary>
/// <param name="status">As in HTTP; JSON-RPC has it as its code, but -32601 for 404 and -32602 for 401.</param>
/// <param name="message">Moonraker's words.</param>
internal sealed class MoonrakerException(int status, string message) : Exception(message)
{
    public int Status { get; } = status;

    public int RpcCode => Status switch { 404 => -32601, 401 => -32602, var other => other };

    /// <summary>The error has a member <c>data</c>; it may be null.</summary>
    public bool HasDetails { get; init; }

    /// <inheritdoc cref="HasDetails"/>
    public JsonNode? Details { get; init; }

    public static MoonrakerException Missing(string argument) => new(400, $"No data for argument: {argument}");

    public static MoonrakerException NoKlippy => new(503, "Klippy Host not connected");
}

/// <summary>JSON as Moonraker writes it, and Python's texts of it in some of its messages.</summary>
internal static class MoonrakerJson
{
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Write(JsonNode node)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer, Plain))
            node.WriteTo(writer);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>A node that can be written; it is not looked into.</summary>
    public static JsonNode? ToNode(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => null,
        JsonValueKind.Object => JsonObject.Create(element.Clone()),
        JsonValueKind.Array => JsonArray.Create(element.Clone()),
        _ => JsonValue.Create(element.Clone()),
    };

    /// <summary>Python's <c>repr</c>.</summary>
    public static string Repr(JsonElement element)
    {
        var text = new StringBuilder();
        Repr(element, text);
        return text.ToString();
    }

    private static void Repr(JsonElement element, StringBuilder text)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                text.Append('{').AppendJoin(", ", element.EnumerateObject().Select(member => $"{Repr(member.Name)}: {Repr(member.Value)}")).Append('}');
                break;
            case JsonValueKind.Array:
                text.Append('[').AppendJoin(", ", element.EnumerateArray().Select(Repr)).Append(']');
                break;
            case JsonValueKind.String:
                text.Append(Repr(element.GetString()!));
                break;
            case JsonValueKind.True or JsonValueKind.False:
                text.Append(element.ValueKind == JsonValueKind.True ? "True" : "False");
                break;
            case JsonValueKind.Number:
                text.Append(element.GetRawText());
                break;
            default:
                text.Append("None");
                break;
        }
    }

    /// <inheritdoc cref="Repr(JsonElement)"/>
    public static string Repr(string text) => text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal)
        ? $"\"{text}\""
        : $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
