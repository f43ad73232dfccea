using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Printer;

public enum NeedLevel
{
    /// <summary>A flash would change nothing that matters.</summary>
    [ContractName("needless")] Needless,

    /// <summary>It works as it is, but its firmware would become another one.</summary>
    [ContractName("useful")] Useful,

    /// <summary>Nobody can tell; offered, and said so.</summary>
    [ContractName("unknown")] Unknown,

    /// <summary>Klipper cannot work with it as it is.</summary>
    [ContractName("required")] Required,
}

/// <summary>What is known about one board's firmware; whatever is not known stays null.</summary>
public sealed record NeedEvidence
{
    /// <summary><c>mcu</c> or <c>mcu NAME</c>.</summary>
    public required string Section { get; init; }

    /// <summary>Version that the board runs.</summary>
    public string? Running { get; init; }

    /// <summary>Version of Klipper's host part, or of the sources that would be built.</summary>
    public string? Host { get; init; }

    /// <summary>Klipper's state and state message.</summary>
    public string? State { get; init; }

    /// <inheritdoc cref="State"/>
    public string? Message { get; init; }

    /// <summary>What the running board says of itself, and what the image built today would say.</summary>
    public DataDictionary? RunningDictionary { get; init; }

    /// <inheritdoc cref="RunningDictionary"/>
    public DataDictionary? BuiltDictionary { get; init; }

    /// <summary>The last flash by this program; it counts while the board still runs that very version.</summary>
    public LastFlash? Last { get; init; }

    /// <summary>Hash of today's normalised build configuration.</summary>
    public string? ConfigHash { get; init; }

    /// <summary>What identifies today's sources: the commit, and the changes beside it.</summary>
    public string? SourceId { get; init; }

    /// <summary>
    /// Names of Kconfig symbols that differ between the last flash's configuration and today's, with or without <c>CONFIG_</c>.
    /// </summary>
    public ImmutableArray<string> ChangedSymbols { get; init; } = [];

    /// <summary>
    /// Files that differ between the commit that the board runs and the tree as it is, changes beside the commit included; null where that
    /// commit is not in its history.
    /// </summary>
    public IReadOnlyCollection<string>? ChangedPaths { get; init; }
}

/// <param name="Version">The version that was confirmed.</param>
/// <param name="ConfigHash">As <see cref="NeedEvidence.ConfigHash"/>, of what was flashed.</param>
/// <param name="SourceId">As <see cref="NeedEvidence.SourceId"/>, of what was flashed.</param>
public sealed record LastFlash(string Version, string? ConfigHash, string? SourceId);

/// <summary>
/// Whether a board needs a flash, by the strongest evidence there is. Every needless flash is a risk and wears the chip, and most of
/// Klipper's commits touch the host alone, so a version text that differs is no reason by itself (facts: when a flash is needed).
/// </summary>
/// <param name="Level">How much.</param>
/// <param name="Reason">Why, in a sentence.</param>
public sealed record FirmwareNeed(NeedLevel Level, string Reason)
{
    private const int MostNames = 3;

    public static FirmwareNeed Of(NeedEvidence known)
    {
        var (running, host) =
            (KlipperVersion.Parse(known.Running ?? known.RunningDictionary?.Version),
            KlipperVersion.Parse(known.Host ?? known.BuiltDictionary?.Version));
        var config = OfConfig(known, running);
        return OfComplaint(known)
            ?? (config?.Level == NeedLevel.Required ? config : null)
            ?? OfDictionaries(known, config is null, running, host)
            ?? config
            ?? OfLastFlash(known, running)
            ?? OfSources(known, running, host);
    }

    /// <summary>The list in the complaint is by version text, and proves nothing where the complaint itself names another board.</summary>
    private static FirmwareNeed? OfComplaint(NeedEvidence known)
    {
        if (ProtocolError.Parse(known.State, known.Message) is not { } complaint)
            return null;
        if (complaint.Section is { } section ? ProtocolError.IsSame(known.Section, section)
            : complaint.Outdated.Keys.Any(listed => ProtocolError.IsSame(known.Section, listed)))
            return new(NeedLevel.Required, $"Klipper cannot work with its firmware: {complaint.Error}.");
        return null;
    }

    private static FirmwareNeed? OfDictionaries(NeedEvidence known, bool isSameConfig, KlipperVersion running, KlipperVersion host)
    {
        if (known is not { RunningDictionary: { } old, BuiltDictionary: { } built })
            return null;
        if (!string.Equals(old.Mcu, built.Mcu, StringComparison.OrdinalIgnoreCase))
            return new(NeedLevel.Unknown, $"It runs on a {old.Mcu}, and what was built is for a {built.Mcu}.");
        var missing = Differing(built.Commands, old.Commands).Concat(Differing(built.Responses, old.Responses)).ToList();
        if (missing.Count > 0)
        {
            var words = $"its firmware lacks or differs in {Names(missing)}";
            // Klipper asks for all that its modules use before it is ready: what is missing then is used by none of them.
            return known.State == "ready" && KlipperVersion.Parse(known.Host).Core == KlipperVersion.Parse(built.Version).Core
                ? new(NeedLevel.Useful, $"Klipper works with it, but {words}.")
                : new(NeedLevel.Required, $"For Klipper {host.Text} {words}.");
        }
        var others = Differing(old.Commands, built.Commands).Concat(Differing(old.Responses, built.Responses))
            .Concat(Differing(built.Enumerations, old.Enumerations)).Concat(Differing(old.Enumerations, built.Enumerations))
            .Concat(Differing(built.Config, old.Config)).Concat(Differing(old.Config, built.Config)).Distinct(StringComparer.Ordinal)
                .ToList();
        if (others.Count > 0)
            return new(NeedLevel.Useful, $"Its firmware differs from today's in {Names(others)}.");
        return old.Version == built.Version && isSameConfig && !running.IsDirty && !running.IsUnknown
            ? new(NeedLevel.Needless, $"It runs {old.Version}, which is what would be built.") : null;
    }

    private static FirmwareNeed? OfLastFlash(NeedEvidence known, KlipperVersion running) =>
        known.Last is { SourceId: { } sources, ConfigHash: { } config } last && last.Version == running.Text && sources == known.SourceId
            && config == known.ConfigHash
            ? new(NeedLevel.Needless, "It was flashed from these very sources, with this very configuration.") : null;

    private static FirmwareNeed? OfConfig(NeedEvidence known, KlipperVersion running)
    {
        // Somebody else's flash since then makes the record worthless.
        if (known.Last is not { ConfigHash: { } then } last || known.ConfigHash is not { } now || then == now
            || last.Version != running.Text)
            return null;
        var moved = known.ChangedSymbols.Where(Moves).ToList();
        if (moved.Count > 0)
            return new(NeedLevel.Required,
                $"Its build configuration puts the firmware or its link elsewhere since the last flash: {Names(moved)}.");
        return new(NeedLevel.Useful,
            "Its build configuration changed since the last "
            + $"flash{(known.ChangedSymbols.Length > 0 ? $": {Names(known.ChangedSymbols)}" : "")}.");
    }

    private static FirmwareNeed OfSources(NeedEvidence known, KlipperVersion running, KlipperVersion host)
    {
        if (running.IsUnknown)
            return new(NeedLevel.Unknown,
                running.Text.Length == 0 ? "What it runs is not known." : "Its firmware does not know its own version.");
        if (running.IsDirty)
            return new(NeedLevel.Unknown, $"It runs {running.Text}, built from changed sources; nobody can tell what was in them.");
        if (running.Other is { } other)
        {
            return other == host.Other && !host.IsDirty
                ? new(NeedLevel.Needless, $"It runs {other}, as Klipper does.")
                : new(NeedLevel.Unknown, $"It runs {other}, which names no commit that could be compared with {Or(host)}.");
        }
        if (known.ChangedPaths is { } paths)
        {
            var firmware = paths.Where(IsFirmware).ToList();
            if (firmware.Count > 0)
                return new(NeedLevel.Useful, $"Firmware sources changed since {running.Text}: {Names(firmware)}.");
            return new(NeedLevel.Needless,
                running.IsSameCommit(host) ? $"It runs {running.Text}, as Klipper does."
                : $"Since {running.Text} only files of the host changed.");
        }
        if (running.IsSameCommit(host) && !host.IsDirty)
            return new(NeedLevel.Needless, $"It runs {running.Text}, as Klipper does.");
        return new(NeedLevel.Unknown, running.IsSameCommit(host)
            ? $"It runs {running.Text}; Klipper's sources were changed since, and nobody can tell how."
            : $"It runs {running.Text}; what changed until {Or(host)} cannot be told.");
    }

    private static string Or(KlipperVersion host) => host.IsUnknown ? "the Klipper that is installed" : host.Text;

    /// <summary>
    /// Where the firmware stands, or which wires it speaks over: a board built so would not be heard, or would not start.
    /// </summary>
    private static bool Moves(string symbol)
    {
        var name = symbol.StartsWith("CONFIG_", StringComparison.Ordinal) ? symbol[7..] : symbol;
        return name is "MCU" or "FLASH_APPLICATION_ADDRESS" or "FLASH_START" or "FLASH_BOOT_ADDRESS" or "CLOCK_REF_FREQ"
            or "CANBUS_FREQUENCY" or "SERIAL_BAUD" or "USB_SERIAL_NUMBER"
            || name.Contains("FLASH_START_", StringComparison.Ordinal) || name.Contains("_USB_P", StringComparison.Ordinal)
            || name.Contains("_SERIAL_", StringComparison.Ordinal) || name.Contains("CANBUS_P", StringComparison.Ordinal)
                || name.Contains("CANBUS_GPIO", StringComparison.Ordinal);
    }

    /// <summary>What ends up in a firmware, or decides what does.</summary>
    private static bool IsFirmware(string path) =>
        path.StartsWith("src/", StringComparison.Ordinal) || path.StartsWith("lib/", StringComparison.Ordinal) || path is "Makefile"
            or "scripts/buildcommands.py"
        || path == "Kconfig" || path.EndsWith("/Kconfig", StringComparison.Ordinal);

    /// <summary>
    /// Names that the other does not have, or has with other parameters. Ids differ from build to build and mean nothing.
    /// </summary>
    private static IEnumerable<string> Differing(
        IReadOnlyDictionary<string, KlipperMessage> these, IReadOnlyDictionary<string, KlipperMessage> others) =>
        these.Where(message => !others.TryGetValue(message.Key, out var other) || other.Format != message.Value.Format)
            .Select(message => message.Key).Order(StringComparer.Ordinal);

    private static IEnumerable<string> Differing(IReadOnlyDictionary<string, string> these, IReadOnlyDictionary<string, string> others) =>
        these.Where(entry => !others.TryGetValue(entry.Key, out var other) || other != entry.Value).Select(entry => entry.Key)
            .Order(StringComparer.Ordinal);

    private static string Names(IReadOnlyCollection<string> names) =>
        string.Join(", ", names.Take(MostNames).Select(DataDictionary.Clean))
            + (names.Count > MostNames ? $" and {names.Count - MostNames} more" : "");
}
