using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Benchmarks;

/// <summary>What the model itself takes, without any tool's overhead.</summary>
internal static class Floors
{
    private const int Block = 64;
    private const int Frame = 8;
    private const int Word = 4;

    /// <summary>Typical erase of the touched sectors, programming, and the image's bytes out and back at full speed.</summary>
    public static TimeSpan Dfu(VirtualChip chip, uint start, int size) =>
        Erase(chip, start, size) + Program(chip, size) + (VirtualPrinter.ControlByte * size * 2);

    /// <summary>
    /// Erases and programming of the safe order (on an F4 the invalidating block needs no erase of its own), and the frames' bytes on the
    /// bus.
    /// </summary>
    public static TimeSpan KatapultUsb(VirtualChip chip, uint start, int size)
    {
        var (write, read) = Frames(size);
        return SafeOrder(chip, start, size) + (VirtualPrinter.BulkByte * (write + read));
    }

    /// <summary>The same on a wire, each frame sent when the last one was answered: what flashtool.py does.</summary>
    public static TimeSpan KatapultUartOneByOne(VirtualChip chip, uint start, int size)
    {
        var (write, read) = Frames(size);
        return SafeOrder(chip, start, size) + TimeSpan.FromMicroseconds((write + read) * 40.0);
    }

    /// <summary>Erases and programming of the flash chip: what the ROM does beside them is counted against us.</summary>
    public static TimeSpan Picoboot(VirtualChip chip, uint start, int size) => Erase(chip, start, size) + Program(chip, size);

    private static (int Write, int Read) Frames(int size)
    {
        var blocks = ((size + Block - 1) / Block) + 1;   // and the invalidating one
        return (blocks * (Frame + Word + Block + Frame + (2 * Word)), (blocks - 1) * (Frame + Word + Frame + (2 * Word) + Block));
    }

    private static TimeSpan SafeOrder(VirtualChip chip, uint start, int size) =>
        Erase(chip, start, size) + Program(chip, ((size + Block - 1) / Block * Block) + Block);

    private static TimeSpan Erase(VirtualChip chip, uint start, int size)
    {
        var (address, time) = (chip.FlashBase, TimeSpan.Zero);
        foreach (var sector in chip.Sectors)
        {
            if (address < start + size && start < address + sector.Size)
                time += sector.EraseTime;
            address += (uint)sector.Size;
        }
        return time;
    }

    private static TimeSpan Program(VirtualChip chip, int size) => (size + chip.ProgramUnit - 1) / chip.ProgramUnit * chip.ProgramTime;
}
