using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Recording;

/// <summary>The first call of today's engine that differs from the recording.</summary>
/// <param name="At">On the recording's clock, since its job began.</param>
/// <param name="Recorded">The recorded call; null where the recording ends.</param>
/// <param name="Today">Today's call; null where there is none.</param>
public sealed record Divergence(TimeSpan At, string? Recorded, string? Today);

/// <summary>
/// Replays a recording: each call gets its recorded answer at its recorded time. Events without a call (devices that come, bytes that
/// arrive) happen at their recorded time too, but never before all calls that precede them.
/// </summary>
internal sealed class ReplaySession
{
    private static readonly HashSet<string> IncomingVerbs = ["got", "heard", "none", "lost", "state"];

    private static readonly TimeSpan LongestStall = TimeSpan.FromSeconds(5);

    private readonly VirtualTime _time;
    private readonly long _begin;
    private readonly bool _isWhole;
    private readonly Dictionary<string, Channel> _channels = [];
    private readonly List<RecordedCall> _calls;   // by their beginning
    private readonly HashSet<RecordedCall> _made = [];
    private readonly TaskCompletionSource<Divergence> _diverged = new();   // continues on this thread, as all of virtual time does
    private readonly List<TaskCompletionSource> _waiting = [];             // for the next call
    private int _next;

    public ReplaySession(JobRecording recording, VirtualTime time)
    {
        (_time, _begin, _isWhole) = (time, recording.Begin!.At, recording.IsWhole);
        var lines = recording.Lines.SkipWhile(line => line != recording.Begin)
            .Where(line => line.Channel is not ("job" or "bus" or "moonraker")).ToList();
        _calls = [.. lines.Where(line => !IncomingVerbs.Contains(line.Verb)).OrderBy(line => line.Begun)];
        foreach (var line in lines)
        {
            if (!_channels.TryGetValue(NameOf(line.Channel, line.Verb), out var channel))
                _channels[NameOf(line.Channel, line.Verb)] = channel = new Channel();
            if (IncomingVerbs.Contains(line.Verb))
                channel.Incoming.Enqueue((line, channel.Recorded));
            else
                channel.Recorded++;
        }
        foreach (var line in _calls)
            _channels[NameOf(line.Channel, line.Verb)].Calls.Enqueue(line);
    }

    private sealed class Channel
    {
        public Queue<RecordedCall> Calls { get; } = new();

        /// <summary>Incoming data, and how many calls of this channel had ended by then.</summary>
        public Queue<(RecordedCall Line, int After)> Incoming { get; } = new();

        /// <summary>Calls of the recording, counted while it is read.</summary>
        public int Recorded { get; set; }

        /// <summary>Calls of today's engine so far.</summary>
        public int Made { get; set; }
    }

    /// <summary>Completes at the first call that differs.</summary>
    public Task<Divergence> Diverged => _diverged.Task;

    public TimeSpan Of(long at) => TimeSpan.FromTicks(Math.Max(0, at - _begin));

    /// <summary>The recorded answer to a call. After a call that differs from the recording nothing is answered.</summary>
    /// <exception cref="DeviceGoneException">The recorded answer.</exception>
    /// <exception cref="FlashException">The recorded answer.</exception>
    public async Task<RecordedAnswer> AskAsync(
        string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data, TimeSpan? limit = null)
    {
        var known = _channels.GetValueOrDefault(NameOf(channel, verb));
        var line = known?.Calls.Count > 0 ? known.Calls.Peek() : null;
        if (line is null || line.Verb != verb || !line.Words.AsSpan().SequenceEqual(words) || !IsSame(line.Data, data))
            await DivergeAsync(line, RecordingTimeline.Question(channel, verb, words, data));
        known!.Calls.Dequeue();
        known.Made++;
        _made.Add(line!);
        while (_next < _calls.Count && _made.Contains(_calls[_next]))
            _next++;
        Wake();
        // An engine as fast as the recorded one gets its answers at the recorded times; a slower one as long after its call.
        var (now, took) = (_time.Now, TimeSpan.FromTicks(line!.Took));
        var end = now > Of(line.Begun) ? now + took : Of(line.At);
        var isInTime = line.Answer.Kind == "ok" && line.Answer.Word(0) != RecordingWords.UsbStatuses.Of(UsbStatus.Timeout);
        if (isInTime && limit is { } patience && took > patience + TimeSpan.FromMilliseconds(100))
            await DivergeAsync(
                line, $"{RecordingTimeline.Question(channel, verb, words, data)}, waiting no longer than {patience.TotalSeconds:0.###} s");
        await WaitAsync(end - now);
        return line.Answer.Kind switch
        {
            "ok" => line.Answer,
            "gone" => throw new DeviceGoneException(line.Answer.Word(0) ?? channel),
            "fault" when line.Answer.FaultAt(0) is { } fault => throw fault,
            "cancelled" => throw new OperationCanceledException(),
            _ => await DivergeAsync(line, "an answer that this program does not know"),
        };
    }

    /// <summary>The next incoming line of a channel; null after the time-out.</summary>
    /// <param name="name">The channel.</param>
    /// <param name="timeout">May be infinite.</param>
    public async Task<RecordedCall?> HearAsync(string name, TimeSpan timeout)
    {
        var channel = _channels.GetValueOrDefault(name) ?? new Channel();
        var begin = _time.Now;
        while (true)
        {
            var isThere = channel.Incoming.TryPeek(out var next) && channel.Made >= next.After;
            var due = isThere ? Of(next.Line.At) : TimeSpan.MaxValue;
            if (isThere && (next.Line.Verb == "state" || due <= _time.Now))
            {
                var line = channel.Incoming.Dequeue().Line;
                if (line.Verb == "none" && begin + timeout <= _time.Now)
                    return null;
                if (line.Verb is not ("state" or "none"))
                    return line;
                continue;
            }
            var end = timeout == Timeout.InfiniteTimeSpan
                ? TimeSpan.MaxValue : isThere ? EndOf(next.Line, begin, timeout) : begin + timeout;
            if (_time.Now >= end)
                return null;
            var until = due < end ? due : end;
            await WaitAsync(until == TimeSpan.MaxValue ? until : until - _time.Now, orCall: !isThere);
        }
    }

    /// <summary>
    /// When a read times out. A busy computer began the recorded read late and ended it late, with data that arrived after the time-out
    /// or with none. Today's read gets the same extra time, so that it does not seem to give up earlier.
    /// </summary>
    private TimeSpan EndOf(RecordedCall line, TimeSpan begin, TimeSpan timeout)
    {
        if (!long.TryParse(line.Words is [{ } word, ..] ? word : null, out var given) || given < 0)
            return begin + timeout;
        var (stalled, late) = (Of(line.Begun) - begin, line.Took - given);
        var extra = stalled > TimeSpan.Zero && stalled < LongestStall ? stalled : TimeSpan.Zero;
        return begin + timeout + extra + TimeSpan.FromTicks(Math.Clamp(late, 0, LongestStall.Ticks));
    }

    /// <summary>The state of the CAN bus as last recorded before now.</summary>
    public CanBusState StateOf(IEnumerable<RecordedCall> lines, string channel)
    {
        var last = lines.LastOrDefault(line => line.Channel == channel && line.Verb == "state" && Of(line.At) <= _time.Now);
        return RecordingWords.CanBusStates.Find(last?.Answer.Word(0)) ?? CanBusState.Working;
    }

    /// <summary>Waits for a recorded moment, and for all calls that precede it.</summary>
    public async Task UntilAsync(long at)
    {
        while (_next < _calls.Count && _calls[_next].Begun < at)
            await WaitAsync(TimeSpan.MaxValue, orCall: true);
        await WaitAsync(Of(at) - _time.Now);
    }

    /// <summary>The first recorded call that today's engine did not make; null when it made all.</summary>
    public Divergence? Unasked() =>
        _next < _calls.Count ? new(Of(_calls[_next].Begun), RecordingTimeline.Question(_calls[_next]), null) : null;

    private static bool IsSame(byte[]? recorded, ReadOnlyMemory<byte>? data) =>
        data is { } sent ? recorded is not null && sent.Span.SequenceEqual(recorded) : recorded is null;

    /// <summary>Boards that are flashed at the same time look at Klipper in any order.</summary>
    private static string NameOf(string channel, string verb) => channel == "klippy" ? $"{channel} {verb}" : channel;

    /// <summary>Never returns.</summary>
    private async Task<RecordedAnswer> DivergeAsync(RecordedCall? recorded, string today)
    {
        var expected = recorded is not null ? RecordingTimeline.Question(recorded) : _isWhole ? "nothing more of that kind" : null;
        _diverged.TrySetResult(new(_time.Now, expected, today));
        await new TaskCompletionSource<RecordedAnswer>().Task;
        throw new InvalidOperationException();
    }

    /// <summary>Exact to the tick; Task.Delay rounds to milliseconds.</summary>
    /// <param name="span"><see cref="TimeSpan.MaxValue"/> for no limit.</param>
    /// <param name="orCall">Returns at the next call too.</param>
    private Task WaitAsync(TimeSpan span, bool orCall = false)
    {
        if (span <= TimeSpan.Zero)
            return Task.CompletedTask;
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (span < TimeSpan.MaxValue)
            _time.Schedule(span, () => over.TrySetResult());
        if (orCall)
            _waiting.Add(over);
        return over.Task;
    }

    private void Wake()
    {
        foreach (var waiting in _waiting)
            waiting.TrySetResult();
        _waiting.Clear();
    }
}
