using System.Collections.Immutable;
using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>What a board is when the flash is over. Always told, never guessed.</summary>
public enum BoardCondition
{
    /// <summary>Nothing was erased: it has the firmware that it had, and was not seen in a bootloader.</summary>
    Unchanged,

    /// <summary>It was last seen in a bootloader; nothing was erased.</summary>
    InBootloaderUnchanged,

    /// <summary>Its firmware is erased or half written; it needs a new flash.</summary>
    InBootloaderWithoutFirmware,

    /// <summary>The firmware was written and read back equal, but the running board did not confirm it.</summary>
    Unconfirmed,

    /// <summary>The running board returned the new firmware's own data dictionary, also after a reset.</summary>
    Flashed,

    /// <summary>It runs the firmware that it had, and answers: it was not flashed (a recovery), or that firmware went back.</summary>
    Running,
}

/// <summary>What happened to one board, what became of it, and what to do now.</summary>
public sealed record BoardReport
{
    public required string Board { get; init; }

    public required BoardCondition Condition { get; init; }

    /// <summary>Null exactly when the flash succeeded, or was not needed.</summary>
    public FaultReport? Fault { get; init; }

    /// <summary>Of a new firmware that does not do: the one that can go back. Null where there is none, or nothing to go back from.</summary>
    public WayBack? Back { get; init; }

    /// <summary>
    /// True only when the running board proved it: read-back equal, and the dictionary in the image returned before and after a reset; or it was left out. Of a recovery also
    /// when it answers with the firmware that it had.
    /// </summary>
    public bool Ok => Fault is null && (Condition is BoardCondition.Flashed or BoardCondition.Running || SkipReason is not null);

    /// <summary>Why nothing had to be done, in a sentence; null when it was tried.</summary>
    public string? SkipReason { get; init; }

    /// <summary>The plan refused it; nothing was tried.</summary>
    public bool Refused { get; init; }

    /// <summary>It is a process of this computer: nothing was read back, and its proof is the new process.</summary>
    public bool IsProcess { get; init; }

    /// <summary>Its maker's bootloader wrote it from a card, if it did: nothing was read back, and its proof is what runs.</summary>
    public bool IsBySdCard { get; init; }

    public string? OldVersion { get; init; }

    public string? NewVersion { get; init; }

    /// <summary>Bytes of the image, and its SHA-256 in lower-case hex.</summary>
    public int Size { get; init; }

    /// <inheritdoc cref="Size"/>
    public string? Sha256 { get; init; }

    /// <summary>The road taken, as people would say it.</summary>
    public string? Route { get; init; }

    public TimeSpan Elapsed { get; init; }

    /// <summary>What was seen on the way that a maintainer would want to know.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];
}

/// <summary>The last good firmware of a board whose new one does not do.</summary>
/// <param name="Version">Its version.</param>
/// <param name="Asks">A person is to be asked whether it goes back.</param>
/// <param name="Report">What came of putting it back; null when that was not tried.</param>
public sealed record WayBack(string Version, bool Asks, BoardReport? Report);
