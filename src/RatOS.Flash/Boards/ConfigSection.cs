using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>One section of a configuration of Klipper's: its options in order, names in lower case, values as text.</summary>
/// <param name="Name">As it is written: <c>stepper_x</c>, <c>mcu EBBCan</c>.</param>
public sealed record ConfigSection(string Name)
{
    /// <summary>An option of a commented-out line may be there more than once.</summary>
    public IList<KeyValuePair<string, string>> Options { get; } = [];

    /// <summary>The first word, <c>tmc2209</c> of <c>tmc2209 stepper_x</c>.</summary>
    internal ReadOnlySpan<char> Type => Name.AsSpan(0, Name.IndexOf(' ') is var at and > 0 ? at : Name.Length);

    /// <summary>All behind the first word; empty where there is nothing.</summary>
    internal string Own => Name.IndexOf(' ', StringComparison.Ordinal) is var at and > 0 ? Name[(at + 1)..].Trim() : "";

    /// <summary>
    /// Reads a configuration as Klipper does (klippy/configfile.py): <c>#</c> begins a comment, lines with a blank in front continue a
    /// value. Sections of one name stay apart. Nothing is refused: a line of another form is passed over.
    /// </summary>
    /// <param name="text">The file.</param>
    /// <param name="withCommented">
    /// With sections and options that are commented out: Klipper's own files describe a board's further sockets so.
    /// </param>
    /// <param name="budget">In characters; what is behind it is passed over.</param>
    public static IReadOnlyList<ConfigSection> Read(string text, bool withCommented, WorkBudget budget)
    {
        var sections = new List<ConfigSection>();
        var isOpen = false;   // the last option takes further lines
        foreach (var whole in text.AsSpan().EnumerateLines())
        {
            if (!budget.TrySpend(whole.Length + 1))
                break;
            var isCommented = whole.Length > 0 && whole[0] == '#';
            if (isCommented && !withCommented)
                continue;
            var line = Bare(isCommented ? whole[1..] : whole);
            if (isCommented && line is [' ', ..])
                line = line[1..];
            if (line.IsWhiteSpace())
                continue;
            if (char.IsWhiteSpace(line[0]))
            {
                if (isOpen && sections[^1].Options is [.., var (name, value)])
                    sections[^1].Options[^1] = new(name, $"{value}\n{line.Trim()}");
            }
            else if (line[0] == '[' && line.LastIndexOf(']') is var end and > 1)
            {
                sections.Add(new(line[1..end].Trim().ToString()));
                isOpen = false;
            }
            else if (sections.Count > 0 && Option(line, isCommented) is { } option)
            {
                sections[^1].Options.Add(option);
                isOpen = true;
            }
        }
        return sections;
    }

    /// <summary>Without the comment behind it.</summary>
    private static ReadOnlySpan<char> Bare(ReadOnlySpan<char> line)
    {
        var hash = line.IndexOf('#');
        var bare = hash < 0 ? line : line[..hash];
        var semicolon = bare.IndexOf(" ;");
        return (semicolon < 0 ? bare : bare[..semicolon]).TrimEnd();
    }

    /// <summary>A commented-out option is in lower case; a sentence with a colon begins with a capital or has blanks.</summary>
    private static KeyValuePair<string, string>? Option(ReadOnlySpan<char> line, bool isCommented)
    {
        var at = line.IndexOfAny(':', '=');
        if (at < 1)
            return null;
        var name = line[..at].TrimEnd();
        foreach (var c in name)
        {
            if (!(char.IsAsciiDigit(c) || c is '_' or (>= 'a' and <= 'z') || (c is >= 'A' and <= 'Z' && !isCommented)))
                return null;
        }
        return new(name.ToString().ToLowerInvariant(), line[(at + 1)..].Trim().ToString());
    }
}
