using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Service;

/// <content>The recorder between jobs, and bundles for whoever asks.</content>
internal sealed partial class FlashAgent
{
    private async Task<string> BundleAsync(string? job)
    {
        // One at a time: each reads what there is of logs.
        if (_bundle is { IsCompleted: false } other)
            await other.WaitAsync(CancellationToken.None).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        var work = WriteBundleAsync(job);
        _bundle = work;
        return await work;
    }

    private Task? _bundle;

    private static CallRecorder NewRecorder(PrinterAccess printer, LogFile log) => new(printer.Time, log.Say);

    private async Task<string> WriteBundleAsync(string? job)
    {
        var info = _moonraker.IsConnected ? await _moonraker.TryCallAsync("server.info") : null;
        return new Bundle(_data, _printer) { Moonraker = info?.Word("moonraker_version") }.Write(job, null);
    }

    /// <summary>From now on it is known when a board left by itself.</summary>
    private void WatchBuses()
    {
        try
        {
            _recorder.Record(_printer.Hardware);
        }
        catch (FlashException deaf)
        {
            _log.Fault(deaf);   // whoever needs the buses is told again
        }
    }
}
