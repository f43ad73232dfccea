using System.Collections.Concurrent;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Runs work and all its continuations on the calling thread, as the engine wants it, in real time.</summary>
internal sealed class OneThread : SynchronizationContext, IDisposable
{
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _ready = [];

    public static T Run<T>(Func<OneThread, Task<T>> work)
    {
        var outer = Current;
        using var context = new OneThread();
        SetSynchronizationContext(context);
        try
        {
            var task = work(context);
            // Not `await`: whoever completes the task is on this thread, or posts to it.
            _ = task.ContinueWith(_ => context._ready.CompleteAdding(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            foreach (var (callback, state) in context._ready.GetConsumingEnumerable())
                callback(state);
            return task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(outer);
        }
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        try
        {
            _ready.Add((d, state));
        }
        catch (InvalidOperationException)
        {
            // The work is over; what comes now (a signal, a device's last word) has nobody to come to.
        }
    }

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    public void Dispose() => _ready.Dispose();
}
