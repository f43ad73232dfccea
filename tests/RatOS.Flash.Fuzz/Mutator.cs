using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace RatOS.Flash.Fuzz;

/// <summary>Changes inputs: bits, numbers, pieces, words of the format, fields that may be lengths, and halves of two inputs.</summary>
internal sealed class Mutator(Random random, IEnumerable<string> tokens)
{
    private static readonly long[] Numbers =
    [
        0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 511, 512, 1000, 1023, 1024, 4096, 32767, 32768, 65535, 65536,
        0x7fff_ffff, 0x8000_0000, 0xffff_ffff, -1, -2, long.MaxValue, long.MinValue, 0x0800_0000, 0x0800_8000, 0x2000_0000, 0x1000_0000,
    ];

    private readonly byte[][] _tokens = [.. tokens.Select(Encoding.UTF8.GetBytes)];

    /// <summary>A changed copy.</summary>
    /// <param name="input">Stays as it is.</param>
    /// <param name="other">For a splice.</param>
    /// <param name="longest">Of the result, in bytes.</param>
    public byte[] Mutate(byte[] input, byte[] other, int longest)
    {
        var bytes = new List<byte>(input);
        if (random.Next(5) == 0)
            Splice(bytes, other);
        var changes = 1 << random.Next(6);
        for (var i = 0; i < changes; i++)
            Change(bytes, other);
        if (bytes.Count > longest)
            bytes.RemoveRange(longest, bytes.Count - longest);
        return [.. bytes];
    }

    private void Change(List<byte> bytes, byte[] other)
    {
        var at = random.Next(bytes.Count + 1);
        var isInside = at < bytes.Count;
        switch (random.Next(14))
        {
            case 0 when isInside:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when isInside:
                bytes[at] = (byte)random.Next(256);
                break;
            case 2 when isInside:
                bytes[at] = (byte)(bytes[at] + random.Next(-16, 17));
                break;
            case 3:
                Field(bytes, at, Numbers[random.Next(Numbers.Length)]);
                break;
            case 4:   // may be a length
                Field(bytes, at & ~3, bytes.Count + random.Next(-64, 65));
                break;
            case 5:
                bytes.RemoveRange(at, Piece(bytes.Count - at));
                break;
            case 6:
                bytes.InsertRange(at, bytes.GetRange(at, Piece(bytes.Count - at)));
                break;
            case 7:
                var from = random.Next(bytes.Count + 1);
                bytes.InsertRange(at, bytes.GetRange(from, Piece(bytes.Count - from)));
                break;
            case 8 when other.Length > 0:
                var begin = random.Next(other.Length);
                bytes.InsertRange(at, other.AsSpan(begin, Piece(other.Length - begin)).ToArray());
                break;
            case 9 or 10 when _tokens.Length > 0:
                bytes.InsertRange(at, _tokens[random.Next(_tokens.Length)]);
                break;
            case 11 when _tokens.Length > 0:
                Overwrite(bytes, at, _tokens[random.Next(_tokens.Length)]);
                break;
            case 12:
                Number(bytes, at);
                break;
            case 13:
                bytes.InsertRange(at, Enumerable.Repeat((byte)random.Next(256), 1 << random.Next(10)));
                break;
        }
    }

    private void Splice(List<byte> bytes, byte[] other)
    {
        var (head, tail) = (random.Next(bytes.Count + 1), random.Next(other.Length + 1));
        bytes.RemoveRange(head, bytes.Count - head);
        bytes.AddRange(other.AsSpan(tail));
    }

    private int Piece(int most) => most == 0 ? 0 : Math.Min(most, 1 + random.Next(1 << random.Next(1, 11)));

    private void Field(List<byte> bytes, int at, long value)
    {
        var field = new byte[sizeof(long)];
        if (random.Next(4) == 0)
            BinaryPrimitives.WriteInt64BigEndian(field, value << (random.Next(2) * 32));
        else
            BinaryPrimitives.WriteInt64LittleEndian(field, value);
        Overwrite(bytes, at, field.AsSpan(0, 1 << random.Next(4)));
    }

    private static void Overwrite(List<byte> bytes, int at, ReadOnlySpan<byte> by)
    {
        for (var i = 0; i < by.Length && at + i < bytes.Count; i++)
            bytes[at + i] = by[i];
    }

    /// <summary>Another number in place of the digits at or behind a place.</summary>
    private void Number(List<byte> bytes, int at)
    {
        while (at < bytes.Count && !char.IsAsciiDigit((char)bytes[at]))
            at++;
        var end = at;
        while (end < bytes.Count && char.IsAsciiDigit((char)bytes[end]))
            end++;
        bytes.RemoveRange(at, end - at);
        bytes.InsertRange(at, Encoding.ASCII.GetBytes(Numbers[random.Next(Numbers.Length)].ToString(CultureInfo.InvariantCulture)));
    }
}
