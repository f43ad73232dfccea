using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Moonraker's database of namespaces and keys (moonraker: components/database.py).</summary>
internal sealed class MoonrakerDatabase
{
    private readonly Dictionary<string, JsonNode> _namespaces = new(StringComparer.Ordinal)
    {
        ["announcements"] = new JsonObject(),
        ["moonraker"] = new JsonObject { ["instance_id"] = "0123456789abcdef0123456789abcdef" },
        ["gcode_metadata"] = new JsonObject(),
    };

    public JsonNode List() =>
        new JsonObject { ["namespaces"] = MoonrakerJson.Texts(_namespaces.Keys), ["backups"] = new JsonArray() };

    public JsonNode Get(MoonrakerCall call)
    {
        var (name, key) = (call.Text("namespace"), call.Optional("key"));
        var found = Namespace(name);
        foreach (var step in Steps(key))
            found = Step(found, step) ?? throw KeyNotFound(name, key!.Value);
        return Item(name, key, found);
    }

    public JsonNode Post(MoonrakerCall call)
    {
        var (name, key, value) = (Writable(call), call.Required("key"), MoonrakerJson.ToNode(call.Required("value")));
        var steps = Steps(key);
        if (steps.Count == 0)
            throw MoonrakerException.Missing("key");
        if (!_namespaces.TryGetValue(name, out var space))
            space = _namespaces[name] = new JsonObject();
        foreach (var step in steps.SkipLast(1))
        {
            if (Step(space, step) is not JsonObject)
                space[step] = new JsonObject();
            space = space[step]!;
        }
        space[steps[^1]] = value;
        return Item(name, key, value);
    }

    public JsonNode Delete(MoonrakerCall call)
    {
        var (name, key) = (Writable(call), call.Required("key"));
        var (space, steps) = (Namespace(name), Steps(key));
        foreach (var step in steps.SkipLast(1))
            space = Step(space, step) ?? throw KeyNotFound(name, key);
        if (steps.Count == 0 || space is not JsonObject parent || !parent.Remove(steps[^1], out var removed))
            throw KeyNotFound(name, key);
        return Item(name, key, removed);
    }

    private static string Writable(MoonrakerCall call)
    {
        var name = call.Text("namespace");
        return name == "moonraker"
            ? throw new MoonrakerException(403, "Write access to namespace 'moonraker' is forbidden")
            : name;
    }

    private JsonNode Namespace(string name) =>
        _namespaces.GetValueOrDefault(name) ?? throw new MoonrakerException(404, $"Namespace {name} not found");

    /// <summary>Dots lead into an object; in a list they are part of the key.</summary>
    private static List<string> Steps(JsonElement? key) => key switch
    {
        null or { ValueKind: JsonValueKind.Null } => [],
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(step => step.GetString()!)],
        { } text => [.. text.GetString()!.Split('.')],
    };

    private static JsonNode? Step(JsonNode space, string step) => space is JsonObject item ? item[step] : null;

    private static MoonrakerException KeyNotFound(string name, JsonElement key)
    {
        var shown = key.ValueKind == JsonValueKind.Array ? MoonrakerJson.Repr(key) : key.GetString();
        return new(404, $"Key '{shown}' in namespace '{name}' not found");
    }

    private static JsonObject Item(string name, JsonElement? key, JsonNode? value) => new()
    {
        ["namespace"] = name,
        ["key"] = key is { } given ? MoonrakerJson.ToNode(given) : null,
        ["value"] = value?.DeepClone(),
    };
}
