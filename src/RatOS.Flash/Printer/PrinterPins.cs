using System.Collections.Immutable;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Printer;

/// <summary>The pins that a printer's configuration uses, and the boards that are known by pins.</summary>
/// <param name="Configs">The boards.</param>
/// <param name="Sets">By section, <c>mcu</c> or <c>mcu NAME</c> in any case.</param>
public sealed record PrinterPins(KlipperBoardConfigs Configs, ImmutableDictionary<string, PinSet> Sets)
{
    public static readonly PrinterPins None = new(new([]), ImmutableDictionary.Create<string, PinSet>(StringComparer.OrdinalIgnoreCase));

    /// <summary>The board that has the pins of a section; null for none.</summary>
    /// <param name="section">The section's name.</param>
    /// <param name="chip">Its chip by Klipper's name; null where it is not known.</param>
    public PinMatch? Match(string section, string? chip) =>
        Sets.GetValueOrDefault(section) is { } pins ? Configs.Match(pins, chip) : null;

    /// <summary>What the pins of a section say about its board.</summary>
    /// <param name="section">The section's name.</param>
    /// <param name="match">Its board; null for none.</param>
    public IEnumerable<BoardFacts> FactsOf(string section, PinMatch? match) => Sets.GetValueOrDefault(section) switch
    {
        { } pins when match is not null => [match.FactsFor(pins)],
        { UsesDebugPins: true } => [new(FactSource.KlipperConfig, "printer.cfg") { DisablesSwd = true }],
        _ => [],
    };

    /// <summary>The sets of a configuration, by section.</summary>
    public static ImmutableDictionary<string, PinSet> Of(IReadOnlyList<ConfigSection> sections) => PinSet.Of(sections)
        .Where(mcu => !mcu.Value.Features.IsEmpty || mcu.Value.UsesDebugPins)
        .ToImmutableDictionary(mcu => mcu.Key == "mcu" ? "mcu" : $"mcu {mcu.Key}", mcu => mcu.Value, StringComparer.OrdinalIgnoreCase);
}
