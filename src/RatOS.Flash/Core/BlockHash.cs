using System.Buffers.Binary;

namespace RatOS.Flash.Core;

/// <summary>
/// A hash over blocks of 64 bytes with the length behind them: SHA-256, SHA-1 and MD5. They are here because the base library's go through
/// OpenSSL: without its shared library the whole program aborts.
/// </summary>
public abstract class BlockHash
{
    protected const int BlockSize = 64;
    private const int LengthAt = BlockSize - sizeof(ulong);

    private readonly byte[] _rest = new byte[BlockSize];
    private ulong _length;

    private protected BlockHash(ReadOnlySpan<uint> start) => State = start.ToArray();

    private protected uint[] State { get; }

    /// <summary>The order of bytes in words: MD5 has the little end first, the others the big one.</summary>
    private protected virtual bool IsLittleEndian => false;

    public void Append(ReadOnlySpan<byte> data)
    {
        var held = (int)(_length % BlockSize);
        _length += (ulong)data.Length;
        if (held > 0)
        {
            var taken = Math.Min(BlockSize - held, data.Length);
            data[..taken].CopyTo(_rest.AsSpan(held));
            data = data[taken..];
            if (held + taken < BlockSize)
                return;
            Mix(_rest);
        }
        for (; data.Length >= BlockSize; data = data[BlockSize..])
            Mix(data[..BlockSize]);
        data.CopyTo(_rest);
    }

    /// <summary>The hash of these bytes alone.</summary>
    private protected byte[] Of(ReadOnlySpan<byte> data)
    {
        Append(data);
        return Finish();
    }

    /// <summary>The hash of all that was appended. Nothing may be appended after it.</summary>
    public byte[] Finish()
    {
        var bits = _length * 8;
        var held = (int)(_length % BlockSize);
        _rest[held++] = 0x80;
        if (held > LengthAt)
        {
            _rest.AsSpan(held).Clear();
            Mix(_rest);
            held = 0;
        }
        _rest.AsSpan(held).Clear();
        var end = _rest.AsSpan(LengthAt);
        if (IsLittleEndian)
            BinaryPrimitives.WriteUInt64LittleEndian(end, bits);
        else
            BinaryPrimitives.WriteUInt64BigEndian(end, bits);
        Mix(_rest);

        var hash = new byte[State.Length * sizeof(uint)];
        for (var i = 0; i < State.Length; i++)
        {
            var word = hash.AsSpan(i * sizeof(uint));
            if (IsLittleEndian)
                BinaryPrimitives.WriteUInt32LittleEndian(word, State[i]);
            else
                BinaryPrimitives.WriteUInt32BigEndian(word, State[i]);
        }
        return hash;
    }

    /// <summary>Mixes one block into the state.</summary>
    private protected abstract void Mix(ReadOnlySpan<byte> block);
}
