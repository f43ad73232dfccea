using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Cli;

/// <summary>
/// A table that fits its terminal. First the columns that may wrap become narrower. Then columns move to a second row below, the least
/// important one first.
/// </summary>
/// <param name="columns">Its columns. The first one always stays.</param>
internal sealed class Table(params Table.Column[] columns)
{
    private const string Gap = "  ";

    /// <param name="Header">Its name.</param>
    /// <param name="Rank">The column of the highest rank moves below first.</param>
    /// <param name="Least">It may be wrapped to so many columns; 0: it is never wrapped.</param>
    internal readonly record struct Column(string Header, int Rank = 0, int Least = 0);

    /// <param name="rows">A cell for each column; null for none.</param>
    /// <param name="width">Of the terminal.</param>
    public IEnumerable<Line> Lines(IReadOnlyList<(string?[] Cells, Tone Tone)> rows, int width)
    {
        var widths = columns.Select((column, i) => rows.Max(row => Math.Max(column.Header.Length, row.Cells[i]?.Length ?? 0))).ToArray();
        var shown = Enumerable.Range(0, columns.Length).Where(i => i == 0 || rows.Any(row => row.Cells[i] is not null)).ToList();
        while (Width() > width)
        {
            if (shown.FindIndex(i => columns[i].Least > 0 && widths[i] > columns[i].Least) is >= 0 and var wrapped)
            {
                var column = shown[wrapped];
                widths[column] = Math.Max(columns[column].Least, widths[column] - (Width() - width));
            }
            else if (shown.Count > 1)
            {
                shown.Remove(shown.Skip(1).MaxBy(i => columns[i].Rank));
            }
            else
            {
                break;
            }
        }
        yield return new(Row(shown.Select(i => (columns[i].Header, widths[i]))), Tone.Dim);
        foreach (var (cells, tone) in rows)
        {
            var wrapped = shown.ConvertAll(i => new Line(cells[i] ?? "").Wrap(Math.Max(1, widths[i])).ToList());
            for (var row = 0; row < wrapped.Max(cell => cell.Count); row++)
                yield return new(Row(shown.Select((i, place) => (wrapped[place].ElementAtOrDefault(row) ?? "", widths[i]))), tone);
            var below = Enumerable.Range(0, columns.Length).Except(shown).Select(i => cells[i]).OfType<string>().ToList();
            if (below.Count > 0)
                yield return Line.Of(Gap, string.Join(", ", below), tone == Tone.Normal ? Tone.Dim : tone);
        }

        int Width() => shown.Sum(i => widths[i]) + (Gap.Length * (shown.Count - 1));

        static string Row(IEnumerable<(string Text, int Width)> cells) =>
            string.Join(Gap, cells.Select(cell => cell.Text.PadRight(cell.Width))).TrimEnd();
    }
}
