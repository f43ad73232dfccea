using System.Text.RegularExpressions;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Klipper;

/// <summary>
/// Klipper's protocol error about a board's firmware, parsed from its state message (Klipper klippy/extras/error_mcu.py; Kalico's differs
/// in its own name; before v0.12 klippy/klippy.py put the error first). It lists every board whose version text differs, so the list names
/// boards that would work; one line names the one that does not.
/// </summary>
/// <param name="Host">Klipper's own version; empty where it is not named.</param>
/// <param name="Outdated">Boards that differ, by section (<c>mcu</c>, <c>mcu NAME</c>): what they run.</param>
/// <param name="Section">The board that failed; null where an older Klipper does not name it.</param>
/// <param name="Error">What failed: <c>Unable to encode: allocate_oids</c>.</param>
public sealed partial record ProtocolError(string Host, IReadOnlyDictionary<string, string> Outdated, string? Section, string Error)
{
    private const string Begin = "MCU Protocol error", Old = "MCU(s) which should be updated:", Fine = "Up-to-date MCU(s):";
    private const string OldEnd = "Protocol error connecting to printer", OldVersions = "Known versions: ", OldHost = "host";

    private static readonly string[] HostLines = ["Your Klipper version is:", "Your Kalico version is:"];

    /// <param name="state">Klipper's state: <c>error</c>, or <c>shutdown</c> with the error's words, when a board that is not outdated
    /// shuts down over it.</param>
    /// <param name="message">Its state message, lines parted by \n.</param>
    /// <returns>Null for any other state or message.</returns>
    public static ProtocolError? Parse(string? state, string? message)
    {
        if (state is not ("error" or "shutdown") || message is null)
            return null;
        if (!message.StartsWith(Begin, StringComparison.Ordinal))
            return ParseOld(message);
        var (host, outdated, isList, last) = ("", new Dictionary<string, string>(StringComparer.Ordinal), false, "");
        foreach (var line in message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            last = line;
            if (Array.Find(HostLines, start => line.StartsWith(start, StringComparison.Ordinal)) is { } start)
                host = DataDictionary.Clean(line[start.Length..].Trim());
            else if (line is Old or Fine)
                isList = line == Old;
            else if (isList && line.Split(": Current version ", 2) is [var name, var version])
                outdated[SectionOf(name)] = DataDictionary.Clean(version);
        }
        return Of(host, outdated, last);
    }

    /// <summary>The form before v0.12: the error in the first line, and all versions in one.</summary>
    private static ProtocolError? ParseOld(string message)
    {
        var lines = message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (!lines.Contains(OldEnd))
            return null;
        var versions = lines.FirstOrDefault(line => line.StartsWith(OldVersions, StringComparison.Ordinal))?[OldVersions.Length..] ?? "";
        var known = versions.Split(", ").Select(pair => pair.Split('=', 2)).Where(pair => pair.Length == 2)
            .DistinctBy(pair => pair[0], StringComparer.Ordinal).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
        var host = known.GetValueOrDefault(OldHost) ?? "";
        var outdated = known.Where(one => one.Key != OldHost && one.Value != host)
            .ToDictionary(one => SectionOf(one.Key), one => DataDictionary.Clean(one.Value), StringComparer.Ordinal);
        return Of(DataDictionary.Clean(host), outdated, lines[0]);
    }

    private static ProtocolError Of(string host, Dictionary<string, string> outdated, string line)
    {
        var who = Who().Match(line);
        return new(host, outdated, who.Success ? SectionOf(who.Groups["name"].Value) : null,
            DataDictionary.Clean(who.Success ? who.Groups["error"].Value : line));
    }

    /// <summary>
    /// Klipper's complaint about this board, when it is not ready: its protocol error, or another error that begins with the board's name.
    /// Null when it names no board, or another one.
    /// </summary>
    public static string? Against(string section, KlippyState state)
    {
        // A board that shuts down later (a heater's sensor, a lost cable) is no complaint about its firmware.
        var error = Parse(state.Activity switch { KlippyActivity.Error => "error", KlippyActivity.Shutdown => "shutdown", _ => null },
            state.Message);
        if (error is not null)
            return IsSame(section, error.Section) ? error.Error : null;
        return state.Activity != KlippyActivity.Error ? null
            : state.Message.Split('\n', StringSplitOptions.TrimEntries).Select(line => Who().Match(line))
            .FirstOrDefault(line => line.Success && IsSame(section, line.Groups["name"].Value)) is { } named
                ? DataDictionary.Clean(named.Groups["error"].Value) : null;
    }

    /// <summary>Klipper names a board by the last word of its section alone.</summary>
    internal static bool IsSame(string section, string? other) => other is not null && section.Split(' ')[^1] == other.Split(' ')[^1];

    private static string SectionOf(string name) =>
        name == "mcu" || name.StartsWith("mcu ", StringComparison.Ordinal) ? DataDictionary.Clean(name) : "mcu "
        + DataDictionary.Clean(name);

    [GeneratedRegex(@"^mcu '(?<name>[^']+)': (?<error>.+)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Who();
}
