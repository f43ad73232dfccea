using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.IO.Compression;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A Klipper image as a virtual CPU sees it: whether it starts, and its dictionary.
/// <see cref="Build(FirmwareBuild, string, int?, string?)"/> makes images like those of a build; real images start too.
/// </summary>
public sealed class VirtualFirmware
{
    // The reserved vectors 8-10 of an invented image state that its last word is a checksum of all before it, in place of code that runs.
    // In a real image the common handler is there.
    private const uint Mark = 0x3156_4652; // "RFV1"
    private const int MarkOffset = 32;
    private const int ChecksumSize = 4;
    private const int VectorsSize = 0x1C0;
    private const int SecondStage = 0x40;   // behind the reset handler
    private const int StatementOffset = 0x200;   // behind the reset handler: length, and what the build was made for
    private const uint DataSize = 0x40;
    private const ushort DisableInterrupts = 0xB672; // cpsid i: the first instruction of Klipper's reset handler
    private const ushort LoopForever = 0xE7FE;       // b .: its default handler
    private const string UsualCompiler = "gcc: (15:12.2.rel1-1) 12.2.1 20221205 binutils: (2.40-2+18+b1) 2.40";

    private static readonly ConcurrentDictionary<Options, byte[]> Built = new();

    private sealed record Options(FirmwareBuild Build, string Version, int Size, string Compiler);

    private readonly VirtualCommand?[] _commands;
    private readonly FrozenDictionary<string, int> _responses;
    private readonly FrozenDictionary<string, int> _strings;

    /// <summary>Firmware of which only the dictionary is known.</summary>
    /// <exception cref="InvalidDataException">No Klipper dictionary.</exception>
    internal VirtualFirmware(ReadOnlyMemory<byte> compressedDictionary)
    {
        CompressedDictionary = compressedDictionary;
        using var json = Inflate(compressedDictionary.Span, out _) ?? throw new InvalidDataException("not a Klipper data dictionary");
        var root = json.RootElement;
        var config = root.GetProperty("config");
        Version = root.GetProperty("version").GetString()!;
        Mcu = config.GetProperty("MCU").GetString()!;
        ClockFrequency = config.GetProperty("CLOCK_FREQ").GetInt64();
        Link = FirmwareLink.Of(config);
        InitialPins = config.TryGetProperty("INITIAL_PINS", out var pins) ? pins.GetString() : null;
        NamesCrystal = config.TryGetProperty("RESERVE_PINS_crystal", out _);
        _commands = Commands(root.GetProperty("commands"));
        _responses = root.GetProperty("responses").EnumerateObject().ToFrozenDictionary(
            item => item.Name.Split(' ', 2)[0], item => item.Value.GetInt32(), StringComparer.Ordinal);
        _strings = root.TryGetProperty("enumerations", out var enumerations)
            && enumerations.TryGetProperty("static_string_id", out var strings)
            ? strings.EnumerateObject().ToFrozenDictionary(item => item.Name, item => item.Value.GetInt32(), StringComparer.Ordinal)
            : FrozenDictionary<string, int>.Empty;
    }

    /// <summary>Address of the vector table; 0 where the firmware has none.</summary>
    public uint Start { get; private init; }

    /// <summary>Bytes from <see cref="Start"/> to the end of an invented image, or to the end of a real image's dictionary.</summary>
    public int Length { get; private init; }

    /// <summary>From the dictionary: the version text, and Klipper's name of the chip.</summary>
    public string Version { get; }

    /// <inheritdoc cref="Version"/>
    public string Mcu { get; }

    /// <summary>What the build talks over.</summary>
    public FirmwareLink Link { get; }

    /// <summary>INITIAL_PINS; null for none.</summary>
    public string? InitialPins { get; }

    /// <summary>It has RESERVE_PINS_crystal: it is built for a crystal, on a family that says so.</summary>
    public bool NamesCrystal { get; }

    /// <summary>
    /// What an invented image says of the choices that its dictionary does not name; null for a real image, whose instructions have them.
    /// </summary>
    internal ReadOnlyMemory<byte>? Statement { get; private init; }

    /// <summary>The zlib stream with the dictionary, which <c>identify</c> returns.</summary>
    public ReadOnlyMemory<byte> CompressedDictionary { get; }

    /// <summary>Timer frequency in Hz.</summary>
    internal long ClockFrequency { get; }

    /// <summary>The command with a number on the wire (7 or 14 bits), or null.</summary>
    internal VirtualCommand? Command(int wireNumber) => wireNumber < _commands.Length ? _commands[wireNumber] : null;

    /// <summary>A response's number; null where this build has no such response.</summary>
    internal int? Response(string name) => _responses.TryGetValue(name, out var id) ? id : null;

    /// <summary>The number of a shutdown's text; 0 where this build does not have it.</summary>
    internal int StaticString(string text) => _strings.GetValueOrDefault(text);

    /// <summary>
    /// An image for an address, with the same bytes for the same arguments: vector table, noise as code, dictionary near the end,
    /// checksum.
    /// </summary>
    /// <param name="chip">The chip it is for.</param>
    /// <param name="start">The application address it is linked for.</param>
    /// <param name="version">The version text in its dictionary.</param>
    /// <param name="size">Length in bytes, at least 8 KiB; real images have 43,000 to 45,000.</param>
    /// <param name="compiler">The text of <c>build_versions</c>: another compiler makes another image of the same version.</param>
    /// <param name="link">The link of the build.</param>
    public static byte[] Build(
        VirtualChip chip, uint start, string version, int size = 44_468, string? compiler = null, FirmwareLink? link = null) =>
        Build(new FirmwareBuild(chip, start) { Link = link ?? FirmwareLink.UsbOf(chip) }, version, size, compiler);

    /// <summary>An image of a build, with the same bytes for the same arguments.</summary>
    /// <param name="build">Its choices.</param>
    /// <param name="version">The version text in its dictionary.</param>
    /// <param name="size">Length in bytes, at least 8 KiB; null for that of real images, 44,468, or what the chip has room for.</param>
    /// <param name="compiler">The text of <c>build_versions</c>: another compiler makes another image of the same version.</param>
    public static byte[] Build(FirmwareBuild build, string version, int? size = null, string? compiler = null)
    {
        var length = size ?? (int)Math.Min(44_468, (build.Chip.FlashEnd - build.Start) & ~3u);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 8 * 1024, nameof(size));
        return (byte[])Built.GetOrAdd(new Options(build, version, length, compiler ?? UsualCompiler), Compose).Clone();
    }

    private static byte[] Compose(Options options)
    {
        var (build, version, size, compiler) = options;
        var (chip, start) = (build.Chip, build.Start);
        var image = new byte[size];
        var seed = Checksum(Encoding.UTF8.GetBytes($"{chip.Name} {start} {version} {compiler}"));
        new Random((int)seed).NextBytes(image);
        image.AsSpan().Replace((byte)0x78, (byte)0x79); // only the dictionary may look like a zlib stream
        var dictionary = VirtualDictionary.Compressed(build, version, compiler);
        var behind = Math.Min(3200, size / 8);
        var dictionaryOffset = (size - behind - dictionary.Length) & ~3;
        dictionary.CopyTo(image, dictionaryOffset);

        if (chip == VirtualChip.Linux)
        {
            LinuxProgram.WriteHeader(image);
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(size - ChecksumSize), Checksum(image.AsSpan(0, size - ChecksumSize)));
            return image;
        }
        // The RP2040 copies its handlers to RAM; only the start is in flash.
        var inRam = chip.IsRp;
        var resetOffset = inRam ? VectorsSize : (dictionaryOffset * 3 / 4) & ~3;
        var reset = start + (uint)resetOffset;
        var handler = inRam ? 0x2000_7A60 : reset + 0x14;
        BinaryPrimitives.WriteUInt32LittleEndian(image, chip.RamEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(4), reset | 1);
        for (var at = 8; at < VectorsSize; at += 4)
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at), handler | 1);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(MarkOffset), Mark);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(MarkOffset + 4), (uint)size);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(MarkOffset + 8), start);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(resetOffset), DisableInterrupts);
        // A real handler keeps the stack pointer and its second stage's address behind its instructions, and the second stage those of the
        // data that it copies: the engine finds start and length by these words.
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(resetOffset + 0x0C), chip.RamEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(resetOffset + 0x10), (reset + (uint)SecondStage) | 1);
        var literals = resetOffset + SecondStage + 0x80;
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(literals), 0x2000_0000 + DataSize);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(literals + 4), 0x2000_0000);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(literals + 8), start + (uint)size - DataSize);
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(resetOffset + 0x14), LoopForever);
        var statement = build.State();
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(resetOffset + StatementOffset), (ushort)statement.Length);
        statement.CopyTo(image, resetOffset + StatementOffset + 2);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(size - ChecksumSize), Checksum(image.AsSpan(0, size - ChecksumSize)));
        return image;
    }

    /// <summary>
    /// Whether a CPU that jumps to an address runs Klipper, and if not, why it crashes. Costs about 60 us: the answer is valid until
    /// <see cref="VirtualFlash.Version"/> changes.
    /// </summary>
    public static (VirtualFirmware? Running, string Reason) WouldStart(VirtualFlash flash, VirtualChip chip, uint start)
    {
        if (!flash.Contains(start, VectorsSize))
            return (null, "the address is outside the flash");
        var image = flash.Read(start, (int)(flash.End - start));
        var (stack, reset) = (Word(image, 0), Word(image, 4));
        if (stack != chip.RamEnd)
            return (null, $"the stack pointer is {stack:x8}, not {chip.RamEnd:x8}");
        if ((reset & 1) == 0 || reset < start || reset >= flash.End || Half(image, (int)(reset - 1 - start)) != DisableInterrupts)
            return (null, $"no start code is at the reset vector {reset:x8}");
        if (FindDictionary(image) is not var (offset, dictionary))
            return (null, "it has no data dictionary");
        var length = offset + dictionary.CompressedDictionary.Length;
        if (dictionary.Mcu != chip.Name)
            return (null, $"the code is for {dictionary.Mcu}");
        var isMadeUp = Word(image, MarkOffset) == Mark;
        if (isMadeUp)
        {
            var size = Word(image, MarkOffset + 4);
            if (size < length + ChecksumSize || size > image.Length || Word(image, MarkOffset + 8) != start)
                return (null, "the vector table is damaged");
            length = (int)size;
        }
        else if (Word(image, MarkOffset) != Word(image, 8))
        {
            return (null, "the vector table is damaged");
        }
        if (reset - start >= length)
            return (null, $"the reset vector {reset:x8} is behind the image");
        if (!flash.IsSound(start, length))
            return (null, "some cells are half written");
        for (var at = 0; at + 64 <= length; at += 64)
        {
            if (!image.Slice(at, 64).ContainsAnyExcept((byte)0xFF))
                return (null, $"a block of the code is blank at {start + at:x8}");
        }
        if (isMadeUp && Word(image, length - ChecksumSize) != Checksum(image[..(length - ChecksumSize)]))
            return (null, "the code is damaged");
        ReadOnlyMemory<byte>? statement = null;
        if (isMadeUp)
        {
            var at = (int)(reset - 1 - start) + StatementOffset;
            // A virtual printer that an earlier version left has none.
            if (at + 2 + Half(image, at) <= length && FirmwareBuild.IsStatement(image.Slice(at + 2, Half(image, at))))
                statement = image.Slice(at + 2, Half(image, at)).ToArray();
        }
        return (dictionary.At(start, length, statement), "Klipper runs");
    }

    /// <summary>The same firmware, found at an address.</summary>
    internal VirtualFirmware At(uint start, int length, ReadOnlyMemory<byte>? statement = null) =>
        new(this) { Start = start, Length = length, Statement = statement };

    /// <summary>The same firmware with another dictionary.</summary>
    internal VirtualFirmware WithDictionary(byte[] compressed) =>
        new(compressed) { Start = Start, Length = Length, Statement = Statement };

    private VirtualFirmware(VirtualFirmware other)
    {
        (CompressedDictionary, ClockFrequency) = (other.CompressedDictionary, other.ClockFrequency);
        (Version, Mcu, Link) = (other.Version, other.Mcu, other.Link);
        (InitialPins, NamesCrystal) = (other.InitialPins, other.NamesCrystal);
        (_commands, _responses, _strings) = (other._commands, other._responses, other._strings);
    }

    // Seeded tests boot the same few builds thousands of times: the last dictionaries are cached.
    private static ImmutableQueue<VirtualFirmware> _parsed = [];

    /// <summary>The first Klipper dictionary in an image, and its offset; null where there is none.</summary>
    internal static (int Offset, VirtualFirmware Dictionary)? FindDictionary(ReadOnlySpan<byte> image)
    {
        for (var offset = VectorsSize; offset < image.Length - 64; offset++)
        {
            var next = image[offset..].IndexOf((byte)0x78);
            if (next < 0)
                return null;
            offset += next;
            if (offset + 1 >= image.Length || image[offset + 1] is not (0x01 or 0x5E or 0x9C or 0xDA))
                continue;
            foreach (var known in _parsed)
            {
                if (image[offset..].StartsWith(known.CompressedDictionary.Span))
                    return (offset, known);
            }
            if (Inflate(image[offset..], out var length) is not { } json)
                continue;
            json.Dispose();
            var found = new VirtualFirmware(image.Slice(offset, length).ToArray());
            ImmutableInterlocked.Update(ref _parsed, queue => queue.Count() < 16 ? queue.Enqueue(found) : queue.Dequeue().Enqueue(found));
            return (offset, found);
        }
        return null;
    }

    /// <summary>The dictionary in a zlib stream that begins here, and the stream's length; null without one.</summary>
    private static JsonDocument? Inflate(ReadOnlySpan<byte> bytes, out int length)
    {
        length = 0;
        using var text = new MemoryStream(16 * 1024);
        try
        {
            // A dictionary has 4 KB: noise that looks like a stream must not cost more than this.
            using var packed = new MemoryStream(bytes[..Math.Min(bytes.Length, 32 * 1024)].ToArray());
            using var zlib = new ZLibStream(packed, CompressionMode.Decompress);
            zlib.CopyTo(text);
            // The stream ends with a checksum of the text: ZLibStream does not return the length, but its position does.
            Span<byte> checksum = stackalloc byte[4];
            var content = text.GetBuffer().AsSpan(0, (int)text.Length);
            BinaryPrimitives.WriteUInt32BigEndian(checksum, Adler32(content));
            length = bytes.IndexOf(checksum) + checksum.Length;
            var json = JsonDocument.Parse(content.ToArray());
            if (length >= checksum.Length && IsKlipper(json.RootElement))
                return json;
            json.Dispose();
        }
        catch (Exception e) when (e is InvalidDataException or JsonException)
        {
            // No stream, or no JSON.
        }
        return null;
    }

    private static bool IsKlipper(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("app", out var app) && app.ValueEquals("Klipper") &&
        root.TryGetProperty("version", out _) && root.TryGetProperty("config", out var config) && config.TryGetProperty("MCU", out _);

    private static uint Adler32(ReadOnlySpan<byte> bytes)
    {
        var (a, b) = (1u, 0u);
        foreach (var value in bytes)
        {
            a = (a + value) % 65521;
            b = (b + a) % 65521;
        }
        return (b << 16) | a;
    }

    private static VirtualCommand?[] Commands(JsonElement commands)
    {
        var byNumber = new VirtualCommand?[256];
        foreach (var item in commands.EnumerateObject())
        {
            var number = item.Value.GetInt32();
            var ordinal = number < 0 ? number + 128 : number;
            if (ordinal < byNumber.Length)
                byNumber[ordinal] = VirtualCommand.Parse(item.Name);
        }
        return byNumber;
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        for (; bytes.Length >= 8; bytes = bytes[8..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return ~crc;
    }

    private static uint Word(ReadOnlySpan<byte> image, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(image[offset..]);

    private static ushort Half(ReadOnlySpan<byte> image, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(image[offset..]);
}

/// <summary>A command of a firmware.</summary>
/// <param name="Name">Its first word.</param>
/// <param name="Parameters">For each parameter: whether it is a buffer (length and bytes) instead of a number.</param>
internal sealed record VirtualCommand(string Name, ImmutableArray<bool> Parameters)
{
    /// <summary>Parses Klipper's notation: <c>i2c_transfer oid=%c write=%*s read_len=%u</c>.</summary>
    public static VirtualCommand Parse(string text)
    {
        var words = text.Split(' ');
        return new VirtualCommand(words[0], [.. words.Skip(1).Select(word => word.EndsWith('s'))]);
    }
}
