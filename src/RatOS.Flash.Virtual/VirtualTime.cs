using System.Threading.Tasks.Sources;

namespace RatOS.Flash.Virtual;

/// <summary>
/// Time that a story makes by itself: everything runs on one thread, one callback after the other, and where none is left time jumps to the next
/// timer. Half a minute of flashing takes milliseconds and repeats exactly. With <see cref="Pace"/> it passes at the wall clock's speed instead.
/// </summary>
/// <remarks>
/// While a story runs, its continuations come back here through a <see cref="SynchronizationContext"/>. Only <see cref="Post"/> may be called from
/// another thread. Waiting for the real world (a file, a key) goes through <see cref="OutsideAsync{T}"/>; else it looks like a story that is stuck.
/// </remarks>
public sealed class VirtualTime : TimeProvider
{
    /// <summary>What the calendar shows when the story begins.</summary>
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly PriorityQueue<(Happening What, int Version), (long Due, long Order)> _coming = new(); // what was asked for first comes first
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _foreign = new(); // guarded by itself
    private readonly List<Func<string?>> _witnesses = [];
    private readonly Context _context;
    private volatile bool _foreignCame;
    private long _now;
    private long _order;
    private int _thread;
    private int _outside;
    private double _pace;
    private (long Wall, long Virtual) _anchor;

    public VirtualTime() => _context = new Context(this);

    /// <summary>Time since the story began.</summary>
    public TimeSpan Now => new(_now);

    /// <summary>A story that lasts longer fails: bounded time is a promise that tests hold it to.</summary>
    public TimeSpan Limit { get; set; } = TimeSpan.FromHours(1);

    /// <summary>How fast time passes: 0 jumps at once, 1 is real time, n is n times faster.</summary>
    public double Pace
    {
        get => _pace;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _pace = value;
            _anchor = (System.GetTimestamp(), _now);
        }
    }

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _now;

    public override DateTimeOffset GetUtcNow() => Start + Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Runs a story to its end in a time of its own. Its exception comes out as it was thrown.</summary>
    /// <exception cref="VirtualTimeException">Nothing can ever happen again, or <see cref="Limit"/> has passed.</exception>
    public static void Run(Func<VirtualTime, Task> story)
    {
        var time = new VirtualTime();
        time.Run(() => story(time));
    }

    /// <inheritdoc cref="Run(Func{VirtualTime, Task})"/>
    public static T Run<T>(Func<VirtualTime, Task<T>> story)
    {
        var time = new VirtualTime();
        return time.Run(() => story(time));
    }

    /// <summary>Runs a story to its end, here and now. Timers that are left stay for the next story.</summary>
    /// <inheritdoc cref="Run(Func{VirtualTime, Task})" path="/exception"/>
    public void Run(Func<Task> story) => Pump(story).GetAwaiter().GetResult();

    /// <inheritdoc cref="Run(Func{Task})"/>
    public T Run<T>(Func<Task<T>> story) => Pump(story).GetAwaiter().GetResult();

    private T Pump<T>(Func<T> story)
        where T : Task
    {
        if (_thread != 0)
            throw new InvalidOperationException("This time already runs a story.");
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(_context);
        _thread = Environment.CurrentManagedThreadId;
        _anchor = (System.GetTimestamp(), _now);
        try
        {
            var task = story();
            // A story that ends on a foreign thread wakes the pump too.
            _ = task.ContinueWith(
                static (_, time) => ((VirtualTime)time!).Post(static () => { }), this,
                CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            while (!task.IsCompleted)
                Step();
            return task;
        }
        finally
        {
            _thread = 0;
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private void Step()
    {
        TakeForeign();
        if (_ready.TryDequeue(out var work))
        {
            work.Callback(work.State);
            return;
        }
        while (_coming.TryPeek(out var stale, out _) && stale.Version != stale.What.Version)
            _coming.Dequeue();
        if (!_coming.TryPeek(out var next, out var moment))
        {
            if (_outside == 0)
                throw new VirtualTimeException($"Nothing can ever happen again (at {Now}).{Testimony()}");
            WaitForForeign(Timeout.InfiniteTimeSpan);
        }
        else if (moment.Due > Limit.Ticks)
        {
            throw new VirtualTimeException($"The story did not end within {Limit} of virtual time.{Testimony()}");
        }
        else if (_pace == 0 && _outside > 0)
        {
            WaitForForeign(Timeout.InfiniteTimeSpan);
        }
        else if (_pace == 0 || WaitUntil(moment.Due))
        {
            _coming.Dequeue();
            _now = Math.Max(_now, moment.Due);
            next.What.Version++;
            next.What.Happen();
        }
    }

    private string Testimony()
    {
        var pending = _witnesses.Select(witness => witness()).OfType<string>().ToList();
        return pending.Count == 0 ? "" : $" Pending: {string.Join("; ", pending)}.";
    }

    /// <summary>Somebody who can tell what is being waited for, when nothing can happen any more; null for nothing.</summary>
    internal void AddWitness(Func<string?> witness) => _witnesses.Add(witness);

    /// <summary>Has an action run on the story's thread, after what is already queued. The one method that any thread may call; it wakes a paced wait.</summary>
    public void Post(Action action) => Enqueue(static state => ((Action)state!)(), action);

    /// <summary>Runs an action after a delay of virtual time.</summary>
    public void Schedule(TimeSpan delay, Action action) => Add(new Callback(action), delay);

    /// <summary>Waits for something that does not happen in this time, such as a file or a key: unless paced, time stands still meanwhile.</summary>
    public async Task<T> OutsideAsync<T>(Task<T> task)
    {
        _outside++;
        try
        {
            return await task;
        }
        finally
        {
            _outside--;
        }
    }

    /// <inheritdoc cref="OutsideAsync{T}"/>
    public async Task OutsideAsync(Task task)
    {
        _outside++;
        try
        {
            await task;
        }
        finally
        {
            _outside--;
        }
    }

    internal void Add(Happening what, TimeSpan delay)
    {
        if (_thread != 0 && _thread != Environment.CurrentManagedThreadId)
            throw new InvalidOperationException("Virtual time belongs to one thread: others go through Post.");
        _coming.Enqueue((what, what.Version), (_now + Math.Max(0, delay.Ticks), _order++));
    }

    private void Enqueue(SendOrPostCallback callback, object? state)
    {
        if (_thread == Environment.CurrentManagedThreadId)
        {
            _ready.Enqueue((callback, state));
            return;
        }
        lock (_foreign)
        {
            _foreign.Enqueue((callback, state));
            _foreignCame = true;
            Monitor.PulseAll(_foreign);
        }
    }

    private void TakeForeign()
    {
        if (!_foreignCame)
            return;
        lock (_foreign)
        {
            _foreignCame = false;
            while (_foreign.TryDequeue(out var work))
                _ready.Enqueue(work);
        }
    }

    private void WaitForForeign(TimeSpan limit)
    {
        lock (_foreign)
        {
            if (_foreign.Count == 0)
                Monitor.Wait(_foreign, limit);
        }
    }

    /// <summary>Waits on the wall clock. False when something else came first.</summary>
    private bool WaitUntil(long due)
    {
        var reached = _anchor.Virtual + (long)(System.GetElapsedTime(_anchor.Wall).Ticks * _pace);
        if (reached >= due)
            return true;
        _now = Math.Max(_now, reached);
        // A millisecond at least: the monitor's limit is in whole ones, and 0 would spin.
        WaitForForeign(TimeSpan.FromMilliseconds(Math.Clamp((due - reached) / _pace / TimeSpan.TicksPerMillisecond, 1, 60_000)));
        return false;
    }

    /// <summary>Something that happens at a moment, unless its version changed in between: that is how it is called off.</summary>
    internal abstract class Happening
    {
        internal int Version { get; set; }

        internal abstract void Happen();
    }

    private sealed class Callback(Action action) : Happening
    {
        internal override void Happen() => action();
    }

    private sealed class Timer(VirtualTime time, TimerCallback callback, object? state) : Happening, ITimer
    {
        private TimeSpan _period;
        private bool _disposed;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (_disposed)
                return false;
            Version++;
            _period = period;
            if (dueTime >= TimeSpan.Zero)
                time.Add(this, dueTime);
            return true;
        }

        internal override void Happen()
        {
            if (_period > TimeSpan.Zero)
                time.Add(this, _period);
            callback(state);
        }

        public void Dispose()
        {
            _disposed = true;
            Version++;
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Context(VirtualTime time) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state) => time.Enqueue(d, state);

        public override void Send(SendOrPostCallback d, object? state) =>
            throw new NotSupportedException("Virtual time runs one callback after the other; nobody may wait for one.");

        public override SynchronizationContext CreateCopy() => this;
    }
}

/// <summary>A wait that ends when its time is over or somebody ends it, and that is used again and again: it allocates nothing.</summary>
internal sealed class Pause(VirtualTime time) : VirtualTime.Happening, IValueTaskSource<bool>
{
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

    public bool IsWaiting { get; private set; }

    /// <summary>Waits. True when it was woken, false when the time was over. One at a time.</summary>
    /// <param name="limit">Below zero: without end.</param>
    public ValueTask<bool> WaitAsync(TimeSpan limit)
    {
        if (IsWaiting)
            throw new InvalidOperationException("Two callers wait at once where only one may.");
        _core.Reset();
        IsWaiting = true;
        if (limit >= TimeSpan.Zero)
            time.Add(this, limit);
        return new ValueTask<bool>(this, _core.Version);
    }

    public void Wake() => End(woken: true);

    internal override void Happen() => End(woken: false);

    private void End(bool woken)
    {
        if (!IsWaiting)
            return;
        IsWaiting = false;
        Version++;
        _core.SetResult(woken);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}

/// <summary>A story that cannot go on: a bug in it, or in what it tells of.</summary>
public sealed class VirtualTimeException(string message) : Exception(message);
