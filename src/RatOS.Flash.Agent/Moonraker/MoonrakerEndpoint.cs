using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// Where Moonraker is: at the address of the settings; without one at its unix socket, which needs no key, or at the usual websocket.
/// </summary>
/// <param name="Socket">Path of <c>comms/moonraker.sock</c>.</param>
/// <param name="Url">Of the settings, such as <c>ws://127.0.0.1:7125/websocket</c>; null without one.</param>
/// <param name="ApiKey">For a Moonraker that does not trust this computer; null otherwise.</param>
internal sealed record MoonrakerEndpoint(string Socket, Uri? Url = null, string? ApiKey = null)
{
    /// <summary>The websocket to connect to; null for the unix socket.</summary>
    public Uri? Web => Url ?? (File.Exists(Socket) ? null : AgentSettings.LocalMoonraker);

    /// <summary>It is named by the settings, or its socket is there.</summary>
    public bool IsKnown => Url is not null || File.Exists(Socket);

    public override string ToString() => Web?.ToString() ?? Socket;
}
