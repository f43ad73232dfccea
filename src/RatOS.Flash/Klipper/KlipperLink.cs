namespace RatOS.Flash.Klipper;

/// <summary>
/// The host's end of Klipper's link: numbers blocks, keeps some in flight, retransmits lost ones, and hands out answers.
/// Bytes and time in, bytes out; it owns neither line nor clock.
/// </summary>
/// <remarks>
/// Every block of the firmware carries the number that it expects next; an empty one is both ACK and NAK (Klipper src/command.c). An answer
/// comes before or with the number that acknowledges its command, and in order: once a command is acknowledged without its answer, that
/// answer is lost for good. The firmware drops what does not fit into its send buffer, so a lost answer is normal when many are in flight:
/// <see cref="Lost"/> narrows the window.
/// </remarks>
internal sealed class KlipperLink
{
    /// <summary>A dozen identify requests, 108 bytes: below the 128 bytes that the smallest receive buffer holds.</summary>
    private const int MaxInFlight = 12;
    private const int MaxBytesInFlight = 120;

    /// <summary>More than 16 would wrap the four bits on the wire.</summary>
    private const int Slots = 16;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMilliseconds(200);

    private readonly byte[] _payloads = new byte[Slots * KlipperBlock.MaxPayload];
    private readonly int[] _lengths = new int[Slots];
    private readonly byte[] _frame = new byte[KlipperBlock.MaxLength];
    private readonly byte[] _received = new byte[4096];
    private int _from, _to;

    private long _queued;       // blocks handed in
    private long _cursor;       // the next of them to go out
    private int _bytesInFlight;
    private int _shift;         // number on the wire = (block + shift) mod 16
    private bool _isInStep;     // the firmware's number is known
    private long _acknowledgedBy; // the ordinary ACK for Acknowledged has come: the next one is a NAK
    private long _deafUntil = -1;  // NAKs up to this number may be echoes of blocks that were sent twice
    private TimeSpan _retry = FirstRetry;
    private TimeSpan _deadline = Timeout.InfiniteTimeSpan;
    private int _window = MaxInFlight;
    private long _narrowedAt;
    private int _answered;

    /// <summary>Blocks that the firmware has acknowledged.</summary>
    public long Acknowledged { get; private set; }

    public int InFlight => (int)(_queued - Acknowledged);

    /// <summary>When <see cref="NextFrame"/> will have something to send again; infinite when nothing is in flight.</summary>
    public TimeSpan Deadline => _deadline;

    /// <summary>
    /// Another block may be handed in. Until the firmware's number is known there is only one, as a wrong number costs what is in flight.
    /// </summary>
    public bool HasRoom(int payloadLength) =>
        InFlight < (_isInStep ? _window : 1) && (InFlight == 0 || _bytesInFlight + payloadLength + 5 <= MaxBytesInFlight);

    /// <summary>
    /// Hands in a block, 1..<see cref="KlipperBlock.MaxPayload"/> bytes, when there is room; returns its number, to compare with
    /// <see cref="Acknowledged"/>.
    /// </summary>
    public long Send(ReadOnlySpan<byte> payload)
    {
        if (!HasRoom(payload.Length))
            throw new InvalidOperationException("the window is full");
        var slot = (int)(_queued % Slots);
        payload.CopyTo(_payloads.AsSpan(slot * KlipperBlock.MaxPayload, KlipperBlock.MaxPayload));
        _lengths[slot] = payload.Length;
        _bytesInFlight += payload.Length + 5;
        return _queued++;
    }

    /// <summary>The next frame that goes on the line now, valid until the next call; empty when there is none.</summary>
    public ReadOnlyMemory<byte> NextFrame(TimeSpan now)
    {
        if (_cursor == _queued)
        {
            if (InFlight == 0 || now < _deadline)
                return default;
            ForgetHalfBlock();
            Repeat();
            _retry = _retry * 2 < LastRetry ? _retry * 2 : LastRetry;
        }
        var slot = (int)(_cursor % Slots);
        var payload = _payloads.AsSpan(slot * KlipperBlock.MaxPayload, _lengths[slot]);
        var length = KlipperBlock.Write(_frame, (int)((_cursor + _shift) & 0x0F), payload);
        _cursor++;
        _deadline = now + _retry;
        return _frame.AsMemory(0, length);
    }

    /// <summary>Where bytes from the line go, at least one; tell <see cref="Received"/> how many came.</summary>
    public Memory<byte> Space
    {
        get
        {
            _received.AsSpan(_from, _to - _from).CopyTo(_received);
            (_from, _to) = (0, _to - _from);
            return _received.AsMemory(_to);
        }
    }

    public void Received(int count) => _to += count;

    /// <summary>
    /// Takes the next block that came. <paramref name="payload"/> is empty for an ACK or NAK, and valid until <see cref="Space"/> is asked
    /// for.
    /// </summary>
    public bool TryTake(TimeSpan now, out ReadOnlySpan<byte> payload)
    {
        var taken = KlipperBlock.TryTake(_received.AsSpan(_from, _to - _from), out var used, out var wanted, out payload);
        _from += used;
        if (taken)
            Wanted(wanted, isEmpty: payload.IsEmpty, now);
        return taken;
    }

    /// <summary>An answer came.</summary>
    public void Answered()
    {
        // Grows slowly to what the line sustains.
        if (++_answered % 32 == 0 && _window < MaxInFlight)
            _window++;
    }

    /// <summary>The answer to this block was lost: too many were in flight. Halves the window once for all blocks in flight.</summary>
    public void Lost(long block)
    {
        if (block < _narrowedAt)
            return;
        _narrowedAt = _queued;
        _window = Math.Max(1, _window / 2);
    }

    private void Wanted(int number, bool isEmpty, TimeSpan now)
    {
        var ahead = (int)((number - Acknowledged - _shift) & 0x0F);
        if (ahead > InFlight)
        {
            // The firmware has another number: it was running before this link, or restarted.
            _shift = (int)((number - Acknowledged) & 0x0F);
            _acknowledgedBy = Acknowledged;
            Repeat();
        }
        else if (ahead > 0)
        {
            for (; ahead > 0; ahead--)
                _bytesInFlight -= _lengths[(int)(Acknowledged++ % Slots)] + 5;
            _cursor = Math.Max(_cursor, Acknowledged);
            _retry = FirstRetry;
            _deadline = InFlight > 0 ? now + _retry : Timeout.InfiniteTimeSpan;
            if (isEmpty)
                _acknowledgedBy = Acknowledged;
        }
        else if (isEmpty && _acknowledgedBy < Acknowledged)
        {
            // The answer itself has acknowledged its command already; this is the ordinary ACK behind it.
            _acknowledgedBy = Acknowledged;
        }
        else if (isEmpty && InFlight > 0 && Acknowledged > _deafUntil)
        {
            Repeat();
        }
        _isInStep = true;
    }

    /// <summary>The beginning of a long block would swallow the short ones that follow; after a silence its rest will not come.</summary>
    private void ForgetHalfBlock()
    {
        var sync = _received.AsSpan(_from, _to - _from).IndexOf(KlipperBlock.Sync);
        _from = sync < 0 ? _to : _from + sync + 1;
    }

    /// <summary>
    /// Sends everything in flight again. Blocks that had arrived are answered once more, with numbers up to the last block sent by now;
    /// if these echoes counted as NAKs, each retransmission would cause the next one.
    /// </summary>
    private void Repeat()
    {
        _cursor = Acknowledged;
        _deafUntil = _queued;
    }
}
