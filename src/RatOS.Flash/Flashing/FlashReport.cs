using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>The end of a flash.</summary>
/// <param name="Boards">One report a board, in the order asked for.</param>
/// <param name="Klippy">Set when Klipper could not be started again.</param>
/// <param name="Elapsed">From the first look to the last event.</param>
public sealed record FlashReport(ImmutableArray<BoardReport> Boards, FaultReport? Klippy, TimeSpan Elapsed)
{
    public bool Ok => Klippy is null && Boards.All(board => board.Ok);

    /// <summary>Klipper when it was about to be stopped, and when it had been started again; null where it was not.</summary>
    public KlippyState? Before { get; init; }

    /// <inheritdoc cref="Before"/>
    public KlippyState? After { get; init; }
}
