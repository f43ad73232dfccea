using System.Globalization;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// Where Moonraker is: at the address of the settings; without one at its unix socket, which needs no key, or at the websocket of its
/// configuration: another printer of this computer may have the usual one.
/// </summary>
/// <param name="Socket">Path of <c>comms/moonraker.sock</c>; <c>config/moonraker.conf</c> is beside its folder.</param>
/// <param name="Url">Of the settings, such as <c>ws://127.0.0.1:7125/websocket</c>; null without one.</param>
/// <param name="ApiKey">For a Moonraker that does not trust this computer; null otherwise.</param>
internal sealed record MoonrakerEndpoint(string Socket, Uri? Url = null, string? ApiKey = null)
{
    /// <summary>The websocket to connect to; null for the unix socket.</summary>
    public Uri? Web => Url ?? (File.Exists(Socket) ? null
        : new UriBuilder(AgentSettings.LocalMoonraker) { Port = Port ?? AgentSettings.LocalMoonraker.Port }.Uri);

    /// <summary>It is named by the settings, or its socket is there.</summary>
    public bool IsKnown => Url is not null || File.Exists(Socket);

    /// <summary>Of the last section <c>[server]</c>; null where it has none, or no port.</summary>
    private int? Port => Path.GetDirectoryName(Path.GetDirectoryName(Socket)) is { } data
        && ConfigFiles.Read(Path.Combine(data, "config", "moonraker.conf")).Sections
            .LastOrDefault(section => section.Name == "server")?.Options.LastOrDefault(option => option.Key == "port").Value is { } text
        && ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port > 0 ? port : null;

    public override string ToString() => Web?.ToString() ?? Socket;
}
