using System.Collections.Immutable;
using RatOS.Flash.Chips;

namespace RatOS.Flash.Boards;

/// <summary>The configurations that describe a board with just the pins that a printer uses.</summary>
/// <param name="Configs">The best ones, equally good; those of boards first.</param>
/// <param name="Score">The part of the printer's features that they have, by weight: 0.85 to 1.</param>
/// <param name="Weight">Of the printer's features, all together.</param>
/// <param name="Chip">The board's chip by Klipper's name, by which they were chosen; null where it is not known.</param>
public sealed record PinMatch(ImmutableArray<KlipperBoardConfig> Configs, double Score, int Weight, string? Chip)
{
    private const int MostNames = 4;

    /// <summary>What a configuration must have at least of a printer's features, and what those must weigh together.</summary>
    public const double LeastScore = 0.85;

    /// <inheritdoc cref="LeastScore"/>
    public const int LeastWeight = 10;

    /// <summary>
    /// What people call the board: <c>Prusa Buddy or Prusa Mini Plus</c>. Null where several boards have these pins and differ in what
    /// matters for a flash.
    /// </summary>
    public string? Name { get; init; }

    /// <summary>What all of them say about the board with this chip; null for things that they differ in.</summary>
    public required HeadFacts Head { get; init; }

    /// <summary>The file for a card by each of them, where they do not agree on one.</summary>
    public ImmutableArray<CardCandidate> CardCandidates { get; init; } = [];

    /// <summary>The board's name in Klipper's tool for cards; null for none.</summary>
    public string? FlashSdCardBoard { get; init; }

    /// <summary>The files, as evidence.</summary>
    public string Files => Joined([.. Configs.Select(config => config.File)]);

    /// <summary>
    /// The same as a source of facts. Pins tell neither chip nor start, crystal or link (boards with other chips share them), so it has
    /// none of these.
    /// </summary>
    /// <param name="pins">Those of the printer.</param>
    public BoardFacts FactsFor(PinSet pins) => new(FactSource.KlipperConfig, $"its pins in {Files}")
    {
        KnownAs = Name,
        CardFile = Head.CardFile is { } file && Chip is not null && Mcu.Find(Chip) is { } mcu
            ? file with { ApplicationStart = mcu.FlashBase + (uint?)Head.BootloaderOffset } : Head.CardFile,
        CardCandidates = CardCandidates,
        FlashSdCardBoard = FlashSdCardBoard,
        DisablesSwd = pins.UsesDebugPins || Head.DisablesSwd ? true : null,
    };

    /// <summary>Up to four, or three and how many more.</summary>
    internal static string Joined(ImmutableArray<string> names) => names switch
    {
        [] or [_] => string.Concat(names),
        { Length: <= MostNames } => $"{string.Join(", ", names[..^1])} or {names[^1]}",
        _ => $"{string.Join(", ", names.Take(MostNames - 1))} or one of {names.Length - MostNames + 1} others",
    };
}
