using System.Buffers.Binary;
using RatOS.Flash.Core;

namespace RatOS.Flash.Firmware;

/// <summary>
/// ELF (System V ABI, chapter 4): for a chip, the flash contents of its loadable segments; for the host, only that it is a process.
/// </summary>
internal static class Elf
{
    private const int HeaderSize = 52;
    private const int SegmentSize = 32;

    /// <summary>More than any chip's flash: segments farther apart are not an image.</summary>
    private const uint MaxSpan = 16 << 20;

    private const byte Class32 = 1;
    private const byte Class64 = 2;
    private const byte LittleEndian = 1;
    private const ushort MachineArm = 40;
    private const ushort MachineAvr = 83;
    private const uint Load = 1;
    private const uint Dynamic = 2;
    private const uint Interpreter = 3;

    public static bool Looks(ReadOnlySpan<byte> file) => file.StartsWith("\u007fELF"u8);

    /// <summary>Flash contents and their address; null when the file is a program for a computer.</summary>
    /// <exception cref="FlashException">Cut short, or for another kind of machine.</exception>
    public static (uint Address, byte[] Bytes)? Open(ReadOnlySpan<byte> file, string name)
    {
        if (file.Length < HeaderSize)
            throw FirmwareFaults.FirmwareCutShort(name, "the ELF header is not complete");
        if (file[4] == Class64)
            return null;
        var machine = Half(file, 18);
        if (file[4] != Class32 || file[5] != LittleEndian || machine is not (MachineArm or MachineAvr))
            throw FirmwareFaults.FirmwareContainer(name,
                $"this ELF is for machine type {machine}, neither for an ARM or AVR chip nor for this computer");

        var table = Word(file, 28);
        var entrySize = Half(file, 42);
        var count = Half(file, 44);
        if (entrySize < SegmentSize || table + (ulong)(entrySize * count) > (ulong)file.Length)
            throw FirmwareFaults.FirmwareCutShort(name, "the ELF's segment table is not complete");

        ulong low = uint.MaxValue, high = 0;
        for (var i = 0; i < count; i++)
        {
            var segment = Segment.Read(file[((int)table + i * entrySize)..]);
            if (segment.Type is Dynamic or Interpreter)
                return null;
            if (!segment.IsInFlash)
                continue;
            if (segment.Offset + (ulong)segment.Size > (ulong)file.Length)
                throw FirmwareFaults.FirmwareCutShort(name, $"the ELF's segment for {segment.Address:x8} ends beyond the file");
            low = Math.Min(low, segment.Address);
            high = Math.Max(high, segment.Address + (ulong)segment.Size);
        }
        if (high == 0 || high - low > MaxSpan)
            throw FirmwareFaults.FirmwareContainer(name,
                high == 0 ? "this ELF puts nothing into flash" : "this ELF's segments lie too far apart for a chip's flash");

        // Gaps (alignment, two bytes or so) become 00, as in the klipper.bin of the same build: same bytes, same hash.
        var bytes = new byte[high - low];
        // Segments that overlap would be copied over each other again and again. Those of a program never do.
        var budget = new WorkBudget(bytes.Length);
        for (var i = 0; i < count; i++)
        {
            var segment = Segment.Read(file[((int)table + i * entrySize)..]);
            if (segment.IsInFlash && !budget.TrySpend(segment.Size))
                throw FirmwareFaults.FirmwareContainer(name, "this ELF's segments overlap");
            if (segment.IsInFlash)
                file.Slice((int)segment.Offset, (int)segment.Size).CopyTo(bytes.AsSpan((int)(segment.Address - low)));
        }
        return ((uint)low, bytes);
    }

    private static ushort Half(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    /// <param name="Address">Physical: where the bytes stand in flash, not where they are copied to at start.</param>
    private readonly record struct Segment(uint Type, uint Offset, uint Address, uint Size)
    {
        public bool IsInFlash => Type == Load && Size > 0;

        public static Segment Read(ReadOnlySpan<byte> entry) => new(Word(entry, 0), Word(entry, 4), Word(entry, 12), Word(entry, 16));
    }
}
