namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Work that many may ask for at once and whose result is the same for all of them. At most one run is under way and one is due: a
/// thousand requests a second cost no more than a few. All on one thread.
/// </summary>
/// <param name="work">The work.</param>
/// <param name="time">The only clock.</param>
internal sealed class SharedWork<T>(Func<Task<T>> work, TimeProvider time)
{
    /// <summary>The rest that the thread has from it between two runs.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private Task? _last;
    private Task<T>? _due;

    /// <summary>A run has not begun yet.</summary>
    public bool IsDue => _due is not null;

    /// <summary>The result of a run that begins after this call: one that is under way may have looked before.</summary>
    public Task<T> RunAsync() => _due ??= NextAsync();

    private async Task<T> NextAsync()
    {
        await Task.Yield();   // then it is the one that is due
        await (_last ?? Task.CompletedTask);
        _due = null;
        var run = work();
        _last = RestAsync(run);
        return await run;
    }

    private async Task RestAsync(Task run)
    {
        await run.ConfigureAwait(ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.SuppressThrowing);
        await Task.Delay(Pause, time);
    }
}
