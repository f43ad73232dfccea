using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Where firmware differs from the running one in choices that do not keep it from running: pins that it sets at start, and the clock that
/// it counts on. A built firmware follows the board; a given file may not.
/// </summary>
internal static class BuildDifferences
{
    // Klipper src/initial_pins.c and src/stm32/gpio.c: the constants that show those choices.
    private const string InitialPins = "INITIAL_PINS", Crystal = "RESERVE_PINS_crystal";

    /// <param name="board">With the answers of its running firmware; without them nothing is compared.</param>
    /// <param name="image">The new firmware.</param>
    public static IEnumerable<Finding> Of(BoardProfile board, FirmwareImage image)
    {
        if (board.Evidence?.Constants is not { } now)
            yield break;
        var built = image.Dictionary.Config;
        if ((built.GetValueOrDefault(InitialPins) ?? "") is var pins && (now.GetValueOrDefault(InitialPins) ?? "") is var before
            && pins != before)
            yield return PlanFindings.InitialPinsDiffer(board.Name, pins, before);
        if (built.ContainsKey(Crystal) != now.ContainsKey(Crystal))
            yield return PlanFindings.ClockDiffers(board.Name, built.ContainsKey(Crystal));
    }
}
