using System.Buffers.Binary;
using static System.Numerics.BitOperations;

namespace RatOS.Flash.Core;

/// <summary>MD5 (RFC 1321): only for the key of a card's file format, which protects nothing.</summary>
public sealed class Md5 : BlockHash
{
    private static ReadOnlySpan<uint> Start => [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];

    private static ReadOnlySpan<byte> Turns => [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

    // RFC 1321, 3.4: the whole part of 2^32 times |sin(i + 1)|.
    private static readonly uint[] Sines = [.. Enumerable.Range(1, 64).Select(i => (uint)(Math.Abs(Math.Sin(i)) * 4294967296.0))];

    private Md5()
        : base(Start)
    {
    }

    private protected override bool IsLittleEndian => true;

    public static byte[] HashData(ReadOnlySpan<byte> data) => new Md5().Of(data);

    private protected override void Mix(ReadOnlySpan<byte> block)
    {
        var (a, b, c, d) = (State[0], State[1], State[2], State[3]);
        for (var i = 0; i < 64; i++)
        {
            var (mixed, word) = (i / 16) switch
            {
                0 => ((b & c) | (~b & d), i),
                1 => ((d & b) | (~d & c), (5 * i) + 1),
                2 => (b ^ c ^ d, (3 * i) + 5),
                _ => (c ^ (b | ~d), 7 * i),
            };
            var sum = a + mixed + Sines[i] + BinaryPrimitives.ReadUInt32LittleEndian(block[(word % 16 * 4)..]);
            (a, b, c, d) = (d, b + RotateLeft(sum, Turns[(i / 16 * 4) + (i % 4)]), b, c);
        }
        State[0] += a;
        State[1] += b;
        State[2] += c;
        State[3] += d;
    }
}
