using System.Globalization;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using static RatOS.Flash.Recording.RecordingWords;

namespace RatOS.Flash.Recording;

/// <summary>
/// Records every call to the buses and to Klipper, on one clock. Between jobs it keeps the last lines in memory and passes each to
/// <see cref="BetweenJobs"/>; a job's file begins with the kept ones. A fault of the file ends the recording and nothing else.
/// </summary>
/// <remarks>
/// <para>The format, version 1: lines of text with words between spaces, packed by gzip in a job's folder. The first line is
/// <c>ratos-flash-recording 1 PRODUCT-VERSION DATE</c>. Each other line holds one call and its answer, and is written when the call ends:
/// <c>AT CHANNEL VERB TOOK QUESTION... = ANSWER...</c>. AT is the end and TOOK the duration, both in units of 100 ns on a clock that
/// begins with the process; AT never falls. A word is percent-encoded, <c>-</c> for null, <c>%</c> for empty. A word that begins with
/// <c>:</c> is bytes (<see cref="Payload"/>): at most one on each side, the last. An answer begins with <c>ok</c>, <c>gone</c> (the
/// device left: its name), <c>fault</c> (code, cause, remedy) or <c>cancelled</c>.</para>
/// <para>Channels: <c>job</c> (requests, images, events and verdicts), <c>bus</c> (<c>came</c>, <c>left</c>, then <c>list</c>: the new
/// list is complete), <c>klippy</c>, <c>moonraker</c>, <c>PORT#NUMBER</c> (calls on one session of a device: <c>usb</c>, <c>serial</c>,
/// <c>can</c>, <c>touch</c>) and <c>hN</c>, a handle that such a call opened: <c>control</c>, <c>bulk</c>, <c>claim</c>,
/// <c>clear-halt</c>, <c>reset</c>, <c>write</c>, <c>send</c>. <c>got</c> and <c>heard</c> are incoming data, <c>none</c> a time-out
/// without any, <c>lost</c> the end of the device (each with its time-out), <c>state</c> the state of the CAN bus. A reader ignores
/// unknown verbs unless the engine asks for them. A complete recording ends with <c>job end</c>.</para>
/// </remarks>
/// <param name="time">The only clock.</param>
/// <param name="warn">Called once with a sentence when a recording cannot continue.</param>
public sealed class CallRecorder(TimeProvider time, Action<string>? warn = null) : IDisposable
{
    public const string Magic = "ratos-flash-recording";
    public const int FormatVersion = 1;

    /// <summary>Limit of one job in characters before packing. Beyond it transfers are left out; beyond 1/16 more, everything.</summary>
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
    private RecordingHardware? _recorded;
    private long _generation = -1;
    private long _written;
    private int _handles;
    private bool _isFull;

    public bool IsRecording => _file is not null;

    /// <summary>Number of the recording: another one for each job.</summary>
    public int Session { get; private set; }

    /// <summary>Gets each line that is recorded between jobs, so that it can outlive this process.</summary>
    public Action<string>? BetweenJobs { get; set; }

    internal long Now => time.GetElapsedTime(_epoch).Ticks;

    internal string NextHandle() => string.Create(CultureInfo.InvariantCulture, $"h{++_handles}");

    /// <summary>The same buses, recorded; their changes are recorded from now on.</summary>
    public IHardware Record(IHardware hardware)
    {
        if (_recorded is not null && _watched == hardware)
            return _recorded;
        (_watched, _recorded) = (hardware, new RecordingHardware(hardware, this));
        _ = WatchAsync(hardware);
        return _recorded;
    }

    /// <summary>The same Klipper, recorded.</summary>
    public IKlippy Record(IKlippy klippy) => new RecordingKlippy(klippy, this);

    /// <summary>A job begins: from now on lines go into its file.</summary>
    /// <param name="file">Owned by the recorder from here on.</param>
    /// <param name="product">Version of the program.</param>
    /// <param name="requests">The boards to flash and their images.</param>
    /// <param name="hasOperator">The flasher may wait for operator steps.</param>
    /// <param name="readOut">Names of boards whose old firmware is read out first.</param>
    public void Begin(Stream file, string product, IEnumerable<FlashRequest> requests, bool hasOperator, IEnumerable<string> readOut)
    {
        End();
        Session++;
        (_payload, _written, _isFull) = (new Payload(), 0, false);
        _file = new StreamWriter(file, new UTF8Encoding(false), 16 * 1024) { NewLine = "\n" };
        var date = time.GetUtcNow();
        Line(string.Create(CultureInfo.InvariantCulture, $"{Magic} {FormatVersion} {Escape(product)} {date:yyyy-MM-dd'T'HH:mm:ss'Z'}"));
        foreach (var line in _kept)
            Line(line);
        _kept.Clear();
        foreach (var request in requests)
            Append(request);
        // Each recording holds the complete list of devices.
        _known.Clear();
        _generation = -1;
        if (_watched is { } hardware)
            Append(hardware.Look());
        Append("job", "begin", Now, [hasOperator ? "1" : "0", .. readOut], null, Answer.Ok());
    }

    /// <summary>Firmware that was built for a board of this job, or why it was not.</summary>
    public void Built(string board, FirmwareImage? image, FlashException? fault) =>
        Append("job", "built", Now, [board], null, image is not null ? Answer.Ok(Number(ImageOf(image))) : Answer.Of(fault!));

    public void Event(FlashEvent step)
    {
        if (_file is null || step.Kind == FlashEventKind.Progress)
            return;
        string?[] words = [Number(step.Sequence), Phases.Of(step.Phase), EventKinds.Of(step.Kind), step.Board, step.Message];
        Append("job", "event", Now, words, null, Answer.Ok());
        if (step.Report is { } report)
        {
            words =
            [
                report.Board, report.Ok ? "ok" : "failed", Conditions.Of(report.Condition),
                report.Fault?.Code, report.Fault?.Cause, report.Fault?.Remedy.ToString(),
            ];
            Append("job", "verdict", Now, words, null, Answer.Ok());
        }
        if (step.Kind is not (FlashEventKind.Note or FlashEventKind.End))
            Flush();
    }

    /// <summary>The job was cancelled.</summary>
    public void Cancel() => Append("job", "cancel", Now, [], null, Answer.Ok());

    /// <summary>A frame to or from Moonraker; ignored while no job runs.</summary>
    public void Moonraker(string verb, string method, string text)
    {
        const int Most = 1000;
        if (_file is not null)
            Append("moonraker", verb, Now, [method, text.Length <= Most ? text : text[..Most] + "..."], null, Answer.Ok());
    }

    /// <summary>The job is over.</summary>
    public void End()
    {
        if (_file is null)
            return;
        Append("job", "end", Now, [], null, Answer.Ok());
        Guarded(static file => file.Dispose());
        (_file, _payload) = (null, new Payload());
    }

    public void Dispose() => End();

    public void Flush() => Guarded(static file => file.Flush());

    // ---- called by the decorators

    /// <summary>Records what has changed since the last list.</summary>
    internal void Append(DeviceList list)
    {
        if (list.Generation <= _generation)
            return;
        _generation = list.Generation;
        foreach (var gone in _known.Keys.Except(list.Devices.Select(device => (device.Port, device.Number))).ToList())
        {
            _known.Remove(gone);
            Append("bus", "left", Now, [gone.Port, Number(gone.Number)], null, Answer.Ok());
        }
        foreach (var device in list.Devices)
        {
            if (_known.TryGetValue((device.Port, device.Number), out var before) && before == device)
                continue;
            _known[(device.Port, device.Number)] = device;
            Append("bus", "came", Now, DeviceWords.Of(device), null, Answer.Ok());
        }
        Append("bus", "list", Now, [Number(list.Generation)], null, Answer.Ok());
    }

    /// <summary>Makes a call and records it with its answer.</summary>
    internal async Task<T> RecordAsync<T>(
        string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data, Func<Task<T>> call, Func<T, Answer> answer)
    {
        var begun = Now;
        try
        {
            var result = await call();
            Append(channel, verb, begun, words, data, answer(result));
            return result;
        }
        catch (Exception fault) when (Answer.For(fault) is not null)
        {
            Append(channel, verb, begun, words, data, Answer.For(fault)!.Value);
            throw;
        }
    }

    /// <summary>The same for a call without a result.</summary>
    internal Task RecordAsync(string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data, Func<Task> call) => RecordAsync(
        channel, verb, words, data,
        async () =>
        {
            await call();
            return true;
        },
        static _ => Answer.Ok());

    internal void Append(string channel, string verb, long begun, string?[] words, ReadOnlyMemory<byte>? data, Answer answer)
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
        BetweenJobs?.Invoke(line);
    }

    private async Task WatchAsync(IHardware hardware)
    {
        var list = hardware.Look();
        Append(list);
        while (true)
            Append(list = await hardware.WaitForChangeAsync(list.Generation, CancellationToken.None));
    }

    private void Append(FlashRequest request)
    {
        var (board, image) = (request.Board, request.Image is { } given ? Number(ImageOf(given)) : null);
        var card = board.Profile.SdCard;
        var byPins = card is { Source: not FactSource.Catalogue } ? card.Value : null;
        string?[] words =
        [
            board.Name, board.Board.Id, board.Serial, board.Port, board.OnlyByPort ? "only-by-port" : null,
            board.CanUuid?.ToString(), board.CanInterface,
            board.Bootloader is { } driver ? BootloaderWord(driver) : null, board.RunningVersion, image,
            board.Profile.Chip?.Value, board.Profile.ApplicationStart is { } start ? $"0x{start.Value:x}" : null,
            board.Board.DfuRomAddress, board.Board.Comm, board.Board.UsbSerial,
            request.Job switch
            {
                FlashJob.Recover => "recovers",
                FlashJob.Identify => "identify",
                FlashJob.SdCard => "sd-card",
                _ => null,
            },
            byPins is null ? card?.Value.RenamedTo : null,
            request.Earlier is { } earlier ? Conditions.Of(earlier.Condition) : null, request.Earlier?.Place.Port,
            request.AsksStart ? "all" : null, request.LinkChange?.ToString(), board.Profile.Bootloader?.Value,
            byPins?.Path, byPins is { NeedsNewName: true } ? "new-name" : null, byPins?.Encoding.ToString(),
            byPins is null ? null : card!.Where,
            .. board.Profile.CardCandidates.Select(other => $"{CardSetting.Of(other.File!)}|{other.Board}"),
        ];
        Append("job", "asked", Now, words, null, Answer.Ok());
    }

    /// <summary>The image's number; a new one is written first.</summary>
    private int ImageOf(FirmwareImage image)
    {
        for (var i = 0; i < _payload.Images.Count; i++)
        {
            if (_payload.Images[i].Span.SequenceEqual(image.Bytes.Span))
                return i;
        }
        var number = _payload.Images.Count;
        Append("job", "image", Now, [Number(number), image.Sha256, Number(image.Bytes.Length)], null, Answer.Ok());
        for (var at = 0; at < image.Bytes.Length; at += PartLength)
            Append("job", "part", Now, [Number(number)], image.Bytes[at..Math.Min(at + PartLength, image.Bytes.Length)], Answer.Ok());
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
            warn?.Invoke("The recording of this job is full: transfers are left out from here on.");
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
        catch (Exception fault) when (IsOfTheFile(fault))
        {
            // The disk is full or read-only: the flash continues.
            var file = _file;
            _file = null;
            warn?.Invoke($"The recording of this job ends here: {fault.Message}");
            Abandon(file);
        }
    }

    private static bool IsOfTheFile(Exception fault) =>
        fault is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException;

    private static void Abandon(StreamWriter file)
    {
        try
        {
            file.Dispose();
        }
        catch (Exception fault) when (IsOfTheFile(fault))
        {
            // Its last buffer cannot be written either.
        }
    }
}
