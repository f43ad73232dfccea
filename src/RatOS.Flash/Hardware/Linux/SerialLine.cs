using System.Threading.Channels;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>A serial port as a line of bytes. A thread waits in poll, so nothing runs while nothing comes.</summary>
internal sealed class SerialLine : ByteLine
{
    private const int MostUnread = 256;   // reads of up to 4 KiB: the kernel's flow control stops a device that never stops sending

    // Every device takes a frame of 128 bytes within milliseconds; one that refuses this long never will.
    private static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(5);

    private readonly SerialPort _port;
    private readonly TimeProvider _time;
    private readonly StopSignal _stop = new();
    private readonly Thread _reader;
    private readonly Channel<byte[]> _incoming =
        Channel.CreateBounded<byte[]>(new BoundedChannelOptions(MostUnread) { SingleReader = true, SingleWriter = true });
    private ReadOnlyMemory<byte> _rest;
    private volatile bool _isGone;

    public SerialLine(Device device, SerialPort port, TimeProvider time)
    {
        (Device, _port, _time) = (device, port, time);
        _reader = new Thread(ReadAll) { IsBackground = true, Name = $"read {device.Node}" };
        _reader.Start();
    }

    public override Device Device { get; }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        while (!frame.IsEmpty)
        {
            if (_isGone)
                throw new DeviceGoneException(Device.ToString());
            var written = Libc.Write(_port.File, frame.Span, frame.Length);
            var errno = Libc.Errno;
            if (written > 0)
                frame = frame[(int)written..];
            else if (written < 0 && errno is Errno.TryAgain)
                await WaitForRoomAsync();
            else if (errno != Errno.Interrupted)
                throw new DeviceGoneException(Device.ToString());
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        if (_rest.IsEmpty && !await TakeAsync(timeout))
            return 0;
        var length = Math.Min(_rest.Length, buffer.Length);
        _rest[..length].CopyTo(buffer);
        _rest = _rest[length..];
        return length;
    }

    public override async ValueTask DisposeAsync()
    {
        _stop.Set();
        _incoming.Writer.TryComplete();
        _reader.Join();
        // Closing waits until what was written has gone out: not on the caller's thread.
        using var closer = new Worker($"close {Device.Node}");
        await closer.RunAsync(() =>
        {
            _port.Dispose();
            _stop.Dispose();
            return true;
        });
    }

    private async ValueTask<bool> TakeAsync(TimeSpan timeout)
    {
        if (_incoming.Reader.TryRead(out var bytes))
        {
            _rest = bytes;
            return true;
        }
        if (timeout <= TimeSpan.Zero && !_isGone)
            return false;
        using var limit = new CancellationTokenSource(_isGone ? TimeSpan.FromSeconds(1) : timeout, _time);
        try
        {
            if (!await _incoming.Reader.WaitToReadAsync(limit.Token))
                throw new DeviceGoneException(Device.ToString());
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        return await TakeAsync(TimeSpan.Zero);
    }

    private async ValueTask WaitForRoomAsync()
    {
        using var waiter = new Worker($"write {Device.Node}");
        var hasRoom = await waiter.RunAsync(() =>
        {
            Span<Libc.PollFd> file = [new() { File = (int)_port.File.DangerousGetHandle(), Events = Libc.PollOut }];
            return Libc.Poll(file, 1, (int)WriteLimit.TotalMilliseconds) != 0;
        });
        if (hasRoom)
            return;
        _port.Discard();
        throw ComputerFaults.PortStuck(Device.Node!, WriteLimit.TotalSeconds);
    }

    private void ReadAll()
    {
        Span<byte> buffer = stackalloc byte[4096];
        while (_stop.WaitFor(_port.File, Libc.PollIn) is var said and not 0)
        {
            var length = Libc.Read(_port.File, buffer, buffer.Length);
            if (length > 0)
            {
                if (!Pass(buffer[..(int)length].ToArray()))
                    return;
            }
            else if (length == 0 || Libc.Errno is not (Errno.TryAgain or Errno.Interrupted)
                || (said & (Libc.PollHangUp | Libc.PollError | Libc.PollInvalid)) != 0)
            {
                break;   // the kernel hung the port up: the device has left
            }
        }
        _isGone = true;
        _incoming.Writer.TryComplete();
    }

    /// <summary>False when the line was closed meanwhile.</summary>
    private bool Pass(byte[] bytes)
    {
        while (!_incoming.Writer.TryWrite(bytes))
        {
            if (!_incoming.Writer.WaitToWriteAsync().AsTask().GetAwaiter().GetResult())
                return false;
        }
        return true;
    }
}
