using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// A USB device through the kernel's own interface, its node (linux/usbdevice_fs.h; in the kernel drivers/usb/core/devio.c): the only
/// file that knows it. No library is needed, and why a device cannot be opened is known exactly.
/// </summary>
internal sealed class UsbfsDevice : IUsbDevice
{
    private readonly Worker _worker;
    private readonly Func<Task<bool>> _hasLeft;
    private readonly SafeFileHandle _node;
    private readonly string _path;
    private readonly Transfer _transfer;
    private readonly List<byte> _claimed = [];
    private bool _isOpen = true;

    private UsbfsDevice(
        Device device, ReadOnlyMemory<byte> configuration, SafeFileHandle node, string path, Func<Task<bool>> hasLeft, Worker worker)
    {
        (Device, Configuration, _node, _path, _hasLeft, _worker) = (device, configuration, node, path, hasLeft, worker);
        _transfer = new(node);
    }

    public Device Device { get; }

    public ReadOnlyMemory<byte> Configuration { get; }

    /// <param name="device">Its session.</param>
    /// <param name="path">Its node, such as <c>/dev/bus/usb/001/004</c>.</param>
    /// <param name="configuration">The active configuration descriptor with all that follows.</param>
    /// <param name="hasLeft">Whether a device whose transfer failed turns out to have left.</param>
    /// <param name="worker">Where calls block; the device's own from now on.</param>
    /// <exception cref="FlashException">No permission.</exception>
    /// <exception cref="DeviceGoneException"/>
    public static UsbfsDevice Open(Device device, string path, ReadOnlyMemory<byte> configuration, Func<Task<bool>> hasLeft, Worker worker)
    {
        var node = new SafeFileHandle(Libc.Open(path, Libc.ReadWrite | Libc.CloseOnExec, 0), ownsHandle: true);
        if (!node.IsInvalid)
            return new UsbfsDevice(device, configuration, node, path, hasLeft, worker);
        var errno = Libc.Errno;
        node.Dispose();
        throw errno switch
        {
            Errno.AccessDenied or Errno.NotPermitted => Access.Denied($"{device} ({path})", path, device.Usb),
            Errno.NoEntry or Errno.NoDevice or Errno.NoSuchDevice => new DeviceGoneException(device.ToString()),
            _ => ComputerFaults.PortUnusable(path, Libc.ErrorText(errno)),
        };
    }

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate)
    {
        if (!_claimed.Contains(interfaceNumber))
            await CheckAsync(() => Claim(interfaceNumber));
        _claimed.Add(interfaceNumber);
        await CheckAsync(() => Call(SetInterface, interfaceNumber, alternate));
    }

    public ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout) =>
        TransferAsync(() => _transfer.SubmitControl(setup, data.Span), data, timeout);

    public ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout) =>
        TransferAsync(() => _transfer.SubmitBulk(endpoint, data.Span), data, timeout);

    public async ValueTask<UsbTransfer> ClearHaltAsync(byte endpoint) => await _worker.RunAsync(() => Call(ClearHalt, endpoint)) switch
    {
        0 => new(UsbStatus.Ok, 0),
        Errno.Pipe => new(UsbStatus.Stall, 0),
        Errno.NoDevice => throw new DeviceGoneException(Device.ToString()),
        _ => await ThrowIfGoneAsync(new(UsbStatus.Error, 0)),
    };

    public ValueTask ResetAsync() => CheckAsync(() =>
    {
        foreach (var claimed in _claimed.Distinct())
            Call(ReleaseInterface, claimed);
        var result = Call(Reset);
        // An interface that cannot be claimed again belongs to another device than before.
        return result == 0 && !_claimed.Distinct().All(claimed => Claim(claimed) == 0) ? Errno.NoDevice : result;
    });

    public async ValueTask DisposeAsync()
    {
        if (!_isOpen)
            return;
        _isOpen = false;
        await _worker.RunAsync(() =>
        {
            // The kernel's driver comes back with the first interface, and wants the others free by then. A device that has left needs no
            // release.
            foreach (var claimed in _claimed.Distinct().Reverse())
            {
                if (Call(ReleaseInterface, claimed) == 0)
                    Connect(claimed);
            }
            _node.Dispose();
            _transfer.Dispose();
            return true;
        });
        _worker.Dispose();
    }

    /// <summary>
    /// One transfer at a time. One that ends at once is awaited on the caller's thread, because two thread switches cost as much as the
    /// transfer. A longer one continues on the device's thread.
    /// </summary>
    private async ValueTask<UsbTransfer> TransferAsync(Action submit, Memory<byte> data, TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(!_isOpen, this);
        var begin = TimeProvider.System.GetTimestamp();
        TimeSpan Left() => timeout - TimeProvider.System.GetElapsedTime(begin);
        submit();
        if (!_transfer.WaitBriefly())
            await _worker.RunAsync(() => _transfer.WaitUntilOver(Left));
        var transfer = _transfer.Take(data.Span) ?? throw new DeviceGoneException(Device.ToString());
        return await ThrowIfGoneAsync(transfer);
    }

    /// <summary>A hub reports a departure up to a quarter of a second late; until then transfers fail as on a bad cable.</summary>
    private async ValueTask<UsbTransfer> ThrowIfGoneAsync(UsbTransfer transfer) =>
        transfer.Status == UsbStatus.Error && await _hasLeft() ? throw new DeviceGoneException(Device.ToString()) : transfer;

    private async ValueTask CheckAsync(Func<int> call)
    {
        var errno = await _worker.RunAsync(call);
        if (errno == 0)
            return;
        throw errno switch
        {
            Errno.NoDevice or Errno.NoEntry => new DeviceGoneException(Device.ToString()),
            Errno.Busy => PortOwners.Fault(Device.ToString(), _path) ?? ComputerFaults.PortHeld(Device.ToString(), PortOwners.Guess()),
            Errno.AccessDenied or Errno.NotPermitted => Access.Denied($"{Device} ({_path})", _path, Device.Usb),
            _ when await _hasLeft() => new DeviceGoneException(Device.ToString()),
            _ => ComputerFaults.PortUnusable($"{Device}", Libc.ErrorText(errno)),
        };
    }

    // ---- requests: 0 or errno

    private int Call(uint request, params ReadOnlySpan<uint> words)
    {
        var argument = MemoryMarshal.AsBytes(words.ToArray().AsSpan());
        return Libc.Ioctl(_node, request, argument) < 0 ? Libc.Errno : 0;
    }

    /// <summary>Detaches a driver of the kernel, but takes the interface from no other program.</summary>
    private int Claim(byte interfaceNumber)
    {
        // struct usbdevfs_disconnect_claim: interface, flags, a driver's name
        var claim = new byte[264];
        claim[0] = interfaceNumber;
        claim[4] = ExceptDriver;
        "usbfs"u8.CopyTo(claim.AsSpan(8));
        return Libc.Ioctl(_node, DisconnectClaim, claim.AsSpan()) < 0 ? Libc.Errno : 0;
    }

    /// <summary>Lets the kernel's driver have an interface again.</summary>
    private void Connect(byte interfaceNumber)
    {
        // struct usbdevfs_ioctl: interface, request, a pointer
        var order = new byte[16];
        order[0] = interfaceNumber;
        BinaryPrimitives.WriteUInt32LittleEndian(order.AsSpan(4), ConnectDriver);
        _ = Libc.Ioctl(_node, InterfaceRequest, order.AsSpan());
    }

    // USBDEVFS_ requests where a pointer has eight bytes.
    private const uint SetInterface = 0x8008_5504, SubmitUrb = 0x8038_550a, DiscardUrb = 0x550b, ReapUrbNoDelay = 0x4008_550d;
    private const uint ReleaseInterface = 0x8004_5510, InterfaceRequest = 0xc010_5512, Reset = 0x5514, ClearHalt = 0x8004_5515;
    private const uint ConnectDriver = 0x5517, DisconnectClaim = 0x8108_551b;
    private const byte ExceptDriver = 2;

    /// <summary>
    /// The one transfer of a device. The kernel reads and writes its memory only within the calls that submit and reap it, so a transfer
    /// of a device that left needs no end.
    /// </summary>
    private sealed unsafe class Transfer(SafeFileHandle node) : IDisposable
    {
        private const int SetupLength = 8;

        // Boards that are flashed side by side wait for each other at most this long.
        private static readonly TimeSpan Briefly = TimeSpan.FromMilliseconds(2);

        private readonly Urb* _urb = (Urb*)NativeMemory.AllocZeroed((nuint)sizeof(Urb));
        private readonly byte* _buffer = (byte*)NativeMemory.Alloc(SetupLength + ushort.MaxValue);
        private bool _isUnderWay;
        private bool _isDiscarded;
        private bool _isGone;
        private bool _isIn;

        public void SubmitControl(UsbSetup setup, ReadOnlySpan<byte> data)
        {
            var header = new byte[SetupLength];
            (header[0], header[1]) = (setup.RequestType, setup.Request);
            BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(2), setup.Value);
            BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), setup.Index);
            BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), checked((ushort)data.Length));
            Submit(new() { Type = ControlType }, setup.IsIn, header, data);
        }

        public void SubmitBulk(byte endpoint, ReadOnlySpan<byte> data) =>
            Submit(new() { Type = BulkType, Endpoint = endpoint }, (endpoint & 0x80) != 0, default, data);

        private void Submit(Urb urb, bool isIn, ReadOnlySpan<byte> header, ReadOnlySpan<byte> data)
        {
            if (_isUnderWay)
                throw new InvalidOperationException("a transfer is under way");
            if (data.Length > ushort.MaxValue)
                throw new ArgumentException("a transfer is too long", nameof(data));
            var buffer = new Span<byte>(_buffer, header.Length + data.Length);
            header.CopyTo(buffer);
            if (!isIn)
                data.CopyTo(buffer[header.Length..]);
            *_urb = urb with { Buffer = _buffer, Length = buffer.Length };
            (_isDiscarded, _isGone, _isIn) = (false, false, isIn);
            _isUnderWay = Libc.Ioctl(node, SubmitUrb, (nint)_urb) == 0;
            // A device that cannot accept it now reports an outcome; only one that left has none.
            if (!_isUnderWay && Libc.Errno is var errno)
                (_isGone, _urb->Status) = (errno == Errno.NoDevice, -Errno.Io);
        }

        /// <summary>Whether it is over.</summary>
        public bool WaitBriefly() => IsOverWithin(Briefly);

        /// <summary>Waits for its end. When the time is up it is discarded, which the kernel does at once.</summary>
        public bool WaitUntilOver(Func<TimeSpan> left)
        {
            while (!IsOverWithin(left()))
            {
                if (left() > TimeSpan.Zero)
                    continue;
                _isDiscarded = true;
                // It fails for one that has just ended by itself.
                _ = Libc.Ioctl(node, DiscardUrb, (nint)_urb);
            }
            return true;
        }

        private bool IsOverWithin(TimeSpan limit)
        {
            if (!_isUnderWay)
                return true;
            var file = new Libc.PollFd { File = (int)node.DangerousGetHandle(), Events = Libc.PollOut };
            _ = Libc.Poll(new(ref file), 1, (int)Math.Clamp(Math.Ceiling(limit.TotalMilliseconds), 1, int.MaxValue));
            nint ended = 0;
            if (Libc.Ioctl(node, ReapUrbNoDelay, (nint)(&ended)) == 0)
                _isUnderWay = false;
            else if (Libc.Errno == Errno.NoDevice)
                (_isUnderWay, _isGone) = (false, true);
            return !_isUnderWay;
        }

        /// <summary>The outcome; null where the device has left.</summary>
        public UsbTransfer? Take(Span<byte> data)
        {
            var length = Math.Clamp(_urb->ActualLength, 0, data.Length);
            var header = _urb->Type == ControlType ? SetupLength : 0;
            var status = -_urb->Status;
            if (_isGone || status is Errno.NoDevice or Shutdown)
                return null;
            // Bulk bytes that were transferred before the time-out count.
            var isPart = _isDiscarded && _urb->Type == BulkType && length > 0;
            if (status != 0 && !isPart)
                return new(status == Errno.Pipe ? UsbStatus.Stall : _isDiscarded ? UsbStatus.Timeout : UsbStatus.Error, 0);
            if (_isIn)
                new ReadOnlySpan<byte>(_buffer + header, length).CopyTo(data);
            return new(UsbStatus.Ok, length);
        }

        public void Dispose()
        {
            NativeMemory.Free(_urb);
            NativeMemory.Free(_buffer);
        }

        private const byte ControlType = 2, BulkType = 3;
        private const int Shutdown = 108;   // ESHUTDOWN

        /// <summary>struct usbdevfs_urb, without isochronous packets at its end.</summary>
        [StructLayout(LayoutKind.Sequential)]
        private struct Urb
        {
            public byte Type;
            public byte Endpoint;
            public int Status;
            public uint Flags;
            public byte* Buffer;
            public int Length;
            public int ActualLength;
            public int StartFrame;
            public int Packets;
            public int Errors;
            public uint Signal;
            public nint Context;
        }
    }
}
