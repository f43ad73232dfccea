using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Recording;

/// <summary>The first point where today's engine does something else than was recorded.</summary>
/// <param name="At">On the recording's clock, since its job began.</param>
/// <param name="Recorded">What stands in the recording; null where it ends.</param>
/// <param name="Today">What was asked instead; null where nothing was.</param>
public sealed record Departure(TimeSpan At, string? Recorded, string? Today);

/// <summary>
/// A recording that is played: each question gets the answer that was recorded for it, at its time. What happened by itself (devices that came, bytes that arrived) happens at its
/// time too, but never before everything was asked that had been asked before it.
/// </summary>
internal sealed class Tape
{
    private static readonly HashSet<string> ByItself = ["got", "heard", "none", "lost", "state"];

    private static readonly TimeSpan LongestStall = TimeSpan.FromSeconds(5);

    private readonly VirtualTime _time;
    private readonly long _begin;
    private readonly bool _isWhole;
    private readonly Dictionary<string, Channel> _channels = [];
    private readonly List<RecordedLineOf> _questions;   // by their beginning
    private readonly HashSet<RecordedLineOf> _asked = [];
    private readonly TaskCompletionSource<Departure> _departed = new();   // on this thread: nobody else keeps this time
    private readonly List<TaskCompletionSource> _waiting = [];            // for the next question
    private int _next;

    public Tape(JobRecording recording, VirtualTime time)
    {
        (_time, _begin, _isWhole) = (time, recording.Begin!.At, recording.IsWhole);
        var lines = recording.Lines.SkipWhile(line => line != recording.Begin).Where(line => line.Channel is not ("job" or "bus" or "moonraker")).ToList();
        _questions = [.. lines.Where(line => !ByItself.Contains(line.Verb)).OrderBy(line => line.Begun)];
        foreach (var line in lines)
        {
            if (!_channels.TryGetValue(NameOf(line.Channel, line.Verb), out var channel))
                _channels[NameOf(line.Channel, line.Verb)] = channel = new Channel();
            if (ByItself.Contains(line.Verb))
                channel.Incoming.Enqueue((line, channel.Answered));
            else
                channel.Answered++;
        }
        foreach (var line in _questions)
            _channels[NameOf(line.Channel, line.Verb)].Questions.Enqueue(line);
    }

    private sealed class Channel
    {
        public Queue<RecordedLineOf> Questions { get; } = new();

        /// <summary>What came in, and how many questions of this channel had been answered by then.</summary>
        public Queue<(RecordedLineOf Line, int After)> Incoming { get; } = new();

        /// <summary>Questions while the tape is read; and those that were asked while it is played.</summary>
        public int Answered { get; set; }

        /// <inheritdoc cref="Answered"/>
        public int Asked { get; set; }
    }

    /// <summary>Completes at the first point where something else is done.</summary>
    public Task<Departure> Departed => _departed.Task;

    public TimeSpan Of(long at) => TimeSpan.FromTicks(Math.Max(0, at - _begin));

    /// <summary>The answer to a question; where another one was recorded, nothing is ever answered again.</summary>
    /// <exception cref="DeviceGoneException">That was the answer.</exception>
    /// <exception cref="FlashException">That was the answer.</exception>
    public async Task<RecordedAnswer> AskAsync(string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data, TimeSpan? limit = null)
    {
        var known = _channels.GetValueOrDefault(NameOf(channel, verb));
        var line = known?.Questions.Count > 0 ? known.Questions.Peek() : null;
        var isSame = line is not null && line.Verb == verb && line.Words.AsSpan().SequenceEqual(words) && (line.Data is null) == (data is null) && line.Data.AsSpan().SequenceEqual(data is { } sent ? sent.Span : default);
        if (!isSame)
            await DepartAsync(line, RecordingTimeline.Question(channel, verb, words, data));
        known!.Questions.Dequeue();
        known.Asked++;
        _asked.Add(line!);
        while (_next < _questions.Count && _asked.Contains(_questions[_next]))
            _next++;
        Move();
        // An engine that is as fast as it was gets its answers when it got them; one that is later, as long after its question.
        var (now, took) = (_time.Now, TimeSpan.FromTicks(line!.Took));
        var end = now > Of(line.Begun) ? now + took : Of(line.At);
        if (limit is { } patience && line.Answer.Kind == "ok" && line.Answer.Word(0) != nameof(UsbStatus.Timeout) && took > patience + TimeSpan.FromMilliseconds(100))
            await DepartAsync(line, $"{RecordingTimeline.Question(channel, verb, words, data)}, waiting no longer than {patience.TotalSeconds:0.###} s");
        await WaitAsync(end - now);
        return line.Answer.Kind switch
        {
            "ok" => line.Answer,
            "gone" => throw new DeviceGoneException(line.Answer.Word(0) ?? channel),
            "fault" when line.Answer.Words is [{ } code, { } cause, { } remedy] => throw new FlashException(code, cause, remedy),
            "cancelled" => throw new OperationCanceledException(),
            _ => await DepartAsync(line, "an answer that this program does not know"),
        };
    }

    /// <summary>The next thing that came in on a channel; null when nothing did in time.</summary>
    /// <param name="name">The channel.</param>
    /// <param name="timeout">May be infinite.</param>
    public async Task<RecordedLineOf?> HearAsync(string name, TimeSpan timeout)
    {
        var channel = _channels.GetValueOrDefault(name) ?? new Channel();
        var begin = _time.Now;
        while (true)
        {
            var isThere = channel.Incoming.TryPeek(out var next) && channel.Asked >= next.After;
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
            var end = timeout == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : isThere ? EndOf(next.Line, begin, timeout) : begin + timeout;
            if (_time.Now >= end)
                return null;
            var until = due < end ? due : end;
            await WaitAsync(until == TimeSpan.MaxValue ? until : until - _time.Now, orAsked: !isThere);
        }
    }

    /// <summary>
    /// When a read gives up. A computer that was busy began it late, and ended it late: with what came after its time had passed, or with nothing. It is not the engine that gives up
    /// earlier today.
    /// </summary>
    private TimeSpan EndOf(RecordedLineOf line, TimeSpan begin, TimeSpan timeout)
    {
        if (!long.TryParse(line.Words is [{ } word, ..] ? word : null, out var given) || given < 0)
            return begin + timeout;
        var (stalled, late) = (Of(line.Begun) - begin, line.Took - given);
        return begin + timeout + (stalled > TimeSpan.Zero && stalled < LongestStall ? stalled : TimeSpan.Zero) + TimeSpan.FromTicks(Math.Clamp(late, 0, LongestStall.Ticks));
    }

    /// <summary>What the bus's controller had told by now.</summary>
    public CanBusState StateOf(IEnumerable<RecordedLineOf> lines, string channel) => lines.LastOrDefault(line => line.Channel == channel && line.Verb == "state" && Of(line.At) <= _time.Now) is { } state
        && Enum.TryParse<CanBusState>(state.Answer.Word(0), out var told) ? told : CanBusState.Working;

    /// <summary>Waits for a moment, and until everything was asked that had been asked before it.</summary>
    public async Task UntilAsync(long at)
    {
        while (_next < _questions.Count && _questions[_next].Begun < at)
            await WaitAsync(TimeSpan.MaxValue, orAsked: true);
        await WaitAsync(Of(at) - _time.Now);
    }

    /// <summary>The engine is done: was that all?</summary>
    public Departure? Rest() => _next < _questions.Count ? new(Of(_questions[_next].Begun), RecordingTimeline.Question(_questions[_next]), null) : null;

    /// <summary>Several boards ask after Klipper at the same time: in which order does not matter.</summary>
    private static string NameOf(string channel, string verb) => channel == "klippy" ? $"{channel} {verb}" : channel;

    /// <summary>Never returns.</summary>
    private async Task<RecordedAnswer> DepartAsync(RecordedLineOf? recorded, string today)
    {
        _departed.TrySetResult(new(_time.Now, recorded is null ? _isWhole ? "nothing more of that kind" : null : RecordingTimeline.Question(recorded), today));
        await new TaskCompletionSource<RecordedAnswer>().Task;
        throw new InvalidOperationException();
    }

    /// <summary>To the tick, while Task.Delay knows whole milliseconds alone.</summary>
    /// <param name="span">The largest of all has no end.</param>
    /// <param name="orAsked">Or until the next question is asked.</param>
    private Task WaitAsync(TimeSpan span, bool orAsked = false)
    {
        if (span <= TimeSpan.Zero)
            return Task.CompletedTask;
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (span < TimeSpan.MaxValue)
            _time.Schedule(span, () => over.TrySetResult());
        if (orAsked)
            _waiting.Add(over);
        return over.Task;
    }

    private void Move()
    {
        foreach (var waiting in _waiting)
            waiting.TrySetResult();
        _waiting.Clear();
    }
}
