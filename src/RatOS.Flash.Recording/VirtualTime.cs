using System.Threading.Tasks.Sources;

namespace RatOS.Flash.Recording;

/// <summary>
/// Time that passes only when everybody waits. One thread runs all: callbacks until none is left, then the next timer, whose moment becomes now.
/// So a half-minute flash takes milliseconds, and the same story gives the same trace.
/// </summary>
/// <remarks>
/// With a <see cref="Pace"/> it really waits between timers, for people who watch. Live it follows the real clock instead, for boards that a real
/// kernel talks to: it waits for other threads as long as it takes.
/// </remarks>
public sealed class VirtualTime : TimeProvider
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LiveResolution = TimeSpan.FromMilliseconds(1);   // the system's waits are no finer
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);
    private static readonly DateTimeOffset Beginning = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();
    private readonly PriorityQueue<Entry, (long At, long Order)> _timers = new();
    private readonly long _realBeginning = System.GetTimestamp();
    private readonly DateTimeOffset _realDate = System.GetUtcNow();
    private readonly object _gate = new();
    private readonly Queue<Action> _posted = new();   // by other threads
    private volatile bool _hasPosted;
    private TimeSpan _owed;   // real time
    private long _liveSince;  // real timestamp of the moment that was
    private long _liveFrom;   // ... this virtual one
    private long _order;
    private long _now;

    private sealed class Entry(Action<object?> callback, object? state)
    {
        public readonly object? State = state;
        public Action<object?>? Callback = callback;   // null once it was taken back
    }

    /// <summary>Virtual seconds for each real one; 0 never waits, or is 1 when <see cref="IsLive"/>.</summary>
    public double Pace { get; init; }

    /// <summary>
    /// Now follows the real clock, timers run when they are due (at most a real millisecond early), and with nothing to do it waits for
    /// <see cref="Post"/>. Now stands still within a callback.
    /// </summary>
    public bool IsLive { get; init; }

    /// <summary>A story that takes longer than this never ends; a live one may.</summary>
    public TimeSpan Limit { get; init; } = TimeSpan.FromHours(12);

    /// <summary>Since the beginning.</summary>
    public TimeSpan Now => new(_now);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _now;

    /// <summary>The same for each story; live the real date, for what is kept is put in order by it.</summary>
    public override DateTimeOffset GetUtcNow() => (IsLive ? _realDate : Beginning) + Now;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>Runs a story on virtual time of its own.</summary>
    public static void Run(Func<VirtualTime, Task> story)
    {
        var time = new VirtualTime();
        time.Run(async () =>
        {
            await story(time);
            return true;
        });
    }

    /// <summary>Runs a story until its task is complete, and returns its result or throws its exception.</summary>
    /// <exception cref="InvalidOperationException">Everybody waits, and no timer is left to end it; or <see cref="Limit"/> passed.</exception>
    public T Run<T>(Func<Task<T>> story)
    {
        var outer = SynchronizationContext.Current;
        (_liveSince, _liveFrom) = (System.GetTimestamp(), _now);
        SynchronizationContext.SetSynchronizationContext(new Context(this));
        try
        {
            var task = story();
            // Completion from a foreign thread must end the wait of a paced run as well.
            while (!task.IsCompleted)
                Step();
            return task.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outer);
        }
    }

    /// <summary>Runs something on this time's thread as soon as it can. The only member for other threads.</summary>
    public void Post(Action action)
    {
        lock (_gate)
        {
            _posted.Enqueue(action);
            _hasPosted = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Calls back once, after a delay of 0 or more. Those of one moment come in the order of this call.</summary>
    /// <returns>What to give to <see cref="Unschedule"/>.</returns>
    public object Schedule(TimeSpan delay, Action<object?> callback, object? state = null)
    {
        var entry = new Entry(callback, state);
        _timers.Enqueue(entry, (_now + Math.Max(0, delay.Ticks), _order++));
        return entry;
    }

    /// <inheritdoc cref="Schedule(TimeSpan, Action{object?}, object?)"/>
    public object Schedule(TimeSpan delay, Action callback) => Schedule(delay, static state => ((Action)state!)(), callback);

    /// <summary>Takes a callback back; nothing happens when it was called already.</summary>
    public static void Unschedule(object entry) => ((Entry)entry).Callback = null;

    /// <summary>Calls a scheduled callback now instead of at its time.</summary>
    internal static void RunNow(object entry)
    {
        var (callback, state) = (((Entry)entry).Callback, ((Entry)entry).State);
        Unschedule(entry);
        callback?.Invoke(state);
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(this, callback, state, dueTime, period);

    private double LivePace => Pace > 0 ? Pace : 1;

    /// <summary>Where the real clock is, in ticks of this one.</summary>
    private long LiveNow => (long)(System.GetElapsedTime(_realBeginning).Ticks * LivePace);

    private void Step()
    {
        if (IsLive)
            _now = Math.Max(_now, LiveNow);
        if (_hasPosted)
        {
            lock (_gate)
            {
                while (_posted.TryDequeue(out var action))
                {
                    // What comes from outside comes now, and behind the timers that are overdue.
                    if (IsLive)
                        Schedule(new TimeSpan(LiveNow - _now), action);
                    else
                        _ready.Enqueue((static state => ((Action)state!)(), action));
                }
                _hasPosted = false;
            }
        }
        if (_ready.TryDequeue(out var next))
        {
            next.Callback(next.State);
            return;
        }
        while (_timers.TryPeek(out var timer, out var due))
        {
            if (timer.Callback is not { } callback)
            {
                _timers.Dequeue();
                continue;
            }
            if (due.At > Limit.Ticks && !IsLive)
                throw new InvalidOperationException($"the story did not end within {Limit} of virtual time");
            if (IsLive ? !WaitLive(due.At) : !WaitUntil(due.At))
                return;
            _timers.Dequeue();
            _now = Math.Max(_now, due.At);
            timer.Callback = null;
            callback(timer.State);
            return;
        }
        if (IsLive)
        {
            WaitLive(long.MaxValue);
            return;
        }
        throw new InvalidOperationException($"nothing can ever happen again: at {Now} everybody waits, and no timer is left");
    }

    /// <summary>Lets real time pass; false when another thread posted something first.</summary>
    private bool WaitUntil(long at)
    {
        if (Pace <= 0)
            return true;
        if (IsLive)
            return WaitLive(at);
        _owed += TimeSpan.FromTicks((long)((at - _now) / Pace));
        if (_owed < ShortestWait)
            return true;   // short waits are gathered until they are worth a real one
        lock (_gate)
        {
            var begin = System.GetTimestamp();
            if (_posted.Count == 0 && !Monitor.Wait(_gate, _owed))
            {
                _owed = TimeSpan.Zero;
                return true;
            }
            // The rest is waited for when the same timer is next in turn again.
            _owed = -System.GetElapsedTime(begin);
            return false;
        }
    }

    /// <summary>True when the real clock is there; else waits for a while, or until another thread posts something.</summary>
    private bool WaitLive(long at)
    {
        var left = TimeSpan.FromTicks((long)((at - LiveNow) / LivePace));
        if (left < LiveResolution)
            return true;
        lock (_gate)
        {
            if (_posted.Count == 0)
                Monitor.Wait(_gate, left < LongestWait ? left : LongestWait);
        }
        return false;
    }

    private sealed class Timer : ITimer
    {
        private readonly VirtualTime _time;
        private readonly TimerCallback _callback;
        private readonly object? _state;
        private TimeSpan _period;
        private object? _entry;

        public Timer(VirtualTime time, TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            (_time, _callback, _state) = (time, callback, state);
            Change(dueTime, period);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Dispose();
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan)
                _entry = _time.Schedule(dueTime, static timer => ((Timer)timer!).Fire(), this);
            return true;
        }

        public void Dispose()
        {
            if (_entry is not null)
                Unschedule(_entry);
            _entry = null;
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Fire()
        {
            _entry = _period > TimeSpan.Zero ? _time.Schedule(_period, static timer => ((Timer)timer!).Fire(), this) : null;
            _callback(_state);
        }
    }

    private sealed class Context(VirtualTime time) : SynchronizationContext
    {
        private readonly int _thread = Environment.CurrentManagedThreadId;

        public override void Post(SendOrPostCallback d, object? state)
        {
            if (Environment.CurrentManagedThreadId == _thread)
                time._ready.Enqueue((d, state));
            else
                time.Post(() => d(state));
        }

        public override void Send(SendOrPostCallback d, object? state) => d(state);

        public override SynchronizationContext CreateCopy() => this;
    }
}

/// <summary>A wait that ends when its time is over or when somebody ends it. It is used again and again: transfers wait by the thousand.</summary>
internal sealed class Pause(VirtualTime time) : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private object? _limit;
    private bool _waits;

    /// <summary>Waits; one caller at a time.</summary>
    public ValueTask WaitAsync(TimeSpan limit)
    {
        if (_waits)
            throw new InvalidOperationException("Two callers wait where only one may.");
        _core.Reset();
        _waits = true;
        _limit = limit >= TimeSpan.Zero ? time.Schedule(limit, static pause => ((Pause)pause!).Wake(), this) : null;
        return new ValueTask(this, _core.Version);
    }

    public void Wake()
    {
        if (!_waits)
            return;
        _waits = false;
        if (_limit is not null)
            VirtualTime.Unschedule(_limit);
        _core.SetResult(true);
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
