using System.Text.Json;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// The Klipper that update_manager offers (moonraker: components/update_manager/git_deploy.py, get_repo_status, the same in 0.9.3 and
/// 0.10). With <c>pinned_commit</c> Moonraker names that commit as the remote one, and only if it was fetched and comes later.
/// </summary>
/// <param name="Commit">8 to 40 hex digits; null where Moonraker does not know it, as during a refresh.</param>
/// <param name="Version">Such as <c>v0.13.0-731-g0a1b2c3d</c>.</param>
internal sealed record KlipperOffer(string? Commit, string Version)
{
    private const int ShortHash = 8;

    /// <summary>Null where there is no update that a user could start.</summary>
    /// <param name="status">The answer of <c>machine.update.status</c>.</param>
    public static KlipperOffer? Of(JsonElement? status)
    {
        if (status?.At("version_info", "klipper") is not { } klipper || klipper.Flag("is_dirty"))
            return null;
        var (current, remote) = (HashOf(klipper, "current_hash"), HashOf(klipper, "remote_hash"));
        if (current is null || remote is null)
            return new(null, "?");
        if (current.StartsWith(remote, StringComparison.Ordinal) || klipper.Number("commits_behind_count") is not > 0
            || !klipper.Flag("is_valid"))
            return null;
        return new(remote, $"{Text.Clean(klipper.Word("remote_version") ?? "?")}-g{remote[..ShortHash]}");
    }

    private static string? HashOf(JsonElement klipper, string name) =>
        klipper.Word(name) is { Length: >= ShortHash and <= 40 } hash && hash.All(char.IsAsciiHexDigitLower) ? hash : null;
}
