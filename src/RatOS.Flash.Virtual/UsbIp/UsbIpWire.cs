using System.Buffers.Binary;
using System.Text;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.UsbIp;

/// <summary>
/// The messages of USB/IP 1.1.1 as bytes (kernel: Documentation/usb/usbip_protocol.rst). Numbers are big-endian, except inside a setup
/// packet.
/// </summary>
internal static class UsbIpWire
{
    public const ushort RequestList = 0x8005, RequestImport = 0x8003;
    public const int RequestLength = 8, BusIdLength = 32, DeviceLength = 312, HeaderLength = 48;

    /// <summary>Longest accepted transfer; the kernel's own drivers use far shorter ones.</summary>
    public const int LongestTransfer = 1 << 20;

    /// <summary>Status of a reply: done, the device is in use, no such device (kernel: tools/usb/usbip/libsrc/usbip_common.h).</summary>
    public const uint Done = 0, DeviceBusy = 2, NoDevice = 4;

    /// <summary>Negative errno: stalled, the bus failed, unlinked, shorter than allowed.</summary>
    public const int Stalled = -32, ProtocolError = -71, Unlinked = -104, ShortTransfer = -121;

    /// <summary>USB_SPEED_FULL (linux/usb/ch9.h).</summary>
    public const uint FullSpeed = 2;

    private const ushort Version = 0x0111;
    private const ushort ReplyBit = 0x8000;   // set in requests, clear in replies
    private const uint Submit = 1, Unlink = 2, SubmitDone = 3, UnlinkDone = 4;
    private const uint ShortNotOk = 1;   // URB_SHORT_NOT_OK

    /// <summary>A client's request for a device.</summary>
    public static byte[] Import(string busId)
    {
        var message = new byte[RequestLength + BusIdLength];
        BinaryPrimitives.WriteUInt16BigEndian(message, Version);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), RequestImport);
        Encoding.ASCII.GetBytes(busId, message.AsSpan(RequestLength, BusIdLength - 1));
        return message;
    }

    /// <summary>The first message of a connection: one of the two requests.</summary>
    /// <exception cref="InvalidDataException">Another version or an unknown request.</exception>
    public static ushort ParseRequest(ReadOnlySpan<byte> message)
    {
        var (version, code) = (BinaryPrimitives.ReadUInt16BigEndian(message), BinaryPrimitives.ReadUInt16BigEndian(message[2..]));
        if (version != Version)
            throw new InvalidDataException($"version {version:x4} instead of {Version:x4}");
        return code is RequestList or RequestImport ? code : throw new InvalidDataException($"unknown request {code:x4}");
    }

    /// <summary>The bus id in an import request: any text.</summary>
    public static string ParseBusId(ReadOnlySpan<byte> field)
    {
        var end = field.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? field : field[..end]);
    }

    /// <summary>The header of a submit or an unlink; the data of an OUT transfer follow it.</summary>
    /// <exception cref="InvalidDataException">No kernel sends this for these devices.</exception>
    public static UsbIpCommand ParseCommand(ReadOnlySpan<byte> header)
    {
        var (command, sequence, device) = (Word(header, 0), Word(header, 4), Word(header, 8));
        if (command == Unlink)
            return new UsbIpCommand(sequence, device) { Unlinks = Word(header, 20) };
        if (command != Submit)
            throw new InvalidDataException($"unknown command {command:x8}");
        var (direction, endpoint, length, packets) = (Word(header, 12), Word(header, 16), Word(header, 24), Word(header, 32));
        if (direction > 1 || endpoint > 15)
            throw new InvalidDataException($"direction {direction}, endpoint {endpoint}");
        if (length > LongestTransfer)
            throw new InvalidDataException($"a transfer of {length} bytes");
        // Descriptors of isochronous packets would follow the data; no board has such an endpoint.
        if (packets is not (0 or uint.MaxValue))
            throw new InvalidDataException($"{packets} isochronous packets");
        var setup = header[40..];
        var setupLength = BinaryPrimitives.ReadUInt16LittleEndian(setup[6..]);
        if (endpoint == 0 && setupLength > length)
            throw new InvalidDataException($"a control transfer of {setupLength} bytes in a buffer of {length}");
        return new UsbIpCommand(sequence, device)
        {
            IsIn = direction == 1,
            Endpoint = (byte)endpoint,
            Flags = Word(header, 20),
            Length = (int)length,
            StartFrame = Word(header, 28),
            Packets = packets,
            Setup = new UsbSetup(
                setup[0], setup[1], BinaryPrimitives.ReadUInt16LittleEndian(setup[2..]),
                BinaryPrimitives.ReadUInt16LittleEndian(setup[4..])),
            SetupLength = setupLength,
        };
    }

    /// <summary>Every exported device with its interfaces.</summary>
    public static byte[] List(IReadOnlyCollection<(Device Device, UsbFunction Function)> exported)
    {
        var message = new List<byte>(Reply(RequestList, Done)) { 0, 0, 0, (byte)exported.Count };
        foreach (var (device, function) in exported)
        {
            message.AddRange(Describe(device, function));
            message.AddRange(Interfaces(function));
        }
        return [.. message];
    }

    public static byte[] Imported(Device device, UsbFunction function) => [.. Reply(RequestImport, Done), .. Describe(device, function)];

    /// <summary>The answer that ends with its status.</summary>
    public static byte[] Refused(uint status) => Reply(RequestImport, status);

    /// <summary>Identifies the import within its connection: bus and device number, in a byte each for old clients.</summary>
    public static uint DeviceId(Device device) => ((uint)BusNumber(device) << 16) | (uint)DeviceNumber(device);

    /// <param name="command">The completed submit.</param>
    /// <param name="status">0, or a negative errno.</param>
    /// <param name="data">The received bytes; of an OUT transfer the accepted ones.</param>
    public static byte[] Return(UsbIpCommand command, int status, ReadOnlySpan<byte> data)
    {
        if (status == 0 && command.IsIn && data.Length < command.Length && (command.Flags & ShortNotOk) != 0)
            status = ShortTransfer;
        var message = new byte[HeaderLength + (command.IsIn ? data.Length : 0)];
        BinaryPrimitives.WriteUInt32BigEndian(message, SubmitDone);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), command.Sequence);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(20), status);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(24), data.Length);
        // The client copies these into its own request: unchanged, as from the kernel's server.
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(28), command.StartFrame);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(32), command.Packets);
        if (command.IsIn)
            data.CopyTo(message.AsSpan(HeaderLength));
        return message;
    }

    /// <param name="sequence">The unlink's own.</param>
    /// <param name="status"><see cref="Unlinked"/>, or 0 where the transfer was answered before.</param>
    public static byte[] ReturnUnlink(uint sequence, int status)
    {
        var message = new byte[HeaderLength];
        BinaryPrimitives.WriteUInt32BigEndian(message, UnlinkDone);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), sequence);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(20), status);
        return message;
    }

    private static byte[] Reply(ushort request, uint status)
    {
        var message = new byte[RequestLength];
        BinaryPrimitives.WriteUInt16BigEndian(message, Version);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), (ushort)(request & ~ReplyBit));
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), status);
        return message;
    }

    private static byte[] Describe(Device device, UsbFunction function)
    {
        var record = new byte[DeviceLength];
        Encoding.ASCII.GetBytes($"/sys/devices/virtual/usb{BusNumber(device)}/{device.Port}", record.AsSpan(0, 255));
        Encoding.ASCII.GetBytes(device.Port, record.AsSpan(256, BusIdLength - 1));
        BinaryPrimitives.WriteInt32BigEndian(record.AsSpan(288), BusNumber(device));
        BinaryPrimitives.WriteInt32BigEndian(record.AsSpan(292), DeviceNumber(device));
        BinaryPrimitives.WriteUInt32BigEndian(record.AsSpan(296), FullSpeed);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(300), function.Id.Vendor);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(302), function.Id.Product);
        BinaryPrimitives.WriteUInt16BigEndian(record.AsSpan(304), function.Release);
        var configuration = function.Configuration.Span;
        // Class, subclass, protocol; bConfigurationValue, bNumConfigurations, bNumInterfaces.
        ReadOnlySpan<byte> rest = [function.DeviceClass, 0, 0, configuration[5], 1, configuration[4]];
        rest.CopyTo(record.AsSpan(306));
        return record;
    }

    /// <summary>Class, subclass and protocol of each interface's first alternate setting.</summary>
    private static IEnumerable<byte> Interfaces(UsbFunction function)
    {
        var descriptors = function.Configuration;
        for (var at = 0; at < descriptors.Length; at += descriptors.Span[at])
        {
            if (descriptors.Span[at + 1] != 4 || descriptors.Span[at + 3] != 0)
                continue;
            for (var field = 5; field < 8; field++)
                yield return descriptors.Span[at + field];
            yield return 0;
        }
    }

    /// <summary>The 1 of 1-1.3.</summary>
    private static int BusNumber(Device device) =>
        int.TryParse(device.Port.AsSpan(0, Math.Max(0, device.Port.IndexOf('-'))), out var bus) ? bus & 0xFF : 1;

    private static int DeviceNumber(Device device) => ((device.Number - 1) % 127) + 1;

    private static uint Word(ReadOnlySpan<byte> message, int at) => BinaryPrimitives.ReadUInt32BigEndian(message[at..]);
}

/// <summary>A submit, or with <see cref="Unlinks"/> an unlink.</summary>
/// <param name="Sequence">Its number, which the answer repeats.</param>
/// <param name="DeviceId">The device it is for.</param>
internal sealed record UsbIpCommand(uint Sequence, uint DeviceId)
{
    /// <summary>The number of the submit that it cancels.</summary>
    public uint? Unlinks { get; init; }

    public bool IsIn { get; init; }

    /// <summary>0..15.</summary>
    public byte Endpoint { get; init; }

    /// <summary>As in a descriptor, with the direction in bit 7.</summary>
    public byte Address => (byte)(Endpoint | (IsIn ? 0x80 : 0));

    public uint Flags { get; init; }

    /// <summary>Bytes that follow, or the limit of an IN transfer; up to <see cref="UsbIpWire.LongestTransfer"/>.</summary>
    public int Length { get; init; }

    public uint StartFrame { get; init; }

    public uint Packets { get; init; }

    public UsbSetup Setup { get; init; }

    /// <summary>wLength: at most <see cref="Length"/>.</summary>
    public ushort SetupLength { get; init; }

    /// <summary>Of an OUT transfer.</summary>
    public byte[] Data { get; init; } = [];
}
