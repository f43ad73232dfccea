namespace RatOS.Flash.Agent.Settings;

/// <summary>Sets values in the text of <c>ratos-flash.conf</c>. Every other line stays as the user wrote it.</summary>
internal sealed class SettingsEdit
{
    private readonly List<string> _lines;   // as they are, each with the CR that it may have
    private readonly string _ending;
    private readonly List<string> _changes = [];

    private string? _shown;   // the section whose name the changes show last

    public SettingsEdit(string text)
    {
        _lines = [.. text.Split('\n')];
        _ending = text.Contains("\r\n", StringComparison.Ordinal) ? "\r" : "";
        if (_lines[^1].Length > 0)
            _lines.Add("");   // the last line ends, too
    }

    /// <summary>What differs: a section's name, then its lines behind <c>-</c> and <c>+</c>.</summary>
    public IReadOnlyList<string> Changes => _changes;

    public string Text => string.Join('\n', _lines);

    /// <param name="section"><c>agent</c> or <c>board NAME</c>; it is made where it is missing.</param>
    /// <param name="key">A key of that section.</param>
    /// <param name="value">One line.</param>
    public void Set(string section, string key, string value)
    {
        // A section can come again, and so can a key: the last one counts.
        var owner = -1;
        var (last, old) = (-1, -1);
        for (var i = 0; i < _lines.Count; i++)
        {
            if (_lines[i].TrimStart().StartsWith('['))
                owner = IsHead(_lines[i], section) ? i : -1;
            if (owner >= 0 && (owner == i || AgentSettings.KeyAndValue(_lines[i]) is not null))
                last = i;
            if (owner >= 0 && AgentSettings.KeyAndValue(_lines[i])?.Key == key)
                old = i;
        }
        if (old >= 0 && AgentSettings.KeyAndValue(_lines[old])!.Value.Value == value)
            return;
        var line = $"{key}: {value}";
        if (_shown != section)
            _changes.Add((last < 0 ? "+ " : "  ") + $"[{section}]");
        _shown = section;
        if (last < 0)
        {
            _lines.InsertRange(_lines.Count - 1, _lines.Count > 1 ? [_ending, $"[{section}]{_ending}", line + _ending]
                : [$"[{section}]{_ending}", line + _ending]);
        }
        else if (old >= 0)
        {
            _changes.Add("- " + _lines[old].Trim());
            _lines[old] = line + _lines[old][AgentSettings.WithoutComment(_lines[old]).TrimEnd().Length..];
        }
        else
        {
            _lines.Insert(last + 1, line + _ending);
        }
        _changes.Add("+ " + line);
    }

    private static bool IsHead(string line, string section) =>
        AgentSettings.WithoutComment(line).Trim() is ['[', .. var name, ']']
            && string.Equals(name.Trim(), section, StringComparison.OrdinalIgnoreCase);
}
