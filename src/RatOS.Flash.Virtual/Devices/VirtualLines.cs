using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Control transfers to a virtual board, in the bus's own time and with its faults.</summary>
internal sealed class VirtualUsb : IUsbDevice
{
    private readonly VirtualPrinter _printer;
    private readonly VirtualPrinter.Present _present;
    private readonly Pause _transfer;
    private bool _isAborted;

    public VirtualUsb(VirtualPrinter printer, VirtualPrinter.Present present)
    {
        (_printer, _present) = (printer, present);
        Configuration = present.Function!.Configuration;
        _transfer = new Pause(printer.Time);
        present.WhenGone(_transfer.Wake);
    }

    public Device Device => _present.Device;

    public ReadOnlyMemory<byte> Configuration { get; }

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate) =>
        await ControlAsync(new UsbSetup(0x01, 11, alternate, interfaceNumber), Memory<byte>.Empty, TimeSpan.FromSeconds(1));

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout)
    {
        _isAborted = false;
        var fault = _printer.NextTransfer(_present.Board!);
        var isUpload = setup is { RequestType: 0xA1, Request: 2 };
        await OnBusAsync(_printer.ControlTime(data.Length));
        if (_isAborted)
            return new UsbTransfer(UsbStatus.Timeout, 0);
        if (_present.Board!.IsUsbHung)
        {
            await OnBusAsync(timeout);
            return new UsbTransfer(UsbStatus.Timeout, 0);
        }
        switch (fault?.Kind)
        {
            case TransferFaultKind.Stall:
                return new UsbTransfer(UsbStatus.Stall, 0);
            case TransferFaultKind.BusError:
                return new UsbTransfer(UsbStatus.Error, 0);
            case TransferFaultKind.Timeout:
                await OnBusAsync(timeout);
                return new UsbTransfer(UsbStatus.Timeout, 0);
        }
        var answer = _present.Function!.Control(setup, data.Span, _printer.Time.Now);
        var delay = answer.Delay + (fault?.Kind == TransferFaultKind.Late ? fault.Time.Duration() : TimeSpan.Zero);
        var isInTime = delay <= timeout && fault?.Kind != TransferFaultKind.AnswerLost;
        if (delay > TimeSpan.Zero || !isInTime)
            await OnBusAsync(isInTime ? delay : timeout);
        if (!isInTime)
            return new UsbTransfer(UsbStatus.Timeout, 0);
        if (fault?.Kind == TransferFaultKind.WrongReadBack && isUpload && answer.Length > 0)
            data.Span[answer.Length / 2] ^= 0x10;
        return new UsbTransfer(answer.Status, fault?.Kind == TransferFaultKind.Short ? answer.Length / 2 : answer.Length);
    }

    /// <summary>A bootloader has no other endpoint than 0, and what Klipper and Katapult say goes over their serial port.</summary>
    public ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout) => ValueTask.FromResult(new UsbTransfer(UsbStatus.Stall, 0));

    /// <summary>The ROM goes on with what it does, with the first alternate setting selected (facts: a USB reset does not reset the ROM).</summary>
    public async ValueTask ResetAsync()
    {
        await OnBusAsync(TimeSpan.FromMilliseconds(60));
        _present.Board!.IsUsbHung = false;
        _present.Function!.Control(new UsbSetup(0x01, 11, 0, 0), [], _printer.Time.Now);
    }

    /// <summary>Ends the transfer under way, as a host does that unlinks it: its caller gets a time-out at once.</summary>
    public void Abort()
    {
        _isAborted = true;
        _transfer.Wake();
    }

    /// <summary>Lets time pass on the bus. A device that leaves ends that at once, as a kernel ends the transfers of a device that is gone.</summary>
    private async ValueTask OnBusAsync(TimeSpan time)
    {
        if (_present.Function is not null && !_isAborted)
            await _transfer.WaitAsync(time);
        if (_present.Function is null)
            throw new DeviceGoneException(Device.ToString());
    }

    public void Close()
    {
        _present.IsHeld = false;
        _present.Forget(_transfer.Wake);
    }

    public ValueTask DisposeAsync()
    {
        Close();
        return ValueTask.CompletedTask;
    }
}

/// <summary>A serial line to a virtual board, USB or UART. What is written is on its way at once; both directions take the bus's time.</summary>
internal sealed class VirtualLine : ByteLine
{
    private const int MostUnread = 4096;   // answers; far more than anybody leaves unread on purpose

    private readonly VirtualPrinter _printer;
    private readonly VirtualPrinter.Present _present;
    private readonly VirtualBoard _board;
    private readonly bool _isUart;
    private readonly Queue<byte[]> _incoming = new();
    private int _taken;                      // of the first of them
    private TimeSpan _outFree;               // when the line has carried what was written
    private TimeSpan _inFree;
    private TransferFault? _fault;           // of the frame that the program works on
    private readonly Pause _reader;
    private readonly SerialMode _mode;
    private bool _isOpen = true;

    public VirtualLine(VirtualPrinter printer, VirtualPrinter.Present present, SerialMode mode)
    {
        (_printer, _present, _board, _mode) = (printer, present, present.Board!, mode);
        _reader = new Pause(printer.Time);
        _isUart = present.Device.Usb is null;
        _board.Answered = Answered;
        present.WhenGone(_reader.Wake);
    }

    public override Device Device => _present.Device;

    private bool IsGone => !_isUart && _present.Function is null;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        var fault = _printer.NextTransfer(_board);
        if (IsGone)
            return ValueTask.FromException(new DeviceGoneException(Device.ToString()));
        var bytes = frame.ToArray();
        if (fault?.Kind == TransferFaultKind.Damaged && _isUart)
            bytes[bytes.Length / 2] ^= 0x04;
        var now = _printer.Time.Now;
        _outFree = (_outFree > now ? _outFree : now) + TimeOf(bytes.Length);
        if (fault?.Kind == TransferFaultKind.Lost && _isUart)
            return ValueTask.CompletedTask;
        _printer.Time.Schedule(_outFree - now, () =>
        {
            if (IsGone || _board.Program is not { } program)
                return;
            _fault = fault;
            program.Receive(_isUart ? Heard(program, _mode, bytes) : bytes, _printer.Time.Now);
            _fault = null;
        });
        return ValueTask.CompletedTask;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        if (_incoming.Count == 0)
        {
            if (IsGone)
                throw new DeviceGoneException(Device.ToString());
            if (timeout <= TimeSpan.Zero && timeout != Timeout.InfiniteTimeSpan)
                return 0;
            await _reader.WaitAsync(timeout);
            if (_incoming.Count == 0)
                return IsGone ? throw new DeviceGoneException(Device.ToString()) : 0;
        }
        var first = _incoming.Peek().AsMemory(_taken);
        var length = Math.Min(first.Length, buffer.Length);
        first[..length].CopyTo(buffer);
        _taken += length;
        if (length == first.Length)
        {
            _incoming.Dequeue();
            _taken = 0;
        }
        return length;
    }

    public void Close()
    {
        if (!_isOpen)
            return;
        (_isOpen, _present.IsHeld, _board.Answered) = (false, false, null);
        _present.Forget(_reader.Wake);
    }

    public override ValueTask DisposeAsync()
    {
        Close();
        return ValueTask.CompletedTask;
    }

    /// <summary>The program has an answer, ready after a delay.</summary>
    private void Answered(ReadOnlyMemory<byte> bytes, TimeSpan delay)
    {
        if (_fault?.Kind == TransferFaultKind.Lost)
            return;
        var answer = !_isUart || _board.Program?.Mode == _mode ? bytes.ToArray() : Garble(bytes.Span);
        if (_fault?.Kind == TransferFaultKind.AnswerDamaged && _isUart)
            answer[answer.Length / 2] ^= 0x20;
        if (_fault?.Kind == TransferFaultKind.Late)
            delay += _fault.Time.Duration();
        Carry(answer, delay);
        if (_fault?.Kind == TransferFaultKind.Doubled)
            Carry(answer, delay);
    }

    private void Carry(byte[] answer, TimeSpan delay)
    {
        var now = _printer.Time.Now;
        var ready = now + delay;
        // Answers keep their order: what comes later does not overtake.
        _inFree = (_inFree > ready ? _inFree : ready) + TimeOf(answer.Length);
        _printer.Time.Schedule(_inFree - now, () =>
        {
            // A host that does not read fills the chip's buffer, and what comes then is lost.
            if (!_isOpen || IsGone || _incoming.Count == MostUnread)
                return;
            _incoming.Enqueue(answer);
            _reader.Wake();
        });
    }

    /// <summary>What a program on a UART makes of bytes that come at this speed.</summary>
    internal static byte[] Heard(SerialProgram program, SerialMode mode, byte[] bytes)
    {
        program.Hear(mode, bytes);
        return program.Mode == mode ? bytes : Garble(bytes);
    }

    internal static byte[] Garble(ReadOnlySpan<byte> bytes)
    {
        var garbled = new byte[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
            garbled[i] = (byte)((bytes[i] * 0x35) | 0x80);
        return garbled;
    }

    internal static TimeSpan TimeOf(SerialMode mode, int bytes) => TimeSpan.FromSeconds(bytes * (mode.EvenParity ? 11.0 : 10.0) / mode.Baud);   // with start and stop bit

    private TimeSpan TimeOf(int bytes) => _isUart ? TimeOf(_mode, bytes) : _printer.BulkTime(bytes);
}
