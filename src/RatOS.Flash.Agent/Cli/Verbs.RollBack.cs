using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <content>A flash at a terminal whose new firmware does not do.</content>
internal sealed partial class Verbs
{
    /// <summary><c>flash</c>, <c>recover</c> and <c>rollback</c>. Somebody who is there may say that the old firmware goes back; the flash itself has failed all the same.</summary>
    public async Task<int> FlashAsync(Asked asked, bool noKlipper)
    {
        FlashReport? report = null;
        var code = await FlashAsync(asked, noKlipper, ended => report = ended);
        var boards = report?.Boards.Where(board => board.Back is { Asks: true }).Select(board => board.Board).ToList() ?? [];
        if (boards.Count > 0 && output.Confirm($"Put the firmware before back into {string.Join(", ", boards)}?"))
            await FlashAsync(new Asked([.. boards]) { Rollback = true, Hot = asked.Hot, Port = asked.Port, Uuid = asked.Uuid, Bootloader = asked.Bootloader }, noKlipper, static _ => { });
        return code;
    }
}
