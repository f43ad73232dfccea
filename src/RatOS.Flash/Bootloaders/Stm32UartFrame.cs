using System.Buffers.Binary;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// What the host sends to the UART bootloader of an STM32's ROM, byte by byte (AN3155). Numbers are big-endian. Only what a flash needs can
/// be made here: an erase names one page, so that no code for a mass erase exists, and the commands for protection are missing.
/// </summary>
internal static class Stm32UartFrame
{
    public const byte Synchronise = 0x7F;
    public const byte Acknowledge = 0x79, Refuse = 0x1F, Busy = 0x76;
    public const byte Get = 0x00, GetId = 0x02, Read = 0x11, Go = 0x21, Write = 0x31, Erase = 0x43, ExtendedErase = 0x44;

    /// <summary>Bytes of one read or write at most.</summary>
    public const int BlockSize = 256;

    /// <summary>A command and its complement.</summary>
    public static byte[] Command(byte code) => [code, (byte)~code];

    public static byte[] Address(uint address)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, address);
        return WithSum(bytes);
    }

    /// <param name="count">1..256.</param>
    public static byte[] ReadCount(int count) => Command(CountOf(count));

    /// <param name="data">4..256 bytes, a multiple of 4.</param>
    public static byte[] Data(ReadOnlySpan<byte> data) => data.Length % 4 == 0
        ? WithSum([CountOf(data.Length), .. data])
        : throw new ArgumentOutOfRangeException(nameof(data), data.Length, "a write is a multiple of 4 bytes");

    /// <summary>One page, by its number from the flash's start, for ERASE (a byte) or EXTENDED ERASE (two).</summary>
    public static byte[] Page(byte command, int page) => (command, page) switch
    {
        (ExtendedErase, >= 0 and < 0x1000) => WithSum([0, 0, (byte)(page >> 8), (byte)page]),
        (Erase, >= 0 and < 0xFF) => WithSum([0, (byte)page]),
        _ => throw new ArgumentOutOfRangeException(nameof(page), page, $"no page for command {command:x2}"),
    };

    /// <summary>
    /// Bytes that end any half command with a refusal: 01 03 01 07 01 03 01 0f ... The XOR of all of them up to the n-th is n, so no frame
    /// that is made of them alone has a right sum, whatever its length up to a write's 258 or an erase's odd ones; no two neighbours are a
    /// command and its complement.
    /// </summary>
    /// <param name="from">How many went before.</param>
    /// <param name="count">How many to make.</param>
    public static byte[] Feed(int from, int count) => [.. Enumerable.Range(from + 1, count).Select(n => (byte)(n ^ (n - 1)))];

    private static byte CountOf(int bytes) => bytes is >= 1 and <= BlockSize
        ? (byte)(bytes - 1) : throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "1 to 256 bytes");

    private static byte[] WithSum(byte[] bytes) => [.. bytes, bytes.Aggregate((sum, value) => (byte)(sum ^ value))];
}
