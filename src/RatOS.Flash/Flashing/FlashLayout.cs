using System.Collections.Immutable;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Which sectors to erase and which bytes to write where, in the order that survives a power cut best. Pure: nothing is touched.
/// </summary>
public sealed record FlashLayout
{
    private FlashLayout(uint start, ReadOnlyMemory<byte> data, ImmutableArray<Sector> sectors, ImmutableArray<Run> runs, bool erases)
        => (Start, Data, Sectors, Runs, Erases) = (start, data, sectors, runs, erases);

    /// <summary>Where <see cref="Data"/> begins.</summary>
    public uint Start { get; }

    /// <summary>
    /// The image, padded with FF: what flash must hold from <see cref="Start"/> on, and what is compared after the write.
    /// </summary>
    public ReadOnlyMemory<byte> Data { get; }

    /// <summary>Every sector that the image touches, in ascending order.</summary>
    public ImmutableArray<Sector> Sectors { get; }

    /// <summary>
    /// What is written, in this order. Together the runs cover <see cref="Data"/>; an invalidating block comes before them.
    /// </summary>
    public ImmutableArray<Run> Runs { get; }

    /// <summary>The sectors must be erased by command before the write, the application's first one before all others.</summary>
    public bool Erases { get; }

    /// <summary>Bytes that go over the bus while writing.</summary>
    public int BytesToWrite => Runs.Sum(run => run.Data.Length);

    /// <summary>Consecutive bytes at one address.</summary>
    public readonly record struct Run(uint Address, ReadOnlyMemory<byte> Data)
    {
        public uint End => Address + (uint)Data.Length;
    }

    /// <param name="image">The firmware's bytes, 1 or more.</param>
    /// <param name="start">Where those bytes go: the application's start, or <see cref="Mcu.ImageStart"/>.</param>
    /// <param name="memory">What the bootloader offers.</param>
    /// <param name="blockSize">Bytes of one transfer, a multiple of <see cref="FlashMemory.WriteUnit"/> or the other way round.</param>
    /// <exception cref="FlashException">The image does not lie within the writable sectors.</exception>
    public static FlashLayout Create(ReadOnlyMemory<byte> image, uint start, FlashMemory memory, int blockSize)
    {
        var end = start + (ulong)image.Length;
        var touched = memory.Sectors.Where(sector => sector.Overlaps(start, (uint)Math.Min(end, uint.MaxValue))).ToImmutableArray();
        if (end > memory.End || touched.Length == 0 || touched[0].Address > start || !Contiguous(touched))
            throw FirmwareFaults.FirmwareTooBig(image.Length, start, memory.End);
        if (touched[0].Address != start)
            throw FirmwareFaults.StartInsideSector(start, touched[0].Address, touched[0].Size);

        var data = Pad(image, memory.ErasesByItself ? blockSize : memory.WriteUnit);
        var firstEnd = (int)Math.Min(touched[0].Size, data.Length);
        var first = new Run(start, data[..firstEnd]);
        var rest = new Run(touched[0].End, data[firstEnd..]);
        ImmutableArray<Run> runs = memory.Order switch
        {
            WriteOrder.FirstPageLast when data.Length > memory.WriteUnit =>
                [new Run(start + (uint)memory.WriteUnit, data[memory.WriteUnit..]), new Run(start, data[..memory.WriteUnit])],
            _ when rest.Data.Length == 0 && memory.Order != WriteOrder.InvalidateFirst => [first],
            WriteOrder.Ascending or WriteOrder.FirstPageLast => [new Run(start, data)],
            WriteOrder.FirstSectorLast => [rest, first],
            // With a single sector the invalidating block would cost an erase and save nothing: its last blocks are the window either way.
            WriteOrder.InvalidateFirst when rest.Data.Length == 0 => [first],
            WriteOrder.InvalidateFirst => [new Run(start, memory.InvalidBlock(blockSize)), rest, first],
            _ => throw new ArgumentOutOfRangeException(nameof(memory), memory.Order, null),
        };
        return new FlashLayout(start, data, touched, runs, erases: !memory.ErasesByItself);
    }

    private static bool Contiguous(ImmutableArray<Sector> sectors)
    {
        for (var i = 1; i < sectors.Length; i++)
        {
            if (sectors[i].Address != sectors[i - 1].End)
                return false;
        }
        return true;
    }

    private static ReadOnlyMemory<byte> Pad(ReadOnlyMemory<byte> image, int unit)
    {
        var rest = image.Length % unit;
        if (rest == 0)
            return image;
        var padded = new byte[image.Length + unit - rest];
        image.CopyTo(padded);
        padded.AsSpan(image.Length).Fill(0xFF);
        return padded;
    }
}
