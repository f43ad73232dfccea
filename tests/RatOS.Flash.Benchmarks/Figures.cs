using System.Globalization;

namespace RatOS.Flash.Benchmarks;

/// <summary>A table of figures in Markdown, each beside its limit.</summary>
internal static class Figures
{
    /// <param name="title">What is measured.</param>
    /// <param name="rows">The figure and its limit in words, and their ratio.</param>
    /// <returns>Whether every figure is within its limit.</returns>
    public static bool Print(string title, IReadOnlyList<(string What, string Ours, string Most, double Ratio)> rows)
    {
        Console.WriteLine($"| {title} | ours | limit | ratio |");
        Console.WriteLine("|---|---|---|---|");
        foreach (var (what, ours, most, ratio) in rows)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {what} | {ours} | {most} | {ratio:0.00} |"));
        return rows.All(row => row.Ratio <= 1);
    }
}
