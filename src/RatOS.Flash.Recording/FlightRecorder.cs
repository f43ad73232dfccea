using System.Globalization;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Recording;

/// <summary>
/// The flight recorder: everything that passes the doors to buses and Klipper, on one clock. Between jobs the last lines are kept, and told to whoever keeps them on disk; while a
/// job runs they go into its file, which begins with what was kept. What goes wrong with the file ends the recording and nothing else.
/// </summary>
/// <remarks>
/// <para>The format, version 1: lines of text with words between spaces, packed by gzip in a job's folder. The first line is <c>ratos-flash-recording 1 PRODUCT-VERSION DATE</c>. Each
/// other one says what was asked and what was answered, written when it was over:
/// <c>AT CHANNEL VERB TOOK QUESTION... = ANSWER...</c>. AT is when it was over and TOOK how long it took, both in tenths of a microsecond on a clock that begins with the process; AT
/// never falls. A word is percent-encoded, <c>-</c> for none, <c>%</c> for empty; a word that begins with <c>:</c> is bytes (<see cref="Payload"/>), at most one on each side, the last.
/// An answer begins with <c>ok</c>, <c>gone</c> (the device left: its name), <c>fault</c> (code, cause, remedy) or <c>cancelled</c>.</para>
/// <para>Channels: <c>job</c> (what was asked for, its images, events and verdicts), <c>bus</c> (<c>came</c>, <c>left</c>, then <c>list</c>: the new list is whole), <c>klippy</c>,
/// <c>moonraker</c>, <c>PORT#NUMBER</c> (what is done with one stay: <c>usb</c>, <c>serial</c>, <c>can</c>, <c>touch</c>) and <c>hN</c>, what was opened by that: <c>control</c>,
/// <c>bulk</c>, <c>claim</c>, <c>write</c>, <c>send</c>; <c>got</c> and <c>heard</c> are what came in by itself, <c>none</c> that nothing
/// did in time, <c>lost</c> its end (each with the time-out that was given), <c>state</c> the bus's. A verb that a reader does not
/// know concerns it not, unless it is asked for. The last line of a whole recording is <c>job end</c>.</para>
/// </remarks>
/// <param name="time">The only clock.</param>
/// <param name="say">Told once when a recording cannot go on.</param>
public sealed class FlightRecorder(TimeProvider time, Action<string>? say = null) : IDisposable
{
    public const string Magic = "ratos-flash-recording";
    public const int FormatVersion = 1;

    /// <summary>Characters of one job, before they are packed; from there on transfers are left out, and after a sixteenth more everything.</summary>
    public const int MostText = 16 * 1024 * 1024;

    private const int KeptBetweenJobs = 256;
    private const int PartLength = 2048;

    private readonly long _epoch = time.GetTimestamp();
    private readonly Queue<string> _kept = new();
    private readonly StringBuilder _line = new();
    private readonly Dictionary<(string Port, int Number), Device> _known = [];
    private Payload _payload = new();
    private StreamWriter? _file;
    private IHardware? _watched;
    private RecordedHardware? _recorded;
    private long _generation = -1;
    private long _written;
    private int _handles;
    private bool _isFull;

    public bool IsRecording => _file is not null;

    /// <summary>Number of the recording: another one for each job.</summary>
    public int Session { get; private set; }

    /// <summary>Told each line of the time between jobs, to keep it for longer than this process lives.</summary>
    public Action<string>? Between { get; set; }

    internal long Now => Ticks(time.GetElapsedTime(_epoch));

    internal static long Ticks(TimeSpan span) => span.Ticks;

    internal string NextHandle() => string.Create(CultureInfo.InvariantCulture, $"h{++_handles}");

    /// <summary>The same buses, recorded; their changes are from now on.</summary>
    public IHardware Of(IHardware hardware)
    {
        if (_recorded is not null && _watched == hardware)
            return _recorded;
        (_watched, _recorded) = (hardware, new RecordedHardware(hardware, this));
        _ = WatchAsync(hardware);
        return _recorded;
    }

    /// <summary>The same Klipper, recorded.</summary>
    public Klipper.IKlippy Of(Klipper.IKlippy klippy) => new RecordedKlippy(klippy, this);

    /// <summary>A job begins: from now on lines go into its file.</summary>
    /// <param name="file">Owned from here on.</param>
    /// <param name="product">Version of the program.</param>
    /// <param name="requests">What was asked for.</param>
    /// <param name="hasPerson">As the flasher is told.</param>
    /// <param name="readOut">Boards whose old firmware is wanted.</param>
    public void Begin(Stream file, string product, IEnumerable<FlashRequest> requests, bool hasPerson, IEnumerable<string> readOut)
    {
        End();
        Session++;
        (_payload, _written, _isFull) = (new Payload(), 0, false);
        _file = new StreamWriter(file, new UTF8Encoding(false), 16 * 1024) { NewLine = "\n" };
        Line(string.Create(CultureInfo.InvariantCulture, $"{Magic} {FormatVersion} {Escape(product)} {time.GetUtcNow():yyyy-MM-dd'T'HH:mm:ss'Z'}"));
        foreach (var line in _kept)
            Line(line);
        _kept.Clear();
        foreach (var request in requests)
            Asked(request);
        // What is on the buses now stands whole in each recording.
        _known.Clear();
        _generation = -1;
        if (_watched is { } hardware)
            Saw(hardware.Look());
        Put("job", "begin", Now, [hasPerson ? "1" : "0", .. readOut], null, Answer.Ok());
    }

    /// <summary>Firmware that was built for a board of this job, or why it was not.</summary>
    public void Built(string board, FirmwareImage? image, FlashException? fault) =>
        Put("job", "built", Now, [board], null, image is not null ? Answer.Ok(Number(ImageOf(image))) : Answer.Of(fault!));

    public void Event(FlashEvent step)
    {
        if (_file is null || step.Kind == FlashEventKind.Progress)
            return;
        Put("job", "event", Now, [Number(step.Sequence), step.Phase.ToString(), step.Kind.ToString(), step.Board, step.Message], null, Answer.Ok());
        if (step.Report is { } report)
            Put("job", "verdict", Now, [report.Board, report.Ok ? "ok" : "failed", report.Condition.ToString(), report.Fault?.Code, report.Fault?.Cause, report.Fault?.Remedy], null, Answer.Ok());
        if (step.Kind is not (FlashEventKind.Note or FlashEventKind.End))
            Flush();
    }

    /// <summary>Somebody cancelled the job.</summary>
    public void Cancel() => Put("job", "cancel", Now, [], null, Answer.Ok());

    /// <summary>A frame to or from Moonraker; nothing while no job runs.</summary>
    public void Moonraker(string verb, string method, string text)
    {
        const int Most = 1000;
        if (_file is not null)
            Put("moonraker", verb, Now, [method, text.Length <= Most ? text : text[..Most] + "..."], null, Answer.Ok());
    }

    /// <summary>The job is over.</summary>
    public void End()
    {
        if (_file is null)
            return;
        Put("job", "end", Now, [], null, Answer.Ok());
        Guarded(static file => file.Dispose());
        (_file, _payload) = (null, new Payload());
    }

    public void Dispose() => End();

    public void Flush() => Guarded(static file => file.Flush());

    // ---- what the decorators tell

    internal void Saw(DeviceList list)
    {
        if (list.Generation <= _generation)
            return;
        _generation = list.Generation;
        foreach (var gone in _known.Keys.Except(list.Devices.Select(device => (device.Port, device.Number))).ToList())
        {
            _known.Remove(gone);
            Put("bus", "left", Now, [gone.Port, Number(gone.Number)], null, Answer.Ok());
        }
        foreach (var device in list.Devices)
        {
            if (_known.TryGetValue((device.Port, device.Number), out var before) && before == device)
                continue;
            _known[(device.Port, device.Number)] = device;
            Put("bus", "came", Now, DeviceWords.Of(device), null, Answer.Ok());
        }
        Put("bus", "list", Now, [Number(list.Generation)], null, Answer.Ok());
    }

    /// <summary>Does it, and writes down what was asked and what came of it.</summary>
    internal async Task<T> AskAsync<T>(string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data, Func<Task<T>> ask, Func<T, Answer> told)
    {
        var begun = Now;
        try
        {
            var result = await ask();
            Put(channel, verb, begun, words, data, told(result));
            return result;
        }
        catch (Exception fault) when (Answer.For(fault) is not null)
        {
            Put(channel, verb, begun, words, data, Answer.For(fault)!.Value);
            throw;
        }
    }

    internal void Put(string channel, string verb, long begun, string?[] words, ReadOnlyMemory<byte>? data, Answer answer)
    {
        if (_file is null && channel is not ("bus" or "klippy"))
            return;
        var now = Now;
        _line.Clear().Append(CultureInfo.InvariantCulture, $"{now} {channel} {verb} {now - begun}");
        Words(words, data);
        _line.Append(" = ").Append(answer.Kind);
        Words(answer.Words, answer.Data);
        if (_file is not null)
        {
            if (!_isFull || channel is "job" or "bus" or "klippy")
                Line(_line);
            return;
        }
        if (_kept.Count == KeptBetweenJobs)
            _kept.Dequeue();
        var line = _line.ToString();
        _kept.Enqueue(line);
        Between?.Invoke(line);
    }

    internal static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    internal static string Escape(string? word) => word switch
    {
        null => "-",
        "" => "%",
        "-" => "%2D",
        _ => Uri.EscapeDataString(word),
    };

    private async Task WatchAsync(IHardware hardware)
    {
        var list = hardware.Look();
        Saw(list);
        while (true)
            Saw(list = await hardware.WaitForChangeAsync(list.Generation, CancellationToken.None));
    }

    private void Asked(FlashRequest request)
    {
        var (board, image) = (request.Board, request.Image is { } given ? Number(ImageOf(given)) : null);
        Put(
            "job", "asked", Now,
            [
                board.Name, board.Board.Id, board.Serial, board.Port, board.OnlyByPort ? "only-by-port" : null, board.CanUuid?.ToString(), board.CanInterface,
                board.Bootloader?.ToString(), board.RunningVersion, image,
                board.Board.McuName, board.Board.FlashStartEffective, board.Board.DfuRomAddress, board.Board.Comm, board.Board.UsbSerial,
                request.Job switch { FlashJob.Recover => "recovers", FlashJob.SdCard => "sd-card", _ => null }, board.Board.SdCard?.RenamedTo,
            ],
            null, Answer.Ok());
    }

    /// <summary>Its number; when it is new it is written first.</summary>
    private int ImageOf(FirmwareImage image)
    {
        for (var i = 0; i < _payload.Images.Count; i++)
        {
            if (_payload.Images[i].Span.SequenceEqual(image.Bytes.Span))
                return i;
        }
        var number = _payload.Images.Count;
        Put("job", "image", Now, [Number(number), image.Sha256, Number(image.Bytes.Length)], null, Answer.Ok());
        for (var at = 0; at < image.Bytes.Length; at += PartLength)
            Put("job", "part", Now, [Number(number)], image.Bytes[at..Math.Min(at + PartLength, image.Bytes.Length)], Answer.Ok());
        _payload.Add(image.Bytes);
        return number;
    }

    private void Words(string?[] words, ReadOnlyMemory<byte>? data)
    {
        foreach (var word in words)
            _line.Append(' ').Append(Escape(word));
        if (data is { } bytes)
            _payload.Write(_line.Append(' '), bytes.Span);
    }

    private void Line(string line)
    {
        _line.Clear().Append(line);
        Line(_line);
    }

    private void Line(StringBuilder line)
    {
        _written += line.Length + 1;
        if (_written > MostText && !_isFull)
        {
            _isFull = true;
            say?.Invoke("The recording of this job is full: transfers are left out from here on.");
        }
        if (_written <= MostText + (MostText / 16))
            Guarded(file => file.WriteLine(line));
    }

    private void Guarded(Action<StreamWriter> write)
    {
        if (_file is null)
            return;
        try
        {
            write(_file);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
        {
            // A full disk, or one that was made read-only: the flash is what matters.
            var file = _file;
            _file = null;
            say?.Invoke($"The recording of this job ends here: {fault.Message}");
            Abandon(file);
        }
    }

    private static void Abandon(StreamWriter file)
    {
        try
        {
            file.Dispose();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
        {
            // It was given up already.
        }
    }
}

/// <summary>What came of something that was asked.</summary>
/// <param name="Kind"><c>ok</c>, <c>gone</c>, <c>fault</c>, <c>cancelled</c>.</param>
internal readonly record struct Answer(string Kind, string?[] Words, ReadOnlyMemory<byte>? Data = null)
{
    public static Answer Ok(params string?[] words) => new("ok", words);

    public static Answer Bytes(ReadOnlyMemory<byte> data, params string?[] words) => new("ok", words, data);

    public static Answer Of(FlashException fault) => new("fault", [fault.Code, fault.Cause, fault.Remedy]);

    /// <summary>Null for what is a mistake of ours.</summary>
    public static Answer? For(Exception fault) => fault switch
    {
        DeviceGoneException gone => new("gone", [gone.Device]),
        FlashException known => Of(known),
        OperationCanceledException => new("cancelled", []),
        _ => null,
    };
}
