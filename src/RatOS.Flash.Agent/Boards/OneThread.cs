using System.Collections.Concurrent;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Runs work and all its continuations on the calling thread, in real time: the engine is not thread-safe.</summary>
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
            // No `await`: the task completes on this thread, or by a post to it.
            _ = task.ContinueWith(
                _ => context._ready.CompleteAdding(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
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
            // The work is over. A late signal or the last event of a device is dropped.
        }
    }

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    public void Dispose() => _ready.Dispose();
}
