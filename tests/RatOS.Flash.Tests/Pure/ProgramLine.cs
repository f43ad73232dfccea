using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// A line to a virtual chip's program, with its own clock that jumps to the next byte, and with as much damage as asked for: bytes lost,
/// flipped or made up, in both directions.
/// </summary>
internal sealed class ProgramLine : ByteLine
{
    private static readonly TimeSpan Latency = TimeSpan.FromMicroseconds(200);

    private readonly Clock _clock = new();
    private readonly Random _random;
    private readonly PriorityQueue<byte[], (TimeSpan At, int Number)> _toHost = new();
    private readonly SerialProgram? _program;
    private readonly bool _leavesOnReset;
    private readonly TimeSpan _byteTime;
    private TimeSpan _heardUntil;
    private TimeSpan _toldUntil;
    private byte[] _rest = [];
    private int _number;
    private TimeSpan? _gone;

    /// <param name="create">Makes the program; null for a line on which no program answers.</param>
    /// <param name="damage">Probability for each frame, each way.</param>
    public ProgramLine(
        Func<Action<ReadOnlyMemory<byte>, TimeSpan>, Action<ResetRequest, TimeSpan>, SerialProgram>? create,
        double damage = 0, int seed = 0,
        bool leavesOnReset = true, bool uart = false)
    {
        // 250000 baud, 10 bits a byte; on USB full speed nothing that matters here.
        _byteTime = TimeSpan.FromMicroseconds(uart ? 40 : 1);
        (Damage, _random, _leavesOnReset) = (damage, new Random(seed), leavesOnReset);
        _program = create?.Invoke(Send, Reset);
    }

    public TimeProvider Time => _clock;

    public TimeSpan Now => _clock.Now;

    public double Damage { get; set; }

    public List<ResetRequest> Resets { get; } = [];

    public List<byte[]> Written { get; } = [];

    public override Device Device { get; } = new() { Port = "1-1", Number = 1 };

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        if (_gone <= Now)
            throw new DeviceGoneException("1d50:614e at 1-1");
        Written.Add(frame.ToArray());
        _toldUntil = Later(_toldUntil, Now + Latency) + frame.Length * _byteTime;
        _program?.Hear(new SerialMode(115_200, EvenParity: true), frame.Span);
        _program?.Receive(Damaged(frame.ToArray()), _toldUntil);
        return ValueTask.CompletedTask;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        Assert.True(timeout >= TimeSpan.Zero && timeout < TimeSpan.FromSeconds(11));
        var end = Now + timeout;
        if (_rest.Length == 0 && _toHost.TryPeek(out _, out var next) && next.At <= end)
        {
            _clock.Now = next.At > Now ? next.At : Now;
            _rest = _toHost.Dequeue();
        }
        else if (_rest.Length == 0)
        {
            _clock.Now = _gone < end && _gone > Now ? _gone.Value : _gone <= Now ? Now : end;
            return _gone <= Now ? throw new DeviceGoneException("1d50:614e at 1-1") : ValueTask.FromResult(0);
        }
        var length = Math.Min(_rest.Length, buffer.Length);
        _rest.AsSpan(0, length).CopyTo(buffer.Span);
        _rest = _rest[length..];
        return ValueTask.FromResult(length);
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public void Inject(params ReadOnlySpan<byte> bytes) => _toHost.Enqueue(bytes.ToArray(), (Now, _number++));

    // Called while the program takes a frame, whose last byte has just arrived.
    private void Send(ReadOnlyMemory<byte> bytes, TimeSpan delay)
    {
        _heardUntil = Later(_heardUntil, _toldUntil + delay) + bytes.Length * _byteTime;
        _toHost.Enqueue(Damaged(bytes.ToArray()), (_heardUntil + Latency, _number++));
    }

    private static TimeSpan Later(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private void Reset(ResetRequest request, TimeSpan delay)
    {
        Resets.Add(request);
        if (_leavesOnReset)
            _gone = _toldUntil + delay;
    }

    private byte[] Damaged(byte[] frame)
    {
        if (frame.Length == 0 || _random.NextDouble() >= Damage)
            return frame;
        var at = _random.Next(frame.Length);
        switch (_random.Next(5))
        {
            case 0:
                return [];
            case 1:
                return frame[..at];
            case 2:
                return [.. frame[..at], .. frame[Math.Min(frame.Length, at + 1)..]];
            case 3:
                return [.. frame[..at], (byte)_random.Next(256), .. frame[at..]];
            default:
                frame[at] ^= (byte)(1 << _random.Next(8));
                return frame;
        }
    }

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
