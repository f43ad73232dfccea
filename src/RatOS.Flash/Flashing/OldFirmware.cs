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
    private const int LongestBootloader = 64 * 1024;

    // Klipper for a printer's board has 20 to 60 KiB; what is behind it does not matter. Read in growing pieces, because a wire is slow.
    private static readonly int[] Pieces = [64 * 1024, 128 * 1024, 256 * 1024];

    private static readonly byte[] Blank = [0xFF, 0xFF, 0xFF, 0xFF];
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
        // A wire has no checksum for what is read: only what is read twice is a reason to refuse.
        if (await FaultOfStartAsync(bootloader, board, mcu, start) is not null
            && await FaultOfStartAsync(bootloader, board, mcu, start) is { } fault)
            throw fault;
    }

    private static async Task<FlashException?> FaultOfStartAsync(Bootloader bootloader, string board, Mcu mcu, uint start)
    {
        var begin = await ProgramAsync(bootloader, mcu);
        if (start != mcu.FlashBase)
        {
            // Klipper there starts itself, wherever other firmware is written.
            return begin is null ? BootloaderFaults.NoBootloaderBelow(board, start, mcu.FlashBase)
                : begin is (var own, true) && (own >= start || await IsKlipperUpToAsync(bootloader, mcu, start))
                ? BoardFaults.KlipperInTheWay(board, start, mcu.FlashBase) : null;
        }
        if (begin is not (var reset, false))
            return null;
        uint? blank = null;
        foreach (var behind in mcu.Offsets.Select(offset => start + offset).Where(behind => reset < behind).Order())
        {
            var (stack, entry) = await VectorsAsync(bootloader, behind);
            if (mcu.IsRamEnd(stack) && IsCode(entry, behind, bootloader.Memory.End))
                return BoardFaults.BootloaderInTheWay(board, start, behind);
            // A flash that ended early leaves the bootloader alone. Other firmware than Klipper is longer.
            if (behind - start <= LongestBootloader && stack == uint.MaxValue && entry == uint.MaxValue)
                blank ??= behind;
        }
        return blank is { } missing ? BoardFaults.BootloaderInTheWay(board, start, missing) : null;
    }

    /// <summary>
    /// The reset vector of what the chip starts, and whether it is Klipper's own start-up code, be it whole or cut off. Katapult has the
    /// same code, and a signature before it (Klipper src/generic/canboot.c). Null where nothing can start.
    /// </summary>
    private static async Task<(uint Reset, bool IsKlipper)?> ProgramAsync(Bootloader bootloader, Mcu mcu)
    {
        const int before = 16, length = 64;   // the signature, the handler and the words behind it
        const int signature = 9;
        var (stack, reset) = await VectorsAsync(bootloader, mcu.FlashBase);
        if (stack is 0 or uint.MaxValue || !IsCode(reset, mcu.FlashBase + before, bootloader.Memory.End - length))
            return null;
        var at = (reset & ~3u) - before;
        var bytes = new byte[at - mcu.FlashBase + length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, stack);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(sizeof(uint)), reset);
        var code = bytes.AsMemory(^length..);
        await bootloader.ReadAsync(at, code, static _ => ValueTask.CompletedTask);
        if (code.Span[(int)(reset - 1 - at)..].StartsWith(Blank))
            return null;   // the vectors of firmware whose rest is missing
        var isKatapult = code.Span[(int)(reset - signature - at)..].StartsWith("CanBoot!"u8);
        return (reset, !isKatapult && new StartupCode(bytes).IsKlippers(mcu.FlashBase));
    }

    /// <summary>
    /// A Klipper at the beginning of flash that is whole, or that goes on up to <paramref name="start"/> at least. A bootloader of the same
    /// code is shorter: a CanBoot from before its signature.
    /// </summary>
    private static async Task<bool> IsKlipperUpToAsync(Bootloader bootloader, Mcu mcu, uint start)
    {
        var bytes = new byte[start - mcu.FlashBase];
        await bootloader.ReadAsync(mcu.FlashBase, bytes, static _ => ValueTask.CompletedTask);
        return bytes.AsSpan().IndexOf(Hole) < 0
            || (await FindAsync(bootloader, mcu, mcu.FlashBase, null, CancellationToken.None)).Whole is not null;
    }

    private static bool IsCode(uint reset, uint from, uint to) => reset % 2 == 1 && reset > from && reset < to;

    private static async Task<(uint Stack, uint Reset)> VectorsAsync(Bootloader bootloader, uint at)
    {
        var block = new byte[bootloader.BlockSize];
        await bootloader.ReadAsync(at, block, static _ => ValueTask.CompletedTask);
        return (BinaryPrimitives.ReadUInt32LittleEndian(block), BinaryPrimitives.ReadUInt32LittleEndian(block.AsSpan(sizeof(uint))));
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
