using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>One connection without its socket: JSON texts in and out.</summary>
/// <param name="id">Its number in Moonraker, 47 bits.</param>
/// <param name="send">Sends one JSON text (UTF-8).</param>
/// <param name="hangUp">Closes the socket; true: with a goodbye, where the protocol has one.</param>
internal sealed class MoonrakerClient(long id, Action<ReadOnlyMemory<byte>> send, Action<bool> hangUp)
{
    public long Id { get; } = id;

    /// <summary>It may call methods, and gets notifications.</summary>
    public bool IsTrusted { get; set; }

    /// <summary>The user as whom it is trusted; null on the unix socket, and for a stranger.</summary>
    public string? User { get; set; }

    /// <summary>One request by HTTP: it gets no notifications, and cannot be an agent.</summary>
    public bool IsHttp { get; init; }

    public bool IsGone { get; set; }

    /// <summary>Its identity. After a request for a name in use its type is empty.</summary>
    public MoonrakerIdentity? Identity { get; set; }

    public bool IsAgent => Identity?.Type == "agent";

    /// <summary>Its subscription of status objects: members by name, null for all of an object; null without one.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>?>? Subscription { get; set; }

    public JsonObject LastStatus { get; set; } = [];

    /// <summary>Open requests to it as an agent, by id.</summary>
    public Dictionary<long, TaskCompletionSource<JsonElement>> Requests { get; } = [];

    public void Send(ReadOnlyMemory<byte> text)
    {
        if (!IsGone)
            send(text);
    }

    public void HangUp(bool withGoodbye) => hangUp(withGoodbye);
}

/// <summary>A client's identity, as it sent it.</summary>
internal sealed record MoonrakerIdentity(string Name, string Version, string Type, string Url)
{
    public JsonObject ToJson() => new() { ["name"] = Name, ["version"] = Version, ["type"] = Type, ["url"] = Url };
}
