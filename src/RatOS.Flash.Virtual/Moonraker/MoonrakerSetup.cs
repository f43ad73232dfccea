using System.Collections.Immutable;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>How a virtual Moonraker is reached, and its version and components.</summary>
public sealed record MoonrakerSetup
{
    /// <summary>Path of its unix socket, at most some 100 bytes long; null for none. An existing file is replaced.</summary>
    public string? UnixSocket { get; init; }

    /// <summary>TCP port on 127.0.0.1; 0 for any free one, null for none.</summary>
    public int? Port { get; init; }

    /// <summary>
    /// Null: TCP clients are trusted. Else they need it as <c>X-Api-Key</c>, as <c>api_key</c> of identify, or a <c>?token=</c>.
    /// </summary>
    public string? ApiKey { get; init; }

    /// <summary>
    /// With a user, <c>force_logins</c>: TCP clients log in by <c>access.login</c>, or use the API key. They are not trusted by address.
    /// </summary>
    public (string User, string Password)? Login { get; init; }

    /// <summary>The printer's data folder whose files it offers; null: it offers none.</summary>
    public string? DataFolder { get; init; }

    /// <summary>It answers as v0.9.3 (API 1.4.0) instead of v0.10 (API 1.5.0).</summary>
    public bool IsOld { get; init; }

    /// <summary>The product's own component is loaded (<c>server.ratos_flash.*</c>).</summary>
    public bool HasComponent { get; init; } = true;

    public bool HasUpdateManager { get; init; } = true;

    /// <summary>Its <c>[power]</c> devices: by name, the boards whose supply they switch.</summary>
    public ImmutableDictionary<string, ImmutableArray<string>> PowerDevices { get; init; } =
        ImmutableDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary>The folder of the unit that replaces the program of the host MCU; null where that unit is not installed.</summary>
    public string? HostMcuFolder { get; init; }
}
