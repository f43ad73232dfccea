using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A method of Moonraker; its result is any JSON.</summary>
/// <param name="Verb">By HTTP: GET, POST or DELETE; null for a method of sockets only.</param>
/// <param name="RunAsync">Its work.</param>
internal sealed record MoonrakerMethod(string? Verb, Func<MoonrakerCall, Task<JsonNode?>> RunAsync)
{
    /// <summary>Its HTTP path, where that is not the method's name with slashes.</summary>
    public string? Path { get; init; }

    /// <summary>Untrusted clients may call it too: it checks them itself.</summary>
    public bool IsOpen { get; init; }
}

/// <summary>One call of a method.</summary>
internal sealed record MoonrakerCall(MoonrakerClient Client, JsonElement Parameters)
{
    public JsonElement? Optional(string name) =>
        Parameters.ValueKind == JsonValueKind.Object && Parameters.TryGetProperty(name, out var value) ? value : null;

    public JsonElement Required(string name) => Optional(name) ?? throw MoonrakerException.Missing(name);

    /// <summary>A text; other scalars as they are written.</summary>
    public string Text(string name)
    {
        var value = Required(name);
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
    }
}
