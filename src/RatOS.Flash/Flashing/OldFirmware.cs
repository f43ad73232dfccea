using System.Buffers.Binary;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Flashing;

/// <summary>What is in a board's flash before it is overwritten.</summary>
internal static class OldFirmware
{
    private const int Piece = 8 * 1024;
    private const int Largest = 512 * 1024;
    private const int VectorsLength = 8;   // initial stack pointer and reset vector

    // Klipper for a printer's board has 20 to 60 KiB; what is behind it does not matter. Read in growing pieces, because a wire is slow.
    private static readonly int[] Pieces = [64 * 1024, 128 * 1024, 256 * 1024];

    private static readonly byte[] Hole = [.. Enumerable.Repeat((byte)0xFF, 256)];

    /// <summary>
    /// Reads until flash is empty for a whole piece. Null for what is not Klipper (nothing could prove that it runs), or cannot be read:
    /// neither is a reason not to flash.
    /// </summary>
    /// <param name="bootloader">Open.</param>
    /// <param name="start">Of the image: <see cref="Mcu.ImageStart"/>.</param>
    /// <param name="log">Of the board.</param>
    public static async Task<FirmwareImage?> ReadAsync(Bootloader bootloader, uint start, BoardLog log)
    {
        var size = (int)Math.Min(bootloader.Memory.End - start, Largest);
        await log.BeginAsync(FlashPhase.Identify, "Reading out the old firmware");
        try
        {
            var (all, length) = (new byte[size], 0);
            while (length < size)
            {
                var piece = all.AsMemory(length, Math.Min(Piece, size - length));
                await bootloader.ReadAsync(start + (uint)length, piece, static _ => ValueTask.CompletedTask);
                if (piece.Span.IndexOfAnyExcept((byte)0xff) < 0)
                    break;
                length += piece.Length;
            }
            length = all.AsSpan(0, length).LastIndexOfAnyExcept((byte)0xff) + 1;
            var old = FirmwareImage.Parse(all.AsMemory(0, (length + 3) & ~3), "the board's old firmware");
            await log.EndAsync(FlashPhase.Identify, $"Its old firmware is kept: {old.Version}, {old.Bytes.Length} bytes");
            return old;
        }
        catch (FlashException why)
        {
            await log.NoteAsync(FlashPhase.Identify, $"Its old firmware is not kept: {why.Cause}");
            return null;
        }
    }

    /// <summary>
    /// A ROM writes everywhere, and starts what is at the beginning of flash. Firmware for there must not overwrite a bootloader, and
    /// firmware for elsewhere needs one.
    /// </summary>
    /// <param name="bootloader">Open, and nothing was written yet.</param>
    /// <param name="board">The board's name.</param>
    /// <param name="mcu">Its chip.</param>
    /// <param name="start">Of the application that will be written.</param>
    /// <exception cref="FlashException"><c>wrong-start</c>, or flash cannot be read.</exception>
    public static async Task CheckStartAsync(Bootloader bootloader, string board, Mcu mcu, uint start)
    {
        // Katapult knows its own application's start, and an RP2040 has its vectors elsewhere: their drivers compare by themselves.
        if (bootloader.Memory.ErasesByItself || mcu.Family == ChipFamily.Rp || bootloader.Memory.Sectors[0].Address != mcu.FlashBase)
            return;
        var (stack, reset) = await VectorsAsync(bootloader, mcu.FlashBase);
        if (start != mcu.FlashBase)
        {
            if (stack == uint.MaxValue && reset == uint.MaxValue)
                throw BootloaderFaults.NoBootloaderBelow(board, start, mcu.FlashBase);
            return;
        }
        foreach (var behind in mcu.Offsets.Where(offset => offset > 0).Select(offset => start + offset))
        {
            if (IsProgram(reset, start, behind) && await VectorsAsync(bootloader, behind) is var (its, entry)
                && mcu.IsRamEnd(its) && IsProgram(entry, behind, bootloader.Memory.End)
                // What an earlier bootloader started may still be there, behind Klipper.
                && (await FindAsync(bootloader, mcu, start, null, CancellationToken.None)).Whole is null)
                throw BoardFaults.BootloaderInTheWay(board, start, behind);
        }
    }

    private static bool IsProgram(uint reset, uint from, uint to) => reset % 2 == 1 && reset > from && reset < to;

    private static async Task<(uint Stack, uint Reset)> VectorsAsync(Bootloader bootloader, uint at)
    {
        var block = new byte[bootloader.BlockSize];
        await bootloader.ReadAsync(at, block, static _ => ValueTask.CompletedTask);
        return (BinaryPrimitives.ReadUInt32LittleEndian(block), BinaryPrimitives.ReadUInt32LittleEndian(block.AsSpan(4)));
    }

    /// <summary>Looks for firmware in flash that is whole and fits the board.</summary>
    public static async Task<FoundFirmware> FindAsync(
        Bootloader bootloader, Mcu mcu, uint start, FirmwareImage? image, CancellationToken cancel)
    {
        var begin = mcu.ImageStart(start);
        foreach (var piece in Pieces)
        {
            cancel.ThrowIfCancellationRequested();
            var bytes = new byte[Math.Min(piece, (int)(bootloader.Memory.End - begin))];
            await bootloader.ReadAsync(begin, bytes, static _ => ValueTask.CompletedTask);
            if (bytes.AsSpan(0, VectorsLength).IndexOfAnyExcept(bytes[0] == 0 ? (byte)0 : (byte)0xff) < 0)
                return new(null, IsBroken: true);   // no chip starts this
            try
            {
                var found = FirmwareImage.Parse(bytes, "the firmware in flash");
                // A write that ended early leaves a hole before the sectors that it did not reach.
                var dictionary = bytes.AsSpan().IndexOf(found.CompressedDictionary.Span);
                if (bytes.AsSpan(0, dictionary).IndexOf(Hole) >= 0)
                    return new(null, IsBroken: true);
                if (found.CheckCompatibility(mcu, start, mcu.FlashEnd) is not null)
                    break;
                // Firmware with the dictionary of the image is compared to its last byte.
                var isImage = image is not null && found.CompressedDictionary.Span.SequenceEqual(image.CompressedDictionary.Span);
                return !isImage || bytes.AsSpan().StartsWith(image!.Bytes.Span) ? new(found, IsBroken: false) : new(null, IsBroken: true);
            }
            catch (FlashException)
            {
                if (bytes.Length < piece)
                    break;   // that was all of the flash
            }
        }
        return default;
    }
}

/// <summary>The content of a board's flash, as it was read.</summary>
/// <param name="Whole">Klipper's firmware for this board; null for anything else.</param>
/// <param name="IsBroken">It cannot run: its beginning is blank, or a part of it is missing. False also where that cannot be told.</param>
internal readonly record struct FoundFirmware(FirmwareImage? Whole, bool IsBroken);
