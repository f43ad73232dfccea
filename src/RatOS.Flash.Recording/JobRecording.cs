using System.Collections.Immutable;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using static RatOS.Flash.Recording.RecordingWords;

namespace RatOS.Flash.Recording;

/// <summary>One line of a recording: a call and its answer.</summary>
/// <param name="At">When it ended, in ticks of the recorder's clock.</param>
/// <param name="Took">Its duration in ticks.</param>
/// <param name="Channel">The part of the printer that was called (see <see cref="CallRecorder"/>).</param>
/// <param name="Verb">The call.</param>
/// <param name="Words">Its arguments, without bytes.</param>
/// <param name="Data">Bytes of the call; null for none.</param>
/// <param name="Answer">How it ended.</param>
internal sealed record RecordedCall(long At, long Took, string Channel, string Verb, string?[] Words, byte[]? Data, RecordedAnswer Answer)
{
    public long Begun => At - Took;
}

/// <inheritdoc cref="Answer"/>
internal sealed record RecordedAnswer(string Kind, string?[] Words, byte[]? Data)
{
    public string? Word(int index) => index < Words.Length ? Words[index] : null;

    /// <summary>The fault whose words begin at an index; null where there is none.</summary>
    public FlashException? FaultAt(int index) => (Word(index), Word(index + 1), Word(index + 2)) is ({ } code, { } cause, { } remedy)
        ? new(FaultKind.Of(code), cause, Remedy.Of(remedy, Word(index + 3) ?? remedy)) : null;
}

/// <summary>
/// A recording that was read. Files come from other computers: the first line that cannot be understood ends it, and the lines before it
/// count.
/// </summary>
public sealed class JobRecording
{
    private const int MostText = CallRecorder.MostText + (CallRecorder.MostText / 4);
    private const int MostLines = 400_000;
    private const int MostImages = 32;
    private const int LargestImage = 8 * 1024 * 1024;

    /// <summary>Of memory: a short text may name the same bytes of its firmware again and again.</summary>
    internal const long MostMemory = 80 << 20;

    // What a line costs beside its words and bytes: its own object, its answer, and two lists.
    private const int LineCost = 208, WordCost = 32;
    private const int LongestShared = 16, LongestReference = 32, MostShared = 4096;

    private static readonly long Longest = TimeSpan.FromDays(400).Ticks;   // of a process

    private readonly List<RecordedCall> _lines = [];
    private readonly Payload _payload = new();
    private readonly HashSet<string> _shared = new(StringComparer.Ordinal);   // words that stand on many lines
    private readonly Dictionary<string, byte[]> _blocks = new(StringComparer.Ordinal);
    private readonly WorkBudget _memory = new(MostMemory);
    private (int Number, int Length, MemoryStream Bytes)? _image;
    private bool _hasEnd;

    private JobRecording(string product, string date) => (Product, Date) = (PlainText.Of(product, 40), PlainText.Of(date, 40));

    /// <summary>Version of the program that recorded.</summary>
    public string Product { get; }

    /// <summary>When it was begun, by the clock of the computer that recorded.</summary>
    public string Date { get; }

    /// <summary>True when its last line is the job's end.</summary>
    public bool IsWhole => Damage is null && _lines is [.., { Channel: "job", Verb: "end" }];

    /// <summary>Line and reason where reading stopped early; null where it did not.</summary>
    public string? Damage { get; private set; }

    internal IReadOnlyList<RecordedCall> Lines => _lines;

    /// <summary>The line at which the job begins; null where there is none.</summary>
    internal RecordedCall? Begin { get; private set; }

    internal IReadOnlyList<ReadOnlyMemory<byte>> Images => _payload.Images;

    /// <summary>Verdicts as they were recorded: board, condition, and the fault's code or <c>ok</c>.</summary>
    public ImmutableArray<(string Board, string Condition, string Code)> Verdicts =>
    [
        .. _lines.Where(line => line is { Channel: "job", Verb: "verdict", Words.Length: >= 4 })
            .Select(line => (line.Words[0] ?? "?", line.Words[2] ?? "?", line.Words[1] == "ok" ? "ok" : line.Words[3] ?? "?")),
    ];

    /// <summary>Reads a recording, packed or not.</summary>
    /// <param name="stream">May be of any size and content.</param>
    /// <param name="name">Its name in a fault.</param>
    /// <exception cref="FlashException">It is no recording, or one of another format version.</exception>
    public static JobRecording Read(Stream stream, string name)
    {
        var head = new byte[2];
        var length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        using var whole = new Prefixed(head.AsMemory(0, length), stream);
        using Stream text = head is [0x1f, 0x8b] ? new GZipStream(whole, CompressionMode.Decompress) : whole;
        using var reader = new Bounded(text, MostText);
        var (line, damage) = reader.Next();
        var words = line?.Split(' ') ?? [];
        if (words is not [CallRecorder.Magic, var version, var product, var date])
            throw RecordingFaults.BundleUnreadable(name, damage ?? "its first line is not that of a recording");
        if (version != CallRecorder.FormatVersion.ToString(CultureInfo.InvariantCulture))
            throw RecordingFaults.BundleVersion(name, PlainText.Of(version, 20), CallRecorder.FormatVersion);
        var recording = new JobRecording(Unescape(product) ?? "?", date);
        for (var number = 2; ; number++)
        {
            (line, damage) = reader.Next();
            if (line is not null && damage is null)
                damage = number > MostLines ? "it is longer than any recording" : recording.Take(line);
            if (damage is not null)
                recording.Damage = $"line {number}: {damage}";
            if (line is null || damage is not null)
                return recording;
        }
    }

    /// <summary>The boards of the job, with what today's catalogue knows about them.</summary>
    /// <exception cref="FlashException">It cannot be replayed.</exception>
    internal IReadOnlyList<FlashRequest> Requests()
    {
        var requests = new List<FlashRequest>();
        foreach (var line in _lines.Where(line => line is { Channel: "job", Verb: "asked" }))
        {
            var request = Request(line.Words);
            if (requests.Exists(other => other.Board.Name == request.Board.Name))
                throw RecordingFaults.ReplayImpossible($"two boards in it are called {request.Board.Name}");
            requests.Add(request);
        }
        return requests.Count > 0 && Begin is not null
            ? requests
            : throw RecordingFaults.ReplayImpossible("it ends before its job begins");
    }

    private FlashRequest Request(string?[] words)
    {
        if (words is not [{ } name, { } id, var serial, var port, var onlyByPort, var uuid, var can, var bootloader, var running,
            var image, var mcu, var start, var rom, var comm, var usbSerial, ..])
            throw RecordingFaults.ReplayImpossible("a board in it is described by other words than today's");
        // The recorded board may differ from the catalogue's, or be of a kind that is not in the catalogue.
        var kind = BoardCatalogue.BuiltIn.Find(id) ?? new Board { Id = id, Kind = "unknown" };
        var board = new PrinterBoard(name, kind with
        {
            McuName = mcu,
            FlashStartEffective = start,
            DfuRomAddress = rom,
            Comm = comm,
            UsbSerial = usbSerial,
            SoldWith = words.ElementAtOrDefault(16) is { } renamed && start is not null ? new(start, renamed) : null,
        })
        {
            Serial = serial,
            Port = port,
            OnlyByPort = onlyByPort is not null,
            CanUuid = CanUuid.TryParse(uuid),
            CanInterface = can ?? "can0",
            Bootloader = Drivers.Find(bootloader),
            RunningVersion = running,
            Facts =
            [
                .. words.ElementAtOrDefault(21) is { } below
                    ? (BoardFacts[])[new(FactSource.Board, "its running firmware") { Bootloader = below }] : [],
                .. words.ElementAtOrDefault(22) is { } card ? (BoardFacts[])[CardByPins(card, words)] : [],
                .. words.Length > FirstCandidate ? (BoardFacts[])[new(FactSource.KlipperConfig, "its pins")
                {
                    CardCandidates = [.. words.Skip(FirstCandidate).OfType<string>().Select(Candidate)],
                }] : [],
            ],
        };
        // Recordings of earlier versions end before this word.
        var job = words.ElementAtOrDefault(15) switch
        {
            "recovers" => FlashJob.Recover,
            "identify" => FlashJob.Identify,
            "sd-card" => FlashJob.SdCard,
            _ => FlashJob.Write,
        };
        var firmware = image is null ? null : Image(Integer(image), name);
        var earlier = (Conditions.Find(words.ElementAtOrDefault(17)), words.ElementAtOrDefault(18)) is ({ } condition, { } place)
            ? new EarlierFlash(condition, new(place, null), null) : null;
        return new(board, firmware)
        {
            Job = job,
            Earlier = earlier,
            AsksStart = words.ElementAtOrDefault(19) == "all",
            LinkChange = words.ElementAtOrDefault(20) is { } change ? LinkChange.Known.GetValueOrDefault(change) : null,
        };
    }

    private const int FirstCandidate = 26;

    /// <summary>A file for a card that a board with the same pins takes: the recorded ones fitted the chip and its start.</summary>
    private static CardCandidate Candidate(string word)
    {
        var bar = word.IndexOf('|', StringComparison.Ordinal);
        return bar > 0 && CardSetting.Parse(word[..bar]) is { } file ? new(file, word[(bar + 1)..], null, null)
            : throw RecordingFaults.ReplayImpossible("a file for an SD card in it has no name");
    }

    /// <summary>What pins said of the board's stock bootloader.</summary>
    private static BoardFacts CardByPins(string path, string?[] words)
    {
        var slash = path.IndexOf('/', StringComparison.Ordinal);
        return new(FactSource.KlipperConfig, words.ElementAtOrDefault(25) ?? "its pins")
        {
            CardFile = new(path.EndsWith("*.bin", StringComparison.Ordinal) ? null : path[(slash + 1)..])
            {
                Folder = slash < 0 ? null : path[..slash],
                NeedsNewName = words.ElementAtOrDefault(23) is not null,
                Encoding = Enum.TryParse<CardEncoding>(words.ElementAtOrDefault(24), out var encoding) ? encoding : CardEncoding.None,
            },
        };
    }

    /// <exception cref="FlashException">There is no image of that number.</exception>
    internal FirmwareImage Image(int? number, string name) => number is >= 0 && number < _payload.Images.Count
            ? FirmwareImage.Parse(_payload.Images[number.Value], $"the recorded firmware of {name}")
            : throw RecordingFaults.ReplayImpossible($"the firmware of {name} is not in it");

    /// <summary>Takes one line; returns why it cannot be understood, or null.</summary>
    private string? Take(string text)
    {
        var words = text.Split(' ');
        var middle = Array.IndexOf(words, "=", 0);
        if (middle < 4 || middle + 1 >= words.Length)
            return "it is no line of a recording";
        if (!long.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var at)
            || !long.TryParse(words[3], NumberStyles.None, CultureInfo.InvariantCulture, out var took) || at > Longest || took > at)
            return "its times are no times";
        if (_lines is [.., var last] && at < last.At)
            return "time runs backwards in it";
        if (!_memory.TrySpend(LineCost))
            return TooLarge;
        if (Side(words.AsSpan(4, middle - 4)) is not var (arguments, data)
            || Side(words.AsSpan(middle + 2)) is not var (results, returned))
            return _memory.IsSpent ? TooLarge : "its bytes are no bytes";
        var line = new RecordedCall(
            at, took, Shared(words[1]), Shared(words[2]), arguments, data,
            new RecordedAnswer(Shared(words[middle + 1]), results, returned));
        if ((line.Channel, line.Verb) is ("job", "begin"))
            Begin ??= line;
        if (line is { Channel: "bus", Verb: "came" } && DeviceWords.Read(line.Words) is null)
            return "its device is no device";
        if (line.Channel == "job" && line.Verb is "image" or "part")
            return TakeImage(line);
        if (_image is not null)
            return "a firmware in it has no end";
        if (_hasEnd)
            return "it goes on after its end";
        _hasEnd = (line.Channel, line.Verb) is ("job", "end");
        _lines.Add(line);
        return null;
    }

    private string? TakeImage(RecordedCall line)
    {
        if (Integer(line.Words.FirstOrDefault()) is not { } number || number != _payload.Images.Count)
            return "its firmware is out of turn";
        if (line.Verb == "image")
        {
            if (_image is not null || number >= MostImages || line.Words.Length < 3
                || Integer(line.Words[2]) is not (> 0 and <= LargestImage and var length))
                return "its firmware has no size that a firmware has";
            if (!_memory.TrySpend(length))
                return TooLarge;
            _image = (number, length, new MemoryStream());
            _lines.Add(line);
            return null;
        }
        if (_image is not { } image || line.Data is not { Length: > 0 } part || image.Bytes.Length + part.Length > image.Length)
            return "its firmware has other parts than it says";
        image.Bytes.Write(part);
        if (image.Bytes.Length == image.Length)
        {
            _payload.Add(image.Bytes.ToArray(), isRead: true);
            _image = null;
        }
        return null;
    }

    /// <summary>One side of a line: its words and the bytes behind them; null where they cannot be understood.</summary>
    private (string?[] Words, byte[]? Data)? Side(ReadOnlySpan<string> words)
    {
        byte[]? data = null;
        if (words is [.., [Payload.Mark, ..] last])
        {
            data = Data(last);
            if (data is null)
                return null;
            words = words[..^1];
        }
        var plain = new string?[words.Length];
        for (var i = 0; i < words.Length; i++)
        {
            if (words[i] is "" or [Payload.Mark, ..])
                return null;
            plain[i] = Unescape(words[i]) is { } word ? Shared(word) : null;
        }
        return (plain, data);
    }

    private const string TooLarge = "it needs more memory than any recording";

    /// <summary>The bytes of a word; null where they are none, or need too much memory. Blocks of the firmware are kept once.</summary>
    private byte[]? Data(string word)
    {
        if (_blocks.TryGetValue(word, out var known))
            return known;
        var data = _payload.Read(word);
        if (data is null || !_memory.TrySpend(data.Length + WordCost))
            return null;
        if (word.Length <= LongestReference && _blocks.Count < MostShared)
            _blocks.Add(word, data);
        return data;
    }

    /// <summary>The same word as on an earlier line, so that it is kept once.</summary>
    private string Shared(string word)
    {
        if (word.Length <= LongestShared && _shared.TryGetValue(word, out var known))
            return known;
        _memory.TrySpend(WordCost + (2 * word.Length));
        if (word.Length <= LongestShared && _shared.Count < MostShared)
            _shared.Add(word);
        return word;
    }

    /// <summary>Reads lines up to a limit of text; a damaged file is a result and no exception.</summary>
    private sealed class Bounded(Stream text, long most) : IDisposable
    {
        private readonly StreamReader _reader = new(text, new UTF8Encoding(false));
        private readonly StringBuilder _line = new();
        private long _read;

        public (string? Line, string? Damage) Next()
        {
            _line.Clear();
            try
            {
                for (int next; (next = _reader.Read()) >= 0; _line.Append((char)next))
                {
                    if (next == '\n')
                        return (_line.ToString(), null);
                    if (++_read > most)
                        return (null, "it is longer than any recording");
                }
                return (null, _line.Length > 0 ? "it is torn" : null);
            }
            catch (Exception fault) when (fault is InvalidDataException or IOException or NotSupportedException)
            {
                return (null, "it is torn");
            }
        }

        public void Dispose() => _reader.Dispose();
    }

    /// <summary>A stream behind bytes that were read from it already.</summary>
    private sealed class Prefixed(ReadOnlyMemory<byte> head, Stream rest) : ForwardStream
    {
        private ReadOnlyMemory<byte> _head = head;

        public override int Read(Span<byte> buffer)
        {
            if (_head.IsEmpty)
                return rest.Read(buffer);
            var length = Math.Min(buffer.Length, _head.Length);
            _head.Span[..length].CopyTo(buffer);
            _head = _head[length..];
            return length;
        }
    }
}
