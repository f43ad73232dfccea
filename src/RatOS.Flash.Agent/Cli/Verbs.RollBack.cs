using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <content>A flash at a terminal whose new firmware does not do.</content>
internal sealed partial class Verbs
{
    /// <summary><c>flash</c>, <c>recover</c> and <c>rollback</c>. Somebody who is there may say that the old firmware goes back; the flash itself has failed all the same.</summary>
    public async Task<int> FlashAsync(FlashOptions options, bool noKlipper)
    {
        FlashReport? report = null;
        var code = await FlashAsync(options, noKlipper, ended => report = ended);
        var boards = report?.Boards.Where(board => board.Back is { Asks: true }).Select(board => board.Board).ToList() ?? [];
        if (boards.Count > 0 && output.Confirm($"Put the firmware before back into {string.Join(", ", boards)}?"))
            await FlashAsync(options with { Boards = [.. boards], Job = FlashJob.Write, RollsBack = true, Firmware = null, AcceptsWarnings = false, IncludesUpToDate = false }, noKlipper, static _ => { });
        return code;
    }
}
