using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A request fails with an answer in Moonraker's words.</summary>
/// <param name="status">HTTP status; also the code of JSON-RPC, except -32601 for 404 and -32602 for 401.</param>
/// <param name="message">Moonraker's words.</param>
internal sealed class MoonrakerException(int status, string message) : Exception(message)
{
    public int Status { get; } = status;

    public int RpcCode => Status switch { 404 => -32601, 401 => -32602, var other => other };

    /// <summary>The error has a member <c>data</c>; it may be null.</summary>
    public bool HasDetails { get; init; }

    /// <inheritdoc cref="HasDetails"/>
    public JsonNode? Details { get; init; }

    /// <summary>The cause, where the message is that of the status.</summary>
    public string? Logged { get; init; }

    public static MoonrakerException Missing(string argument) => new(400, $"No data for argument: {argument}");

    public static MoonrakerException NoKlippy => new(503, "Klippy Host not connected");
}
