using System.Buffers.Binary;
using RatOS.Flash.Core;

namespace RatOS.Flash.Firmware;

/// <summary>
/// The second-stage boot code at the beginning of an RP2040's flash. The ROM starts it if its checksum is right, and else stays in its USB
/// boot mode (RP2040 datasheet 2.8.1.2, 2.8.1.3.1).
/// </summary>
internal static class SecondStage
{
    public const int Length = 0x100;

    private const int ChecksumAt = Length - 4;

    /// <summary>The ROM starts it.</summary>
    /// <param name="flash">The flash's beginning; less than <see cref="Length"/> bytes are no boot code.</param>
    public static bool Starts(ReadOnlySpan<byte> flash) => flash.Length >= Length
        && Crc32.Compute(flash[..ChecksumAt]) == BinaryPrimitives.ReadUInt32LittleEndian(flash[ChecksumAt..]);
}
