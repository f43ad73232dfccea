using System.Buffers.Binary;
using RatOS.Flash.Chips;

namespace RatOS.Flash.Firmware;

/// <summary>
/// The address that a Cortex-M firmware was linked for, and its length, from its vector table and first instructions.
/// </summary>
/// <remarks>
/// Klipper's reset handler (src/generic/armcm_boot.c, unchanged in this respect since 2019) loads the stack pointer and the second stage's
/// address from two words right behind its few instructions; the second stage copies the data section with the words "end, begin, copy in
/// flash" behind its code. From a build with other code nothing is concluded.
/// </remarks>
internal readonly struct StartupCode(ReadOnlyMemory<byte> bytes)
{
    /// <summary>Vector table words that are looked at: stack pointer, reset, handlers 2..7.</summary>
    public const int VectorWords = 8;

    private const uint MaxFlash = 16 << 20;
    private const ushort DisableInterrupts = 0xB672;   // cpsid i, the reset handler's first instruction

    /// <summary>Word 0.</summary>
    public uint InitialStack => Word(0);

    /// <summary>Word 1, with the Thumb bit.</summary>
    public uint ResetVector => Word(4);

    /// <summary>Bytes from the vector table to the end of the file.</summary>
    public int Length => bytes.Length;

    public uint Vector(int number) => Word(number * 4);

    public static bool IsRam(uint address) => address >> 24 == 0x20;

    /// <summary>The address is within the image when that begins at <paramref name="start"/>.</summary>
    public bool Contains(uint address, uint start) => address >= start && address < start + (ulong)Length;

    /// <summary>The code that the reset vector points to is at its place: the image was linked for this start.</summary>
    public bool FitsExactly(uint start) => StackLiteral(start) >= 0;

    /// <summary>
    /// The application start of this chip for which the image was linked: shown by its code, or else the only one at which its vectors
    /// point into it.
    /// </summary>
    public (uint Start, bool IsSure)? LinkedFor(Mcu mcu)
    {
        uint? possible = null;
        var candidates = 0;
        foreach (var offset in mcu.Offsets)
        {
            var start = mcu.FlashBase + offset;
            if (FitsExactly(start))
                return (start, true);
            if (Contains(ResetVector, start))
                (possible, candidates) = (start, candidates + 1);
        }
        return candidates == 1 ? (possible!.Value, false) : null;
    }

    /// <summary>The length that the linker gave the image; null when its code does not show it.</summary>
    private long? LinkedLength(uint start)
    {
        const int reach = 0x800;
        var literal = StackLiteral(start);
        if (literal < 0 || literal + 8 > Length)
            return null;
        var secondStage = Word(literal + 4);
        if (secondStage % 2 == 0 || !Contains(secondStage, start))
            return null;
        var code = (int)(secondStage - start) & ~3;
        for (var at = code; at < code + reach && at + 12 <= Length; at += 4)
        {
            var (end, begin, copy) = (Word(at), Word(at + 4), Word(at + 8));
            if (IsRam(begin) && begin < end && end <= InitialStack && copy > start + (uint)at && copy - start < MaxFlash
                && (begin | end | copy) % 4 == 0)
                return copy - start + (long)(end - begin);
        }
        return null;
    }

    /// <summary>
    /// Why the end of a firmware is certainly missing; null otherwise. For files whose dictionary, which names the chip, is missing.
    /// </summary>
    public string? CutShort()
    {
        if (Length < VectorWords * 4)
            return null;
        bool isKnown = false, isInside = false;
        foreach (var mcu in Mcu.All)
        {
            if (!mcu.IsRamEnd(InitialStack) || ResetVector % 2 == 0 || ResetVector - mcu.FlashBase >= mcu.FlashSize)
                continue;
            isKnown = true;
            foreach (var offset in mcu.Offsets)
            {
                var start = mcu.FlashBase + offset;
                if (FitsExactly(start))
                    return CutShort(start);
                isInside |= Contains(ResetVector, start);
            }
        }
        return isKnown && !isInside ? $"its reset vector {ResetVector:x8} points beyond its {Length} bytes" : null;
    }

    /// <summary>The image is shorter than the linker made it for this start; null when it is whole or its code does not show it.</summary>
    public string? CutShort(uint start) => LinkedLength(start) is { } length && length > Length
        ? $"its start-up code wants {length} bytes, but only {Length} are there"
        : null;

    /// <summary>
    /// What is strange about the start-up code of a build for this start, which is the same in every build for ARM; null where it is as it
    /// should be. A file that was encoded for a maker's bootloader, patched or compressed may keep its vectors and its dictionary.
    /// </summary>
    public string? Strange(uint start)
    {
        var handler = (int)(ResetVector - 1 - start);
        if (BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span[handler..]) != DisableInterrupts)
            return $"there is no reset handler at {ResetVector - 1:x8}";
        var literal = StackLiteral(start);
        if (literal < 0 || literal + 8 > Length)
            return $"the reset handler at {ResetVector - 1:x8} does not load the stack pointer {InitialStack:x8}";
        var secondStage = Word(literal + 4);
        if (secondStage % 2 == 0 || !Contains(secondStage, start))
            return $"the reset handler leads to {secondStage:x8}, which is no code of this firmware";
        // A UF2 ends with a whole page; some tools pad a file.
        return LinkedLength(start) is { } linked && linked < Length && bytes.Span[(int)linked..].ContainsAnyExcept((byte)0, (byte)0xFF)
            ? $"{Length - linked} bytes follow the end that its start-up code gives" : null;
    }

    /// <summary>Its reset handler is the one of every build of Klipper for ARM, linked for this start.</summary>
    public bool IsKlippers(uint start) => StackLiteral(start) >= 0
        && BinaryPrimitives.ReadUInt16LittleEndian(bytes.Span[(int)(ResetVector - 1 - start)..]) == DisableInterrupts;

    /// <summary>Where the stack pointer stands behind the reset handler's instructions; -1 when it does not.</summary>
    private int StackLiteral(uint start)
    {
        const int reach = 32;
        if (!Contains(ResetVector, start))
            return -1;
        var code = (int)(ResetVector - start) & ~3;
        for (var at = Math.Max(code, 4); at < code + reach && at + 4 <= Length; at += 4)
        {
            if (Word(at) == InitialStack)
                return at;
        }
        return -1;
    }

    private uint Word(int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.Span[at..]);
}
