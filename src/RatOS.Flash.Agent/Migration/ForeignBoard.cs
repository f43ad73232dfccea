using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Migration;

/// <summary>A board as another updater, or another installation of this one, describes it. Every text is from outside.</summary>
/// <param name="Tool">The updater: <c>KlipperFleet</c>.</param>
/// <param name="File">The file that describes it.</param>
/// <param name="Name">Its name there.</param>
internal sealed record ForeignBoard(string Tool, string File, string Name)
{
    /// <summary>Its section of printer.cfg, <c>mcu</c> or <c>mcu NAME</c>, in that updater's words.</summary>
    public string? Section { get; init; }

    /// <summary>Serial ports that it has had, in Klipper or in Katapult.</summary>
    public ImmutableArray<string> Ports { get; init; } = [];

    public ImmutableArray<CanUuid> Uuids { get; init; } = [];

    /// <summary>Klipper's process on this computer.</summary>
    public bool IsHostMcu { get; init; }

    /// <summary>The text of its build configuration; null for none.</summary>
    public string? Config { get; init; }

    /// <summary>The file of that text, where it is one of its own.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>Values for its section of ratos-flash.conf.</summary>
    public IReadOnlyDictionary<string, string> Values { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The values are those of a catalogue, and count only if its kind is unknown.</summary>
    public bool IsByCatalogue { get; init; }

    /// <summary>Why nothing of it is imported, as part of a sentence; null for no such reason.</summary>
    public string? Skipped { get; init; }
}

/// <summary>A file of another updater or installation.</summary>
/// <param name="Boards">What it describes.</param>
/// <param name="Settings">Values for <c>[agent]</c>; only an export of our own has any.</param>
internal sealed record ForeignFile(ImmutableArray<ForeignBoard> Boards, IReadOnlyDictionary<string, string> Settings);
