using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// The kernel's and udev's announcements of devices (netlink, NETLINK_KOBJECT_UEVENT), and the kernel's of CAN interfaces that go up and
/// down (NETLINK_ROUTE). They only say when to look: what is there is read from sysfs, so a lost or a forged one does no harm.
/// </summary>
internal sealed class Uevents : IDisposable
{
    private const int KobjectUevent = 15, Route = 0;
    private const uint FromKernel = 1, FromUdev = 2, Links = 1;

    private readonly Announcements _devices;
    private readonly Announcements _links;

    /// <param name="heard">Called on threads of its own, for events of USB, serial and network devices.</param>
    public Uevents(Action heard)
    {
        _devices = new Announcements("uevents", KobjectUevent, FromKernel | FromUdev, Concerns, heard);
        _links = new Announcements("links", Route, Links, CanInterfaces.Concerns, heard);
    }

    public void Dispose()
    {
        _devices.Dispose();
        _links.Dispose();
    }

    /// <summary>Both forms hold NUL-ended <c>KEY=value</c> texts; udev's has a binary header before them.</summary>
    internal static bool Concerns(ReadOnlySpan<byte> message)
    {
        foreach (var subsystem in (ReadOnlySpan<string>)["usb", "tty", "net"])
        {
            if (message.IndexOf(Encoding.ASCII.GetBytes($"SUBSYSTEM={subsystem}\0")) >= 0)
                return true;
        }
        return false;
    }
}

/// <summary>A netlink socket whose messages a thread receives.</summary>
internal sealed class Announcements : IDisposable
{
    private const int Netlink = 16, Raw = 3;
    private const int SocketLevel = 1, ReceiveBuffer = 8;

    private readonly SafeFileHandle _socket;
    private readonly StopSignal _stop = new();
    private readonly Thread _thread;

    /// <summary>Whether a message is worth a look.</summary>
    public delegate bool Filter(ReadOnlySpan<byte> message);

    public Announcements(string name, int protocol, uint groups, Filter concerns, Action heard)
    {
        _socket = new SafeFileHandle(Libc.Socket(Netlink, Raw | Libc.CloseOnExec | Libc.NonBlocking, protocol), ownsHandle: true);
        Span<byte> address = stackalloc byte[12];   // sockaddr_nl: family, padding, port id (the kernel chooses), groups
        address.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(address, Netlink);
        BinaryPrimitives.WriteUInt32LittleEndian(address[8..], groups);
        if (_socket.IsInvalid || Libc.Bind(_socket, address, (uint)address.Length) < 0)
            throw ComputerFaults.NoDeviceEvents(Libc.ErrorText(Libc.Errno));
        // Room for the burst of a hub with all its devices. A refusal is no fault: an overflow only means one more look.
        _ = Libc.SetSocketOption(_socket, SocketLevel, ReceiveBuffer, BitConverter.GetBytes(1024 * 1024), 4);
        _thread = new Thread(() => Listen(concerns, heard)) { IsBackground = true, Name = name };
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _socket.Dispose();
        _stop.Dispose();
    }

    private void Listen(Filter concerns, Action heard)
    {
        Span<byte> message = stackalloc byte[8192];
        while (_stop.WaitFor(_socket, Libc.PollIn) is not 0)
        {
            var isOurs = false;
            while (true)
            {
                var length = Libc.Read(_socket, message, message.Length);
                if (length > 0)
                    isOurs |= concerns(message[..(int)length]);
                else if (length < 0 && Libc.Errno == Errno.NoBuffers)
                    isOurs = true;   // some were lost
                else
                    break;
            }
            if (isOurs)
                heard();
        }
    }
}

/// <summary>Ends a thread that waits in poll.</summary>
internal sealed class StopSignal : IDisposable
{
    private readonly SafeFileHandle _event = new(Libc.EventFd(0, Libc.EventCloseOnExec | Libc.EventNonBlocking), ownsHandle: true);

    public void Set() => Libc.Write(_event, BitConverter.GetBytes(1UL), sizeof(ulong));

    /// <summary>Blocks until the file has something, or until the end; returns what poll said of the file, 0 for the end.</summary>
    public short WaitFor(SafeFileHandle file, short events)
    {
        Span<Libc.PollFd> both =
            [new() { File = (int)file.DangerousGetHandle(), Events = events },
            new() { File = (int)_event.DangerousGetHandle(), Events = Libc.PollIn }];
        while (true)
        {
            if (Libc.Poll(both, 2, -1) < 0 && Libc.Errno != Errno.Interrupted)
                return 0;
            if (both[1].Returned != 0)
                return 0;
            if (both[0].Returned != 0)
                return both[0].Returned;
        }
    }

    public void Dispose() => _event.Dispose();
}
