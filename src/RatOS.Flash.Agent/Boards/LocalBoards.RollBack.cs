using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Boards;

/// <content>The old firmware goes back where the new one does not do.</content>
internal sealed partial class LocalBoards
{
    public RollbackPolicy Rollback { get; init; }

    /// <summary>Tells of each board whose new firmware does not do, and, by policy, puts the old one back.</summary>
    /// <returns>The report with both verdicts.</returns>
    private async Task<FlashReport> PutBackAsync(
        FlashReport report, IReadOnlyList<RollBack> failed, IReadOnlyList<FlashRequest> requests, IKlippy by, FlashEvent last, Func<FlashEvent, ValueTask> tell, CancellationToken cancel)
    {
        var ways = failed.Where(board => board.Image is not null).Select(board => requests.First(request => request.Board.Name == board.Board) with { Image = board.Image, Job = FlashJob.Write }).ToList();
        // Where a person would have to start the bootloader, nothing goes back by itself, nor by a button.
        var open = ways.Count == 0 ? [] : FlashPlan.Create(ways, printer.Hardware.Look(), new(KlippyActivity.Stopped)).Boards.Where(board => !board.IsBlocked && board.Entry != FlashEntry.ByHand)
            .Select(board => board.Request).ToList();
        // Whoever gave the flash up is there, and may have it with a button.
        var (isAuto, boards) = (Rollback == RollbackPolicy.Auto && !cancel.IsCancellationRequested, report.Boards.ToDictionary(board => board.Board));
        foreach (var board in failed)
        {
            var told = boards[board.Board] with
            {
                Fault = board.Fault,
                Back = board.Image is null ? null : new(board.Image.Version, Rollback != RollbackPolicy.Never && !isAuto && open.Exists(request => request.Board.Name == board.Board), null),
            };
            boards[board.Board] = told;
            await GoOnAsync(Told(new(0, report.Elapsed, board.Board, FlashPhase.Done, FlashEventKind.Verdict, ""), told));
        }
        var notStarted = report.Klippy;
        if (isAuto && open.Count > 0)
        {
            var before = mcus.Look();
            var flasher = new Flasher(printer.Hardware, by, printer.Time, new AgentServices(this), async step =>
            {
                if (step.Report is { } back)
                {
                    var both = boards[back.Board] = RollBack.Both(boards[back.Board], back);
                    step = Told(step, both);
                }
                await GoOnAsync(step with { At = report.Elapsed + step.At });
            });
            foreach (var way in open)
                await GoOnAsync(new(0, report.Elapsed, way.Board.Name, FlashPhase.Plan, FlashEventKind.Warning, $"Putting {way.Image!.Version} back, which it ran before"));
            var outcome = await flasher.FlashAsync(open, cancel);
            mcus.Flashed(outcome, before);
            foreach (var board in outcome.Boards.Where(board => board.Ok))
                Good!.Keep(board.Board, open.First(request => request.Board.Name == board.Board).Image!, "confirmed", null);
            (notStarted, report) = (outcome.Klippy, report with { Elapsed = report.Elapsed + outcome.Elapsed });
        }
        return report with { Boards = [.. report.Boards.Select(board => boards[board.Board])], Klippy = notStarted };

        static FlashEvent Told(FlashEvent step, BoardReport verdict) => step with
        {
            Message = Text.Verdict(verdict, FrontEnd.CommandLine),
            Browser = Text.Verdict(verdict, FrontEnd.Browser),
            Report = verdict,
        };

        // One record: numbers and time go on where the flash ended.
        ValueTask GoOnAsync(FlashEvent step) => tell(last = step with { Sequence = last.Sequence + 1 });
    }
}
