using System.Buffers.Binary;
using System.Globalization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware;

/// <summary>What a <see cref="Device"/> has that is a CAN interface.</summary>
/// <param name="IsUp">It was brought up: frames can be sent.</param>
/// <param name="Bitrate">Bits per second; null where it is unknown.</param>
/// <param name="UsbPort">USB port path of the adapter or of the board that is the bridge; null for an interface that is not on USB.</param>
public sealed record CanLink(bool IsUp, int? Bitrate, string? UsbPort);

/// <summary>One node as it answered on its bus.</summary>
/// <param name="Uuid">Its identity.</param>
/// <param name="InBootloader">Its bootloader answered; else Klipper.</param>
public sealed record CanNode(CanUuid Uuid, bool InBootloader);

/// <summary>
/// The six bytes by which Klipper and Katapult identify a node. They follow from the chip's unique id, so its USB serial identifies a
/// bridge (Klipper docs/CANBUS_protocol.md).
/// </summary>
public readonly record struct CanUuid
{
    /// <summary>Bytes on the wire.</summary>
    public const int Length = 6;

    private const ulong Seed = 0xA162_31A7;

    private readonly ulong _value;   // the first byte on the wire is the lowest

    private CanUuid(ulong value) => _value = value & 0xFFFF_FFFF_FFFF;

    /// <param name="bytes">As they are on the wire, <see cref="Length"/> or more.</param>
    public static CanUuid Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt32LittleEndian(bytes) | ((ulong)BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]) << 32));

    /// <summary>Twelve hex digits, as printer.cfg has them; null for anything else.</summary>
    public static CanUuid? TryParse(string? text)
    {
        Span<byte> bytes = stackalloc byte[Length];
        return text?.Length == Length * 2
            && Convert.FromHexString(text, bytes, out _, out var written) == System.Buffers.OperationStatus.Done && written == Length
            ? Read(bytes) : null;
    }

    /// <summary>The uuid of a chip: fasthash64 of its unique id (Klipper and Katapult, canbus uuid).</summary>
    /// <param name="chipId">In memory order; 12 bytes on an STM32.</param>
    public static CanUuid OfChip(ReadOnlySpan<byte> chipId)
    {
        const ulong Factor = 0x880355f21e6d1965;
        var hash = Seed ^ ((ulong)chipId.Length * Factor);
        Span<byte> word = stackalloc byte[8];
        for (; chipId.Length > 0; chipId = chipId[Math.Min(8, chipId.Length)..])
        {
            word.Clear();
            chipId[..Math.Min(8, chipId.Length)].CopyTo(word);
            hash = (hash ^ Mix(BinaryPrimitives.ReadUInt64LittleEndian(word))) * Factor;
        }
        return new CanUuid(Mix(hash));

        static ulong Mix(ulong value)
        {
            value = (value ^ (value >> 23)) * 0x2127599bf4325c37;
            return value ^ (value >> 47);
        }
    }

    /// <summary>The uuid of a chip whose USB serial is its unique id in hex; null where the serial is some other text.</summary>
    public static CanUuid? OfSerial(string? serial)
    {
        Span<byte> chipId = stackalloc byte[16];
        return serial is { Length: 16 or 24 or 32 }
            && Convert.FromHexString(serial, chipId, out _, out var length) == System.Buffers.OperationStatus.Done
            ? OfChip(chipId[..length]) : null;
    }

    /// <summary>A number of 0..<paramref name="count"/>-1 that is always the same for this node.</summary>
    internal int Fold(int count) => (int)(_value % (ulong)count);

    public void CopyTo(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)_value);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[4..], (ushort)(_value >> 32));
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{BinaryPrimitives.ReverseEndianness(_value) >> 16:x12}");
}

/// <summary>One data frame of classical CAN.</summary>
public readonly record struct CanFrame
{
    public const int MaxId = 0x7FF;
    public const int MaxLength = 8;

    private readonly ulong _data;   // the first byte is the lowest; bytes past the length are zero

    /// <param name="id">0..<see cref="MaxId"/>: 11 bits.</param>
    /// <param name="data">0..<see cref="MaxLength"/> bytes.</param>
    public CanFrame(int id, params ReadOnlySpan<byte> data)
    {
        if (id is < 0 or > MaxId || data.Length > MaxLength)
            throw new ArgumentException($"a CAN frame has an id of 11 bits and up to 8 bytes, not {id:x} and {data.Length}", nameof(id));
        Span<byte> bytes = stackalloc byte[MaxLength];
        bytes.Clear();
        data.CopyTo(bytes);
        (Id, Length, _data) = (id, data.Length, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
    }

    public int Id { get; }

    /// <summary>Data bytes.</summary>
    public int Length { get; }

    public byte this[int index] => index < Length ? (byte)(_data >> (index * 8)) : throw new ArgumentOutOfRangeException(nameof(index));

    /// <summary>Copies the data to the front of 8 bytes or more, and zeros up to the 8th.</summary>
    public void CopyTo(Span<byte> bytes) => BinaryPrimitives.WriteUInt64LittleEndian(bytes, _data);

    public byte[] ToArray()
    {
        var bytes = new byte[MaxLength];
        CopyTo(bytes);
        return bytes[..Length];
    }

    public override string ToString() => $"{Id:x3} {Convert.ToHexStringLower(ToArray())}";
}

/// <summary>The state of the bus, as the controller reported it last.</summary>
public enum CanBusState
{
    Working,

    /// <summary>
    /// No node acknowledges frames: there is none, or all use another bitrate. A frame is repeated until it is acknowledged.
    /// </summary>
    NotAcknowledged,

    /// <summary>Bus-off: after too many errors of its own the controller is off until it is restarted.</summary>
    Off,
}

/// <summary>
/// A CAN interface as a port of frames. CAN repeats and checks by itself, so a frame arrives whole, or the bus is in trouble. Any number of
/// ports may be open on one interface; each receives what all nodes send.
/// </summary>
public abstract class CanPort : IAsyncDisposable
{
    /// <summary>How long a frame may wait for the bus.</summary>
    public static readonly TimeSpan SendLimit = TimeSpan.FromSeconds(5);

    /// <summary>The interface's session that this port belongs to.</summary>
    public abstract Device Device { get; }

    /// <summary>Tells a silent node from a dead bus.</summary>
    public abstract CanBusState State { get; }

    /// <summary>Hands a frame to the controller, and waits while that is full or off.</summary>
    /// <exception cref="FlashException">The interface is down; or the bus is off, or acknowledges nothing, for
    /// <see cref="SendLimit"/>.</exception>
    /// <exception cref="DeviceGoneException">The interface is gone.</exception>
    public abstract ValueTask SendAsync(CanFrame frame);

    /// <summary>The next frame that a node has sent; null when none came in time.</summary>
    /// <exception cref="FlashException">The interface is down.</exception>
    /// <exception cref="DeviceGoneException">The interface is gone.</exception>
    public abstract ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout);

    public abstract ValueTask DisposeAsync();
}
