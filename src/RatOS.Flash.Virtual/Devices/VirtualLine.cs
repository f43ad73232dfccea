using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A serial line to a virtual board, USB or UART. A write returns at once; both directions take the bus's time.
/// </summary>
internal sealed class VirtualLine : ByteLine
{
    private const int MostUnread = 4096;   // answers; far more than any host leaves unread

    private readonly VirtualPrinter _printer;
    private readonly DeviceSession _session;
    private readonly VirtualBoard _board;
    private readonly bool _isUart;
    private readonly Queue<byte[]> _incoming = new();
    private int _taken;                      // bytes of the first answer
    private TimeSpan _outFree;               // when the line has carried all bytes so far
    private TimeSpan _inFree;
    private TransferFault? _fault;           // of the frame that the program works on
    private readonly Pause _reader;
    private readonly SerialMode _mode;
    private bool _isOpen = true;

    public VirtualLine(VirtualPrinter printer, DeviceSession session, SerialMode mode)
    {
        (_printer, _session, _board, _mode) = (printer, session, session.Board!, mode);
        _reader = new Pause(printer.Time);
        _isUart = session.Device.Usb is null;
        _board.Answered = Answered;
        session.WhenOver(_reader.Wake);
    }

    public override Device Device => _session.Device;

    private bool IsGone => !_isUart && _session.Function is null;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        var fault = _printer.Injector.Next(_board);
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
            program.Receive(_isUart ? Received(program, _mode, bytes) : bytes, _printer.Time.Now);
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
        (_isOpen, _session.IsHeld, _board.Answered) = (false, false, null);
        _session.Forget(_reader.Wake);
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
        var answer = !_isUart ? bytes.ToArray() : Sent(_board.Program, _mode, bytes);
        if (answer.Length == 0)
            return;   // a pulse that is no start bit at the host's speed
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
        // Answers keep their order.
        _inFree = (_inFree > ready ? _inFree : ready) + TimeOf(answer.Length);
        _printer.Time.Schedule(_inFree - now, () =>
        {
            // A host that does not read fills the chip's buffer; later answers are lost.
            if (!_isOpen || IsGone || _incoming.Count == MostUnread)
                return;
            _incoming.Enqueue(answer);
            _reader.Wake();
        });
    }

    /// <summary>The bytes as a program on a UART receives them, at the host's speed.</summary>
    internal static byte[] Received(SerialProgram program, SerialMode mode, byte[] bytes)
    {
        program.Hear(mode, bytes);
        return program.Mode == mode ? bytes : UartSampling.Receive(bytes, mode, program.Mode);
    }

    /// <summary>A program's bytes as the host receives them, at its own speed.</summary>
    internal static byte[] Sent(SerialProgram? program, SerialMode mode, ReadOnlyMemory<byte> bytes) =>
        program is null || program.Mode == mode ? bytes.ToArray() : UartSampling.Receive(bytes.Span, program.Mode, mode);

    internal static TimeSpan TimeOf(SerialMode mode, int bytes) =>
        TimeSpan.FromSeconds(bytes * (mode.EvenParity ? 11.0 : 10.0) / mode.Baud);   // with start and stop bit

    private TimeSpan TimeOf(int bytes) => _isUart ? TimeOf(_mode, bytes) : _printer.BulkTime(bytes);
}
