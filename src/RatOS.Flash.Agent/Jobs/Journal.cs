using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Jobs;

/// <summary>
/// What one job did, written ahead: each step stands on disk before it is taken, so that whoever comes after a power cut knows what to do. One file of JSON
/// lines a job: what was asked for, the steps, Klipper's service, the result.
/// </summary>
internal sealed class Journal : IDisposable
{
    private const int Kept = 50;
    private const int LongestLine = 1024 * 1024;
    public const string FileName = "journal.ndjson";

    private readonly FileStream _file;
    private readonly LogFile _log;
    private bool _isBroken;

    private Journal(FileStream file, LogFile log) => (_file, _log) = (file, log);

    /// <summary>The job's own folder.</summary>
    public string Folder => Path.GetDirectoryName(_file.Name)!;

    /// <param name="folder">Of all jobs.</param>
    /// <param name="job">What was asked for.</param>
    /// <param name="log">Where it is told when the disk fails later.</param>
    /// <exception cref="FlashException">It cannot be written: nothing may be touched then.</exception>
    public static Journal Create(string folder, Job job, LogFile log)
    {
        try
        {
            var path = Path.Combine(folder, $"{job.Created.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}-{job.Id}");
            Directory.CreateDirectory(path);
            var journal = new Journal(new FileStream(Path.Combine(path, FileName), FileMode.CreateNew, FileAccess.Write, FileShare.Read), log);
            var view = job.View();
            journal.Write(
                new JsonHeader(
                    "job", job.Id, job.By, view.Created, [.. view.Boards.Select(board => board.Board)],
                    job.Requests.Where(request => request.Image is not null).ToDictionary(request => request.Board.Name, request => request.Image!.Sha256), Product.Version)
                {
                    SdCard = job.Requests.Where(request => request.UsesSdCard).Select(request => request.Board.Name).ToArray() is { Length: > 0 } carried ? carried : null,
                },
                JsonContract.Shapes.JsonHeader);
            journal._file.Flush(flushToDisk: true);
            return journal;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.JournalUnwritable(folder, fault.Message);
        }
    }

    /// <summary>Snapshots are not kept. What begins, or cannot be taken back, is on disk when this returns.</summary>
    public void Append(FlashEvent step)
    {
        if (step.Kind != FlashEventKind.Progress)
            Append(JsonStep.Of(step), JsonContract.Shapes.JsonStep, step.Kind is FlashEventKind.Begin or FlashEventKind.PointOfNoReturn or FlashEventKind.Verdict);
    }

    /// <summary>Klipper's service is about to be stopped by us, or runs again.</summary>
    public void Append(JsonService service) => Append(service, JsonContract.Shapes.JsonService, isCritical: true);

    public void Append(FlashReport report) => Append(JsonResult.Of(report), JsonContract.Shapes.JsonResult, isCritical: true);

    public void Dispose() => _file.Dispose();

    private void Append<T>(T line, JsonTypeInfo<T> type, bool isCritical)
    {
        try
        {
            Write(line, type);
            _file.Flush(isCritical);
        }
        catch (IOException fault) when (!_isBroken)
        {
            // A flash that is under way is not made better by being broken off.
            _isBroken = true;
            _log.Say($"The journal can no longer be written: {fault.Message}");
        }
        catch (IOException)
        {
            // Said once.
        }
    }

    private void Write<T>(T line, JsonTypeInfo<T> type)
    {
        // One write a line: a cut leaves at most the last one torn.
        _file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(line, type) + "\n"));
    }

    /// <summary>All jobs that a folder knows, oldest first. Damaged lines are passed over: what stands before and behind them counts.</summary>
    public static IReadOnlyList<JournalRecord> ReadAll(string folder)
    {
        if (!Directory.Exists(folder))
            return [];
        return [.. Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal).Select(path => JournalRecord.Read(Path.Combine(path, FileName), LongestLine)).OfType<JournalRecord>()];
    }

    /// <summary>Forgets all but the newest.</summary>
    public static void Prune(string folder, LogFile log)
    {
        if (!Directory.Exists(folder))
            return;
        foreach (var old in Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal).SkipLast(Kept))
        {
            try
            {
                Directory.Delete(old, recursive: true);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                log.Say($"The old job {old} cannot be deleted: {fault.Message}");
            }
        }
    }
}
