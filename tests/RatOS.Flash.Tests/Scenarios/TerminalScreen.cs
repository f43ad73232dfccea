using System.Text;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>The rows that a terminal of one width shows after some output. It knows the part of ECMA-48 that the program uses.</summary>
internal sealed class TerminalScreen(int columns)
{
    private readonly List<StringBuilder> _rows = [new()];
    private int _row;
    private int _column;

    /// <summary>From the first row ever, without trailing spaces.</summary>
    public IReadOnlyList<string> Rows => [.. _rows.Select(row => row.ToString().TrimEnd())];

    /// <summary>How often a row was longer than the terminal is wide, and went on at the first column.</summary>
    public int Overflows { get; private set; }

    /// <exception cref="NotSupportedException">An escape sequence that is none of those.</exception>
    public static TerminalScreen Of(string output, int columns)
    {
        var screen = new TerminalScreen(columns);
        for (var i = 0; i < output.Length; i++)
        {
            if (output[i] != '\x1b')
            {
                screen.Put(output[i]);
                continue;
            }
            var end = i + 2;
            while (end < output.Length && !char.IsAsciiLetter(output[end]))
                end++;
            screen.Do(output[(i + 1)..Math.Min(end + 1, output.Length)]);
            i = end;
        }
        return screen;
    }

    private void Put(char c)
    {
        switch (c)
        {
            case '\r':
                _column = 0;
                break;
            case '\n':
                Down();
                break;
            default:
                if (_column == columns)
                {
                    Overflows++;
                    _column = 0;
                    Down();
                }
                var row = _rows[_row];
                row.Append(' ', Math.Max(0, _column + 1 - row.Length));
                row[_column++] = c;
                break;
        }
    }

    private void Down()
    {
        _row++;
        if (_row == _rows.Count)
            _rows.Add(new());
    }

    private void Do(string sequence)
    {
        var number = int.TryParse(sequence.AsSpan()[1..^1], out var given) ? given : 1;
        switch (sequence[^1])
        {
            case 'A':   // up
                _row -= number;
                break;
            case 'K' when number == 2:   // erase the row
                _rows[_row].Clear();
                break;
            case 'm':   // colour
                break;
            default:
                throw new NotSupportedException($"ESC {sequence}");
        }
    }
}
