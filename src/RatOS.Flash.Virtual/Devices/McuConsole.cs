namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The serial console that Klipper and Katapult share: the receive buffer for the parser, the transmit buffer that drops frames without
/// room, and the chip's own clock, which runs ahead of the host's while it works.
/// </summary>
/// <remarks>
/// Buffers as in klipper src/generic/usb_cdc.c, serial_irq.c and canserial.c: USB reads one packet of up to 64 bytes if 64 fit and then
/// parses once, so nothing is lost but a frame can get stuck. UART and CAN take single bytes and lose those without room.
/// </remarks>
internal abstract class McuConsole(McuLink link) : SerialProgram
{
    protected const int PacketSize = 64;
    private const int FramesHeld = 3;   // receive FIFO of bxCAN and FDCAN

    private readonly byte[] _receive = new byte[link == McuLink.Usb ? 128 : 192];
    private readonly Queue<(TimeSpan Until, int Length)> _unread = new(); // UART, CAN: parsed already, but still in the chip's buffer
    private int _unreadLength;
    private int _received;
    private TimeSpan _now;
    private TimeSpan _clock;
    private TimeSpan _transmitted;
    private (TimeSpan From, TimeSpan Until) _stall;
    private int _heldInStall;
    private bool _parserLeft;

    /// <summary>It requested a reset, or crashed: it receives nothing more.</summary>
    protected bool Halted { get; private set; }

    protected McuLink Link { get; } = link;

    /// <summary>The chip's time: the host's, or later while it still works on earlier bytes.</summary>
    protected TimeSpan Clock => _clock;

    /// <summary>Arrival of the bytes that it works on.</summary>
    protected TimeSpan Now => _now;

    private int TransmitSize => Link == McuLink.Usb ? 192 : 96;

    /// <summary>10 bits a byte at its baud; a CAN frame of 8 bytes each 130 us; or a full-speed packet of 64 bytes each 100 us.</summary>
    private TimeSpan TimeOf(int bytes) => TimeSpan.FromMicroseconds(Link switch
    {
        McuLink.Uart => bytes * 10_000_000L / Mode.Baud,
        McuLink.Can => bytes * 16,
        _ => bytes * 100 / PacketSize,
    });

    /// <summary>
    /// Looks at the buffer once and runs what it finds.
    /// </summary>
    /// <returns>Whether a frame was judged, and how many bytes are done: none while it waits for more.</returns>
    protected abstract (bool IsComplete, int Done) Parse(ReadOnlySpan<byte> buffer);

    public sealed override void Receive(ReadOnlySpan<byte> bytes, TimeSpan now)
    {
        if (Halted)
            return;
        _now = now;
        _clock = _clock > now ? _clock : now;
        if (Link == McuLink.Usb)
            ReceiveTransfer(bytes);
        else
            ReceiveBytes(bytes);
    }

    private void ReceiveTransfer(ReadOnlySpan<byte> rest)
    {
        while (!Halted)
        {
            var before = _received;
            if (!rest.IsEmpty && _received + PacketSize <= _receive.Length)
            {
                var packet = rest[..Math.Min(PacketSize, rest.Length)];
                packet.CopyTo(_receive.AsSpan(_received));
                _received += packet.Length;
                rest = rest[packet.Length..];
            }
            var read = _received - before;
            var (judged, done) = ParseOnce();
            if (_parserLeft)
            {
                // The count of bytes is stored only when the parser returns: the packet just read is forgotten.
                _parserLeft = false;
                _received = before;
                continue;
            }
            if (judged)
                Remove(done);
            else
                done = 0;
            if (read == 0 && done == 0)
                break;
        }
        // Packets without room are refused for ever: only they could complete the frame that fills the buffer.
        if (!rest.IsEmpty)
            Halted = true;
    }

    private void ReceiveBytes(ReadOnlySpan<byte> bytes)
    {
        while (_unread.TryPeek(out var first) && first.Until <= _now)
            _unreadLength -= _unread.Dequeue().Length;
        // A CPU that erases the flash it runs from stands still: its UART holds one byte, its CAN controller three frames.
        if (_now >= _stall.From && _now < _stall.Until)
        {
            bytes = Link == McuLink.Uart ? bytes[..Math.Min(1, bytes.Length)] : _heldInStall < FramesHeld ? bytes : [];
            _heldInStall++;
        }
        bytes = bytes[..Math.Min(bytes.Length, Math.Max(0, _receive.Length - _received - _unreadLength))];
        bytes.CopyTo(_receive.AsSpan(_received));
        _received += bytes.Length;
        // A parser may need a second look at the same bytes, after it found its start byte. If it then takes none, it is stuck.
        for (var looks = 0; looks < 2 && !Halted && _received > 0; looks++)
        {
            var (judged, done) = ParseOnce();
            if (_parserLeft)
            {
                // The block stays in the buffer and is parsed again, as a repetition.
                _parserLeft = false;
                looks = -1;
                continue;
            }
            if (!judged)
                break;
            if (done == 0)
                continue;
            Remove(done);
            _unread.Enqueue((_clock, done));
            _unreadLength += done;
            looks = -1;
        }
    }

    private (bool IsComplete, int Done) ParseOnce() => Parse(_receive.AsSpan(0, _received));

    private void Remove(int count)
    {
        _receive.AsSpan(count, _received - count).CopyTo(_receive);
        _received -= count;
    }

    /// <summary>The chip works for some time, and its later answers are that much later.</summary>
    protected void Work(TimeSpan time) => _clock += time;

    /// <summary>As <see cref="Work"/>, while the CPU stands still: an erase of the flash that it runs from.</summary>
    protected void Stall(TimeSpan time)
    {
        (_stall, _heldInStall) = ((_clock, _clock + time), 0);
        _clock += time;
    }

    /// <summary>Leaves the parser in the middle of a block, as a shutdown of the firmware does.</summary>
    protected void LeaveParser() => _parserLeft = true;

    /// <summary>Queues a frame for the host; drops it silently where the transmit buffer has no room.</summary>
    protected virtual void Transmit(ReadOnlyMemory<byte> frame)
    {
        var empty = _transmitted > _clock ? _transmitted : _clock;
        if ((empty - _clock) + TimeOf(frame.Length) > TimeOf(TransmitSize))
            return;
        _transmitted = empty + TimeOf(frame.Length);
        Send(frame, _clock - _now);
    }

    /// <summary>Requests a reset and receives nothing more.</summary>
    protected void Halt(ResetRequest request, TimeSpan delay = default)
    {
        Halted = delay == default;
        Reset(request, _clock - _now + delay);
    }
}

/// <summary>The link of a firmware build.</summary>
internal enum McuLink
{
    Usb,

    /// <summary>8N1, at the baud of the build.</summary>
    Uart,

    /// <summary>Frames of up to 8 bytes.</summary>
    Can,
}
