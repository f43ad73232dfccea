using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// A CAN interface through a raw socket (linux/can.h, linux/can/raw.h, linux/can/error.h). A thread waits in poll, so nothing runs while
/// nothing comes.
/// </summary>
internal sealed class SocketCan : CanPort
{
    private const int CanFamily = 29, Raw = 3, CanRaw = 1;
    private const int CanRawLevel = 101, ErrorFilter = 2;   // SOL_CAN_BASE + CAN_RAW, CAN_RAW_ERR_FILTER
    private const int AddressLength = 24, AddressInterface = 4;   // sockaddr_can
    // struct can_frame: id in the machine's order, length, three reserved bytes, data
    private const int FrameLength = 16, LengthAt = 4, DataAt = 8;

    private const uint ExtendedFlag = 0x8000_0000, RemoteFlag = 0x4000_0000, ErrorFlag = 0x2000_0000;

    // The classes of error frames, and of the controller's class its second data byte.
    private const uint Controller = 0x04, NoAcknowledge = 0x20, BusOff = 0x40, Restarted = 0x100;
    private const int StatusAt = 1;
    private const byte Passive = 0x10 | 0x20, Active = 0x40;

    private const int MostUnread = 4096;

    // When a USB adapter leaves, the kernel takes its interface down first and away a moment later.
    private static readonly TimeSpan DownToGone = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMilliseconds(50);

    private readonly SafeFileHandle _socket;
    private readonly TimeProvider _time;
    private readonly StopSignal _stop = new();
    private readonly Thread _reader;
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<CanFrame?> _incoming = Channel.CreateBounded<CanFrame?>(
        new BoundedChannelOptions(MostUnread) { SingleReader = true, SingleWriter = true, FullMode = BoundedChannelFullMode.DropOldest });
    private volatile int _state;

    /// <param name="socket">Bound to the interface, not blocking; owned from here on.</param>
    internal SocketCan(Device device, SafeFileHandle socket, TimeProvider time)
    {
        (Device, _socket, _time) = (device, socket, time);
        _reader = new Thread(ReadAll) { IsBackground = true, Name = $"read {device.Port}" };
        _reader.Start();
    }

    public override Device Device { get; }

    public override CanBusState State => (CanBusState)_state;

    /// <exception cref="FlashException">This kernel has no CAN, or refuses it.</exception>
    /// <exception cref="DeviceGoneException">No such interface.</exception>
    public static SocketCan Open(Device device, TimeProvider time)
    {
        var socket = new SafeFileHandle(Libc.Socket(CanFamily, Raw | Libc.NonBlocking | Libc.CloseOnExec, CanRaw), ownsHandle: true);
        try
        {
            if (socket.IsInvalid)
                throw CanFaults.CanUnsupported(Libc.ErrorText(Libc.Errno));
            var index = Libc.InterfaceIndex(device.Port);
            if (index == 0)
                throw new DeviceGoneException(device.ToString());
            var filter = BitConverter.GetBytes(Controller | NoAcknowledge | BusOff | Restarted);
            Span<byte> address = stackalloc byte[AddressLength];
            address.Clear();
            MemoryMarshal.Write(address, (ushort)CanFamily);
            MemoryMarshal.Write(address[AddressInterface..], index);
            if (Libc.SetSocketOption(socket, CanRawLevel, ErrorFilter, filter, (uint)filter.Length) < 0
                || Libc.Bind(socket, address, AddressLength) < 0)
                throw Libc.Errno is Errno.NoDevice or Errno.NoSuchDevice ? new DeviceGoneException(device.ToString())
                    : CanFaults.CanUnsupported(Libc.ErrorText(Libc.Errno));
            return new SocketCan(device, socket, time);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public override async ValueTask SendAsync(CanFrame frame)
    {
        var bytes = Encode(frame);
        var begin = _time.GetTimestamp();
        for (var wait = FirstRetry; ; wait = wait * 2 < LongestRetry ? wait * 2 : LongestRetry)
        {
            if (_gone.Task.IsCompleted)
                throw new DeviceGoneException(Device.ToString());
            var sent = Libc.Write(_socket, bytes, bytes.Length);
            var errno = Libc.Errno;
            if (sent == bytes.Length)
                return;
            if (errno == Errno.NetworkDown)
                throw await DownAsync();
            if (errno is not (Errno.NoBuffers or Errno.TryAgain or Errno.Interrupted))
                throw new DeviceGoneException(Device.ToString());
            if (_time.GetElapsedTime(begin) >= SendLimit)
                throw State == CanBusState.Off ? CanFaults.CanBusOff(Device.Port)
                    : CanFaults.CanNotAcknowledged(Device.Port, Device.Can?.Bitrate);
            // The interface's queue is full. POLLOUT speaks of the socket's own buffer and would be true at once, so this wait is by the
            // clock.
            await Task.Delay(wait, _time);
        }
    }

    public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
    {
        if (!_incoming.Reader.TryRead(out var frame))
        {
            if (_gone.Task.IsCompleted)
                throw new DeviceGoneException(Device.ToString());
            if (timeout <= TimeSpan.Zero)
                return null;
            using var limit = new CancellationTokenSource(timeout, _time);
            try
            {
                frame = await _incoming.Reader.ReadAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                return null;
            }
            catch (ChannelClosedException)
            {
                throw new DeviceGoneException(Device.ToString());
            }
        }
        return frame ?? throw await DownAsync();
    }

    public override ValueTask DisposeAsync()
    {
        _stop.Set();
        _reader.Join();
        _socket.Dispose();
        _stop.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>struct can_frame of a data frame.</summary>
    internal static byte[] Encode(CanFrame frame)
    {
        var bytes = new byte[FrameLength];
        MemoryMarshal.Write(bytes, (uint)frame.Id);
        bytes[LengthAt] = (byte)frame.Length;
        frame.CopyTo(bytes.AsSpan(DataAt));
        return bytes;
    }

    /// <summary>
    /// Parses struct can_frame. Null unless it is a data frame with an 11-bit id; the controller's reports go into
    /// <paramref name="state"/>.
    /// </summary>
    internal static CanFrame? Decode(ReadOnlySpan<byte> bytes, ref CanBusState state)
    {
        var id = MemoryMarshal.Read<uint>(bytes);
        if ((id & ErrorFlag) != 0)
        {
            var status = (id & Controller) != 0 ? bytes[DataAt + StatusAt] : 0;
            if ((id & BusOff) != 0)
                state = CanBusState.Off;
            else if ((id & Restarted) != 0 || (status & Active) != 0)
                state = CanBusState.Working;
            else if (state != CanBusState.Off && ((id & NoAcknowledge) != 0 || (status & Passive) != 0))
                state = CanBusState.NotAcknowledged;
            return null;
        }
        if ((id & (ExtendedFlag | RemoteFlag)) != 0 || id > CanFrame.MaxId || bytes[LengthAt] > CanFrame.MaxLength)
            return null;
        state = CanBusState.Working;   // it received a frame
        return new CanFrame((int)id, bytes.Slice(DataAt, bytes[LengthAt]));
    }

    /// <summary>It is down, unless it leaves altogether within a moment.</summary>
    private async Task<Exception> DownAsync()
    {
        using var limit = new CancellationTokenSource(DownToGone, _time);
        try
        {
            await _gone.Task.WaitAsync(limit.Token);
            return new DeviceGoneException(Device.ToString());
        }
        catch (OperationCanceledException)
        {
            return CanFaults.CanDown(Device.Port);
        }
    }

    private void ReadAll()
    {
        Span<byte> buffer = stackalloc byte[FrameLength];
        while (_stop.WaitFor(_socket, Libc.PollIn) is not 0)
        {
            var length = Libc.Read(_socket, buffer, buffer.Length);
            if (length == FrameLength)
            {
                var state = State;
                var frame = Decode(buffer, ref state);
                _state = (int)state;
                if (frame is not null)
                    _incoming.Writer.TryWrite(frame);
            }
            else if (length < 0 && Libc.Errno == Errno.NetworkDown)
            {
                _incoming.Writer.TryWrite(null);   // reported once; it may come up again
            }
            else if (length >= 0 || Libc.Errno is not (Errno.TryAgain or Errno.Interrupted))
            {
                _gone.TrySetResult();
                break;
            }
        }
        _incoming.Writer.TryComplete();
    }
}

/// <summary>The CAN interfaces of this computer: sysfs lists them, rtnetlink knows their bitrate.</summary>
internal static partial class CanInterfaces
{
    private const ushort CanType = 280;     // ARPHRD_CAN
    private const uint IsUpFlag = 1;        // IFF_UP

    private const int Netlink = 16, Raw = 3, Route = 0;
    private const ushort GetLink = 18, NewLink = 16, Request = 1;   // RTM_GETLINK, RTM_NEWLINK, NLM_F_REQUEST
    private const int HeaderLength = 16, LinkLength = 16, TypeAt = 4, FlagsAt = 6, IndexAt = HeaderLength + 4;   // nlmsghdr, ifinfomsg
    private const ushort LinkInfo = 18, InfoData = 2, BitTiming = 1;   // IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_CAN_BITTIMING
    private const int AttributeHeader = 4;
    private const ushort AttributeType = 0x3FFF;   // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

    /// <param name="sys">The root of sysfs.</param>
    public static IEnumerable<SysDevice> List(string sys = "/sys")
    {
        if (!Directory.Exists($"{sys}/class/net"))
            yield break;
        foreach (var folder in Directory.EnumerateDirectories($"{sys}/class/net"))
        {
            if (Read(folder) is { } device)
                yield return device;
        }
    }

    private static SysDevice? Read(string folder)
    {
        try
        {
            if (ushort.Parse(Text("type"), NumberStyles.None, CultureInfo.InvariantCulture) != CanType)
                return null;
            var index = int.Parse(Text("ifindex"), NumberStyles.None, CultureInfo.InvariantCulture);
            // Not operstate: a virtual interface's is "unknown", and that of one that is bus-off "down".
            var isUp = (uint.Parse(Text("flags").AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & IsUpFlag) != 0;
            var name = Path.GetFileName(folder);
            var path = new DirectoryInfo(folder).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? folder;
            var port = path.Split('/').Select(part => UsbInterface().Match(part))
                .LastOrDefault(match => match.Success)?.Groups["port"].Value;
            return new SysDevice(new Device { Port = name, Number = 0, Can = new CanLink(isUp, Bitrate(index), port) }, $"{name} {index}",
                IsReady: true);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException or FormatException or OverflowException
            or ArgumentOutOfRangeException)
        {
            return null;   // it left while it was read: an event follows
        }

        string Text(string file) => File.ReadAllText($"{folder}/{file}").TrimEnd('\n');
    }

    /// <summary>Bits per second; null for a virtual interface, or one that was never configured.</summary>
    internal static int? Bitrate(int index)
    {
        using var socket = new SafeFileHandle(Libc.Socket(Netlink, Raw | Libc.CloseOnExec | Libc.NonBlocking, Route), ownsHandle: true);
        Span<byte> request = stackalloc byte[HeaderLength + LinkLength];
        request.Clear();
        MemoryMarshal.Write(request, request.Length);
        MemoryMarshal.Write(request[TypeAt..], GetLink);
        MemoryMarshal.Write(request[FlagsAt..], Request);
        MemoryMarshal.Write(request[IndexAt..], index);
        var answer = new byte[32 * 1024];
        // The kernel answers within the call.
        return !socket.IsInvalid && Libc.Write(socket, request, request.Length) == request.Length
            && Libc.Read(socket, answer, answer.Length) is var length and > 0
            ? BitrateOf(answer.AsSpan(0, (int)length)) : null;
    }

    /// <summary>Parses the kernel's description of a link.</summary>
    internal static int? BitrateOf(ReadOnlySpan<byte> message)
    {
        if (message.Length < HeaderLength + LinkLength || MemoryMarshal.Read<ushort>(message[TypeAt..]) != NewLink)
            return null;
        var timing = Attribute(Attribute(Attribute(message[(HeaderLength + LinkLength)..], LinkInfo), InfoData), BitTiming);
        return timing.Length >= sizeof(uint) && MemoryMarshal.Read<int>(timing) is var bitrate and > 0 ? bitrate : null;
    }

    /// <summary>An announcement of rtnetlink that is about a CAN interface.</summary>
    internal static bool Concerns(ReadOnlySpan<byte> message) =>
        message.Length >= HeaderLength + LinkLength && MemoryMarshal.Read<ushort>(message[(HeaderLength + 2)..]) == CanType;

    /// <summary>What an attribute of that type holds; empty where there is none.</summary>
    private static ReadOnlySpan<byte> Attribute(ReadOnlySpan<byte> attributes, ushort type)
    {
        while (attributes.Length >= AttributeHeader)
        {
            int length = MemoryMarshal.Read<ushort>(attributes);
            if (length < AttributeHeader || length > attributes.Length)
                break;
            if ((MemoryMarshal.Read<ushort>(attributes[2..]) & AttributeType) == type)
                return attributes[AttributeHeader..length];
            attributes = attributes[Math.Min((length + 3) & ~3, attributes.Length)..];
        }
        return default;
    }

    /// <summary>The folder of a USB interface, <c>1-1.5:1.0</c>.</summary>
    [GeneratedRegex(@"^(?<port>\d+-\d+(\.\d+)*):\d+\.\d+$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex UsbInterface();
}
