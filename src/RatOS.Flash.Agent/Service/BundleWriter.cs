using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;

namespace RatOS.Flash.Agent.Service;

/// <summary>Writes bundles for the clients of the agent, one after the other.</summary>
/// <param name="printer">The printer.</param>
/// <param name="data">Its folder.</param>
/// <param name="moonraker">The connection.</param>
internal sealed class BundleWriter(PrinterAccess printer, DataFolder data, MoonrakerConnection moonraker)
{
    private Task _last = Task.CompletedTask;

    /// <param name="job">The job's id; null for the last job.</param>
    /// <returns>The file's path.</returns>
    public async Task<string> WriteAsync(string? job)
    {
        var before = _last;
        var work = WriteAfterAsync(before, job);
        _last = work;
        return await work;
    }

    private async Task<string> WriteAfterAsync(Task before, string? job)
    {
        // Each reads the same logs. A failure is reported to its own client.
        await before.ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        var info = moonraker.IsConnected ? await moonraker.TryCallAsync("server.info") : null;
        // Packing takes seconds on a small computer, and the thread of the agent may be writing a board.
        var bundle = new Bundle(data, printer) { Moonraker = info?.Word("moonraker_version") };
        return await Task.Run(() => bundle.Write(job, null));
    }
}
