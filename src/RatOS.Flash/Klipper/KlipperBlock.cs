using System.Buffers.Binary;
using RatOS.Flash.Core;

namespace RatOS.Flash.Klipper;

/// <summary>
/// Klipper's message block, <c>len | 10+seq | payload | crc hi | crc lo | 7e</c>, and its numbers (Klipper docs/Protocol.md).
/// </summary>
internal static class KlipperBlock
{
    public const int MaxLength = 64;
    public const int MaxPayload = MaxLength - Overhead;
    public const byte Sync = 0x7E;
    private const int Overhead = HeaderLength + TrailerLength;
    private const int HeaderLength = 2;
    private const int TrailerLength = 3;
    private const byte Destination = 0x10;

    /// <summary>Writes one block.</summary>
    /// <param name="to">At least <see cref="MaxLength"/> bytes.</param>
    /// <param name="sequence">Only the low four bits go on the wire.</param>
    /// <param name="payload">0..<see cref="MaxPayload"/> bytes.</param>
    /// <returns>Its length.</returns>
    public static int Write(Span<byte> to, int sequence, ReadOnlySpan<byte> payload)
    {
        var length = payload.Length + Overhead;
        to[0] = (byte)length;
        to[1] = (byte)(Destination | (sequence & 0x0F));
        payload.CopyTo(to[HeaderLength..]);
        BinaryPrimitives.WriteUInt16BigEndian(to[(length - TrailerLength)..], Crc16.Compute(to[..(length - TrailerLength)]));
        to[length - 1] = Sync;
        return length;
    }

    /// <summary>Takes the first whole block; other bytes are skipped up to the next 7e.</summary>
    /// <param name="buffer">Bytes as received.</param>
    /// <param name="used">Bytes consumed, whatever the result.</param>
    /// <param name="sequence">0..15.</param>
    /// <param name="payload">Empty for ACK and NAK. Points into <paramref name="buffer"/>.</param>
    /// <returns>False when more bytes are needed.</returns>
    public static bool TryTake(ReadOnlySpan<byte> buffer, out int used, out int sequence, out ReadOnlySpan<byte> payload)
    {
        used = 0;
        while (true)
        {
            var rest = buffer[used..];
            if (rest.Length > 0 && rest[0] == Sync)
            {
                used++;
                continue;
            }
            // An impossible length or second byte shows before the rest is there.
            var isWrong = (rest.Length > 0 && rest[0] is < Overhead or > MaxLength) || (rest.Length > 1 && (rest[1] & 0xF0) != Destination);
            if (!isWrong)
            {
                if (rest.Length < Overhead || rest.Length < rest[0])
                    break;
                var block = rest[..rest[0]];
                if (block[^1] == Sync
                    && BinaryPrimitives.ReadUInt16BigEndian(block[^TrailerLength..]) == Crc16.Compute(block[..^TrailerLength]))
                {
                    used += block.Length;
                    sequence = block[1] & 0x0F;
                    payload = block[HeaderLength..^TrailerLength];
                    return true;
                }
            }
            // Not behind the supposed block: its length may be the damaged byte, and whole blocks may stand within it.
            var sync = rest.IndexOf(Sync);
            if (sync < 0)
            {
                used = buffer.Length;
                break;
            }
            used += sync + 1;
        }
        sequence = 0;
        payload = default;
        return false;
    }

    /// <summary>Writes a number of 32 bits, signed or not, in 1..5 bytes; returns how many.</summary>
    public static int WriteNumber(Span<byte> to, int value)
    {
        var at = 0;
        if (value is < -(1 << 26) or >= 3 << 26)
            to[at++] = (byte)((value >> 28) | 0x80);
        if (value is < -(1 << 19) or >= 3 << 19)
            to[at++] = (byte)((value >> 21) | 0x80);
        if (value is < -(1 << 12) or >= 3 << 12)
            to[at++] = (byte)((value >> 14) | 0x80);
        if (value is < -(1 << 5) or >= 3 << 5)
            to[at++] = (byte)((value >> 7) | 0x80);
        to[at++] = (byte)(value & 0x7F);
        return at;
    }

    /// <summary>Takes a number off the front; false when the bytes end within it.</summary>
    public static bool TryReadNumber(ref ReadOnlySpan<byte> from, out int value)
    {
        value = 0;
        if (from.IsEmpty)
            return false;
        // The first byte holds the sign.
        value = from[0] & 0x7F;
        if ((from[0] & 0x60) == 0x60)
            value |= ~0x1F;
        var at = 0;
        while ((from[at++] & 0x80) != 0)
        {
            if (at == from.Length || at == 5)
                return false;
            value = (value << 7) | (from[at] & 0x7F);
        }
        from = from[at..];
        return true;
    }
}
