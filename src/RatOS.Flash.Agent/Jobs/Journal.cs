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
    private const int MostDeleted = 200;   // after one job
    private const int LongestLine = 1024 * 1024;
    public const string FileName = "journal.ndjson";

    private readonly FileStream _file;
    private readonly HashSet<(string? Board, FlashPhase Phase)> _changed = [];
    private long _headerEnd;

    private Journal(FileStream file) => _file = file;

    /// <summary>The job's own folder.</summary>
    public string Folder => Path.GetDirectoryName(_file.Name)!;

    /// <summary>Why lines are missing; null while it is complete.</summary>
    public FlashException? Loss { get; private set; }

    /// <summary>Starts the journal of a job.</summary>
    /// <param name="folder">Of all jobs.</param>
    /// <param name="job">The job.</param>
    /// <exception cref="FlashException"><c>journal-unwritable</c>: the job must not touch anything.</exception>
    public static Journal Create(string folder, Job job)
    {
        try
        {
            Directory.CreateDirectory(folder);
            var path = Path.Combine(
                folder, SequenceName.Next(Directory.EnumerateDirectories(folder).Select(Path.GetFileName), job.Created, job.Id));
            Directory.CreateDirectory(path);
            // Without a buffer nothing is left to be written when it is closed.
            var journal = new Journal(
                new FileStream(Path.Combine(path, FileName), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0));
            var view = job.View();
            string[] boards = [.. view.Boards.Select(board => board.Board)];
            string[] bySdCard = [.. job.Requests.Where(request => request.UsesSdCard).Select(request => request.Board.Name)];
            var images = job.Requests.Where(request => request.Image is not null)
                .ToDictionary(request => request.Board.Name, request => request.Image!.Sha256);
            var header = new JsonHeader("job", job.Id, job.By, view.Created, boards, images,
                Product.Version)
            { SdCard = bySdCard.Length > 0 ? bySdCard : null, Kind = view.Kind, Port = job.Options.Port };
            journal.Write(header, JsonContract.Shapes.JsonHeader);
            journal._file.Flush(flushToDisk: true);
            journal._headerEnd = journal._file.Position;
            return journal;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.JournalUnwritable(folder, fault.Message);
        }
    }

    /// <summary>
    /// Writes an event. Begins, points of no return and verdicts are on disk when this returns; so is the first progress of an erase or a
    /// write, which shows that flash was changed. Further progress is not written.
    /// </summary>
    public void Append(FlashEvent step)
    {
        var isChange = step is { Kind: FlashEventKind.Progress, Phase: FlashPhase.Erase or FlashPhase.Write, Done: > 0 }
            && _changed.Add((step.Board, step.Phase));
        var isCritical = isChange || step.Kind is FlashEventKind.Begin or FlashEventKind.PointOfNoReturn or FlashEventKind.Verdict;
        if (isChange || step.Kind != FlashEventKind.Progress)
            Append(JsonStep.Of(step), JsonContract.Shapes.JsonStep, isCritical);
    }

    /// <summary>Klipper's service will be stopped now, or was started again.</summary>
    public void Append(JsonService service) => Append(service, JsonContract.Shapes.JsonService, isCritical: true);

    public void Append(FlashReport report)
    {
        var result = JsonResult.Of(report);
        // The line that Klipper was stopped must stay while it does not run: the next agent starts it.
        if (Append(result, JsonContract.Shapes.JsonResult, isCritical: true) || report.Klippy is not null)
            return;
        // On a full disk the steps make room: without a result the next agent would report an interrupted flash.
        _file.SetLength(_headerEnd);
        Append(result, JsonContract.Shapes.JsonResult, isCritical: true);
    }

    public void Dispose() => _file.Dispose();

    private bool Append<T>(T line, JsonTypeInfo<T> type, bool isCritical)
    {
        try
        {
            Write(line, type);
            _file.Flush(isCritical);
            return true;
        }
        catch (IOException fault)
        {
            // Breaking off a flash would only make things worse.
            Loss ??= AgentFaults.JournalIncomplete(Folder, fault.Message);
            return false;
        }
    }

    private void Write<T>(T line, JsonTypeInfo<T> type)
    {
        // One write for each line: a power cut leaves at most the last line incomplete. A full disk may have cut one anywhere.
        var end = Loss is null ? "" : "\n";
        _file.Write(Encoding.UTF8.GetBytes(end + JsonSerializer.Serialize(line, type) + "\n"));
    }

    /// <summary>The journals of the newest jobs, oldest first. Damaged lines are skipped.</summary>
    /// <param name="folder">Of all jobs.</param>
    /// <param name="ended">Keeps the records that no longer change, without their steps; null to read all of them.</param>
    public static IReadOnlyList<JournalRecord> ReadAll(string folder, Dictionary<string, JournalRecord>? ended = null)
    {
        var records = ReadNewest(folder, ended).Reverse().ToList();
        ended?.Clear();
        foreach (var record in records.Where(record => record is { Result: not null, Stopped: null }))
            ended?.Add(record.Path, record with { Steps = [] });
        return records;
    }

    /// <summary>The same, newest first. A journal is read when it is its turn.</summary>
    private static IEnumerable<JournalRecord> ReadNewest(string folder, Dictionary<string, JournalRecord>? ended = null)
    {
        if (!Directory.Exists(folder))
            return [];
        // Older ones are deleted after each job. There are more of them only where that failed.
        return Directory.EnumerateDirectories(folder).OrderDescending(StringComparer.Ordinal).Take(Kept + 1)
            .Select(path => Path.Combine(path, FileName))
            .Select(file => ended?.GetValueOrDefault(file) ?? JournalRecord.Read(file, LongestLine)).OfType<JournalRecord>();
    }

    /// <summary>The last flash that wrote a board, where the board does not run since; null otherwise.</summary>
    /// <param name="folder">Of all jobs.</param>
    /// <param name="board">The board's name.</param>
    public static EarlierFlash? Earlier(string folder, string board)
    {
        BoardCondition? condition = null;
        foreach (var end in ReadNewest(folder).Select(record => record.EndOf(board)).Where(end => end.Condition is not null))
        {
            // A flash that was refused observed nothing: the one before it tells.
            if (end.Condition != BoardCondition.Unknown || end.Place is not null)
                condition ??= end.Condition;
            if (condition is not null and not BoardCondition.Unconfirmed && !condition.Value.MayLackFirmware())
                return null;
            if (end.Place is { } place)
                return new(condition!.Value, place, end.NamedPort);
        }
        return null;
    }

    /// <summary>Deletes the folders of all but the newest 50 jobs.</summary>
    public static void Prune(string folder, LogFile log)
    {
        if (!Directory.Exists(folder))
            return;
        try
        {
            foreach (var old in Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal).SkipLast(Kept)
                .Take(MostDeleted))
            {
                Directory.Delete(old, recursive: true);
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Old jobs in {folder} cannot be deleted: {fault.Message}");
        }
    }
}
