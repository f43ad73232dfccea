using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>An answer by HTTP.</summary>
internal sealed record HttpAnswer(int Status, ReadOnlyMemory<byte> Body, string ContentType)
{
    /// <summary>More lines of its head, each with its end.</summary>
    public string Headers { get; init; } = "";

    public static HttpAnswer Of(int status, JsonNode body) => new(status, MoonrakerJson.Write(body), "application/json; charset=UTF-8");

    /// <summary>The words of a status in its first line, and in errors of files.</summary>
    public static string Reason(int status) => status switch
    {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        422 => "Unprocessable Entity",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    };
}
