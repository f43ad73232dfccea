using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using RatOS.Flash.Core;

namespace RatOS.Flash.Recording;

/// <summary>
/// Bytes as a word of a recording: <c>:</c> and parts with <c>~</c> between them, each hex digits or <c>K.OFFSET.LENGTH</c>, a piece of
/// image K. Most bytes of a flash are its image, written and read back: in this form a recording holds it once.
/// </summary>
internal sealed class Payload
{
    public const char Mark = ':';

    /// <summary>Limit of one word, in bytes.</summary>
    public const int Longest = 64 * 1024;

    private const int Step = 16;   // every block that a bootloader takes begins at a multiple of this

    private readonly List<ReadOnlyMemory<byte>> _images = [];
    private readonly Dictionary<ulong, (int Image, int Offset)> _places = [];

    public IReadOnlyList<ReadOnlyMemory<byte>> Images => _images;

    /// <summary>A file for a card as a word: all of it, or the hash of a longer one (an image in S-records).</summary>
    public static ReadOnlyMemory<byte> OfFile(ReadOnlyMemory<byte> file) =>
        file.Length <= Longest ? file : Sha256.HashData(file.Span);

    /// <param name="image">From now on its pieces are written as references.</param>
    /// <param name="isRead">A reader only follows references, so the image is not indexed.</param>
    public void Add(ReadOnlyMemory<byte> image, bool isRead = false)
    {
        for (var at = 0; !isRead && at + Step <= image.Length; at += Step)
            _places.TryAdd(BinaryPrimitives.ReadUInt64LittleEndian(image.Span[at..]), (_images.Count, at));
        _images.Add(image);
    }

    public void Write(StringBuilder line, ReadOnlySpan<byte> bytes)
    {
        line.Append(Mark);
        var (literal, isFirst) = (0, true);
        for (var at = 0; _places.Count > 0 && at + Step <= bytes.Length;)
        {
            var length = 0;
            if (_places.TryGetValue(BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]), out var place))
                length = bytes[at..].CommonPrefixLength(_images[place.Image].Span[place.Offset..]);
            if (length < Step)
            {
                at++;
                continue;
            }
            Literal(line, bytes[literal..at], ref isFirst);
            Part(line, ref isFirst);
            line.Append(CultureInfo.InvariantCulture, $"{place.Image}.{place.Offset}.{length}");
            literal = at += length;
        }
        Literal(line, bytes[literal..], ref isFirst);
    }

    /// <summary>Null for a malformed word.</summary>
    public byte[]? Read(ReadOnlySpan<char> word)
    {
        if (word is not [Mark, .. var rest])
            return null;
        var bytes = new List<byte>();
        foreach (var range in rest.Split('~'))
        {
            var part = rest[range];
            if (bytes.Count + (part.Length / 2) > Longest)
                return null;
            if (part.Contains('.'))
            {
                if (Piece(part) is not { } piece || bytes.Count + piece.Length > Longest)
                    return null;
                bytes.AddRange(piece.Span);
            }
            else
            {
                var literal = new byte[part.Length / 2];
                if (Convert.FromHexString(part, literal, out _, out _) != System.Buffers.OperationStatus.Done)
                    return null;
                bytes.AddRange(literal);
            }
        }
        return [.. bytes];
    }

    private ReadOnlyMemory<byte>? Piece(ReadOnlySpan<char> part)
    {
        Span<int> numbers = stackalloc int[3];
        var count = 0;
        foreach (var range in part.Split('.'))
        {
            if (count == 3 || !int.TryParse(part[range], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[count++]))
                return null;
        }
        var (number, offset, length) = (numbers[0], numbers[1], numbers[2]);
        return count == 3 && number < _images.Count && offset <= _images[number].Length && length <= _images[number].Length - offset
            ? _images[number].Slice(offset, length) : (ReadOnlyMemory<byte>?)null;
    }

    private static void Literal(StringBuilder line, ReadOnlySpan<byte> bytes, ref bool isFirst)
    {
        if (bytes.IsEmpty)
            return;
        Part(line, ref isFirst);
        foreach (var value in bytes)
            line.Append(Digit(value >> 4)).Append(Digit(value & 15));

        static char Digit(int value) => (char)(value < 10 ? '0' + value : 'a' + value - 10);
    }

    private static void Part(StringBuilder line, ref bool isFirst)
    {
        if (!isFirst)
            line.Append('~');
        isFirst = false;
    }
}
