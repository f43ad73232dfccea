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
/// The journal of a job: each step is on disk before it is taken, so that the agent knows after a power cut what was under way. JSON
/// lines: the request, the steps, Klipper's service, the result.
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

    /// <summary>Starts the journal of a job.</summary>
    /// <param name="folder">Of all jobs.</param>
    /// <param name="job">The job.</param>
    /// <param name="log">Takes later failures of the disk.</param>
    /// <exception cref="FlashException"><c>journal-unwritable</c>: the job must not touch anything.</exception>
    public static Journal Create(string folder, Job job, LogFile log)
    {
        try
        {
            var path = Path.Combine(folder, $"{job.Created.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}-{job.Id}");
            Directory.CreateDirectory(path);
            var journal = new Journal(
                new FileStream(Path.Combine(path, FileName), FileMode.CreateNew, FileAccess.Write, FileShare.Read), log);
            var view = job.View();
            string[] boards = [.. view.Boards.Select(board => board.Board)];
            string[] bySdCard = [.. job.Requests.Where(request => request.UsesSdCard).Select(request => request.Board.Name)];
            var images = job.Requests.Where(request => request.Image is not null)
                .ToDictionary(request => request.Board.Name, request => request.Image!.Sha256);
            var header = new JsonHeader("job", job.Id, job.By, view.Created, boards, images,
                Product.Version)
            { SdCard = bySdCard.Length > 0 ? bySdCard : null };
            journal.Write(header, JsonContract.Shapes.JsonHeader);
            journal._file.Flush(flushToDisk: true);
            return journal;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.JournalUnwritable(folder, fault.Message);
        }
    }

    /// <summary>Writes an event, but no progress. Begins, points of no return and verdicts are on disk when this returns.</summary>
    public void Append(FlashEvent step)
    {
        var isCritical = step.Kind is FlashEventKind.Begin or FlashEventKind.PointOfNoReturn or FlashEventKind.Verdict;
        if (step.Kind != FlashEventKind.Progress)
            Append(JsonStep.Of(step), JsonContract.Shapes.JsonStep, isCritical);
    }

    /// <summary>Klipper's service will be stopped now, or was started again.</summary>
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
            // Breaking off a flash would only make things worse.
            _isBroken = true;
            _log.Say($"The journal can no longer be written: {fault.Message}");
        }
        catch (IOException)
        {
            // Logged once.
        }
    }

    private void Write<T>(T line, JsonTypeInfo<T> type)
    {
        // One write for each line: a power cut leaves at most the last line incomplete.
        _file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(line, type) + "\n"));
    }

    /// <summary>The journals of all jobs, oldest first. Damaged lines are skipped.</summary>
    /// <param name="folder">Of all jobs.</param>
    public static IReadOnlyList<JournalRecord> ReadAll(string folder)
    {
        if (!Directory.Exists(folder))
            return [];
        var files = Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal).Select(path => Path.Combine(path, FileName));
        return [.. files.Select(file => JournalRecord.Read(file, LongestLine)).OfType<JournalRecord>()];
    }

    /// <summary>Deletes the folders of all but the newest 50 jobs.</summary>
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
