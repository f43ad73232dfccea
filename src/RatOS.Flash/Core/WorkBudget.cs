namespace RatOS.Flash.Core;

/// <summary>
/// The work or the memory that one input of unknown origin may cost, in bytes that are looked at, made or kept. It is counted and not
/// timed, so that the same input ends the same way on every computer.
/// </summary>
/// <param name="most">In bytes.</param>
public sealed class WorkBudget(long most)
{
    /// <summary>Spent so far.</summary>
    public long Used { get; private set; }

    /// <summary>More was spent than there is.</summary>
    public bool IsSpent => Used > most;

    /// <summary>Spends some of it.</summary>
    /// <returns>False where that is more than is left.</returns>
    public bool TrySpend(long bytes)
    {
        Used += bytes;
        return !IsSpent;
    }
}
