using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>
/// A USB device as its host sees it: descriptors as bytes, control requests, bulk endpoints. It knows no host: the virtual printer asks it in
/// virtual time, a USB/IP server may ask the same object for a real kernel.
/// </summary>
internal abstract class UsbFunction
{
    private const byte GetDescriptor = 6;
    private static readonly byte[] EnglishOnly = [4, 3, 0x09, 0x04];

    /// <summary>The 18 bytes.</summary>
    public abstract ReadOnlyMemory<byte> DeviceDescriptor { get; }

    /// <summary>The configuration descriptor and all that follows it.</summary>
    public abstract ReadOnlyMemory<byte> Configuration { get; }

    /// <summary>String descriptors from index 1 on: manufacturer, product, serial, then whatever the descriptors name.</summary>
    public required ImmutableArray<string> Strings { get; set; }

    /// <summary>The chip behind it has crashed: it stays on the bus and answers nothing.</summary>
    public bool Hangs { get; set; }

    public UsbId Id => new(
        BinaryPrimitives.ReadUInt16LittleEndian(DeviceDescriptor.Span[8..]), BinaryPrimitives.ReadUInt16LittleEndian(DeviceDescriptor.Span[10..]));

    public ushort Release => BinaryPrimitives.ReadUInt16LittleEndian(DeviceDescriptor.Span[12..]);

    /// <summary>A string descriptor as it goes over the bus.</summary>
    protected virtual byte[] StringDescriptor(string text) => [(byte)((text.Length * 2) + 2), 3, .. Encoding.Unicode.GetBytes(text)];

    /// <summary>One control transfer: <paramref name="data"/> came from the host, or is filled for it, by bit 7 of the request type.</summary>
    public UsbReply Control(UsbSetup setup, Memory<byte> data, TimeSpan now) => setup switch
    {
        _ when Hangs => new UsbReply(UsbStatus.Ok, 0, UsbReply.Never),
        { RequestType: 0x80, Request: GetDescriptor } => Descriptor(setup.Value, data.Span),
        { RequestType: 0x80 or 0x81 or 0x82, Request: 0 } => Fill(data.Span, [0, 0]),          // GET_STATUS
        { RequestType: 0x80, Request: 8 } => Fill(data.Span, [1]),                             // GET_CONFIGURATION
        { RequestType: 0x81, Request: 10 } => Fill(data.Span, [Alternate(setup.Index)]),       // GET_INTERFACE
        { RequestType: 0x01, Request: 11 } => SelectAlternate(setup.Index, setup.Value) ? UsbReply.Ok() : UsbReply.Stall,
        { RequestType: 0x00 or 0x01 or 0x02, Request: 1 or 3 or 5 or 9 } => UsbReply.Ok(),     // features, address, configuration
        { RequestType: 0x21 or 0xA1 } => Class(setup, data, now),
        _ => UsbReply.Stall,
    };

    private UsbReply Descriptor(ushort value, Span<byte> data) => (value >> 8, value & 0xFF) switch
    {
        (1, 0) => Fill(data, DeviceDescriptor.Span),
        (2, 0) => Fill(data, Configuration.Span),
        (3, 0) => Fill(data, EnglishOnly),
        (3, var index) when index <= Strings.Length => Fill(data, StringDescriptor(Strings[index - 1])),
        _ => UsbReply.Stall,
    };

    protected static UsbReply Fill(Span<byte> data, ReadOnlySpan<byte> answer)
    {
        var length = Math.Min(data.Length, answer.Length);
        answer[..length].CopyTo(data);
        return UsbReply.Ok(length);
    }

    /// <summary>A class request to an interface.</summary>
    protected abstract UsbReply Class(UsbSetup setup, Memory<byte> data, TimeSpan now);

    protected virtual bool SelectAlternate(ushort interfaceNumber, ushort alternate) => alternate == 0;

    protected virtual byte Alternate(ushort interfaceNumber) => 0;

    /// <summary>One bulk transfer from the host.</summary>
    public virtual void BulkOut(ReadOnlySpan<byte> data, TimeSpan now)
    {
    }

    protected static byte[] Device(byte[] head, UsbId id, ushort release)
    {
        byte[] descriptor = [18, 1, .. head, 0, 0, 0, 0, 0, 0, 1, 2, 3, 1];
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(8), id.Vendor);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(10), id.Product);
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor.AsSpan(12), release);
        return descriptor;
    }
}

/// <summary>What a device answers to a control transfer.</summary>
/// <param name="Status">Ok or Stall.</param>
/// <param name="Length">Bytes it took or gives.</param>
/// <param name="Hold">How long it says "not yet" (NAK) before it answers; <see cref="Never"/> when it will not.</param>
internal readonly record struct UsbReply(UsbStatus Status, int Length, TimeSpan Hold)
{
    public static readonly TimeSpan Never = TimeSpan.MaxValue;

    public static readonly UsbReply Stall = new(UsbStatus.Stall, 0, TimeSpan.Zero);

    public static UsbReply Ok(int length = 0) => new(UsbStatus.Ok, length, TimeSpan.Zero);
}
