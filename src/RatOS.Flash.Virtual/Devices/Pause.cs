using System.Threading.Tasks.Sources;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A wait that ends at its time limit or by <see cref="Wake"/>. Reused, because a flash waits for thousands of transfers.
/// </summary>
internal sealed class Pause(VirtualTime time) : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private object? _limit;
    private bool _waits;

    /// <summary>Waits. One caller at a time.</summary>
    public ValueTask WaitAsync(TimeSpan limit)
    {
        if (_waits)
            throw new InvalidOperationException("A pause has one waiter at a time.");
        _core.Reset();
        _waits = true;
        _limit = limit >= TimeSpan.Zero ? time.Schedule(limit, static pause => ((Pause)pause!).Wake(), this) : null;
        return new ValueTask(this, _core.Version);
    }

    public void Wake()
    {
        if (!_waits)
            return;
        _waits = false;
        if (_limit is not null)
            VirtualTime.Unschedule(_limit);
        _core.SetResult(true);
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
