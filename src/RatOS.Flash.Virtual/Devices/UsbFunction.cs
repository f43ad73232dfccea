using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A board's USB function, byte by byte as its firmware answers: descriptors, strings, control requests. The virtual printer and the
/// server for real kernels use the same object.
/// </summary>
public abstract class UsbFunction
{
    public abstract UsbId Id { get; }

    /// <summary>bcdDevice.</summary>
    public virtual ushort Release => 0x0100;

    /// <summary>Strings from 1 on: manufacturer, product, serial, then the function's own.</summary>
    public abstract ImmutableArray<string> Strings { get; }

    /// <summary>The configuration descriptor with all descriptors behind it.</summary>
    public abstract ReadOnlyMemory<byte> Configuration { get; }

    /// <summary>bcdUSB.</summary>
    public virtual ushort UsbVersion => 0x0200;

    /// <summary>bDeviceClass; 0 where each interface has its own.</summary>
    public virtual byte DeviceClass => 0;

    /// <summary>bMaxPacketSize0.</summary>
    public virtual byte ControlPacketSize => 64;

    /// <summary>A chip's ROM: no serial port leads to it.</summary>
    public virtual bool IsRom => false;

    /// <summary>Of a bootloader: times of the first and the last request, and their number; null before any.</summary>
    public virtual (TimeSpan First, TimeSpan Last, int Count)? Commands => null;

    public string Manufacturer => Strings[0];

    public string Product => Strings[1];

    public string Serial => Strings[2];

    public byte[] DeviceDescriptor()
    {
        byte[] descriptor = [18, 1, 0, 0, DeviceClass, 0, 0, ControlPacketSize, 0, 0, 0, 0, 0, 0, 1, 2, 3, 1];
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(2), UsbVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(8), Id.Vendor);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(10), Id.Product);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(12), Release);
        return descriptor;
    }

    /// <summary>The kind of an endpoint; null where the configuration has no such endpoint.</summary>
    /// <param name="address">bEndpointAddress, the direction in bit 7.</param>
    public EndpointKind? Endpoint(byte address)
    {
        if ((address & 0x7F) == 0)
            return EndpointKind.Control;
        for (var rest = Configuration.Span; rest.Length >= 2 && rest[0] >= 2 && rest[0] <= rest.Length; rest = rest[rest[0]..])
        {
            if (rest[1] == 5 && rest[2] == address)
                return (EndpointKind)(rest[3] & 3);
        }
        return null;
    }

    /// <summary>One control transfer. The direction bit decides whether data is read or filled.</summary>
    public UsbAnswer Control(UsbSetup setup, Span<byte> data, TimeSpan now)
    {
        if ((setup.RequestType & 0x60) != 0)
            return ClassRequest(setup, data, now);
        // A full-speed device has no qualifier and no other speed: those descriptors stall (USB 2.0, 9.6.2).
        return (setup.RequestType, setup.Request, setup.Value >> 8) switch
        {
            (0x80, 6, 1) => Copy(DeviceDescriptor(), data),
            (0x80, 6, 2) when (setup.Value & 0xFF) == 0 => Copy(Configuration.Span, data),
            (0x80, 6, 3) => StringDescriptor(setup.Value & 0xFF) is { } text ? Copy(text, data) : UsbAnswer.Stall,
            (0x80, 0, _) => Copy([(byte)((Configuration.Span[7] >> 6) & 1), 0], data),   // GET_STATUS: bit 0, self powered
            (0x81 or 0x82, 0, _) => Copy([0, 0], data),
            (0x80, 8, _) => Copy([1], data),                                        // GET_CONFIGURATION
            (0x81, 10, _) => Copy([Alternate], data),                               // GET_INTERFACE
            (0x00, 9, _) => setup.Value <= 1 ? Done(Configured) : UsbAnswer.Stall,   // SET_CONFIGURATION: there is one
            (0x02, 1, _) => Done(() => ClearHalt((byte)setup.Index)),
            (0x00 or 0x01 or 0x02, 1 or 3 or 5, _) => UsbAnswer.Ok(0),               // other features, address
            (0x01, 11, _) => setup.Index < Configuration.Span[4] && SelectAlternate((byte)setup.Value) ? UsbAnswer.Ok(0) : UsbAnswer.Stall,
            _ => UsbAnswer.Stall,
        };
    }

    /// <summary>An endpoint that answers NAK until the host gives up.</summary>
    public static readonly TimeSpan Never = TimeSpan.MaxValue;

    /// <summary>How long a bulk endpoint answers NAK from now on; <see cref="Never"/> while nothing is ready.</summary>
    /// <param name="endpoint">bEndpointAddress, the direction in bit 7.</param>
    /// <param name="now">By the printer's clock.</param>
    public virtual TimeSpan BulkDelay(byte endpoint, TimeSpan now) => TimeSpan.Zero;

    /// <summary>One bulk transfer, when <see cref="BulkDelay"/> is over. The direction bit decides if data is read or filled.</summary>
    public virtual UsbAnswer Bulk(byte endpoint, Span<byte> data, TimeSpan now) => UsbAnswer.Stall;

    /// <summary>The host has chosen the configuration.</summary>
    protected virtual void Configured()
    {
    }

    /// <summary>The host ends the halt of an endpoint.</summary>
    protected virtual void ClearHalt(byte endpoint)
    {
    }

    protected abstract UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now);

    protected virtual bool SelectAlternate(byte alternate) => alternate == 0;

    protected virtual byte Alternate => 0;

    protected static UsbAnswer Copy(ReadOnlySpan<byte> from, Span<byte> to)
    {
        var length = Math.Min(from.Length, to.Length);
        from[..length].CopyTo(to);
        return UsbAnswer.Ok(length);
    }

    private static UsbAnswer Done(Action act)
    {
        act();
        return UsbAnswer.Ok(0);
    }

    private byte[]? StringDescriptor(int index)
    {
        if (index == 0)
            return [4, 3, 0x09, 0x04];
        if (index > Strings.Length)
            return null;
        var text = Encoding.Unicode.GetBytes(Strings[index - 1]);
        text = text[..Math.Min(text.Length, 252)];
        // The layout string of an F42x is too long for its ROM: the descriptor claims more bytes than it sends.
        var claimed = text.Length + (text.Length > 128 ? 4 : 2);
        return [(byte)Math.Min(claimed, 255), 3, .. text];
    }
}

/// <summary>bmAttributes of an endpoint.</summary>
public enum EndpointKind : byte
{
    Control,
    Isochronous,
    Bulk,
    Interrupt,
}

/// <summary>The device's answer to a control transfer.</summary>
/// <param name="Status">Ok, or a stall.</param>
/// <param name="Length">Bytes taken or given.</param>
/// <param name="Delay">How long the endpoint answers NAK before.</param>
public readonly record struct UsbAnswer(UsbStatus Status, int Length, TimeSpan Delay)
{
    public static readonly UsbAnswer Stall = new(UsbStatus.Stall, 0, TimeSpan.Zero);

    public static UsbAnswer Ok(int length, TimeSpan delay = default) => new(UsbStatus.Ok, length, delay);
}
