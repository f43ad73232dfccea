using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent;

/// <summary>
/// What one job did, written ahead: each step stands on disk before it is taken, so that whoever comes after a power cut knows what to do. One file of JSON
/// lines a job: what was asked for, the steps, Klipper's service, the result.
/// </summary>
internal sealed class Journal : IDisposable
{
    private const int Kept = 50;
    private const int LongestLine = 1024 * 1024;
    private const string FileName = "journal.ndjson";

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
                    SdCard = job.Requests.Where(request => request.TakesCard).Select(request => request.Board.Name).ToArray() is { Length: > 0 } carried ? carried : null,
                },
                Wire.Shapes.JsonHeader);
            journal._file.Flush(flushToDisk: true);
            return journal;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Faults.JournalUnwritable(folder, fault.Message);
        }
    }

    /// <summary>Snapshots are not kept. What begins, or cannot be taken back, is on disk when this returns.</summary>
    public void Append(FlashEvent step)
    {
        if (step.Kind != FlashEventKind.Progress)
            Append(JsonStep.Of(step), Wire.Shapes.JsonStep, step.Kind is FlashEventKind.Begin or FlashEventKind.PointOfNoReturn or FlashEventKind.Verdict);
    }

    /// <summary>Klipper's service is about to be stopped by us, or runs again.</summary>
    public void Append(JsonService service) => Append(service, Wire.Shapes.JsonService, isCritical: true);

    public void Append(FlashReport report) => Append(JsonResult.Of(report), Wire.Shapes.JsonResult, isCritical: true);

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

/// <summary>A journal as it was found.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Header">What was asked for.</param>
/// <param name="Steps">What was done, or about to be done.</param>
/// <param name="Stopped">Klipper's service that we stopped and that was not seen running again; null when there is none.</param>
/// <param name="Result">How it ended; null when it did not.</param>
internal sealed record JournalRecord(string Path, JsonHeader Header, IReadOnlyList<JsonStep> Steps, string? Stopped, JsonResult? Result)
{
    /// <summary>Null for a file that is no journal.</summary>
    public static JournalRecord? Read(string path, int longestLine)
    {
        JsonHeader? header = null;
        JsonResult? result = null;
        string? stopped = null;
        var steps = new List<JsonStep>();
        try
        {
            foreach (var line in File.ReadLines(path))
            {
                if (line.Length > longestLine)
                    continue;
                try
                {
                    using var parsed = JsonDocument.Parse(line);
                    switch (parsed.RootElement.Word("event"))
                    {
                        case "job":
                            header = Checked(JsonSerializer.Deserialize(line, Wire.Shapes.JsonHeader));
                            break;
                        case "klipper" when JsonSerializer.Deserialize(line, Wire.Shapes.JsonService) is { State: not null, Service: not null } service:
                            stopped = service.State == "started" ? null : service.Service;
                            break;
                        case "step" or "verdict" when JsonSerializer.Deserialize(line, Wire.Shapes.JsonStep) is { Phase: not null, Kind: not null, Message: not null } step:
                            steps.Add(step);
                            break;
                        case "result":
                            result = JsonSerializer.Deserialize(line, Wire.Shapes.JsonResult) is { Boards: not null } ended ? ended : result;
                            break;
                    }
                }
                catch (JsonException)
                {
                    // A torn line: its step was not taken, or is told by the lines behind it.
                }
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        return header is null ? null : new JournalRecord(path, header, steps, stopped, result);
    }

    /// <summary>What became of a job that never ended: told from the last thing that stands written for each board.</summary>
    public FlashReport Interrupted() => new(
        [.. Header.Boards.Select(board =>
        {
            var steps = Steps.Where(step => step.Board == board).ToList();
            // Behind its verdict nothing follows, but for the old firmware on its way back.
            if (steps is [.., { Report: { } told }])
                return told.ToReport();
            var phase = steps is [.., var latest] ? latest.Phase : "look";
            // Whoever was given a card may have put it into the board since.
            var isCarried = Header.SdCard?.Contains(board) == true && steps.Any(step => step is { Phase: "person", Kind: "begin" });
            return new BoardReport
            {
                Board = board,
                Condition = isCarried ? BoardCondition.Unconfirmed : ConditionAfter(steps),
                IsBySdCard = isCarried,
                Fault = FaultReport.Of(Faults.Interrupted(phase)),
                Sha256 = Header.Images.GetValueOrDefault(board),
            };
        })],
        Stopped is null ? null : FaultReport.Of(Faults.KlipperNotStarted("RatOS.Flash itself was ended before")),
        TimeSpan.FromSeconds(Steps is [.., var last] ? last.At : 0));

    /// <summary>What a board is after these steps of its own, of which the last may not have been taken.</summary>
    internal static BoardCondition ConditionAfter(IEnumerable<JsonStep> steps)
    {
        var condition = BoardCondition.Unchanged;
        foreach (var step in steps)
        {
            condition = (step.Phase, step.Kind) switch
            {
                ("enter", "end") or ("identify", "begin") when condition == BoardCondition.Unchanged => BoardCondition.InBootloaderUnchanged,
                (_, "point-of-no-return") or ("erase" or "write", "begin") => BoardCondition.InBootloaderWithoutFirmware,
                ("verify", "end") => BoardCondition.Unconfirmed,
                _ => condition,
            };
        }
        return condition;
    }

    /// <summary>As history shows it.</summary>
    public JsonJob View()
    {
        var result = Result ?? JsonResult.Of(Interrupted());
        return new(Header.Job, "done", result.Ok, Header.By, Header.Created, Math.Round(result.Elapsed, 1),
            [.. result.Boards.Select(board => new JsonJobBoard(
                board.Board, "done", null, (board.Fault is null ? null : Text.Verdict(board.ToReport())) ?? (board.LeftOut is { } reason ? $"left out: {reason}" : $"runs {board.NewVersion}"), board.Ok, board.Condition, board.Fault, board.OldVersion, board.NewVersion))],
            result.Klippy);
    }

    /// <summary>Writes how it ended, so that it is dealt with once.</summary>
    public void End(JsonResult result, LogFile log)
    {
        try
        {
            // Behind a torn line a line of its own begins.
            File.AppendAllText(Path, "\n" + JsonSerializer.Serialize(result, Wire.Shapes.JsonResult) + "\n");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"The journal {Path} cannot be ended: {fault.Message}");
        }
    }

    /// <summary>Klipper's service runs again.</summary>
    public void Started(LogFile log)
    {
        try
        {
            File.AppendAllText(Path, "\n" + JsonSerializer.Serialize(new JsonService("klipper", Stopped!, "started"), Wire.Shapes.JsonService) + "\n");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"The journal {Path} cannot be written: {fault.Message}");
        }
    }

    private static JsonHeader? Checked(JsonHeader? header) => header is { Job: not null, By: not null, Created: not null, Boards: not null, Images: not null } ? header : null;
}
