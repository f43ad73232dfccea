using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Boards that need their power cycled, by the power device that the user assigned to them. The device may feed the others too, so it is
/// switched when they are done, and never while one of them is without firmware: that would strand it.
/// </summary>
internal sealed class PowerCycles(TimeProvider time, FlashServices services, FlashLog log)
{
    // Until a power supply's capacitors are empty.
    private static readonly TimeSpan OffTime = TimeSpan.FromSeconds(10);

    private readonly List<(BoardFlash Flash, BoardReport Report)> _pending = [];

    /// <param name="flash">Its <see cref="BoardFlash.PowerToCycle"/> names the device.</param>
    /// <param name="report">What stands if that does not help.</param>
    public void Add(BoardFlash flash, BoardReport report) => _pending.Add((flash, report));

    /// <summary>Switches each device once and resumes its boards.</summary>
    /// <param name="waiting">Flashes that wait for an operator.</param>
    /// <param name="cancel">Keeps what is on from being switched off.</param>
    /// <returns>The boards with what became of them.</returns>
    public async Task<IReadOnlyList<(BoardFlash Flash, BoardReport Report)>> RunAsync(
        IEnumerable<BoardFlash> waiting, CancellationToken cancel)
    {
        var done = new List<(BoardFlash Flash, BoardReport Report)>();
        var reports = log.Reports.Values.Concat(waiting.Select(flash => flash.Last).OfType<BoardReport>()).ToList();
        foreach (var boards in _pending.GroupBy(board => board.Flash.PowerToCycle!).ToList())
        {
            var stranded = reports.Concat(done.Select(board => board.Report))
                .FirstOrDefault(report => report.Condition.MayLackFirmware());
            foreach (var (flash, _) in boards)
                flash.PowerIsCycled();
            var isOn = await CycleAsync(boards.Key, boards.Select(board => board.Flash.Plan.Name), stranded, cancel);
            done.AddRange(await Task.WhenAll(boards.Select(async board =>
            {
                var back = isOn && !cancel.IsCancellationRequested ? await board.Flash.WaitPoweredAsync() : null;
                return back is null ? board : (board.Flash, await board.Flash.ResumeAsync(back, cancel));
            })));
        }
        _pending.Clear();
        return done;
    }

    /// <summary>False when it was not switched.</summary>
    private async Task<bool> CycleAsync(string device, IEnumerable<string> boards, BoardReport? stranded, CancellationToken cancel)
    {
        if (stranded is not null || cancel.IsCancellationRequested)
        {
            var why = stranded is null ? "" : $": {stranded.Board} may have no firmware and might not come back";
            await log.WarnAsync(null, FlashPhase.Enter, $"'{device}' is not switched off{why}.");
            return false;
        }
        try
        {
            await log.NoteAsync(null, FlashPhase.Enter, $"Switching the power '{device}' off and on for {string.Join(", ", boards)}");
            await services.SwitchPowerAsync(device, false);
            try
            {
                await Task.Delay(OffTime, time, CancellationToken.None);
            }
            finally
            {
                await services.SwitchPowerAsync(device, true);
            }
            return true;
        }
        catch (FlashException refused)
        {
            await log.WarnAsync(null, FlashPhase.Enter, refused);
            return false;
        }
    }
}
