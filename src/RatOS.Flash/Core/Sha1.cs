using System.Buffers.Binary;
using static System.Numerics.BitOperations;

namespace RatOS.Flash.Core;

/// <summary>SHA-1 (FIPS 180-4, 6.1): only for the websocket's handshake (RFC 6455, 4.2.2), where it protects nothing.</summary>
public sealed class Sha1 : BlockHash
{
    private static ReadOnlySpan<uint> Start => [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

    private Sha1()
        : base(Start)
    {
    }

    public static byte[] HashData(ReadOnlySpan<byte> data) => new Sha1().Of(data);

    private protected override void Mix(ReadOnlySpan<byte> block)
    {
        Span<uint> words = stackalloc uint[80];
        for (var i = 0; i < 16; i++)
            words[i] = BinaryPrimitives.ReadUInt32BigEndian(block[(i * 4)..]);
        for (var i = 16; i < words.Length; i++)
            words[i] = RotateLeft(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
        var (a, b, c, d, e) = (State[0], State[1], State[2], State[3], State[4]);
        for (var i = 0; i < words.Length; i++)
        {
            var (mixed, constant) = (i / 20) switch
            {
                0 => ((b & c) ^ (~b & d), 0x5a827999u),
                1 => (b ^ c ^ d, 0x6ed9eba1u),
                2 => ((b & c) ^ (b & d) ^ (c & d), 0x8f1bbcdcu),
                _ => (b ^ c ^ d, 0xca62c1d6u),
            };
            (a, b, c, d, e) = (RotateLeft(a, 5) + mixed + e + constant + words[i], a, RotateLeft(b, 30), c, d);
        }
        State[0] += a;
        State[1] += b;
        State[2] += c;
        State[3] += d;
        State[4] += e;
    }
}
