namespace RatOS.Flash.Recording;

/// <summary>
/// Time that passes only while everything waits. One thread runs all callbacks until none is left; then the next timer runs, and its
/// moment becomes now. A flash of 30 s takes milliseconds, and repeats exactly.
/// </summary>
/// <remarks>
/// With a <see cref="Pace"/> it really waits between timers, for people who watch. With <see cref="IsLive"/> it follows the real clock,
/// for boards that a real kernel talks to, and waits for other threads as long as they take.
/// </remarks>
public sealed class VirtualTime : TimeProvider
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LiveResolution = TimeSpan.FromMilliseconds(1);   // of the system's own waits
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestYieldingWait = TimeSpan.FromMilliseconds(5);
    private static readonly DateTimeOffset Beginning = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();
    private readonly PriorityQueue<Entry, (long At, long Order)> _timers = new();
    private readonly long _realBeginning = System.GetTimestamp();
    private readonly DateTimeOffset _realDate = System.GetUtcNow();
    private readonly object _gate = new();
    private readonly Queue<Action> _posted = new();   // by other threads
    private volatile bool _hasPosted;
    private TimeSpan _owed;   // real time
    private long _waited;     // with YieldsToLoad
    private long _order;
    private long _now;

    private sealed class Entry(Action<object?> callback, object? state)
    {
        public object? State = state;   // null after it was unscheduled
        public Action<object?>? Callback = callback;   // null after it ran or was unscheduled
    }

    /// <summary>Virtual seconds for each real one. 0 never waits; with <see cref="IsLive"/> it means 1.</summary>
    public double Pace { get; init; }

    /// <summary>
    /// Now follows the real clock and stands still within a callback. Timers run when they are due, at most a real millisecond early.
    /// Without work it waits for <see cref="Post"/>.
    /// </summary>
    public bool IsLive { get; init; }

    /// <summary>
    /// With <see cref="IsLive"/>, for tests: only waits count, in slices of 5 ms, and a slice that ends late counts 5 ms. On a busy
    /// computer this clock slows down as other threads do, and no limit passes while one of them waits for a processor.
    /// </summary>
    public bool YieldsToLoad { get; init; }

    /// <summary>A run that passes this limit fails. It does not count with <see cref="IsLive"/>.</summary>
    public TimeSpan Limit { get; init; } = TimeSpan.FromHours(12);

    /// <summary>Virtual time since the beginning.</summary>
    public TimeSpan Now => new(_now);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _now;

    /// <summary>Begins at the same date in each run. Live it is the real date, because kept files are sorted by it.</summary>
    public override DateTimeOffset GetUtcNow() => (IsLive ? _realDate : Beginning) + Now;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>Runs work on a virtual time of its own.</summary>
    public static void Run(Func<VirtualTime, Task> work)
    {
        var time = new VirtualTime();
        time.Run(async () =>
        {
            await work(time);
            return true;
        });
    }

    /// <summary>Runs work until its task is complete, and returns its result or throws its exception.</summary>
    /// <exception cref="InvalidOperationException">Everything waits and no timer is left, or <see cref="Limit"/> has passed.</exception>
    public T Run<T>(Func<Task<T>> work)
    {
        var outer = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(new Context(this));
        try
        {
            var task = work();
            while (!task.IsCompleted)
                Step();
            return task.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outer);
        }
    }

    /// <summary>Runs an action on this time's thread as soon as possible. The only member for other threads.</summary>
    public void Post(Action action)
    {
        lock (_gate)
        {
            _posted.Enqueue(action);
            _hasPosted = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>
    /// Calls back once, after a delay of 0 or more. Callbacks of one moment run in the order in which they were scheduled.
    /// </summary>
    /// <returns>The handle for <see cref="Unschedule"/>.</returns>
    public object Schedule(TimeSpan delay, Action<object?> callback, object? state = null)
    {
        var entry = new Entry(callback, state);
        _timers.Enqueue(entry, (_now + Math.Max(0, delay.Ticks), _order++));
        return entry;
    }

    /// <inheritdoc cref="Schedule(TimeSpan, Action{object?}, object?)"/>
    public object Schedule(TimeSpan delay, Action callback) => Schedule(delay, static state => ((Action)state!)(), callback);

    /// <summary>Cancels a callback; no effect after it ran.</summary>
    /// <remarks>Its state is dropped now, not at its time: the limit of each answered call would keep the answer.</remarks>
    public static void Unschedule(object entry) => (((Entry)entry).Callback, ((Entry)entry).State) = (null, null);

    /// <summary>Runs a scheduled callback now instead of at its time.</summary>
    internal static void RunNow(object entry)
    {
        var (callback, state) = (((Entry)entry).Callback, ((Entry)entry).State);
        Unschedule(entry);
        callback?.Invoke(state);
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(this, callback, state, dueTime, period);

    private double LivePace => Pace > 0 ? Pace : 1;

    /// <summary>The real clock, in ticks of this one.</summary>
    private long LiveNow => YieldsToLoad ? _waited : (long)(System.GetElapsedTime(_realBeginning).Ticks * LivePace);

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
                    // An action from outside happens now, behind the timers that are overdue.
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
                throw new InvalidOperationException($"the work did not end within {Limit} of virtual time");
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
        throw new InvalidOperationException($"virtual time cannot continue: at {Now} everything waits, and no timer is left");
    }

    /// <summary>Lets real time pass; false when another thread posted an action first.</summary>
    private bool WaitUntil(long at)
    {
        if (Pace <= 0)
            return true;
        _owed += TimeSpan.FromTicks((long)((at - _now) / Pace));
        if (_owed < ShortestWait)
            return true;   // short waits add up until they are worth a real one
        lock (_gate)
        {
            var begin = System.GetTimestamp();
            if (_posted.Count == 0 && !Monitor.Wait(_gate, _owed))
            {
                _owed = TimeSpan.Zero;
                return true;
            }
            // The rest of the wait follows when this timer is next in turn again.
            _owed = -System.GetElapsedTime(begin);
            return false;
        }
    }

    /// <summary>True when the real clock has reached it; else waits for a while, or until another thread posts an action.</summary>
    private bool WaitLive(long at)
    {
        var left = TimeSpan.FromTicks((long)((at - LiveNow) / LivePace));
        if (left < LiveResolution)
            return true;
        var longest = YieldsToLoad ? LongestYieldingWait : LongestWait;
        var wait = left < longest ? left : longest;
        lock (_gate)
        {
            var begin = System.GetTimestamp();
            if (_posted.Count == 0)
                Monitor.Wait(_gate, wait);
            _waited += (long)(Math.Min(System.GetElapsedTime(begin).Ticks, wait.Ticks) * LivePace);
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
