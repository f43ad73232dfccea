using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Finds sectors that are write protected by the chip's option bytes, before another sector is written. A ROM may report them or not
/// (AN3155, AN3156): what an erase left as it was is protected.
/// </summary>
internal sealed class WriteProtection(Bootloader bootloader, string board, FlashLayout layout)
{
    private const int MostSamples = 8;   // more of them take longer than all of the memory over USB

    private byte[][] _before = [];

    /// <summary>Reads what the erase must change.</summary>
    public async Task RememberAsync() => _before = await SamplesAsync();

    /// <summary>Erases one sector. The first one is looked at before another one is erased.</summary>
    /// <param name="sector">One of the layout.</param>
    /// <param name="isLastTry">A refusal is no passing trouble any more.</param>
    /// <exception cref="FlashException"><c>write-protected</c>, or the bootloader refused.</exception>
    public async Task EraseAsync(Sector sector, bool isLastTry)
    {
        FlashException? refused = null;
        try
        {
            await bootloader.EraseAsync(sector);
        }
        catch (FlashException refusal) when (isLastTry && refusal.Kind.IsRefusal)
        {
            refused = refusal;
        }
        var index = layout.Sectors.IndexOf(sector);
        if ((index == 0 || refused is not null) && IsUnchanged(await SampleAsync(sector), index))
            throw Fault(board, sector);
        if (refused is not null)
            throw refused;
    }

    /// <summary>Looks at all sectors, when all were erased and none is written.</summary>
    /// <exception cref="FlashException"><c>write-protected</c>.</exception>
    public async Task CheckAsync()
    {
        var after = await SamplesAsync();
        for (var i = 0; i < after.Length; i++)
        {
            if (IsUnchanged(after[i], i))
                throw Fault(board, layout.Sectors[i]);
        }
    }

    /// <summary>The difference between what was written and what was read back; null when there is none.</summary>
    public static FlashException? Compare(FlashLayout layout, ReadOnlySpan<byte> found, string board, int tries)
    {
        var wanted = layout.Data.Span;
        var first = found.CommonPrefixLength(wanted);
        if (first == found.Length)
            return null;
        foreach (var sector in layout.Sectors)
        {
            // A sector that was blank before shows its protection only now: nothing of it was written.
            var (from, to) = ((int)(sector.Address - layout.Start), (int)Math.Min(sector.End - layout.Start, (uint)found.Length));
            if (!IsBlank(wanted[from..to]) && IsBlank(found[from..to]))
                return Fault(board, sector);
        }
        var differing = 0;
        for (var i = first; i < found.Length; i++)
            differing += found[i] == wanted[i] ? 0 : 1;
        return FlashFaults.VerifyFailed(layout.Start + (uint)first, differing, tries);
    }

    /// <summary>The flash chip beside an RP2040 or RP2350 is mapped at 10000000.</summary>
    private static FlashException Fault(string board, Sector sector) =>
        BootloaderFaults.WriteProtected(board, sector.ToString(), isFlashChip: sector.Address >> 24 == 0x10);

    private bool IsUnchanged(ReadOnlySpan<byte> after, int index) => !IsBlank(after) && after.SequenceEqual(_before[index]);

    private async Task<byte[]> SampleAsync(Sector sector)
    {
        var sample = new byte[Math.Min(bootloader.BlockSize, sector.Size)];
        await bootloader.ReadAsync(sector.Address, sample, static _ => ValueTask.CompletedTask);
        return sample;
    }

    private async Task<byte[][]> SamplesAsync()
    {
        var samples = new byte[layout.Sectors.Length][];
        if (samples.Length <= MostSamples || bootloader.BlockSize < 1024)
        {
            for (var i = 0; i < samples.Length; i++)
                samples[i] = await SampleAsync(layout.Sectors[i]);
            return samples;
        }
        var all = new byte[layout.Sectors[^1].End - layout.Start];
        await bootloader.ReadAsync(layout.Start, all, static _ => ValueTask.CompletedTask);
        for (var i = 0; i < samples.Length; i++)
        {
            var from = (int)(layout.Sectors[i].Address - layout.Start);
            samples[i] = all[from..(from + Math.Min(bootloader.BlockSize, layout.Sectors[i].Size))];
        }
        return samples;
    }

    private static bool IsBlank(ReadOnlySpan<byte> bytes) => bytes.IndexOfAnyExcept((byte)0xFF) < 0;
}
