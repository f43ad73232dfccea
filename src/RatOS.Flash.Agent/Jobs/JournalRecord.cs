using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Jobs;

/// <summary>A journal that was read.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Header">The request.</param>
/// <param name="Steps">The steps; the last one may not have been taken.</param>
/// <param name="Stopped">Klipper's service, if the job stopped it and did not start it again; null otherwise.</param>
/// <param name="Result">The result; null for a job that was interrupted.</param>
internal sealed record JournalRecord(string Path, JsonHeader Header, IReadOnlyList<JsonStep> Steps, string? Stopped, JsonResult? Result)
{
    /// <summary>Reads a journal; null for a file that is none.</summary>
    /// <param name="path">Of the file.</param>
    /// <param name="longestLine">Longer lines are skipped, in characters.</param>
    public static JournalRecord? Read(string path, int longestLine)
    {
        JsonHeader? header = null;
        JsonResult? result = null;
        string? stopped = null;
        var steps = new List<JsonStep>();
        try
        {
            using var file = new StreamReader(TextFile.Open(path));
            while (file.ReadLine() is { } line)
            {
                if (line.Length > longestLine)
                    continue;
                try
                {
                    Take(line);
                }
                catch (JsonException)
                {
                    // An incomplete line: its step was not taken.
                }
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        return header is null ? null : new JournalRecord(path, header, steps, stopped, result) { _klipper = StopsOf(steps) };

        void Take(string line)
        {
            var text = ForeignJson.Mend(Encoding.UTF8.GetBytes(line));
            using var parsed = ForeignJson.Parse(text);
            switch (parsed.RootElement.Word("event"))
            {
                case "job":
                    header = Checked(JsonSerializer.Deserialize(text.Span, JsonContract.Shapes.JsonHeader));
                    break;
                case "klipper":
                    if (JsonSerializer.Deserialize(text.Span, JsonContract.Shapes.JsonService) is
                        {
                            State: not null,
                            Service: not null
                        } service)
                        stopped = service.State == "started" ? null : service.Service;
                    break;
                case "step" or "verdict":
                    var step = JsonSerializer.Deserialize(text.Span, JsonContract.Shapes.JsonStep);
                    if (step is { IsWhole: true })
                        steps.Add(step);
                    break;
                case "result":
                    if (JsonSerializer.Deserialize(text.Span, JsonContract.Shapes.JsonResult) is { IsWhole: true } ended)
                        result = ended;
                    break;
            }
        }
    }

    /// <summary>The report of a job that was interrupted, by the last line about each board.</summary>
    public FlashReport Interrupted() => new(
        [.. Header.Boards.Select(Interrupted)],
        Stopped is null ? null : FaultReport.Of(PrinterFaults.KlipperNotStarted("RatOS.Flash itself was ended before")),
        TimeSpan.FromSeconds(Steps is [.., var last] ? last.At : 0));

    private BoardReport Interrupted(string board)
    {
        var steps = Steps.Where(step => step.Board == board).ToList();
        // After its verdict only a rollback can follow. A damaged one may name another board.
        if (steps is [.., { Report: { } verdict }])
            return verdict.ToReport() with { Board = board };
        var phase = steps is [.., var latest] ? latest.Phase : "look";
        // The operator may have moved the card into the board since.
        var isOnCard = Header.SdCard?.Contains(board) == true && steps.Any(step => step is { Phase: "person", Kind: "begin" });
        return new BoardReport
        {
            Board = board,
            Condition = isOnCard ? BoardCondition.Unconfirmed : ConditionAfter(steps),
            IsBySdCard = isOnCard,
            Fault = FaultReport.Of(FlashFaults.Interrupted(phase)),
            Sha256 = Header.Images.GetValueOrDefault(board),
        }.After(steps.Any(step => step.Kind == JsonContract.Name(FlashEventKind.PointOfNoReturn)));
    }

    /// <summary>The condition of a board after its steps, of which the last may not have been taken.</summary>
    /// <param name="steps">Of this board.</param>
    /// <param name="condition">Its condition before them.</param>
    internal static BoardCondition ConditionAfter(IEnumerable<JsonStep> steps, BoardCondition condition = BoardCondition.Unknown)
    {
        foreach (var step in steps)
        {
            condition = (step.Phase, step.Kind) switch
            {
                ("ask", "end") => BoardCondition.Unchanged,
                ("enter", "end")
                    or ("identify", "begin") when condition == BoardCondition.Unchanged => BoardCondition.InBootloaderUnchanged,
                ("erase" or "write", "progress") or ("erase", "end") => BoardCondition.InBootloaderWithoutFirmware,
                ("erase" or "write", "begin") when condition != BoardCondition.InBootloaderWithoutFirmware => BoardCondition.Unknown,
                ("verify", "end") => BoardCondition.Unconfirmed,
                _ => condition,
            };
        }
        return condition;
    }

    /// <summary>What the job tells of a board: its condition at the end, and its place when its write began.</summary>
    public EndOfBoard EndOf(string board)
    {
        if (!Header.Boards.Contains(board))
            return default;
        var report = Result?.Boards.FirstOrDefault(end => end.Board == board)?.ToReport() ?? Interrupted(board);
        var place = Steps.LastOrDefault(step => step.Board == board && step.Place is not null)?.Place?.ToPlace();
        return new(report.Condition, place, Header.Port);
    }

    /// <summary>The job as the history shows it.</summary>
    public JsonJob View()
    {
        var result = Result ?? JsonResult.Of(Interrupted());
        var isOk = result.Klippy is null ? result.Ok : KlippyNow(result) is null && result.Boards.All(board => board.Ok);
        return new(Header.Job, "done", isOk, Header.By, Header.Created, Math.Round(result.Elapsed, 1),
            [.. result.Boards.Select(ViewOf)], KlippyNow(result))
        {
            Kind = JobKind.Known(Header.Kind),
            Changed = result.Changed,
            Down = _klipper?.Total(TimeSpan.FromSeconds(result.Elapsed)) is { } down ? Math.Round(down.TotalSeconds, 1) : null,
        };
    }

    // Kept apart from the steps, which are not kept in memory for long.
    private KlipperStops? _klipper;

    private static KlipperStops StopsOf(IEnumerable<JsonStep> steps)
    {
        var klipper = new KlipperStops();
        foreach (var step in steps.Select(step => step.ToEvent()))
            klipper.Apply(step.Board, step.Phase, step.Kind, step.At);
        return klipper;
    }

    /// <summary>A Klipper that was started since, by a later process, is no fault any more.</summary>
    private JsonFaultReport? KlippyNow(JsonResult result) =>
        Stopped is null && result.Klippy is { } fault && FaultKind.Of(fault.Code) == FaultKind.KlipperNotStarted ? null : result.Klippy;

    /// <summary>The same while another process works on it: where each board is by its last step.</summary>
    public JsonJob RunningView() => new(
        Header.Job, JsonContract.Name(JobState.Running), null, Header.By, Header.Created,
        Steps is [.., var last] ? Math.Round(last.At, 1) : 0,
        [.. Header.Boards.Select(board =>
        {
            var step = Steps.LastOrDefault(step => step.Board == board);
            return new JsonJobBoard(board, step?.Phase ?? "queued", null, step?.Message ?? "", null, null, null, null, null);
        })],
        null)
    {
        Kind = JobKind.Known(Header.Kind),
    };

    private static JsonJobBoard ViewOf(JsonReport board)
    {
        var message = board.LeftOut is { } reason ? $"skipped: {reason}" : $"runs {board.NewVersion}";
        var report = board.Fault is null ? null : board.ToReport();
        return new(
            board.Board, "done", null, report is null ? message : Text.Verdict(report, FrontEnd.CommandLine), board.Ok, board.Condition,
            board.Fault,
            board.OldVersion, board.NewVersion)
        {
            Browser = report is null ? null : Text.Verdict(report, FrontEnd.Browser),
            Report = board,
            Now = Text.Condition(report ?? board.ToReport()),
        };
    }

    /// <summary>Adds the result, so that the job is reported once.</summary>
    public void End(JsonResult result, LogFile log)
    {
        try
        {
            // On its own line, also after an incomplete one.
            File.AppendAllText(Path, "\n" + JsonSerializer.Serialize(result, JsonContract.Shapes.JsonResult) + "\n");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"The journal {Path} cannot be ended: {fault.Message}");
        }
    }

    /// <summary>Adds that Klipper's service was started.</summary>
    public void Started(LogFile log)
    {
        try
        {
            File.AppendAllText(
                Path, "\n" + JsonSerializer.Serialize(new JsonService("klipper", Stopped!, "started"),
                JsonContract.Shapes.JsonService) + "\n");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"The journal {Path} cannot be written: {fault.Message}");
        }
    }

    private static JsonHeader? Checked(JsonHeader? header) =>
        header is { Job: not null, By: not null, Created: not null, Boards: not null, Images: not null }
            && !header.Boards.Contains(null) && !header.Images.ContainsValue(null!) && header.SdCard?.Contains(null) != true
            ? header : null;
}

/// <summary>A board at the end of a job.</summary>
/// <param name="Condition">Its condition; null where the job did not have the board.</param>
/// <param name="Place">Its place when its write began; null where nothing was written.</param>
/// <param name="NamedPort">The port as the user named it.</param>
internal readonly record struct EndOfBoard(BoardCondition? Condition, BoardPlace? Place, string? NamedPort);
