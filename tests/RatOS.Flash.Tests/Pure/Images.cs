using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using RatOS.Flash.Chips;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// Hand-made firmware files in the shape of a real build: vectors, reset handler with its literal words, second stage, dictionary, data.
/// </summary>
internal static class Images
{
    public const int DataSize = 0x40;

    public static byte[] Json(string mcu = "stm32f446xx", string version = "v0.13.0-730-g84104bbbd") => Encoding.UTF8.GetBytes(
        $$"""
        {"app":"Klipper","version":"{{version}}","build_versions":"gcc: 12.2.1 binutils: 2.40",
         "commands":{"identify offset=%u count=%c":1,"get_config":7,"debug_read order=%c addr=%u":12,"reset":-8},
         "responses":{"identify_response offset=%u data=%.*s":0,"debug_result val=%u":129},
         "config":{"MCU":"{{mcu}}","CLOCK_FREQ":180000000} }
        """);

    public static byte[] Compress(byte[] json)
    {
        using var stream = new MemoryStream();
        using (var zlib = new ZLibStream(stream, CompressionLevel.SmallestSize, leaveOpen: true))
            zlib.Write(json);
        return stream.ToArray();
    }

    /// <param name="resetAt">Offset of the reset handler, a multiple of 4.</param>
    public static byte[] Bin(string mcu = "stm32f446xx", uint start = 0x0800_8000, int size = 44_516, int resetAt = 0x7008,
        byte[]? dictionary = null, uint? stack = null)
    {
        var chip = Mcu.Find(mcu);
        var image = new byte[size];
        // Noise without the byte that a zlib stream begins with.
        for (var i = 0; i < size; i++)
            image[i] = (byte)(i * 73 >> 3) is var noise and not 0x78 ? noise : (byte)0;

        var top = stack ?? chip?.RamEnd ?? 0x2002_0000;
        Word(image, 0, top);
        Word(image, 4, start + (uint)resetAt | 1);
        for (var i = 2; i < 16; i++)
            Word(image, i * 4, chip is { HandlersInRam: true } ? 0x2000_7A61 : start + (uint)resetAt + 0x14 | 1);

        Convert.FromHexString("72B6024B024A9D461047704700000000" + "00000000" + "FEE700BF").CopyTo(image, resetAt);
        Word(image, resetAt + 12, top);
        var secondStage = resetAt + 0x40;
        Word(image, resetAt + 16, start + (uint)secondStage | 1);
        var literals = secondStage + 0x180;
        Word(image, literals, 0x2000_0000 + DataSize);
        Word(image, literals + 4, 0x2000_0000);
        Word(image, literals + 8, start + (uint)(size - DataSize));

        (dictionary ?? Compress(Json(mcu))).CopyTo(image, DictionaryAt(size));
        return image;
    }

    public static int DictionaryAt(int size) => size - 7000;

    public static byte[] Uf2(byte[] bytes, uint address = 0x1000_0000, uint family = 0xE48B_FF56)
    {
        var count = (bytes.Length + 255) / 256;
        var file = new byte[count * 512];
        for (var i = 0; i < count; i++)
        {
            var block = file.AsSpan(i * 512, 512);
            Words(block, 0x0A32_4655, 0x9E5D_5157, 0x2000, address + (uint)i * 256, 256, (uint)i, (uint)count, family);
            bytes.AsSpan(i * 256, Math.Min(256, bytes.Length - i * 256)).CopyTo(block[32..]);
            Words(block[508..], 0x0AB1_6F30);
        }
        return file;
    }

    /// <summary>RP2040 firmware without a bootloader: boot code, then the image for 10000100.</summary>
    public static byte[] WithBootCode() => [.. BootCode(), .. Bin("rp2040", 0x1000_0100, 44_032, 0x58)];

    /// <summary>Second-stage boot code of an RP2040, with its checksum.</summary>
    public static byte[] BootCode()
    {
        var boot = new byte[0x100];
        Convert.FromHexString("00B5324B212058609868022188439860").CopyTo(boot, 0);
        Words(boot.AsSpan(0xFC), Core.Crc32.Compute(boot.AsSpan(0, 0xFC)));
        return boot;
    }

    /// <summary>A 32-bit ARM ELF without sections; the last segment is one that only reserves RAM.</summary>
    public static byte[] Elf(params (uint Address, byte[] Bytes)[] segments)
    {
        var headers = 52 + 32 * (segments.Length + 1);
        var file = new byte[headers + segments.Sum(segment => segment.Bytes.Length)];
        Convert.FromHexString("7F454C46010101").CopyTo(file, 0);
        Words(file.AsSpan(16), 40 << 16 | 2, 1, segments[0].Address, 52, 0, 0x0500_0200);
        Words(file.AsSpan(40), 32 << 16 | 52, (uint)segments.Length + 1);
        var at = headers;
        for (var i = 0; i < segments.Length; i++)
        {
            var (address, bytes) = segments[i];
            Words(file.AsSpan(52 + i * 32), 1, (uint)at, 0x2000_0000, address, (uint)bytes.Length, (uint)bytes.Length, 5, 4);
            bytes.CopyTo(file, at);
            at += bytes.Length;
        }
        Words(file.AsSpan(52 + segments.Length * 32), 1, 0, 0x2001_FE00, 0x0804_AC00, 0, 0x200, 6, 4);
        return file;
    }

    public static void Word(byte[] image, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at), value);

    public static uint Word(byte[] image, int at) => BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(at));

    private static void Words(Span<byte> to, params ReadOnlySpan<uint> values)
    {
        for (var i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(to[(i * 4)..], values[i]);
    }
}
