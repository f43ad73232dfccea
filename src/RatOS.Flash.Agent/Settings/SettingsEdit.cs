namespace RatOS.Flash.Agent.Settings;

/// <summary>Sets values in the text of <c>ratos-flash.conf</c>. Every other line stays as the user wrote it.</summary>
internal sealed class SettingsEdit(string text)
{
    private readonly List<string> _lines = [.. text.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n')];

    private readonly List<string> _changes = [];

    private string? _shown;   // the section whose name the changes show last

    /// <summary>What differs: a section's name, then its lines behind <c>-</c> and <c>+</c>.</summary>
    public IReadOnlyList<string> Changes => _changes;

    public string Text => string.Join('\n', _lines) + "\n";

    /// <param name="section"><c>agent</c> or <c>board NAME</c>; it is made where it is missing.</param>
    /// <param name="key">A key of that section.</param>
    /// <param name="value">One line.</param>
    public void Set(string section, string key, string value)
    {
        var head = _lines.FindIndex(line => IsHead(line, section));
        var end = head < 0 ? -1 : _lines.FindIndex(head + 1, static line => line.TrimStart().StartsWith('['));
        var inside = head < 0 ? [] : Enumerable.Range(head + 1, (end < 0 ? _lines.Count : end) - head - 1)
            .Where(index => AgentSettings.KeyAndValue(_lines[index]) is not null).ToList();
        var line = $"{key}: {value}";
        var old = inside.FindLast(index => AgentSettings.KeyAndValue(_lines[index])!.Value.Key == key);
        if (old > 0 && AgentSettings.KeyAndValue(_lines[old])!.Value.Value == value)
            return;
        if (_shown != section)
            _changes.Add((head < 0 ? "+ " : "  ") + $"[{section}]");
        _shown = section;
        if (head < 0)
        {
            _lines.AddRange(["", $"[{section}]", line]);
        }
        else if (old > 0)
        {
            _changes.Add("- " + _lines[old].Trim());
            _lines[old] = line + _lines[old][AgentSettings.WithoutComment(_lines[old]).TrimEnd().Length..];
        }
        else
        {
            _lines.Insert((inside.Count > 0 ? inside[^1] : head) + 1, line);
        }
        _changes.Add("+ " + line);
    }

    private static bool IsHead(string line, string section) =>
        AgentSettings.WithoutComment(line).Trim() is ['[', .. var name, ']']
            && string.Equals(name.Trim(), section, StringComparison.OrdinalIgnoreCase);
}
