using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Printer;

public enum NeedLevel
{
    /// <summary>A flash would change nothing that matters.</summary>
    [ContractName("needless")] Needless,

    /// <summary>It works, but a flash would change its firmware.</summary>
    [ContractName("useful")] Useful,

    /// <summary>The evidence does not suffice; a flash is offered, with that reason.</summary>
    [ContractName("unknown")] Unknown,

    /// <summary>Klipper cannot work with it as it is.</summary>
    [ContractName("required")] Required,
}

/// <summary>The evidence about a board's firmware; null for missing evidence.</summary>
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

    /// <summary>The dictionary of the running firmware, and of a firmware built today.</summary>
    public DataDictionary? RunningDictionary { get; init; }

    /// <inheritdoc cref="RunningDictionary"/>
    public DataDictionary? BuiltDictionary { get; init; }

    /// <summary>The last flash by this program; it counts while the board still runs that very version.</summary>
    public LastFlash? Last { get; init; }

    /// <summary>Hash of today's normalised build configuration.</summary>
    public string? ConfigHash { get; init; }

    /// <summary>Identifies today's sources: the commit and the uncommitted changes.</summary>
    public string? SourceId { get; init; }

    /// <summary>
    /// Names of Kconfig symbols that differ between the last flash's configuration and today's, with or without <c>CONFIG_</c>.
    /// </summary>
    public ImmutableArray<string> ChangedSymbols { get; init; } = [];

    /// <summary>
    /// Files that differ between the commit that the board runs and the tree, uncommitted changes included; null if that commit is not in
    /// the tree's history.
    /// </summary>
    public IReadOnlyCollection<string>? ChangedPaths { get; init; }

    /// <inheritdoc cref="McuEvidence.MissingFeatures"/>
    public IReadOnlyList<string> MissingFeatures { get; init; } = [];
}

/// <param name="Version">The version that was confirmed.</param>
/// <param name="ConfigHash">As <see cref="NeedEvidence.ConfigHash"/>, of the flashed firmware.</param>
/// <param name="SourceId">As <see cref="NeedEvidence.SourceId"/>, of the flashed firmware.</param>
public sealed record LastFlash(string Version, string? ConfigHash, string? SourceId);

/// <summary>
/// Whether a board needs a flash, by the strongest evidence. Every flash is a risk and wears the chip, and most of Klipper's commits change
/// the host only, so another version text alone is no reason. Klipper itself compares commands and constants (klippy/mcu.py).
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
        return OfComplaint(known, running, host)
            ?? (config?.Level == NeedLevel.Required ? config : null)
            ?? OfDictionaries(known, config is null, running, host)
            ?? config
            ?? OfLastFlash(known, running)
            ?? OfFeatures(known, OfSources(known, running, host), isNewer: running.IsNewerThan(host));
    }

    /// <summary>The list in the complaint compares version texts. If the complaint names another board, it proves nothing.</summary>
    private static FirmwareNeed? OfComplaint(NeedEvidence known, KlipperVersion running, KlipperVersion host)
    {
        if (ProtocolError.Parse(known.State, known.Message) is not { } complaint)
            return null;
        if (complaint.Section is { } section ? ProtocolError.IsSame(known.Section, section)
            : complaint.Outdated.Keys.Any(listed => ProtocolError.IsSame(known.Section, listed)))
        {
            return new(NeedLevel.Required, $"Klipper cannot work with its firmware: {complaint.Error}."
                + (running.IsNewerThan(host) ? $" {Newer(running, host)}" : ""));
        }
        return null;
    }

    private static FirmwareNeed? OfDictionaries(NeedEvidence known, bool isSameConfig, KlipperVersion running, KlipperVersion host)
    {
        if (known is not { RunningDictionary: { } old, BuiltDictionary: { } built })
            return null;
        if (!string.Equals(old.Mcu, built.Mcu, StringComparison.OrdinalIgnoreCase))
            return new(NeedLevel.Unknown, $"It runs on a {old.Mcu}, and the build is for a {built.Mcu}.");
        var missing = Differing(built.Commands, old.Commands).Concat(Differing(built.Responses, old.Responses)).ToList();
        if (missing.Count > 0)
        {
            var words = $"its firmware lacks or differs in {Names(missing)}";
            // Klipper looks up all commands of its modules before it is ready: no module uses a command that is missing then.
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
            ? new(NeedLevel.Needless, $"It runs {old.Version}, the version that a build would give.") : null;
    }

    private static FirmwareNeed? OfLastFlash(NeedEvidence known, KlipperVersion running) =>
        known.Last is { SourceId: { } sources, ConfigHash: { } config } last && last.Version == running.Text && sources == known.SourceId
            && config == known.ConfigHash
            ? new(NeedLevel.Needless, "It was flashed from the same sources with the same configuration.") : null;

    private static FirmwareNeed? OfConfig(NeedEvidence known, KlipperVersion running)
    {
        // A flash by another tool since then makes the record worthless.
        if (known.Last is not { ConfigHash: { } then } last || known.ConfigHash is not { } now || then == now
            || last.Version != running.Text)
            return null;
        var moved = known.ChangedSymbols.Where(Moves).ToList();
        if (moved.Count > 0)
            return new(NeedLevel.Required,
                $"Its build configuration changed the start address or the link since the last flash: {Names(moved)}.");
        return new(NeedLevel.Useful,
            "Its build configuration changed since the last "
            + $"flash{(known.ChangedSymbols.Length > 0 ? $": {Names(known.ChangedSymbols)}" : "")}.");
    }

    /// <summary>Firmware of unchanged sources would lack the features again: they depend on its configuration too.</summary>
    private static FirmwareNeed OfFeatures(NeedEvidence known, FirmwareNeed sources, bool isNewer) =>
        known.MissingFeatures.Count == 0 || isNewer || sources.Level == NeedLevel.Needless ? sources
        : new(NeedLevel.Useful, "Klipper says that this board's firmware is older than it will support: "
            + $"it lacks {Names(known.MissingFeatures)}.{(sources.Level == NeedLevel.Useful ? $" {sources.Reason}" : "")}");

    private static FirmwareNeed OfSources(NeedEvidence known, KlipperVersion running, KlipperVersion host)
    {
        if (running.IsUnknown)
            return new(NeedLevel.Unknown,
                running.Text.Length == 0 ? "The version that it runs is unknown." : "Its firmware reports no version.");
        if (running.IsDirty)
            return new(NeedLevel.Unknown, $"It runs {running.Text}, built from modified sources, so the changes since then are unknown.");
        if (running.Other is { } other)
        {
            return other == host.Other && !host.IsDirty
                ? new(NeedLevel.Needless, $"It runs {other}, the same version as Klipper.")
                : new(NeedLevel.Unknown, $"It runs {other}. It names no commit to compare with {Or(host)}.");
        }
        if (known.ChangedPaths is { } paths)
        {
            var firmware = paths.Where(IsFirmware).ToList();
            if (firmware.Count > 0)
                return new(NeedLevel.Useful, $"Firmware sources changed since {running.Text}: {Names(firmware)}.");
            return new(NeedLevel.Needless,
                running.IsSameCommit(host) ? $"It runs {running.Text}, the same version as Klipper."
                : $"Only files of Klipper's host changed since {running.Text}.");
        }
        if (running.IsSameCommit(host) && !host.IsDirty)
            return new(NeedLevel.Needless, $"It runs {running.Text}, the same version as Klipper.");
        if (running.IsNewerThan(host))
            return new(NeedLevel.Unknown, Newer(running, host));
        return new(NeedLevel.Unknown, running.IsSameCommit(host)
            ? $"It runs {running.Text}. Klipper's sources were modified locally, and the modifications are unknown."
            : $"It runs {running.Text}. The changes up to {Or(host)} are unknown.");
    }

    private static string Newer(KlipperVersion running, KlipperVersion host) =>
        $"It runs {running.Text}, newer than Klipper ({host.Text}): update Klipper first.";

    private static string Or(KlipperVersion host) => host.IsUnknown ? "the installed Klipper" : host.Text;

    /// <summary>The start address or the link: with another one the board does not start, or Klipper cannot reach it.</summary>
    private static bool Moves(string symbol)
    {
        var name = symbol.StartsWith("CONFIG_", StringComparison.Ordinal) ? symbol[7..] : symbol;
        return name is "MCU" or "FLASH_APPLICATION_ADDRESS" or "FLASH_START" or "FLASH_BOOT_ADDRESS" or "CLOCK_REF_FREQ"
            or "CANBUS_FREQUENCY" or "SERIAL_BAUD" or "USB_SERIAL_NUMBER"
            || name.Contains("FLASH_START_", StringComparison.Ordinal) || name.Contains("_USB_P", StringComparison.Ordinal)
            || name.Contains("_SERIAL_", StringComparison.Ordinal) || name.Contains("CANBUS_P", StringComparison.Ordinal)
                || name.Contains("CANBUS_GPIO", StringComparison.Ordinal);
    }

    /// <summary>Compiled into a firmware, or part of its build.</summary>
    private static bool IsFirmware(string path) =>
        path.StartsWith("src/", StringComparison.Ordinal) || path.StartsWith("lib/", StringComparison.Ordinal) || path is "Makefile"
            or "scripts/buildcommands.py"
        || path == "Kconfig" || path.EndsWith("/Kconfig", StringComparison.Ordinal);

    /// <summary>Names that the other lacks, or has with other parameters. Ids differ from build to build and mean nothing.</summary>
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
