using System.Collections.Concurrent;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>A thread for calls that block: one after the other, each awaited by its caller.</summary>
internal sealed class Worker : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];

    public Worker(string name) => new Thread(() =>
    {
        foreach (var action in _work.GetConsumingEnumerable())
            action();
    })
    { IsBackground = true, Name = name }.Start();

    public Task<T> RunAsync<T>(Func<T> call)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() =>
        {
            try
            {
                result.SetResult(call());
            }
            catch (Exception fault)
            {
                result.SetException(fault);
            }
        });
        return result.Task;
    }

    /// <summary>Calls that were queued before are still made.</summary>
    public void Dispose() => _work.CompleteAdding();
}
