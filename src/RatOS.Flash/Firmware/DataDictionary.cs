using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Frozen;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.Json;
using RatOS.Flash.Core;

namespace RatOS.Flash.Firmware;

/// <summary>
/// The data dictionary of a Klipper firmware: a zlib stream of JSON in the image, which the running board returns byte for byte to
/// <c>identify</c> (Klipper docs/Protocol.md).
/// </summary>
public sealed class DataDictionary
{
    /// <summary>Real ones are 10-13 KB of JSON; a stream that inflates beyond this is hostile.</summary>
    private const int MaxJson = 1 << 20;

    private const int MaxText = 256;

    /// <summary>
    /// Enough for 8 MiB of noise, in which one byte in 256 may begin a stream and one in 16384 looks as if it did, and for three
    /// dictionaries of the largest size.
    /// </summary>
    private const long MostWork = 16 << 20;

    /// <summary>A byte that may begin a stream, and one that looks as if it did: making an inflater costs as much as some pages.</summary>
    private const int CandidateWork = 64, StartWork = 16 * 1024;

    private DataDictionary(JsonElement root)
    {
        Version = Text(root, "version") ?? throw new FormatException("it has no version");
        BuildVersions = Text(root, "build_versions") ?? "";
        App = Text(root, "app") ?? "";
        Commands = Messages(root, "commands");
        Responses = Messages(root, "responses");
        Config = Constants(root);
        Enumerations = Enums(root);
        Mcu = Config.GetValueOrDefault("MCU") ?? throw new FormatException("it names no MCU");
        ClockFreq = uint.TryParse(Config.GetValueOrDefault("CLOCK_FREQ"), out var clock) ? clock : null;
        CanFrequency = int.TryParse(Config.GetValueOrDefault("CANBUS_FREQUENCY"), out var frequency) ? frequency : null;
        IsCanBridge = Config.GetValueOrDefault("CANBUS_BRIDGE") is not (null or "0");
    }

    /// <summary>
    /// The output of <c>git describe</c> at its build, such as <c>v0.13.0-730-g84104bbbd</c>; forks and dirty trees have other forms.
    /// </summary>
    public string Version { get; }

    /// <summary>Compiler and binutils; empty when missing.</summary>
    public string BuildVersions { get; }

    /// <summary><c>Klipper</c>; forks may differ; empty when missing.</summary>
    public string App { get; }

    /// <summary>The chip it was built for, by Klipper's name: <c>stm32f446xx</c>, <c>rp2040</c>, <c>linux</c>.</summary>
    public string Mcu { get; }

    /// <summary>The timer's clock in Hz (12000000 on an RP2040); null when missing.</summary>
    public uint? ClockFreq { get; }

    /// <summary>In a build for CAN: the bitrate it was built for. Null in others.</summary>
    public int? CanFrequency { get; }

    /// <summary>A USB-CAN bridge.</summary>
    public bool IsCanBridge { get; }

    /// <summary>All constants of the build, numbers as text.</summary>
    public IReadOnlyDictionary<string, string> Config { get; }

    /// <summary>By name, without the parameters. Ids differ from build to build: never assume one.</summary>
    public IReadOnlyDictionary<string, KlipperMessage> Commands { get; }

    /// <inheritdoc cref="Commands"/>
    public IReadOnlyDictionary<string, KlipperMessage> Responses { get; }

    /// <summary>
    /// Names for numbers, such as pins, by the name of the enumeration: all of one as text, in an order that does not depend on the build.
    /// Empty when missing.
    /// </summary>
    public IReadOnlyDictionary<string, string> Enumerations { get; }

    /// <param name="compressed">The whole zlib stream and nothing else.</param>
    /// <exception cref="FlashException">It does not inflate to its very end, is too big, or is no dictionary.</exception>
    public static DataDictionary Parse(ReadOnlyMemory<byte> compressed)
    {
        var json = Zlib.Inflate(compressed, MaxJson) ?? throw FlashFaults.KlipperDictionary("it does not inflate");
        if (json.Length > MaxJson)
            throw FlashFaults.KlipperDictionary($"it inflates to more than {MaxJson} bytes");
        if (!Zlib.EndsWithChecksum(compressed.Span, json))
            throw FlashFaults.KlipperDictionary($"its {compressed.Length} bytes are not all of it");
        try
        {
            return ParseJson(json);
        }
        catch (FormatException e)
        {
            throw FlashFaults.KlipperDictionary(e.Message);
        }
    }

    /// <summary>Looks for a dictionary inside a firmware.</summary>
    /// <param name="image">The firmware's bytes.</param>
    /// <param name="at">Where the stream stands: offset and length, in bytes. Without a result: where a stream began and broke off, else
    /// 0.</param>
    /// <param name="budget">Where it ends, the search does.</param>
    internal static DataDictionary? Find(ReadOnlyMemory<byte> image, out (int Offset, int Length) at, WorkBudget? budget = null)
    {
        at = default;
        budget ??= new(MostWork);
        var span = image.Span;
        for (var i = span.IndexOf((byte)0x78); i >= 0 && i + 2 <= span.Length && budget.TrySpend(CandidateWork);)
        {
            if (span[i + 1] is 0x01 or 0x5e or 0x9c or 0xda)
            {
                if (!budget.TrySpend(StartWork))
                    return null;
                var rest = image[i..];
                if (Zlib.Inflate(rest, 2) is { Length: > 1 } start && start.AsSpan().StartsWith("{\""u8))
                {
                    if (Zlib.InflateWhole(rest, MaxJson, budget, out var length) is { } json && TryParseJson(json) is { } found)
                    {
                        at = (i, length);
                        return found;
                    }
                    if (at.Length == 0)
                        at = (i, span.Length - i);
                }
            }
            var next = span[(i + 1)..].IndexOf((byte)0x78);
            i = next < 0 ? -1 : i + 1 + next;
        }
        return null;
    }

    private static DataDictionary? TryParseJson(byte[] json)
    {
        try
        {
            return ParseJson(json);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    /// <exception cref="FormatException">With the reason.</exception>
    private static DataDictionary ParseJson(byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 8 });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new DataDictionary(document.RootElement)
                : throw new FormatException("it is no JSON object");
        }
        // InvalidOperationException: half a surrogate pair, found only when the text is asked for.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FormatException("its JSON is damaged", e);
        }
    }

    private static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? Clean(value.GetString()!) : null;

    /// <summary>Text from a device, for terminals and dialogs.</summary>
    internal static string Clean(string text) => PlainText.Of(text, MaxText);

    private static FrozenDictionary<string, KlipperMessage> Messages(JsonElement root, string section)
    {
        var messages = new Dictionary<string, KlipperMessage>(StringComparer.Ordinal);
        foreach (var entry in Section(root, section))
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id))
                throw new FormatException($"an id among its {section} is no number");
            var format = entry.Name;
            var blank = format.IndexOf(' ', StringComparison.Ordinal);
            messages[blank < 0 ? format : format[..blank]] = new KlipperMessage(id, blank < 0 ? "" : format[(blank + 1)..]);
        }
        return messages.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private static FrozenDictionary<string, string> Constants(JsonElement root)
    {
        var constants = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in Section(root, "config"))
        {
            constants[entry.Name] = entry.Value.ValueKind switch
            {
                JsonValueKind.String => Clean(entry.Value.GetString()!),
                JsonValueKind.Number => Clean(entry.Value.GetRawText()),
                _ => throw new FormatException($"its constant {Clean(entry.Name)} is neither text nor number"),
            };
        }
        return constants.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>Only compared, never interpreted: the form of its entries may change.</summary>
    private static FrozenDictionary<string, string> Enums(JsonElement root) =>
        !root.TryGetProperty("enumerations", out var all) || all.ValueKind != JsonValueKind.Object
            ? FrozenDictionary<string, string>.Empty
            : all.EnumerateObject().DistinctBy(entry => entry.Name, StringComparer.Ordinal).ToFrozenDictionary(
                entry => entry.Name,
                entry => entry.Value.ValueKind != JsonValueKind.Object ? entry.Value.GetRawText()
                    : string.Join(',',
                        entry.Value.EnumerateObject().Select(name => $"{name.Name}={name.Value.GetRawText()}")
                        .Order(StringComparer.Ordinal)),
                StringComparer.Ordinal);

    private static JsonElement.ObjectEnumerator Section(JsonElement root, string name) =>
        root.TryGetProperty(name, out var section) && section.ValueKind == JsonValueKind.Object
            ? section.EnumerateObject()
            : throw new FormatException($"it has no {name}");
}

/// <param name="Id">The number on the wire, VLQ coded, may be negative.</param>
/// <param name="Format">Its parameters as Klipper writes them, <c>order=%c addr=%u</c>; empty when it has none.</param>
public readonly record struct KlipperMessage(int Id, string Format);

/// <summary>
/// Bounded zlib. .NET's stream does not report a stream that ends too early, so the Adler-32 at its end is checked here (RFC 1950).
/// </summary>
internal static class Zlib
{
    private const int ChecksumLength = 4;

    /// <summary>Inflates until the stream ends or more than <paramref name="limit"/> bytes came out; null when it is damaged.</summary>
    public static byte[]? Inflate(ReadOnlyMemory<byte> compressed, int limit)
    {
        using var input = MemoryMarshal.TryGetArray(compressed, out var array)
            ? new MemoryStream(array.Array!, array.Offset, array.Count, writable: false)
            : new MemoryStream(compressed.ToArray(), writable: false);
        using var inflater = new ZLibStream(input, CompressionMode.Decompress);
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(limit + 1, 32 * 1024));
        try
        {
            var length = 0;
            while (length <= limit)
            {
                if (length == buffer.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
                    buffer.CopyTo(larger.AsSpan());
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }
                var came = inflater.Read(buffer, length, Math.Min(buffer.Length, limit + 1) - length);
                if (came == 0)
                    break;
                length += came;
            }
            return buffer.AsSpan(0, length).ToArray();
        }
        catch (Exception damaged) when (damaged is InvalidDataException or IOException)   // the latter: a preset dictionary
        {
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public static bool EndsWithChecksum(ReadOnlySpan<byte> stream, ReadOnlySpan<byte> output) =>
        stream.Length > ChecksumLength && BinaryPrimitives.ReadUInt32BigEndian(stream[^ChecksumLength..]) == Adler32(output);

    /// <summary>Inflates the stream at the first byte, with its end; null when it is damaged, too large, or too much work.</summary>
    /// <param name="stream">The stream, and what stands behind it.</param>
    /// <param name="limit">In bytes that come out.</param>
    /// <param name="budget">Pays for the bytes that are read and made.</param>
    /// <param name="length">Of the stream.</param>
    public static byte[]? InflateWhole(ReadOnlyMemory<byte> stream, int limit, WorkBudget budget, out int length)
    {
        length = 0;
        // One byte at a time: what was read when the last byte has come out is the stream.
        using var input = new Drops(stream, budget);
        using var inflater = new ZLibStream(input, CompressionMode.Decompress);
        using var output = new MemoryStream();
        var buffer = ArrayPool<byte>.Shared.Rent(8 * 1024);
        try
        {
            for (int came; (came = inflater.Read(buffer)) > 0;)
            {
                if (output.Length + came > limit || !budget.TrySpend(came))
                    return null;
                output.Write(buffer, 0, came);
            }
        }
        catch (Exception damaged) when (damaged is InvalidDataException or IOException)   // the latter: a preset dictionary
        {
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        length = input.Consumed;
        var json = output.ToArray();
        return EndsWithChecksum(stream.Span[..length], json) ? json : null;
    }

    /// <summary>A stream that gives one byte at a time, until a budget ends.</summary>
    private sealed class Drops(ReadOnlyMemory<byte> bytes, WorkBudget budget) : ForwardStream
    {
        public int Consumed { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            if (buffer.IsEmpty || Consumed == bytes.Length || !budget.TrySpend(1))
                return 0;
            buffer[0] = bytes.Span[Consumed++];
            return 1;
        }
    }

    private static uint Adler32(ReadOnlySpan<byte> data)
    {
        const uint modulus = 65521;
        // RFC 1950: 5552 bytes are the most that 32 bits hold without a modulo.
        const int run = 5552;
        uint a = 1, b = 0;
        while (!data.IsEmpty)
        {
            var part = data[..Math.Min(run, data.Length)];
            foreach (var value in part)
            {
                a += value;
                b += a;
            }
            a %= modulus;
            b %= modulus;
            data = data[part.Length..];
        }
        return (b << 16) | a;
    }
}
