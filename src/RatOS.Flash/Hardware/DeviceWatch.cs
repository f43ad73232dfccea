using System.Collections.Immutable;

namespace RatOS.Flash.Hardware;

/// <summary>Waits for the bus: for an event, and with a limit.</summary>
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

    /// <summary>True as soon as this session is over; false when <paramref name="limit"/> passed first.</summary>
    public static async Task<bool> WaitForDisconnectAsync(this IHardware hardware, Device device, TimeSpan limit, TimeProvider time) =>
        await hardware.WaitForAsync(seen =>
            seen.Devices.Any(device.IsSameSession) ? null : seen, limit, time, CancellationToken.None) is not null;
}

/// <summary>The current list of devices and the waits for the next one, for each <see cref="IHardware"/>. Thread-safe.</summary>
public sealed class DeviceChanges
{
    private readonly Lock _gate = new();
    private readonly List<(long Generation, TaskCompletionSource<DeviceList> Waiter)> _waiters = [];
    private DeviceList _now = new(0, []);

    public DeviceList Now
    {
        get
        {
            lock (_gate)
                return _now;
        }
    }

    /// <inheritdoc cref="IHardware.WaitForChangeAsync"/>
    public Task<DeviceList> AfterAsync(long generation, CancellationToken cancel)
    {
        lock (_gate)
        {
            if (_now.Generation > generation)
                return Task.FromResult(_now);
            cancel.ThrowIfCancellationRequested();
            var waiter = new TaskCompletionSource<DeviceList>(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((generation, waiter));
            if (cancel.CanBeCanceled)
                cancel.Register(() => waiter.TrySetCanceled(cancel));
            return waiter.Task;
        }
    }

    /// <summary>Replaces the list.</summary>
    /// <param name="devices">In the order in which they are to be listed.</param>
    /// <param name="generation">At least this one; the next in any case.</param>
    public void Set(ImmutableArray<Device> devices, long generation = 0)
    {
        lock (_gate)
        {
            _now = new(Math.Max(_now.Generation + 1, generation), devices);
            foreach (var (_, waiter) in _waiters.Where(entry => entry.Generation < _now.Generation))
                waiter.TrySetResult(_now);
            _waiters.RemoveAll(entry => entry.Waiter.Task.IsCompleted);
        }
    }
}
