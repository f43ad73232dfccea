using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>JSON as Moonraker writes it, and Python's <c>repr</c> of it for some of its messages.</summary>
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

    /// <summary>A list of texts.</summary>
    public static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);

    /// <summary>A node with the same content.</summary>
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
                var members = element.EnumerateObject().Select(member => $"{Repr(member.Name)}: {Repr(member.Value)}");
                text.Append('{').AppendJoin(", ", members).Append('}');
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
    public static string Repr(string text) =>
        text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal)
        ? $"\"{text}\""
        : $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
