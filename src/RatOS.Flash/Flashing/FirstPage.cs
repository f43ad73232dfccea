using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>
/// The beginning of the application, which decides at the next reset what starts: Katapult stays where it is no firmware (Katapult
/// src/bootentry.c), and chips with an empty check start their ROM (AN2606).
/// </summary>
internal static class FirstPage
{
    /// <summary>
    /// Blanks it under firmware that could not be written, so that a power cycle starts the bootloader and not that firmware. A failure
    /// leaves the board as it is.
    /// </summary>
    public static async Task BlankAsync(Bootloader bootloader, FlashLayout layout, BoardLog log)
    {
        try
        {
            if (layout.Erases)
            {
                await bootloader.EraseAsync(layout.Sectors[0]);
            }
            else
            {
                var block = bootloader.Memory.InvalidBlock(bootloader.BlockSize);
                await bootloader.WriteAsync(layout.Start, block, static _ => ValueTask.CompletedTask);
                await bootloader.FinishAsync();
            }
            log.Keep("Its first page was left blank, so that the next reset does not start firmware that is not whole.");
        }
        catch (Exception fault) when (fault is FlashException or DeviceGoneException)
        {
            log.Keep($"Its first page could not be blanked: {(fault as FlashException)?.Cause ?? fault.Message}");
        }
    }
}
