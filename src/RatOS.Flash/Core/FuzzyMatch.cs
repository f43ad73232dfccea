namespace RatOS.Flash.Core;

/// <summary>For suggestions: the distance of a typed text from a name.</summary>
public static class FuzzyMatch
{
    private const int Longest = 64;

    /// <summary>Levenshtein's distance, in any case. A name within the other counts as near.</summary>
    public static int Distance(string typed, string name)
    {
        var (a, b) = (typed.ToLowerInvariant(), name.ToLowerInvariant());
        if (a.Length > Longest)
            return a.Length;
        if (a.Length > 2 && (b.Contains(a, StringComparison.Ordinal) || a.Contains(b, StringComparison.Ordinal)))
            return 1;
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }

    /// <summary>Near enough to be meant.</summary>
    public static bool IsNear(string typed, string name) => Distance(typed, name) <= Math.Max(2, name.Length / 3);
}
