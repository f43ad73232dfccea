using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>
/// The forms in which stock bootloaders take firmware from a card, and the way back. Pure functions over whole files, for images of up to
/// 8 MiB.
/// </summary>
/// <remarks>
/// MKS Robin: bytes 320 to 31039 of the image, with a fixed key of 32 bytes (Klipper scripts/update_mks_robin.py). Chitu: a header of
/// 12 bytes, then blocks of 2 KiB under a key that follows from the image (Klipper scripts/update_chitu.py). S-records: Motorola's text
/// form with 32-bit addresses, as GNU objcopy writes it (srec_cat's srec_motorola(5)).
/// </remarks>
public static class CardEncoder
{
    private const int MksBegin = 320, MksEnd = 31_040;
    private const int ChituHeader = 12, ChituBlock = 0x800, ChituShifts = 24;
    private const uint ChituMagic = 0x443D_2D3F, ChituSeed = 0xEF3D_4323;
    private const int RecordData = 16;

    private static readonly byte[] MksKey = Convert.FromHexString("A3BDAD0D4111BB8DDC802DD0D2C49B1E26EBE3334A15E40AB3B13C93BBAFF73E");

    /// <summary>The file for the card.</summary>
    /// <param name="encoding">Its form.</param>
    /// <param name="image">The firmware, from its first byte in flash.</param>
    /// <param name="start">The address of that byte.</param>
    /// <param name="name">The file's name, which S-records begin with.</param>
    public static byte[] Encode(CardEncoding encoding, ReadOnlySpan<byte> image, uint start, string name) => encoding switch
    {
        CardEncoding.MksRobin => MksRobin(image),
        CardEncoding.Chitu => Chitu(image),
        CardEncoding.SRecord => SRecords(image, start, name),
        _ => image.ToArray(),
    };

    /// <summary>
    /// What a bootloader finds in a file: the bytes for its flash, a Chitu's with the filling of the last block, and their address where
    /// the form has one. Null for a file that is not of this form; the MKS Robin's shows no such thing.
    /// </summary>
    public static (uint? Start, byte[] Bytes)? Decode(CardEncoding encoding, ReadOnlySpan<byte> file) => encoding switch
    {
        CardEncoding.MksRobin => (null, MksRobin(file)),
        CardEncoding.Chitu => FromChitu(file) is { } bytes ? (null, bytes) : null,
        CardEncoding.SRecord => FromSRecords(file),
        _ => (null, file.ToArray()),
    };

    /// <summary>The bootloader finds this very firmware in the file.</summary>
    public static bool Holds(CardEncoding encoding, ReadOnlySpan<byte> file, ReadOnlySpan<byte> image, uint start) =>
        Decode(encoding, file) is var (address, bytes) && (address ?? start) == start && bytes.AsSpan().StartsWith(image)
            && bytes.Length == (encoding == CardEncoding.Chitu ? image.Length + ChituFilling(image.Length) : image.Length);

    // ---- MKS Robin

    /// <summary>Encodes and decodes.</summary>
    private static byte[] MksRobin(ReadOnlySpan<byte> image)
    {
        var file = image.ToArray();
        for (var i = MksBegin; i < Math.Min(MksEnd, file.Length); i++)
            file[i] ^= MksKey[i % MksKey.Length];
        return file;
    }

    // ---- Chitu

    private static byte[] Chitu(ReadOnlySpan<byte> image)
    {
        var file = new byte[ChituHeader + image.Length + ChituFilling(image.Length)];
        var blocks = file.AsSpan(ChituHeader);
        image.CopyTo(blocks);
        for (var i = image.Length; i < blocks.Length; i++)
            blocks[i] = "0x0"u8[(i - image.Length) % 3];
        var key = BinaryPrimitives.ReadUInt32BigEndian(Md5.HashData(image));
        ChituXor(blocks, (byte)key);
        BinaryPrimitives.WriteUInt32BigEndian(file, ChituMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(4), key);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(8), ChituCheck(blocks));
        return file;
    }

    private static byte[]? FromChitu(ReadOnlySpan<byte> file)
    {
        if (file.Length <= ChituHeader || (file.Length - ChituHeader) % ChituBlock != 0
            || BinaryPrimitives.ReadUInt32BigEndian(file) != ChituMagic)
            return null;
        var blocks = file[ChituHeader..].ToArray();
        if (BinaryPrimitives.ReadUInt32LittleEndian(file[8..]) != ChituCheck(blocks))
            return null;
        ChituXor(blocks, file[4]);
        return blocks;
    }

    /// <summary>Bytes behind the image: three at a time until the last block is full, so up to three blocks.</summary>
    private static int ChituFilling(int length)
    {
        var filling = 0;
        while ((length + filling) % ChituBlock != 0)
            filling += 3;
        return filling;
    }

    private static void ChituXor(Span<byte> blocks, byte key)
    {
        for (var at = 0; at < blocks.Length; at++)
        {
            long i = at % ChituBlock, seed = 0x4BAD * (long)(at / ChituBlock);
            blocks[at] ^= (byte)((((i * i) + seed) >> (int)(i % ChituShifts)) ^ key);
        }
    }

    private static uint ChituCheck(ReadOnlySpan<byte> blocks)
    {
        var check = ChituSeed;
        for (var at = 0; at < blocks.Length; at += 4)
            check ^= BinaryPrimitives.ReadUInt32LittleEndian(blocks[at..]);
        return check;
    }

    // ---- Motorola S-records

    private static byte[] SRecords(ReadOnlySpan<byte> image, uint start, string name)
    {
        var text = new StringBuilder();
        Record(text, '0', [0, 0, .. Encoding.Latin1.GetBytes(name)]);
        Span<byte> record = stackalloc byte[4 + RecordData];
        for (var at = 0; at < image.Length; at += RecordData)
        {
            var data = image[at..Math.Min(at + RecordData, image.Length)];
            BinaryPrimitives.WriteUInt32BigEndian(record, start + (uint)at);
            data.CopyTo(record[4..]);
            Record(text, '3', record[..(4 + data.Length)]);
        }
        BinaryPrimitives.WriteUInt32BigEndian(record, start);
        Record(text, '7', record[..4]);
        return Encoding.ASCII.GetBytes(text.ToString());
    }

    /// <summary>Type, length, address and data, and the complement of the sum of those but the type.</summary>
    private static void Record(StringBuilder text, char type, ReadOnlySpan<byte> addressAndData)
    {
        byte[] record = [(byte)(addressAndData.Length + 1), .. addressAndData];
        text.Append('S').Append(type).Append(Convert.ToHexString(record)).Append($"{(byte)~Sum(record):X2}").Append("\r\n");
    }

    private static (uint? Start, byte[] Bytes)? FromSRecords(ReadOnlySpan<byte> file)
    {
        var bytes = new MemoryStream();
        uint? start = null;
        var isOver = false;
        foreach (var part in file.Split("\n"u8))
        {
            var line = file[part].TrimEnd("\r "u8);
            if (line.IsEmpty)
                continue;
            if (isOver || line.Length < 10 || line[0] != 'S' || Bytes(line[2..]) is not { } record || record[0] != record.Length - 1
                || Sum(record) != byte.MaxValue)
                return null;
            switch ((char)line[1])
            {
                case '0':
                    break;
                case '3' when record.Length > 5:
                    var address = BinaryPrimitives.ReadUInt32BigEndian(record.AsSpan(1));
                    start ??= address;
                    if (address != start + bytes.Length)
                        return null;
                    bytes.Write(record.AsSpan(5..^1));
                    break;
                case '7':
                    isOver = true;
                    break;
                default:
                    return null;
            }
        }
        return isOver && start is not null ? (start, bytes.ToArray()) : null;
    }

    private static byte[]? Bytes(ReadOnlySpan<byte> hex)
    {
        var bytes = new byte[hex.Length / 2];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!byte.TryParse(hex.Slice(i * 2, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]))
                return null;
        }
        return hex.Length % 2 == 0 ? bytes : null;
    }

    private static byte Sum(ReadOnlySpan<byte> record)
    {
        byte sum = 0;
        foreach (var one in record)
            sum += one;
        return sum;
    }
}
