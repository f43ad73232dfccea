using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Flashing;

/// <content>The old firmware, for a way back.</content>
internal sealed partial class BoardFlash
{
    private const int Piece = 8 * 1024;
    private const int LargestFirmware = 512 * 1024;

    /// <summary>Where the firmware goes that is in the board before; null when it is not wanted. Called once at most.</summary>
    public Action<FirmwareImage>? KeepOld { get; set; }

    /// <summary>
    /// Reads until flash is empty for a whole piece. What is no Klipper is of no use: nobody could prove that it runs. That it cannot be read is no reason not to flash.
    /// </summary>
    private async Task ReadOutAsync(Bootloader bootloader)
    {
        if (KeepOld is not { } keep)
            return;
        KeepOld = null;
        var size = (int)Math.Min(bootloader.Memory.End - _start, LargestFirmware);
        await _log.BeginAsync(_name, FlashPhase.Identify, "Reading out the old firmware");
        try
        {
            var (all, length) = (new byte[size], 0);
            while (length < size)
            {
                var piece = all.AsMemory(length, Math.Min(Piece, size - length));
                await bootloader.ReadAsync(_start + (uint)length, piece, static _ => ValueTask.CompletedTask);
                if (piece.Span.IndexOfAnyExcept((byte)0xff) < 0)
                    break;
                length += piece.Length;
            }
            length = all.AsSpan(0, length).LastIndexOfAnyExcept((byte)0xff) + 1;
            var old = FirmwareImage.Parse(all.AsMemory(0, (length + 3) & ~3), "what is in the board");
            await _log.EndAsync(_name, FlashPhase.Identify, $"Its old firmware is kept: {old.Version}, {old.Bytes.Length} bytes");
            keep(old);
        }
        catch (FlashException why)
        {
            await _log.NoteAsync(_name, FlashPhase.Identify, $"Its old firmware is not kept: {why.Cause}");
        }
    }
}
