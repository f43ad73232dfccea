using System.Collections.Immutable;

namespace RatOS.Flash.Printer;

/// <summary>Klipper's report about one MCU; null for what it could not ask.</summary>
/// <param name="Version">The version that it runs.</param>
/// <param name="Chip">Its chip by Klipper's name.</param>
public sealed record McuEvidence(string? Version, string? Chip)
{
    /// <summary>The constants of its build, numbers as text; empty where they were not asked.</summary>
    public IReadOnlyDictionary<string, string> Constants { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Features that its firmware lacks and that Klipper will soon insist on (<c>deprecate_mcu_code</c>).</summary>
    public IReadOnlyList<string> MissingFeatures { get; init; } = [];
}

/// <summary>Klipper's report about itself and its MCUs.</summary>
/// <param name="Host">Klipper's own version; null when it does not run.</param>
/// <param name="Boards">By <c>mcu</c> or <c>mcu NAME</c>. Modules of Klipper add MCUs that have no section.</param>
public sealed record KlippyEvidence(string? Host, IReadOnlyDictionary<string, McuEvidence> Boards)
{
    public static readonly KlippyEvidence None = new(null, new Dictionary<string, McuEvidence>());

    /// <summary>The report about the MCU of a section; null where there is none.</summary>
    internal McuEvidence? Of(string section) => Boards.GetValueOrDefault(section)
        ?? Boards.FirstOrDefault(board => string.Equals(board.Key, section, StringComparison.OrdinalIgnoreCase)).Value;
}

/// <summary>A <c>[power]</c> device of Moonraker.</summary>
public sealed record PowerDevice(string Name, bool IsOn);
