using System.Collections.Immutable;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Klipper;

/// <summary>Answers of a running board while Klipper is stopped.</summary>
/// <param name="Version">Its firmware's version.</param>
/// <param name="Mcu">Its firmware's chip.</param>
/// <param name="Chip">Its registers; null when they could not be read.</param>
public sealed record BoardEvidence(string Version, string Mcu, ChipEvidence? Chip)
{
    /// <summary>Its firmware is a USB-CAN bridge.</summary>
    public bool IsCanBridge { get; init; }

    /// <summary>The constants of its firmware, numbers as text.</summary>
    public IReadOnlyDictionary<string, string> Constants { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>
    /// Features that its build leaves out, as Kconfig symbols: <c>WANT_LDC1612</c>. Only for chips whose flash is so small that Kconfig
    /// asks.
    /// </summary>
    public ImmutableArray<string> LeavesOut { get; init; } = [];

    /// <summary>What a board's dictionary and registers say.</summary>
    internal static BoardEvidence Of(DataDictionary dictionary, ChipEvidence? chip) => new(dictionary.Version, dictionary.Mcu, chip)
    {
        IsCanBridge = dictionary.IsCanBridge,
        Constants = dictionary.Config,
        LeavesOut = [.. OptionalFeatures.MissingIn(dictionary, chip?.StackEnd)],
    };
}
