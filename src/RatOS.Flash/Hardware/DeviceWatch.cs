namespace RatOS.Flash.Hardware;

/// <summary>Waiting for the bus: always for an event, always with an end.</summary>
public static class DeviceWatch
{
    /// <summary>
    /// Looks, and waits for change after change, until <paramref name="find"/> finds something.
    /// Null when <paramref name="limit"/> passed first.
    /// </summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancel"/> was cancelled.</exception>
    public static async Task<T?> WaitForAsync<T>(
        this IHardware hardware, Func<DeviceList, T?> find, TimeSpan limit, TimeProvider time, CancellationToken cancel)
        where T : class
    {
        using var timer = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancel);
        var seen = hardware.Look();
        while (true)
        {
            if (find(seen) is { } found)
                return found;
            try
            {
                seen = await hardware.WaitForChangeAsync(seen.Generation, either.Token);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                return null;
            }
        }
    }
}
