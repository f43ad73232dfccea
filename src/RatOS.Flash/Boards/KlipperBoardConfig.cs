using System.Collections.Immutable;

namespace RatOS.Flash.Boards;

/// <summary>One MCU of a configuration that describes a board: one of Klipper's own, or RatOS's of a board.</summary>
/// <param name="File">Its file: <c>generic-bigtreetech-octopus-v1.1.cfg</c>; of RatOS's the board's id.</param>
/// <param name="Name">What people call the board.</param>
/// <param name="Chips">Its chips, by the beginnings of Klipper's names.</param>
/// <param name="Pins">Its pins.</param>
/// <param name="Head">What the comment at its head says; null for RatOS's, which have none.</param>
public sealed record KlipperBoardConfig(string File, string Name, ImmutableArray<string> Chips, PinSet Pins, ConfigHead? Head)
{
    private readonly HashSet<PinFeature> _features = [.. Pins.Features];

    /// <summary>Of a board by itself, and not of a printer that has it.</summary>
    public bool IsOfBoard => !File.StartsWith("printer-", StringComparison.Ordinal) && !File.StartsWith("kit-", StringComparison.Ordinal);

    /// <summary>One of its chips is this one.</summary>
    /// <param name="chip">By Klipper's name.</param>
    public bool Has(string chip) => Chips.Any(named => ConfigHead.IsSame(named, chip));

    /// <summary>The weight of those features of a board that are here too.</summary>
    public int WeightOf(PinSet board)
    {
        var weight = 0;
        foreach (var feature in board.Features)
            weight += _features.Contains(feature) ? feature.Weight : 0;
        return weight;
    }

    /// <summary>Klipper's file in a person's words: <c>BigTreeTech Octopus v1.1</c>, in the spelling of its own head comment.</summary>
    /// <param name="file">Without its ending: <c>generic-bigtreetech-octopus-v1.1</c>.</param>
    /// <param name="head">The comment.</param>
    public static string NameOf(string file, string head)
    {
        var words = file[(file.IndexOf('-', StringComparison.Ordinal) + 1)..].Split('-', StringSplitOptions.RemoveEmptyEntries);
        return string.Join(' ', words.Select(word => Spelling(word, head)));
    }

    private static string Spelling(string word, string head)
    {
        for (var at = 0; (at = head.IndexOf(word, at, StringComparison.OrdinalIgnoreCase)) >= 0; at++)
        {
            var end = at + word.Length;
            // As it stands in an address or in the name of a file it is spelled as here.
            if ((at == 0 || head[at - 1] is ' ' or '(' or '"')
                && (end == head.Length || head[end] is ' ' or '.' or ',' or ')' or '"' or '\n'))
                return head[at..end];
        }
        return word.Length <= 2 ? word.ToUpperInvariant() : char.ToUpperInvariant(word[0]) + word[1..];
    }
}
