using System.Text;
using System.Text.Json;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// Moonraker's messages in a recording: a text stays only under a name that is known to hold nothing private; of Klipper's settings only
/// the MCUs stay.
/// </summary>
/// <param name="words">Redacts messages for people.</param>
internal sealed class JsonRedaction(Func<string, string> words)
{
    // State and versions, and messages for people.
    private static readonly HashSet<string> Texts = new(StringComparer.Ordinal)
    {
        "state", "klippy_state", "software_version", "mcu_version", "version", "canbus_uuid", "method", "event", "status", "name",
        "active_state", "sub_state", "service", "moonraker_version", "api_version_string", "device", "phase", "condition", "code", "by",
        "job", "board", "oldVersion", "newVersion", "MCU", "mcu_build_versions", "app", "restart_method", "canbus_interface",
        "state_message", "message", "cause", "remedy", "warning", "error",
    };

    /// <summary>The redacted JSON; <c>(removed)</c> where it is none, such as the beginning of a long message.</summary>
    public string Of(string json)
    {
        try
        {
            using var document = ForeignJson.Parse(json);
            using var stream = new MemoryStream();
            using (var writer = new Utf8JsonWriter(stream))
                Write(writer, null, document.RootElement);
            return Encoding.UTF8.GetString(stream.ToArray());
        }
        catch (JsonException)
        {
            return ConfigRedaction.Removed;
        }
    }

    private void Write(Utf8JsonWriter writer, string? name, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in element.EnumerateObject())
                {
                    if (name is "settings" or "config" && !IsMcu(member.Name))
                        continue;
                    writer.WritePropertyName(words(member.Name));
                    Write(writer, member.Name, member.Value);
                }
                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray())
                    Write(writer, name, item);
                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                var text = element.GetString()!;
                writer.WriteStringValue(
                    name is null || Texts.Contains(name) || name.StartsWith("RESERVE_PINS", StringComparison.Ordinal) ? words(text)
                    : ConfigRedaction.IsHarmless(name, text) ? text : ConfigRedaction.Removed);
                break;
            case JsonValueKind.Number when name is not null && Redaction.IsSecret(name):
                writer.WriteStringValue(ConfigRedaction.Removed);
                break;
            default:
                element.WriteTo(writer);
                break;
        }
    }

    private static bool IsMcu(string section) => section == "mcu" || section.StartsWith("mcu ", StringComparison.Ordinal);
}
