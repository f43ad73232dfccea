using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <content>A printer's power by a switch that somebody named.</content>
public sealed partial class Flasher
{
    // Until a power supply's capacitors are empty.
    private static readonly TimeSpan OffTime = TimeSpan.FromSeconds(10);

    private readonly List<(BoardPlan Plan, BoardFlash Flash, BoardReport Report)> _dark = [];

    /// <summary>Switches a power device by its name (<see cref="PrinterBoard.Power"/>) on or off, and returns when that is done; null where nobody can.</summary>
    public Func<string, bool, Task>? SwitchPower { get; init; }

    /// <summary>
    /// Boards that nothing else brought further lose their power for a moment, and are flashed then: when all others are done, for the same switch may be theirs.
    /// While one of those has no firmware nothing is switched, for that would strand it.
    /// </summary>
    private async Task CyclePowerAsync(FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        while (_dark.Count > 0)
        {
            var name = _dark[0].Flash.PowerToCycle!;
            var boards = _dark.FindAll(board => board.Flash.PowerToCycle == name);
            _dark.RemoveAll(boards.Contains);
            var stranded = reports.Values.Concat(_awaited.Select(board => board.Flash?.Last).OfType<BoardReport>()).FirstOrDefault(report => report.Condition == BoardCondition.InBootloaderWithoutFirmware);
            boards.ForEach(board => board.Flash.PowerIsCycled());
            try
            {
                if (stranded is not null || cancel.IsCancellationRequested)
                {
                    await log.WarnAsync(null, FlashPhase.Enter, $"'{name}' is not switched off{(stranded is null ? "" : $": {stranded.Board} has no firmware and might not come back")}.");
                }
                else
                {
                    await log.NoteAsync(null, FlashPhase.Enter, $"Switching the power '{name}' off and on for {string.Join(", ", boards.Select(board => board.Plan.Name))}");
                    await SwitchPower!(name, false);
                    try
                    {
                        await Task.Delay(OffTime, time, CancellationToken.None);
                    }
                    finally
                    {
                        await SwitchPower(name, true);
                    }
                }
            }
            catch (FlashException refused)
            {
                await log.WarnAsync(null, FlashPhase.Enter, $"{refused.Message} See that '{name}' is on.");
                stranded ??= boards[0].Report;
            }
            await Task.WhenAll(boards.Select(async board =>
            {
                var back = stranded is null && !cancel.IsCancellationRequested ? await board.Flash.WaitPoweredAsync() : null;
                await ReportAsync(board.Plan, board.Flash, back is null ? board.Report : await board.Flash.GoOnAsync(back, cancel), log, reports);
            }));
        }
    }
}
