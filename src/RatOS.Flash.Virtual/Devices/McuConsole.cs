namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The part of Klipper's and Katapult's serial console that both share: the receive buffer that a parser works on, the transmit buffer
/// that drops what does not fit, and the chip's own clock, which runs ahead of the host's while it works.
/// </summary>
/// <remarks>
/// Buffers as in the facts ("Buffers and pipelining"): USB reads one packet of up to 64 bytes if 64 fit and then parses once, so nothing
/// is lost but a frame can get stuck; UART and CAN take byte after byte and lose what does not fit.
/// </remarks>
internal abstract class McuConsole(McuLink link) : SerialProgram
{
    protected const int PacketSize = 64;
    private const int FramesHeld = 3;   // receive FIFO of bxCAN and FDCAN

    private readonly byte[] _receive = new byte[link == McuLink.Usb ? 128 : 192];
    private readonly Queue<(TimeSpan Until, int Length)> _unread = new(); // UART, CAN: parsed here already, but still in the chip's buffer
    private int _unreadLength;
    private int _received;
    private TimeSpan _now;
    private TimeSpan _clock;
    private TimeSpan _transmitted;
    private (TimeSpan From, TimeSpan Until) _stall;
    private int _heldInStall;
    private bool _parserLeft;

    /// <summary>It asked for a reset, or crashed: nothing is heard any more.</summary>
    protected bool Halted { get; private set; }

    protected McuLink Link { get; } = link;

    /// <summary>The chip's time: the host's, or later while it still works on what came before.</summary>
    protected TimeSpan Clock => _clock;

    /// <summary>When the bytes came that it works on.</summary>
    protected TimeSpan Now => _now;

    private int TransmitSize => Link == McuLink.Usb ? 192 : 96;

    /// <summary>250000 baud, 10 bits a byte; a CAN frame of 8 bytes each 130 us; or a full-speed packet of 64 bytes each 100 us.</summary>
    private TimeSpan TimeOf(int bytes) =>
        TimeSpan.FromMicroseconds(Link switch { McuLink.Uart => bytes * 40, McuLink.Can => bytes * 16, _ => bytes * 100 / PacketSize });

    /// <summary>
    /// Looks at the buffer once and does what it asks for.
    /// </summary>
    /// <returns>Whether there was anything to judge, and how many bytes are done with: none where it waits for more, or for
    /// ever.</returns>
    protected abstract (bool Judged, int Done) Parse(ReadOnlySpan<byte> buffer);

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
                // The count of bytes is stored only after the parser's return: the packet just read is forgotten.
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
        // Packets that find no room are refused until there is some; as only packets could complete the frame that fills it, that is
        // never.
        if (!rest.IsEmpty)
            Halted = true;
    }

    private void ReceiveBytes(ReadOnlySpan<byte> bytes)
    {
        while (_unread.TryPeek(out var first) && first.Until <= _now)
            _unreadLength -= _unread.Dequeue().Length;
        // A CPU that runs from the flash it erases stands still: its UART holds one byte, its CAN controller three frames; the rest is
        // lost.
        if (_now >= _stall.From && _now < _stall.Until)
        {
            bytes = Link == McuLink.Uart ? bytes[..Math.Min(1, bytes.Length)] : _heldInStall < FramesHeld ? bytes : [];
            _heldInStall++;
        }
        bytes = bytes[..Math.Min(bytes.Length, Math.Max(0, _receive.Length - _received - _unreadLength))];
        bytes.CopyTo(_receive.AsSpan(_received));
        _received += bytes.Length;
        // A parser may need a second look at the same bytes (it has found its start byte); one that then still takes none is stuck for
        // good.
        for (var looks = 0; looks < 2 && !Halted && _received > 0; looks++)
        {
            var (judged, done) = ParseOnce();
            if (_parserLeft)
            {
                // The block stays in the buffer and is seen again, as a repetition.
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

    private (bool Judged, int Done) ParseOnce() => Parse(_receive.AsSpan(0, _received));

    private void Remove(int count)
    {
        _receive.AsSpan(count, _received - count).CopyTo(_receive);
        _received -= count;
    }

    /// <summary>The chip works for some time; what it says afterwards comes that much later.</summary>
    protected void Work(TimeSpan time) => _clock += time;

    /// <summary>As <see cref="Work"/>, with the CPU standing still meanwhile: an erase of the flash that it runs from.</summary>
    protected void Stall(TimeSpan time)
    {
        (_stall, _heldInStall) = ((_clock, _clock + time), 0);
        _clock += time;
    }

    /// <summary>The parser is left for good in the middle of a block, as a shutdown of the firmware leaves it.</summary>
    protected void LeaveParser() => _parserLeft = true;

    /// <summary>Queues a frame for the host; dropped without a sign where the transmit buffer has no room.</summary>
    protected virtual void Transmit(ReadOnlyMemory<byte> frame)
    {
        var empty = _transmitted > _clock ? _transmitted : _clock;
        if ((empty - _clock) + TimeOf(frame.Length) > TimeOf(TransmitSize))
            return;
        _transmitted = empty + TimeOf(frame.Length);
        Send(frame, _clock - _now);
    }

    /// <summary>Asks for a reset and hears nothing more.</summary>
    protected void Halt(ResetRequest request, TimeSpan delay = default)
    {
        Halted = delay == default;
        Reset(request, _clock - _now + delay);
    }
}

/// <summary>What a build talks over.</summary>
internal enum McuLink
{
    Usb,

    /// <summary>250000 8N1.</summary>
    Uart,

    /// <summary>Frames of up to 8 bytes.</summary>
    Can,
}
