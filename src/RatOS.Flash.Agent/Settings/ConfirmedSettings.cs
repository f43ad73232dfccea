using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Settings;

/// <summary>
/// Settings that decide what this user executes or where the agent connects. Browsers can write ratos-flash.conf. So such a value counts
/// only after it was confirmed once on the command line, which keeps its checksum where browsers cannot write.
/// </summary>
internal static class ConfirmedSettings
{
    private const int Longest = 64 * 1024;

    /// <summary>The settings of a printer without those that were not confirmed.</summary>
    /// <exception cref="FlashException"><c>bad-settings</c>.</exception>
    public static AgentSettings Of(DataFolder data) => Of(data, AgentSettings.Read(data.Settings));

    /// <summary>The same of the sections that are valid.</summary>
    public static AgentSettings OfValid(DataFolder data) => Of(data, AgentSettings.ReadValid(data.Settings));

    private static AgentSettings Of(DataFolder data, AgentSettings settings)
    {
        var confirmed = Read(data.Confirmed);
        ImmutableArray<SensitiveSetting> open = [.. Sensitive(settings).Where(setting => !confirmed.Contains(Checksum(setting)))];
        return open.IsEmpty ? settings : settings with
        {
            Unconfirmed = open,
            KlipperPath = Has(SensitiveSetting.KlipperPath) ? null : settings.KlipperPath,
            MoonrakerUrl = Has(SensitiveSetting.MoonrakerUrl) ? null : settings.MoonrakerUrl,
            ApiKey = Has(SensitiveSetting.MoonrakerUrl) ? null : settings.ApiKey,
        };

        bool Has(string key) => open.Any(setting => setting.Key == key);
    }

    /// <summary>Confirms the values that the file has now, and no others.</summary>
    /// <exception cref="IOException">They cannot be kept.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public static void Confirm(DataFolder data)
    {
        var lines = Sensitive(AgentSettings.Read(data.Settings)).Select(setting => Checksum(setting) + "\n");
        AtomicFile.Write(data.Confirmed, Encoding.ASCII.GetBytes(string.Concat(lines)));
    }

    private static IEnumerable<SensitiveSetting> Sensitive(AgentSettings settings)
    {
        // The checkout that is used without a setting needs no confirmation.
        if (settings.KlipperPath is { } path && path != new AgentSettings().KlipperSources)
            yield return new(SensitiveSetting.KlipperPath, path);
        if (settings.MoonrakerUrl is { } url && url != AgentSettings.LocalMoonraker)
            yield return new(SensitiveSetting.MoonrakerUrl, url.ToString());
    }

    private static string Checksum(SensitiveSetting setting) =>
        Convert.ToHexStringLower(Sha256.HashData(Encoding.UTF8.GetBytes(setting.ToString())));

    private static HashSet<string> Read(string file)
    {
        try
        {
            return [.. Path.Exists(file) ? TextFile.Read(file, Longest).Split('\n', StringSplitOptions.RemoveEmptyEntries) : []];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return [];   // then nothing is confirmed
        }
    }
}

/// <summary>A setting that counts after a confirmation.</summary>
internal readonly record struct SensitiveSetting(string Key, string Value)
{
    public const string KlipperPath = "klipper_path";
    public const string MoonrakerUrl = "moonraker_url";

    /// <summary>As it stands in the file: <c>klipper_path: /x</c>.</summary>
    public override string ToString() => $"{Key}: {Value}";
}
