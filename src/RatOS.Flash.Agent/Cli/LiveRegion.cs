using System.Text;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Part of a row in one colour.</summary>
internal readonly record struct Span(string Text, Tone Tone = Tone.Normal);

/// <summary>A terminal that text scrolls through, with rows at its bottom that are drawn again and again. Used from any thread.</summary>
internal sealed class LiveRegion
{
    private static readonly TimeSpan BetweenFrames = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private Func<IEnumerable<IReadOnlyList<Span>>>? _rows;
    private List<int> _drawn = [];
    private ITimer? _frames;

    /// <summary>From now on these rows are at the bottom: asked for ten times a second, on any thread, one call at a time.</summary>
    public void Show(Func<IEnumerable<IReadOnlyList<Span>>> rows)
    {
        lock (_lock)
            _rows = rows;
        _frames = TimeProvider.System.CreateTimer(_ => Write([]), null, BetweenFrames, BetweenFrames);
    }

    /// <summary>Takes the rows away; text goes on.</summary>
    public void Close()
    {
        _frames?.Dispose();
        lock (_lock)
            _rows = null;
        Write([]);
    }

    /// <summary>Text above the rows.</summary>
    public void Write(IEnumerable<Line> lines)
    {
        var (columns, height) = Terminal.Size;
        var text = new StringBuilder();
        lock (_lock)
        {
            // A terminal that became narrower has wrapped the rows that were drawn.
            var up = _drawn.Sum(length => Math.Max(1, (length + columns - 1) / columns));
            // Row by row: a terminal that erases its whole screen may keep that in its scrollback.
            text.Insert(0, "\x1b[A\x1b[2K", up);
            foreach (var line in lines)
            {
                var label = line.LabelTone is null ? 0 : line.Indent;
                foreach (var row in line.Wrap(columns))
                {
                    var end = Math.Min(label, row.Length);
                    Append(text, [new(row[..end], line.LabelTone ?? line.Tone), new(row[end..], line.Tone)], columns);
                    label = 0;
                }
            }
            _drawn = [.. (_rows?.Invoke() ?? []).Take(Math.Max(1, height - 1)).Select(row => Append(text, row, columns - 1))];
            Terminal.Out.Write(text.ToString());
        }
    }

    /// <summary>A text that is too long ends after a word.</summary>
    private static string Fit(string text, int columns)
    {
        if (text.Length <= columns)
            return text;
        if (columns < 2)
            return "";
        var end = text.LastIndexOf(' ', columns - 1);
        return text[..(end > 0 ? end : columns - 1)] + "…";
    }

    /// <returns>How many columns it took.</returns>
    private static int Append(StringBuilder text, IReadOnlyList<Span> row, int columns)
    {
        var left = columns;
        foreach (var span in row)
        {
            var part = Fit(span.Text, left);
            left -= part.Length;
            var colour = span.Tone switch { Tone.Dim => 90, Tone.Good => 32, Tone.Warning => 33, Tone.Bad => 31, _ => 0 };
            text.Append(colour == 0 || part.Length == 0 || !Terminal.HasColour ? part : $"\x1b[{colour}m{part}\x1b[0m");
        }
        text.Append('\n');
        return columns - left;
    }
}
