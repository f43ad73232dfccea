namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A Klipper that an update manager offers, in Moonraker's members.</summary>
/// <param name="CurrentHash">The installed commit.</param>
/// <param name="RemoteHash">The offered one; the setting's own text where it is pinned; <c>?</c> during a refresh.</param>
/// <param name="RemoteVersion">Tag and commits; null for the installed version's.</param>
public sealed record OfferedKlipper(string CurrentHash, string RemoteHash, string? RemoteVersion)
{
    /// <summary>The checkout was changed: Moonraker does not update it.</summary>
    public bool IsDirty { get; init; }
}
