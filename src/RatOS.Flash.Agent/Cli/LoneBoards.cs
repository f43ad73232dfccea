using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The printer's boards while no agent runs. A flash locks the printer, and has a journal and a recording.</summary>
/// <param name="local">The boards.</param>
/// <param name="data">The printer's folder.</param>
/// <param name="klippy">Klipper for one job, given where the job notes that Klipper was stopped and started.</param>
/// <param name="time">The clock.</param>
/// <param name="log">The log.</param>
internal sealed class LoneBoards(
    LocalBoards local, DataFolder data, Func<Job, Action<string, bool>, IKlippy> klippy, TimeProvider time, LogFile log) : BoardService
{
    public override string Description => local.Description;

    public override Task<BoardList> ListAsync() => local.ListAsync();

    public override Task<PlanView> PlanAsync(FlashOptions options) => local.PlanAsync(options);

    public override Task<IReadOnlyList<JsonFile>> FilesAsync() => local.FilesAsync();

    public override Task AnswerAsync(string board, string fact, string? value) => local.AnswerAsync(board, fact, value);

    public override async Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel)
    {
        using var held = data.Lock();
        using var over = new CancellationTokenSource();
        using var recorder = new CallRecorder(time, log.Say);
        var queue = new FlashQueue(local, data.Jobs, klippy, token => Task.Delay(Timeout.InfiniteTimeSpan, time, token), log)
        {
            Recorder = recorder,
        };
        var job = new Job(JobOrigin.CommandLine, options, await local.RequestAsync(options), time);
        job.Happened += tell;
        using var stop = cancel.Register(job.Cancel.Cancel);
        queue.Add(job);
        var work = queue.RunAsync(over.Token);
        var report = await job.Done;
        await over.CancelAsync();
        await work;
        return report;
    }
}
