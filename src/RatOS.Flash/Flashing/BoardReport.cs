using System.Collections.Immutable;
using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>The state of a board at the end of a flash, as far as it was observed.</summary>
public enum BoardCondition
{
    /// <summary>It was seen running its old firmware, and nothing was erased since.</summary>
    [ContractName("unchanged")] Unchanged,

    /// <summary>It ran its old firmware until it was brought into its bootloader, where it was last seen; nothing was erased.</summary>
    [ContractName("in-bootloader-unchanged")] InBootloaderUnchanged,

    /// <summary>Its firmware is erased or half written; it needs a new flash.</summary>
    [ContractName("in-bootloader-without-firmware")] InBootloaderWithoutFirmware,

    /// <summary>
    /// The firmware was written and verified, but the proof by the running board is missing or incomplete. Or a probe is back on the bus
    /// after its maker's updater reported success: its firmware cannot be read.
    /// </summary>
    [ContractName("unconfirmed")] Unconfirmed,

    /// <summary>The running board returned the new firmware's own data dictionary, also after a reset.</summary>
    [ContractName("flashed")] Flashed,

    /// <summary>It runs its old firmware and answers: it was not flashed (a recovery), or that firmware was put back.</summary>
    [ContractName("running")] Running,

    /// <summary>Whether it has complete firmware could not be checked: it is in a bootloader, or was not found.</summary>
    [ContractName("unknown")] Unknown,
}

public static class BoardConditions
{
    /// <summary>Without power or out of its bootloader it may not come back by itself.</summary>
    public static bool MayLackFirmware(this BoardCondition condition) =>
        condition is BoardCondition.InBootloaderWithoutFirmware or BoardCondition.Unknown;
}

/// <summary>One board: what happened, its state, and what to do now.</summary>
public sealed record BoardReport
{
    public required string Board { get; init; }

    public required BoardCondition Condition { get; init; }

    /// <summary>Null exactly when the flash succeeded, or was not needed.</summary>
    public FaultReport? Fault { get; init; }

    /// <summary>The firmware that can be put back, where the new one does not work; else null.</summary>
    public RollbackOffer? Rollback { get; init; }

    /// <summary>
    /// True only when the running board proved it: read-back equal, and the dictionary in the image returned before and after a reset. True
    /// also for a board that was skipped, for a recovery whose board answers with its old firmware, and for a probe that is back on the bus
    /// after its maker's updater reported success.
    /// </summary>
    public bool Ok => Fault is null
        && (Condition is BoardCondition.Flashed or BoardCondition.Running || SkipReason is not null || IsByOwnUpdater);

    /// <summary>Why the board was skipped, in a sentence; null for one that was not.</summary>
    public string? SkipReason { get; init; }

    /// <summary>This flash has changed its firmware, whether it works or not.</summary>
    public bool IsChanged { get; init; }

    /// <summary>The same after a flash that passed its point of no return or did not.</summary>
    public BoardReport After(bool isCommitted) => this with
    {
        // Behind that point a board can still be lost before its first sector is erased.
        IsChanged = Condition switch
        {
            BoardCondition.Flashed or BoardCondition.Unconfirmed => true,
            BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged => false,
            _ => isCommitted,
        },
    };

    /// <summary>The plan refused it; nothing was tried.</summary>
    public bool Refused { get; init; }

    /// <summary>
    /// The running board returned the new dictionary once. For <see cref="BoardCondition.Flashed"/> it did so after a reset too.
    /// </summary>
    public bool IsConfirmed { get; init; }

    /// <summary>A host process: nothing was read back, and its proof is the new process.</summary>
    public bool IsProcess { get; init; }

    /// <summary>The stock bootloader wrote it from a card, if it did: nothing was read back, and its proof is what runs.</summary>
    public bool IsBySdCard { get; init; }

    /// <summary>
    /// Its maker's updater was started: nothing was read back, and its proof is the updater's word and the probe's return to the bus.
    /// </summary>
    public bool IsByOwnUpdater { get; init; }

    /// <summary>What the running board said that it is; null for a board that was not asked for that.</summary>
    public string? Identity { get; init; }

    public string? OldVersion { get; init; }

    public string? NewVersion { get; init; }

    /// <summary>Bytes of the image, and its SHA-256 in lower-case hex.</summary>
    public int Size { get; init; }

    /// <inheritdoc cref="Size"/>
    public string? Sha256 { get; init; }

    /// <summary>The flash method in words.</summary>
    public string? Route { get; init; }

    public TimeSpan Elapsed { get; init; }

    /// <summary>Warnings and oddities, for a maintainer.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];
}

/// <summary>The last good firmware of a board whose new one does not work.</summary>
/// <param name="Version">Its version.</param>
/// <param name="Asks">The user is asked whether to put it back.</param>
/// <param name="Report">The result of putting it back; null when that was not tried.</param>
public sealed record RollbackOffer(string Version, bool Asks, BoardReport? Report);
