using System.IO.Compression;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Keeps the plan and the recording of a job in its folder, beside the journal. A failure here never stops a flash.</summary>
/// <param name="recorder">The process's recorder.</param>
/// <param name="folder">Of the job.</param>
/// <param name="log">Takes what could not be kept.</param>
internal sealed class JobRecorder(CallRecorder recorder, string folder, LogFile log) : IDisposable
{
    public const string RecordingName = "recording.gz";
    public const string PlanName = "plan.ndjson";

    /// <summary>Of all recordings together.</summary>
    public const long MostBytes = 32 * 1024 * 1024;

    // The last megabytes of a disk belong to the journal and to the printer.
    private const long RoomToLeave = 32 * 1024 * 1024;

    private int? _session;   // while this job waits for its operator, another job may record

    public void Plan(PlanView plan) => Guarded(() => File.WriteAllLines(
        Path.Combine(folder, PlanName),
        [
            .. plan.Boards.Select(board => JsonSerializer.Serialize(board, JsonContract.Shapes.JsonPlan)),
            .. plan.Findings.Select(finding => JsonSerializer.Serialize(finding, JsonContract.Shapes.JsonFinding)),
        ]));

    /// <summary>Begins the job's recording.</summary>
    /// <param name="hardware">The buses.</param>
    /// <param name="work">The flash.</param>
    /// <param name="readOut">Boards whose old firmware is read out first.</param>
    /// <param name="cancel">Of the job.</param>
    /// <returns>Buses and Klipper whose traffic is recorded.</returns>
    public (IHardware Hardware, IKlippy Klippy) Begin(
        IHardware hardware, FlashWork work, IEnumerable<string> readOut, CancellationToken cancel)
    {
        var recorded = (recorder.Record(hardware), recorder.Record(work.Klippy));
        Guarded(() =>
        {
            if (new DriveInfo(folder).AvailableFreeSpace < RoomToLeave)
                throw new IOException($"less than {RoomToLeave / 1024 / 1024} MiB are free there");
            var file = new FileStream(Path.Combine(folder, RecordingName), FileMode.CreateNew, FileAccess.Write, FileShare.Read);
            var requests = work.Requests.Where(request => request.SkipReason is null);
            recorder.Begin(
                new GZipStream(file, CompressionLevel.Fastest), Product.Version, requests, work.Options.OperatorPresent, readOut);
            _session = recorder.Session;
        });
        cancel.Register(recorder.Cancel);
        return recorded;
    }

    public void Event(FlashEvent step)
    {
        if (_session == recorder.Session)
            recorder.Event(step);
    }

    public async Task<IReadOnlyDictionary<string, BuiltOrNot>> BuiltAsync(Task<IReadOnlyDictionary<string, BuiltOrNot>> build)
    {
        var built = await build;
        foreach (var (board, (firmware, fault)) in built)
            recorder.Built(board, firmware?.Image, fault);
        return built;
    }

    public void Dispose()
    {
        if (_session == recorder.Session)
            recorder.End();
    }

    /// <summary>
    /// Deletes the oldest recordings until all together are at most <see cref="MostBytes"/>. The other files of their jobs stay.
    /// </summary>
    public static void Prune(string jobs, LogFile log)
    {
        if (!Directory.Exists(jobs))
            return;
        long total = 0;
        try
        {
            foreach (var job in Directory.EnumerateDirectories(jobs).OrderDescending(StringComparer.Ordinal))
            {
                var file = new FileInfo(Path.Combine(job, RecordingName));
                total += file.Exists ? file.Length : 0;
                if (file.Exists && total > MostBytes)
                    file.Delete();
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Old recordings in {jobs} cannot be deleted: {fault.Message}");
        }
    }

    private void Guarded(Action write)
    {
        try
        {
            write();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            log.Say($"This job is not recorded: {fault.Message}");
        }
    }
}
