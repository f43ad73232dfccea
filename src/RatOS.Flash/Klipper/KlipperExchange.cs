using RatOS.Flash.Core;

namespace RatOS.Flash.Klipper;

/// <summary>
/// One exchange over a <see cref="KlipperLink"/>: it makes its requests, takes the answers, and repeats requests whose answers were lost.
/// </summary>
internal abstract class KlipperExchange
{
    public abstract bool IsDone { get; }

    /// <summary>Hands the next requests to the link while it has room.</summary>
    public abstract void Ask(KlipperLink link);

    /// <summary>Takes a message from the firmware; true when this exchange advanced. Other messages are ignored.</summary>
    public abstract bool Take(KlipperLink link, ReadOnlySpan<byte> message);

    /// <summary>After every received block: a request that is acknowledged without its answer will not be answered.</summary>
    public abstract void Settle(KlipperLink link);
}

/// <summary><c>identify</c>: the data dictionary in pieces of 40 bytes, a dozen in flight, in any order, repeated as needed.</summary>
internal sealed class Identification : KlipperExchange
{
    // The only two numbers that are the same in every build.
    private const byte Identify = 1;
    private const byte IdentifyResponse = 0;

    private const int PieceSize = 40;

    /// <summary>Real dictionaries have about 100 pieces; one that does not end by 64 KiB is none.</summary>
    private const int MaxPieces = 64 * 1024 / PieceSize;

    private readonly Queue<(long Block, int Piece)> _asked = new();
    private readonly Queue<int> _lost = new();
    private readonly sbyte[] _lengths = new sbyte[MaxPieces]; // of each piece, -1 while it is missing
    private byte[] _data = new byte[8 * 1024];
    private int _next;
    private int _last = MaxPieces - 1;
    private int _full; // pieces from the first one on without a gap

    public Identification() => Array.Fill(_lengths, (sbyte)-1);

    /// <summary>The first piece that is not full is the last one.</summary>
    public override bool IsDone => _lengths[_full] >= 0;

    /// <summary>The zlib stream, once done.</summary>
    public ReadOnlyMemory<byte> Data => _data.AsMemory(0, _full * PieceSize + _lengths[_full]);

    public override void Ask(KlipperLink link)
    {
        Span<byte> request = stackalloc byte[12];
        while (_lost.Count > 0 || _next <= _last)
        {
            var piece = _lost.TryPeek(out var again) ? again : _next;
            request[0] = Identify;
            var length = 1 + KlipperBlock.WriteNumber(request[1..], piece * PieceSize);
            length += KlipperBlock.WriteNumber(request[length..], PieceSize);
            if (!link.HasRoom(length))
                return;
            if (!_lost.TryDequeue(out _))
                _next++;
            _asked.Enqueue((link.Send(request[..length]), piece));
        }
    }

    public override bool Take(KlipperLink link, ReadOnlySpan<byte> message)
    {
        if (!KlipperBlock.TryReadNumber(ref message, out var id) || id != IdentifyResponse
            || !KlipperBlock.TryReadNumber(ref message, out var offset) || message.IsEmpty)
        {
            return false;
        }
        var (piece, inside) = Math.DivRem(offset, PieceSize);
        var bytes = message[1..];
        if (message[0] != bytes.Length || bytes.Length > PieceSize || inside != 0 || piece < 0 || piece >= _next || _lengths[piece] >= 0)
            return false;

        while (offset + PieceSize > _data.Length)
            Array.Resize(ref _data, _data.Length * 2);
        bytes.CopyTo(_data.AsSpan(offset));
        _lengths[piece] = (sbyte)bytes.Length;
        if (bytes.Length < PieceSize)
            _last = Math.Min(_last, piece);
        while (_lengths[_full] == PieceSize)
        {
            if (++_full == MaxPieces)
                throw FlashFaults.KlipperDictionary($"it does not end within {MaxPieces * PieceSize} bytes");
        }
        return true;
    }

    public override void Settle(KlipperLink link)
    {
        while (_asked.TryPeek(out var oldest) && oldest.Block < link.Acknowledged)
        {
            _asked.Dequeue();
            if (_lengths[oldest.Piece] >= 0)
            {
                link.Answered();
            }
            else if (oldest.Piece <= _last)
            {
                _lost.Enqueue(oldest.Piece);
                link.Lost(oldest.Block);
            }
        }
    }
}

/// <summary>One command, sent once there is room for it.</summary>
internal abstract class SingleCommand(byte[] command) : KlipperExchange
{
    /// <summary>The block it went out in; null before, and when it has to go out again.</summary>
    protected long? Block { get; set; }

    public override void Ask(KlipperLink link)
    {
        if (Block is null && link.HasRoom(command.Length))
            Block = link.Send(command);
    }
}

/// <summary>One command with one answer of plain numbers.</summary>
/// <param name="command">The encoded command.</param>
/// <param name="responseId">Number of the answer in this build.</param>
/// <param name="values">Where its parameters go; as many as there are places.</param>
internal sealed class Question(byte[] command, int responseId, int[] values) : SingleCommand(command)
{
    private bool _isDone;

    public override bool IsDone => _isDone;

    public override bool Take(KlipperLink link, ReadOnlySpan<byte> message)
    {
        // The answer carries the number that acknowledges its command: an answer to an earlier question that comes once more does not.
        if (_isDone || !(Block < link.Acknowledged) || !KlipperBlock.TryReadNumber(ref message, out var id) || id != responseId)
            return false;
        foreach (ref var value in values.AsSpan())
        {
            if (!KlipperBlock.TryReadNumber(ref message, out value))
                return false;
        }
        return _isDone = true;
    }

    public override void Settle(KlipperLink link)
    {
        if (Block < link.Acknowledged)
            Block = null;
    }
}

/// <summary>A command without an answer: done when it is acknowledged.</summary>
internal sealed class Order(byte[] command) : SingleCommand(command)
{
    private bool _isDone;

    public override bool IsDone => _isDone;

    public override bool Take(KlipperLink link, ReadOnlySpan<byte> message) => false;

    public override void Settle(KlipperLink link) => _isDone |= Block < link.Acknowledged;
}
