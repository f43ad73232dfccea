using System.Collections.Immutable;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// A board that waits in its bootloader. The protocol's own order (blocks in flight, addresses, polling) is inside; what is written where,
/// and in which order, comes from <c>FlashLayout</c>. No method takes a cancel: once a write began it ends.
/// </summary>
/// <remarks>
/// Every method throws <see cref="FlashException"/> when the bootloader refuses and <see cref="DeviceGoneException"/> when it leaves.
/// </remarks>
public abstract class Bootloader : IAsyncDisposable
{
    /// <summary>The bootloader as people call it: <c>STM32 ROM DFU</c>, <c>Katapult v0.0.1-109-g902f335</c>.</summary>
    public abstract string Name { get; }

    public abstract FlashMemory Memory { get; }

    /// <summary>Bytes of one transfer, as the bootloader reported it.</summary>
    public abstract int BlockSize { get; }

    /// <summary>Compares what the bootloader tells of its chip with what the board should have. Nothing is written before.</summary>
    /// <exception cref="FlashException">Another chip, another application start.</exception>
    public abstract void CheckChip(string board, Mcu mcu, uint start);

    /// <summary>Erases one sector. Only for memory that does not erase by itself while it is written.</summary>
    public abstract Task EraseAsync(Sector sector);

    /// <summary>
    /// Writes one run of consecutive bytes. <paramref name="done"/> is called with the bytes written so far, a few times a second at most.
    /// </summary>
    /// <param name="address">Within <see cref="FlashMemory.Sectors"/>, a multiple of <see cref="BlockSize"/> past the application's
    /// start.</param>
    /// <param name="data">A multiple of <see cref="FlashMemory.WriteUnit"/> bytes.</param>
    public abstract Task WriteAsync(uint address, ReadOnlyMemory<byte> data, Func<int, ValueTask> done);

    /// <summary>Everything written is in flash when this returns.</summary>
    public abstract Task FinishAsync();

    /// <summary>Reads back what is in flash.</summary>
    public abstract Task ReadAsync(uint address, Memory<byte> data, Func<int, ValueTask> done);

    /// <summary>Starts the application. A board that vanishes without an answer has left; that it runs is proven elsewhere.</summary>
    public abstract Task LeaveAsync();

    public abstract ValueTask DisposeAsync();
}

/// <summary>What may be written, and how it wants to be written.</summary>
/// <param name="Sectors">Writable internal flash in ascending order, as the device itself told (DfuSe) or as the chip has it
/// (Katapult).</param>
/// <param name="WriteUnit">Bytes programmed together: runs are padded with FF to a multiple.</param>
/// <param name="Order">The order that survives a power cut best here.</param>
/// <param name="ErasesByItself">Writing the first block of a sector erases it (Katapult).</param>
public sealed record FlashMemory(ImmutableArray<Sector> Sectors, int WriteUnit, WriteOrder Order, bool ErasesByItself)
{
    public uint End => Sectors[^1].End;

    /// <summary>
    /// What the invalidating block of <see cref="WriteOrder.InvalidateFirst"/> is made of. FF leaves the sector blank, so its own write
    /// needs no second erase; it will do only where a cell that was programmed with ones may be programmed once more, which flash with
    /// error correction refuses.
    /// </summary>
    public byte InvalidFill { get; init; }

    /// <summary>The block of <see cref="WriteOrder.InvalidateFirst"/> that is no firmware.</summary>
    /// <param name="blockSize">Bytes of one transfer.</param>
    public byte[] InvalidBlock(int blockSize)
    {
        var block = new byte[Math.Max(blockSize, WriteUnit)];
        block.AsSpan().Fill(InvalidFill);
        return block;
    }
}

public enum WriteOrder
{
    /// <summary>Ascending: where no order helps.</summary>
    Ascending,

    /// <summary>
    /// The application's first sector last: until then the chip or its bootloader sees that there is no firmware (AN2606 empty check).
    /// </summary>
    FirstSectorLast,

    /// <summary>
    /// The application's first page last: the ROM of an RP2040 checks its sum, and Katapult stays in charge while it is blank.
    /// </summary>
    FirstPageLast,

    /// <summary>
    /// First the application's first block as one that is no firmware, then all other sectors, then the first: Katapult stays in charge in
    /// between.
    /// </summary>
    InvalidateFirst,
}
