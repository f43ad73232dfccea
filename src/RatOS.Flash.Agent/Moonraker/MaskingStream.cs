using System.Buffers;
using System.Buffers.Binary;
using System.Net.WebSockets;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// Lets a client use the base library's websocket in its role of a server: that one's frames get a mask here, and the real server's get
/// one of zeros (RFC 6455, 5.2 and 5.3). In the role of a client it takes its masks from OpenSSL.
/// </summary>
/// <param name="inner">The connection.</param>
/// <param name="first">Bytes of it that were read already.</param>
internal sealed class MaskingStream(Stream inner, ReadOnlyMemory<byte> first) : Stream
{
    private const int MaskLength = 4;
    private const byte Masked = 0x80;
    private const int KeptBuffer = 64 * 1024;

    private readonly FrameHeader _incoming = new();
    private readonly FrameHeader _outgoing = new();
    private readonly byte[] _mask = new byte[MaskLength];
    private readonly byte[] _buffer = new byte[4096];
    private ReadOnlyMemory<byte> _read = first;
    private ReadOnlyMemory<byte> _header;
    private ArrayBufferWriter<byte> _written = new();
    private int _masked;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
            return 0;
        while (true)
        {
            if (!_header.IsEmpty)
                return Take(ref _header, buffer);
            var wanted = (int)Math.Min((ulong)buffer.Length, _incoming.Payload);
            if (wanted > 0)
            {
                var came = _read.IsEmpty
                    ? await inner.ReadAsync(buffer[..wanted], cancellationToken) : Take(ref _read, buffer[..wanted]);
                _incoming.Payload -= (ulong)came;
                return came;
            }
            if (_read.IsEmpty)
            {
                _read = _buffer.AsMemory(0, await inner.ReadAsync(_buffer, cancellationToken));
                if (_read.IsEmpty)
                    return 0;
            }
            while (!_read.IsEmpty && _header.IsEmpty)
            {
                var isWhole = _incoming.Add(_read.Span[0]);
                _read = _read[1..];
                if (isWhole)
                    _header = _incoming.WithMask(default);
            }
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Mask(buffer.Span);
        await inner.WriteAsync(_written.WrittenMemory, cancellationToken);
        _written.ResetWrittenCount();
        if (_written.Capacity > KeptBuffer)
            _written = new();
    }

    private void Mask(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var length = (int)Math.Min((ulong)buffer.Length, _outgoing.Payload);
            if (length == 0)
            {
                if (_outgoing.Add(buffer[0]))
                {
                    SecureRandom.Fill(_mask);
                    _masked = 0;
                    _written.Write(_outgoing.WithMask(_mask));
                }
                buffer = buffer[1..];
                continue;
            }
            var masked = _written.GetSpan(length);
            for (var i = 0; i < length; i++)
                masked[i] = (byte)(buffer[i] ^ _mask[_masked++ % MaskLength]);
            _masked %= MaskLength;
            _written.Advance(length);
            _outgoing.Payload -= (ulong)length;
            buffer = buffer[length..];
        }
    }

    private static int Take(ref ReadOnlyMemory<byte> from, Memory<byte> to)
    {
        var length = Math.Min(from.Length, to.Length);
        from[..length].CopyTo(to);
        from = from[length..];
        return length;
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }

    public override bool CanRead => true;
    public override bool CanWrite => true;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() => inner.Flush();
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>The header of one direction's frames, byte by byte.</summary>
    private sealed class FrameHeader
    {
        private const int Short = 2, SizeIn2 = 126, SizeIn8 = 127;

        private readonly byte[] _bytes = new byte[Short + sizeof(ulong)];
        private int _length;

        /// <summary>Bytes of this frame that are still to come.</summary>
        public ulong Payload { get; set; }

        /// <summary>Takes the next byte of a header.</summary>
        /// <returns>Whether the header is whole: its payload follows.</returns>
        /// <exception cref="WebSocketException">No server may send it (RFC 6455, 5.1 and 5.2).</exception>
        public bool Add(byte next)
        {
            if (Payload == 0 && _length == Whole)
                _length = 0;
            _bytes[_length++] = next;
            if (_length < Short || _length < Whole)
                return false;
            if ((_bytes[1] & Masked) != 0)
                throw new WebSocketException(WebSocketError.Faulted, "the server masks its frames");
            Payload = _bytes[1] switch
            {
                SizeIn2 => BinaryPrimitives.ReadUInt16BigEndian(_bytes.AsSpan(Short)),
                SizeIn8 => BinaryPrimitives.ReadUInt64BigEndian(_bytes.AsSpan(Short)),
                var size => size,
            };
            return Payload <= long.MaxValue ? true : throw new WebSocketException(WebSocketError.Faulted, "a frame of a negative length");
        }

        private int Whole => (_bytes[1] & ~Masked) switch
        {
            SizeIn2 => Short + sizeof(ushort),
            SizeIn8 => Short + sizeof(ulong),
            _ => Short,
        };

        public byte[] WithMask(ReadOnlySpan<byte> mask)
        {
            var whole = new byte[Whole + MaskLength];
            _bytes.AsSpan(0, Whole).CopyTo(whole);
            whole[1] |= Masked;
            mask.CopyTo(whole.AsSpan(Whole));
            return whole;
        }
    }
}
