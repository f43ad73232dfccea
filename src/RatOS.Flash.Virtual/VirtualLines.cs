using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>What a transfer costs on the virtual bus, apart from what the chip does. A flash can not be faster than these add up to.</summary>
public static class BusTimes
{
    /// <summary>A control transfer at full speed: setup, status and what a host needs in between.</summary>
    public static readonly TimeSpan Control = TimeSpan.FromMicroseconds(200);

    /// <summary>Each byte of a control transfer's data (64-byte packets).</summary>
    public static readonly TimeSpan ControlByte = TimeSpan.FromMicroseconds(1.6);

    /// <summary>A bulk transfer.</summary>
    public static readonly TimeSpan Bulk = TimeSpan.FromMicroseconds(100);

    public static readonly TimeSpan BulkByte = TimeSpan.FromMicroseconds(1);

    /// <summary>A byte on a UART: start bit, eight, stop bit, and the parity bit where there is one.</summary>
    public static TimeSpan UartByte(SerialMode mode) => TimeSpan.FromSeconds((mode.EvenParity ? 11.0 : 10.0) / mode.Baud);
}

/// <summary>One stay of a device on the bus, or a wired serial port.</summary>
internal sealed class Stay(Device device, UsbFunction? function, SerialWire? wire, VirtualBoard? board)
{
    private readonly List<Pause> _waiting = [];

    public Device Device { get; } = device;

    public UsbFunction? Function { get; } = function;

    public SerialWire? Wire { get; } = wire;

    public VirtualBoard? Board { get; } = board;

    /// <summary>The device is no longer there, though it may still be listed.</summary>
    public bool HasLeft { get; set; }

    /// <summary>No longer listed.</summary>
    public bool IsGone { get; private set; }

    /// <summary>Who has it open here.</summary>
    public string? Opener { get; set; }

    /// <summary>How many transfers answers of the device are still to lose: AnswerLost on a serial write.</summary>
    public int AnswersToLose { get; set; }

    public void End()
    {
        (HasLeft, IsGone) = (true, true);
        foreach (var pause in _waiting)
            pause.Wake();
    }

    public Pause Waiter(VirtualTime time)
    {
        var pause = new Pause(time);
        _waiting.Add(pause);
        return pause;
    }

    public void Forget(Pause pause) => _waiting.Remove(pause);

    public DeviceGoneException Gone() => new(Device.ToString());
}

internal sealed class VirtualUsbDevice(VirtualPrinter printer, Stay stay) : IUsbDevice
{
    private readonly Pause _pause = stay.Waiter(printer.Time);
    private bool _closed;

    public Device Device => stay.Device;

    public ReadOnlyMemory<byte> Configuration => stay.Function!.Configuration;

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate)
    {
        const int SetInterface = 11;
        await ControlAsync(new UsbSetup(0x01, SetInterface, alternate, interfaceNumber), Memory<byte>.Empty, TimeSpan.FromSeconds(1));
    }

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (data.Length > ushort.MaxValue)
            throw new ArgumentException($"A control transfer carries at most 65535 bytes, not {data.Length}.", nameof(data));
        var fault = printer.NextTransfer(stay);
        var out_ = setup.IsIn ? TimeSpan.Zero : data.Length * BusTimes.ControlByte;
        await OnBus(BusTimes.Control + out_);
        if (stay.HasLeft)
            return new UsbTransfer(UsbStatus.Error, 0); // still listed, but nobody answers
        switch (fault?.Kind)
        {
            case TransferFaultKind.Lost:
                await OnBus(timeout);
                return new UsbTransfer(UsbStatus.Timeout, 0);
            case TransferFaultKind.Stalled:
                return new UsbTransfer(UsbStatus.Stall, 0);
            case TransferFaultKind.BusError:
                return new UsbTransfer(UsbStatus.Error, 0);
            case TransferFaultKind.Late when fault.Delay >= timeout:
                await OnBus(timeout);
                return new UsbTransfer(UsbStatus.Timeout, 0);
            case TransferFaultKind.Late:
                await OnBus(fault.Delay);
                break;
        }
        var reply = stay.Function!.Control(setup, data, printer.Time.Now);
        if (reply.Hold >= timeout || fault?.Kind == TransferFaultKind.AnswerLost)
        {
            await OnBus(timeout);
            return new UsbTransfer(UsbStatus.Timeout, 0);
        }
        if (setup.IsIn || reply.Hold > TimeSpan.Zero)
            await OnBus(reply.Hold + (setup.IsIn ? reply.Length * BusTimes.ControlByte : TimeSpan.Zero));
        if (fault?.Kind == TransferFaultKind.ReadWrong && setup.IsIn && reply.Length >= 32)
            data.Span[reply.Length / 3] ^= 0x04;
        return new UsbTransfer(reply.Status, reply.Length);
    }

    private async ValueTask OnBus(TimeSpan time)
    {
        if (!stay.IsGone)
            await _pause.WaitAsync(time);
        if (stay.IsGone)
            throw stay.Gone();
    }

    public ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            stay.Forget(_pause);
            stay.Opener = null;
        }
        return ValueTask.CompletedTask;
    }
}

/// <summary>An open serial port: what arrives is kept until it is read, also when the device has left meanwhile.</summary>
internal sealed class VirtualSerialLine : ByteLine
{
    private readonly VirtualPrinter _printer;
    private readonly Stay _stay;
    private readonly SerialMode _mode;
    private readonly SerialWire _wire;
    private readonly Pause _reading;
    private readonly Pause _writing;
    private readonly Queue<ReadOnlyMemory<byte>> _arrived = new();
    private ReadOnlyMemory<byte> _rest;
    private TimeSpan _lastArrival;
    private bool _closed;

    public VirtualSerialLine(VirtualPrinter printer, Stay stay, SerialMode mode)
    {
        (_printer, _stay, _mode, _wire) = (printer, stay, mode, stay.Wire!);
        _reading = stay.Waiter(printer.Time);
        _writing = stay.Waiter(printer.Time);
        (stay.Function as CdcAcm)?.Set(mode.Baud, dtr: true, printer.Time.Now);
        _wire.Listen(Answer);
    }

    public override Device Device => _stay.Device;

    private TimeSpan TimeOf(int bytes) =>
        _wire.Baud is null ? BusTimes.Bulk + (bytes * BusTimes.BulkByte) : bytes * BusTimes.UartByte(_mode);

    private bool CanDamage => _wire.Baud is not null || _printer.Faults.DamagesUsb;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        var fault = _printer.NextTransfer(_stay);
        if (!_stay.IsGone)
            await _writing.WaitAsync(TimeOf(frame.Length));
        if (_stay.IsGone)
            throw _stay.Gone();
        if (_stay.HasLeft)
            return;
        switch (fault?.Kind)
        {
            case TransferFaultKind.Lost or TransferFaultKind.Stalled or TransferFaultKind.BusError:
                return;
            case TransferFaultKind.Late:
                _printer.Time.Schedule(fault.Delay, () => Deliver(frame.Span));
                return;
            case TransferFaultKind.Doubled:
                Deliver(frame.Span);
                break;
            case TransferFaultKind.AnswerLost:
                _stay.AnswersToLose++;
                break;
            case TransferFaultKind.Damaged when CanDamage:
                frame = Damage(frame);
                break;
        }
        Deliver(frame.Span);
    }

    private void Deliver(ReadOnlySpan<byte> frame)
    {
        if (_stay.HasLeft)
            return;
        if (_wire.Baud is { } baud && baud != _mode.Baud)
            _wire.Receive(Garbage(frame), _printer.Time.Now);
        else
            _wire.Receive(frame, _printer.Time.Now);
    }

    /// <summary>The chip has an answer for us, some time from now.</summary>
    private void Answer(ReadOnlyMemory<byte> bytes, TimeSpan delay)
    {
        var fault = _printer.NextTransfer(_stay);
        if (_stay.AnswersToLose > 0)
        {
            _stay.AnswersToLose--;
            return;
        }
        switch (fault?.Kind)
        {
            case TransferFaultKind.Lost or TransferFaultKind.AnswerLost or TransferFaultKind.Stalled or TransferFaultKind.BusError:
                return;
            case TransferFaultKind.Late:
                delay += fault.Delay;
                break;
            case TransferFaultKind.Doubled:
                Arrive(bytes, delay);
                break;
            case TransferFaultKind.Damaged when CanDamage:
                bytes = Damage(bytes);
                break;
        }
        if (_wire.Baud is { } baud && baud != _mode.Baud)
            bytes = Garbage(bytes.Span);
        Arrive(bytes, delay);
    }

    private void Arrive(ReadOnlyMemory<byte> bytes, TimeSpan delay)
    {
        var now = _printer.Time.Now;
        var begin = now + delay;
        _lastArrival = (begin > _lastArrival ? begin : _lastArrival) + TimeOf(bytes.Length);
        _printer.Time.Schedule(_lastArrival - now, () =>
        {
            if (_stay.HasLeft || _closed)
                return;
            _arrived.Enqueue(bytes);
            _reading.Wake();
        });
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (_rest.IsEmpty && !_arrived.TryDequeue(out _rest))
        {
            if (_stay.IsGone)
                throw _stay.Gone();
            if (timeout == TimeSpan.Zero)
                return 0;
            await _reading.WaitAsync(timeout);
            if (!_arrived.TryDequeue(out _rest))
                return _stay.IsGone ? throw _stay.Gone() : 0;
        }
        var read = 0;
        while (read < buffer.Length && (!_rest.IsEmpty || _arrived.TryDequeue(out _rest)))
        {
            var part = _rest[..Math.Min(_rest.Length, buffer.Length - read)];
            part.CopyTo(buffer[read..]);
            _rest = _rest[part.Length..];
            read += part.Length;
        }
        return read;
    }

    private static byte[] Damage(ReadOnlyMemory<byte> bytes)
    {
        var damaged = bytes.ToArray();
        damaged[damaged.Length / 2] ^= 0x10;
        return damaged;
    }

    /// <summary>What a UART makes of another rate.</summary>
    private static byte[] Garbage(ReadOnlySpan<byte> bytes)
    {
        var garbage = bytes.ToArray();
        for (var i = 0; i < garbage.Length; i++)
            garbage[i] = (byte)((garbage[i] * 0x35) | 0x80);
        return garbage;
    }

    public override ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            _wire.Listen(null);
            if (!_stay.HasLeft)
                (_stay.Function as CdcAcm)?.Set(null, dtr: false, _printer.Time.Now);
            _reading.Wake();
            _stay.Forget(_reading);
            _stay.Forget(_writing);
            _stay.Opener = null;
        }
        return ValueTask.CompletedTask;
    }
}
