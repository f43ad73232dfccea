using System.Text;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Agent.Migration;

/// <summary>A section of an INI file, or an item of a flat YAML list, which has no name.</summary>
internal sealed record ForeignSection(string Name)
{
    /// <summary>In their order; a key can come again.</summary>
    public List<(string Key, string Value)> Values { get; } = [];

    /// <summary>The first value of a key that comes once, without quotes; null where it is missing or empty.</summary>
    public string? this[string key] =>
        Values.Find(pair => pair.Key == key).Value is { } value && value.Trim('"', '\'') is { Length: > 0 } text ? text : null;
}

/// <summary>Reads text files of other programs: bounded, and what cannot be read is passed over as those programs' users made it.</summary>
internal static class ForeignText
{
    private const int LargestFile = 1024 * 1024;

    /// <summary>The text of a regular file of at most 1 MiB.</summary>
    /// <exception cref="IOException">It is none, or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static string Read(string path) => Encoding.UTF8.GetString(Bytes(path)).TrimStart('\ufeff');

    /// <inheritdoc cref="Read"/>
    public static byte[] Bytes(string path) => RegularFile.Read(path, LargestFile);

    /// <summary>The sections of an INI file; of a flat YAML list its items.</summary>
    /// <param name="text">With any line ends.</param>
    /// <param name="hasComments">A comment can follow a value.</param>
    /// <param name="joins">An indented line continues the value above it.</param>
    public static List<ForeignSection> Sections(string text, bool hasComments = false, bool joins = false)
    {
        var sections = new List<ForeignSection>();
        foreach (var whole in text.Split('\n', '\r'))
        {
            var line = hasComments ? AgentSettings.WithoutComment(whole) : whole;
            var trimmed = line.Trim();
            if (trimmed.Length == 0 || trimmed[0] is '#' or ';')
                continue;
            if (trimmed[0] == '[')
            {
                var end = trimmed.IndexOf(']', StringComparison.Ordinal);
                sections.Add(new((end < 0 ? trimmed[1..] : trimmed[1..end]).Trim()));
                continue;
            }
            if (trimmed.StartsWith("- ", StringComparison.Ordinal))
            {
                sections.Add(new(""));
                trimmed = trimmed[2..].Trim();
            }
            if (sections is not [.., var section])
                continue;
            var at = trimmed.IndexOfAny([':', '=']);
            if (joins && char.IsWhiteSpace(line[0]) && section.Values is [.., var (key, value)])
                section.Values[^1] = (key, $"{value}\n{trimmed}".TrimStart('\n'));
            else if (at > 0)
                section.Values.Add((trimmed[..at].Trim(), trimmed[(at + 1)..].Trim()));
        }
        return sections;
    }
}
