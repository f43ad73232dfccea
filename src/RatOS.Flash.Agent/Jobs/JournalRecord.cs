using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Jobs;

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
                            header = Checked(JsonSerializer.Deserialize(line, JsonContract.Shapes.JsonHeader));
                            break;
                        case "klipper" when JsonSerializer.Deserialize(line, JsonContract.Shapes.JsonService) is { State: not null, Service: not null } service:
                            stopped = service.State == "started" ? null : service.Service;
                            break;
                        case "step" or "verdict" when JsonSerializer.Deserialize(line, JsonContract.Shapes.JsonStep) is { Phase: not null, Kind: not null, Message: not null } step:
                            steps.Add(step);
                            break;
                        case "result":
                            result = JsonSerializer.Deserialize(line, JsonContract.Shapes.JsonResult) is { Boards: not null } ended ? ended : result;
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
                Fault = FaultReport.Of(FlashFaults.Interrupted(phase)),
                Sha256 = Header.Images.GetValueOrDefault(board),
            };
        })],
        Stopped is null ? null : FaultReport.Of(PrinterFaults.KlipperNotStarted("RatOS.Flash itself was ended before")),
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
            [.. result.Boards.Select(ViewOf)], result.Klippy);
    }

    private static JsonJobBoard ViewOf(JsonReport board)
    {
        var message = board.LeftOut is { } reason ? $"skipped: {reason}" : $"runs {board.NewVersion}";
        var report = board.Fault is null ? null : board.ToReport();
        return new(
            board.Board, "done", null, report is null ? message : Text.Verdict(report, FrontEnd.CommandLine), board.Ok, board.Condition, board.Fault,
            board.OldVersion, board.NewVersion)
        {
            Browser = report is null ? null : Text.Verdict(report, FrontEnd.Browser),
        };
    }

    /// <summary>Writes how it ended, so that it is dealt with once.</summary>
    public void End(JsonResult result, LogFile log)
    {
        try
        {
            // Behind a torn line a line of its own begins.
            File.AppendAllText(Path, "\n" + JsonSerializer.Serialize(result, JsonContract.Shapes.JsonResult) + "\n");
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
            File.AppendAllText(Path, "\n" + JsonSerializer.Serialize(new JsonService("klipper", Stopped!, "started"), JsonContract.Shapes.JsonService) + "\n");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"The journal {Path} cannot be written: {fault.Message}");
        }
    }

    private static JsonHeader? Checked(JsonHeader? header) => header is { Job: not null, By: not null, Created: not null, Boards: not null, Images: not null } ? header : null;
}
