using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Boards;

/// <summary>After a flash: reports firmware that does not run, and, if the policy says so, writes the firmware from before.</summary>
/// <param name="printer">The printer.</param>
/// <param name="mcus">Its MCUs.</param>
/// <param name="boards">Its boards.</param>
/// <param name="tell">Awaited for each event.</param>
/// <param name="last">The last event of the flash: numbers and times continue from it.</param>
internal sealed class AutomaticRollback(
    PrinterAccess printer, KnownMcus mcus, LocalBoards boards, Func<FlashEvent, ValueTask> tell, FlashEvent last)
{
    private FlashEvent _last = last;

    /// <param name="report">Of the flash.</param>
    /// <param name="failed">Its boards whose new firmware does not run, 1 or more.</param>
    /// <param name="work">The flash.</param>
    /// <param name="cancel">A flash that was cancelled is rolled back on request alone.</param>
    /// <returns>The report with both verdicts.</returns>
    public async Task<FlashReport> RunAsync(
        FlashReport report, IReadOnlyList<FailedFirmware> failed, FlashWork work, CancellationToken cancel)
    {
        var open = Possible(failed, work);
        var isAutomatic = boards.Rollback == RollbackPolicy.Auto && !cancel.IsCancellationRequested;
        var asks = boards.Rollback != RollbackPolicy.Never && !isAutomatic;
        var verdicts = report.Boards.ToDictionary(board => board.Board);
        foreach (var board in failed)
        {
            var canAsk = asks && open.Exists(request => request.Board.Name == board.Board);
            var back = board.Image is null ? null : new RollbackOffer(board.Image.Version, canAsk, null);
            var verdict = verdicts[board.Board] with { Fault = board.Fault, Rollback = back };
            verdicts[board.Board] = verdict;
            await ContinueAsync(WithVerdict(new(0, report.Elapsed, board.Board, FlashPhase.Done, FlashEventKind.Verdict, ""), verdict));
        }
        if (isAutomatic && open.Count > 0)
            report = await WriteAsync(report, verdicts, open, work.Klippy, cancel);
        return report with { Boards = [.. report.Boards.Select(board => verdicts[board.Board])] };
    }

    /// <summary>Requests for the firmware from before. A board whose bootloader an operator has to start gets none.</summary>
    private List<FlashRequest> Possible(IReadOnlyList<FailedFirmware> failed, FlashWork work)
    {
        var requests = new List<FlashRequest>();
        foreach (var board in failed.Where(board => board.Image is not null))
            requests.Add(
                work.Requests.First(request => request.Board.Name == board.Board) with { Image = board.Image, Job = FlashJob.Write });
        if (requests.Count == 0)
            return [];
        var plan = FlashPlan.Create(requests, printer.Hardware.Look(), new(KlippyActivity.Stopped));
        return [.. plan.Boards.Where(board => !board.IsBlocked && board.Entry != FlashEntry.Manual).Select(board => board.Request)];
    }

    private async Task<FlashReport> WriteAsync(
        FlashReport report, Dictionary<string, BoardReport> verdicts, List<FlashRequest> open, IKlippy klippy, CancellationToken cancel)
    {
        var before = mcus.Look();
        var flasher = new Flasher(printer.Hardware, klippy, printer.Time, new AgentServices(boards, null), async step =>
        {
            if (step.Report is { } back)
            {
                var both = verdicts[back.Board] = FailedFirmware.Both(verdicts[back.Board], back);
                step = WithVerdict(step, both);
            }
            await ContinueAsync(step with { At = report.Elapsed + step.At });
        });
        foreach (var request in open)
        {
            var text = $"Rolling back to {request.Image!.Version}, which it ran before";
            await ContinueAsync(new(0, report.Elapsed, request.Board.Name, FlashPhase.Plan, FlashEventKind.Warning, text));
        }
        var outcome = await flasher.FlashAsync(open, cancel);
        mcus.Flashed(outcome, before);
        foreach (var board in outcome.Boards.Where(board => board.Ok))
            boards.Firmware.Good!.Keep(board.Board, open.First(request => request.Board.Name == board.Board).Image!, "confirmed", null);
        return report with { Elapsed = report.Elapsed + outcome.Elapsed, Klippy = outcome.Klippy };
    }

    private static FlashEvent WithVerdict(FlashEvent step, BoardReport verdict) => step with
    {
        Message = Text.Verdict(verdict, FrontEnd.CommandLine),
        Browser = Text.Verdict(verdict, FrontEnd.Browser),
        Report = verdict,
    };

    private ValueTask ContinueAsync(FlashEvent step) => tell(_last = step with { Sequence = _last.Sequence + 1 });
}
