namespace RatOS.Flash.Firmware;

/// <summary>
/// The work that one file of unknown origin may cause, in bytes that are looked at or made. It is counted and not timed, so that the same
/// file ends the same way on every computer.
/// </summary>
/// <param name="most">In bytes.</param>
internal sealed class WorkBudget(long most)
{
    /// <summary>Spent so far.</summary>
    public long Used { get; private set; }

    /// <summary>Spends some of it.</summary>
    /// <returns>False where that is more than is left.</returns>
    public bool TrySpend(long bytes)
    {
        Used += bytes;
        return Used <= most;
    }
}
