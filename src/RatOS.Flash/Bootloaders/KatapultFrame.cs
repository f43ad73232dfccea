using System.Buffers.Binary;
using System.Text;
using RatOS.Flash.Core;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// One frame of Katapult's protocol 1.0 and 1.1: <c>01 88 | command | words | payload | CRC-16/MCRF4XX LE | 99 03</c>
/// (Katapult protocol.md; bytes pinned by the recordings).
/// </summary>
/// <param name="Code">Command on the way out; ack, nack, error or busy on the way in.</param>
/// <param name="Payload">A multiple of 4 bytes, 0..1020.</param>
internal readonly record struct KatapultFrame(byte Code, ReadOnlyMemory<byte> Payload)
{
    public const byte Connect = 0x11;
    public const byte SendBlock = 0x12;
    public const byte EndOfFile = 0x13;
    public const byte RequestBlock = 0x14;
    public const byte Complete = 0x15;

    /// <summary>Builds for CAN answer with their uuid.</summary>
    public const byte GetCanUuid = 0x16;

    /// <summary>
    /// Not a command: Katapult answers it with an error (Katapult src/command.c). The answer releases a first packet that the USB
    /// hardware held back.
    /// </summary>
    public const byte Prime = 0x90;

    public const byte Acknowledge = 0xA0;
    public const byte NotUnderstood = 0xF1;
    public const byte CommandError = 0xF2;
    public const byte Busy = 0xF3;

    private const int Overhead = 8;

    /// <summary>Address and the largest block, 512 bytes, in words.</summary>
    private const int MaxWords = 129;

    /// <summary>First payload word of an acknowledgement: the command it answers; 0 when there is none.</summary>
    public uint Answers => Word(0);

    /// <summary>A payload word, little-endian; 0 past the end.</summary>
    public uint Word(int index) =>
        Payload.Length >= (index + 1) * 4 ? BinaryPrimitives.ReadUInt32LittleEndian(Payload.Span[(index * 4)..]) : 0;

    public byte[] Encode()
    {
        var bytes = new byte[Payload.Length + Overhead];
        bytes[0] = 0x01;
        bytes[1] = 0x88;
        bytes[2] = Code;
        bytes[3] = (byte)(Payload.Length / 4);
        Payload.Span.CopyTo(bytes.AsSpan(4));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(Payload.Length + 4), Crc16.Compute(bytes.AsSpan(2, Payload.Length + 2)));
        bytes[^2] = 0x99;
        bytes[^1] = 0x03;
        return bytes;
    }

    /// <summary>Address word, then the data.</summary>
    public static byte[] EncodeBlock(byte command, uint address, ReadOnlySpan<byte> data)
    {
        var payload = new byte[4 + data.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(payload, address);
        data.CopyTo(payload.AsSpan(4));
        return new KatapultFrame(command, payload).Encode();
    }

    /// <summary>
    /// Takes the first whole frame. <paramref name="used"/> bytes at the front are done with, taken or not: garbage and damaged frames are
    /// skipped
    /// from one possible header to the next, so that noise costs one answer and never the line.
    /// </summary>
    public static bool TryTake(ReadOnlySpan<byte> bytes, out KatapultFrame frame, out int used)
    {
        used = 0;
        frame = default;
        while (true)
        {
            var header = bytes[used..].IndexOf((byte)0x01);
            used = header < 0 ? bytes.Length : used + header;
            var rest = bytes[used..];
            if (rest.Length < 2)
                return false;
            // A length that no frame has is damage; it must not make the line wait for bytes that never come.
            if (rest[1] == 0x88 && (rest.Length < 4 || rest[3] <= MaxWords))
            {
                if (rest.Length < 4 || rest.Length < (rest[3] * 4) + Overhead)
                    return false;
                var length = rest[3] * 4;
                if (rest[length + 6] == 0x99 && rest[length + 7] == 0x03
                    && BinaryPrimitives.ReadUInt16LittleEndian(rest[(length + 4)..]) == Crc16.Compute(rest.Slice(2, length + 2)))
                {
                    frame = new KatapultFrame(rest[2], rest.Slice(4, length).ToArray());
                    used += length + Overhead;
                    return true;
                }
            }
            used++;
        }
    }
}

/// <summary>What Katapult says of itself when it is connected to.</summary>
/// <param name="Protocol">Major, minor, patch.</param>
/// <param name="Start">Where it starts the application.</param>
/// <param name="BlockSize">Bytes of one block: 64, 128, 256 or 512.</param>
/// <param name="Mcu">Klipper's name of the chip.</param>
/// <param name="Version">Katapult's version; empty in protocol 1.0.</param>
internal sealed record KatapultGreeting(Version Protocol, uint Start, int BlockSize, string Mcu, string Version)
{
    /// <exception cref="FlashException">A protocol that is not understood, or a greeting that makes no sense.</exception>
    public static KatapultGreeting Parse(KatapultFrame frame)
    {
        var version = frame.Word(1);
        var protocol = new Version((int)(version >> 16) & 0xFF, (int)(version >> 8) & 0xFF, (int)version & 0xFF);
        // Older CanBoot forks differ in byte order: nothing is guessed.
        if (version >> 24 != 0 || protocol.Major != 1 || protocol.Minor > 1)
            throw BootloaderFaults.KatapultProtocol($"{version:x8} ({protocol})");
        var (start, blockSize) = (frame.Word(2), (int)frame.Word(3));
        if (blockSize is not (64 or 128 or 256 or 512) || frame.Payload.Length < 20)
            throw BootloaderFaults.KatapultProtocol($"{protocol} with blocks of {blockSize} bytes");
        var text = frame.Payload.Span[16..];
        var mcu = Take(ref text);
        return new KatapultGreeting(protocol, start, blockSize, mcu, Take(ref text));
    }

    // Texts are padded with zeros to whole words; an empty word stands between the two.
    private static string Take(ref ReadOnlySpan<byte> text)
    {
        text = text.TrimStart((byte)0);
        var end = text.IndexOf((byte)0);
        var taken = end < 0 ? text : text[..end];
        text = text[taken.Length..];
        return Encoding.ASCII.GetString(taken);
    }
}
