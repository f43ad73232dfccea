using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// A USB device through libusb-1.0: the only file that knows that library. The device's node is opened here and handed over, so libusb
/// neither lists nor watches the bus, and why a device cannot be opened is known exactly.
/// </summary>
internal sealed partial class LibUsbDevice : IUsbDevice
{
    private readonly Worker _worker;
    private readonly Func<Task<bool>> _hasLeft;
    private readonly SafeFileHandle _node;
    private readonly nint _context;
    private readonly nint _handle;
    private readonly string _path;
    private readonly ControlTransfer _control = new();
    private readonly List<int> _claimed = [];
    private bool _isOpen = true;

    private LibUsbDevice(Device device,
        ReadOnlyMemory<byte> configuration, SafeFileHandle node, nint context, nint handle, string path, Func<Task<bool>> hasLeft,
        Worker worker) =>
        (Device, Configuration, _node, _context, _handle, _path, _hasLeft, _worker) =
            (device, configuration, node, context, handle, path, hasLeft, worker);

    public Device Device { get; }

    public ReadOnlyMemory<byte> Configuration { get; }

    /// <param name="device">Its session.</param>
    /// <param name="path">Its node, such as <c>/dev/bus/usb/001/004</c>.</param>
    /// <param name="configuration">The active configuration descriptor with all that follows.</param>
    /// <param name="hasLeft">Whether a device whose transfer failed turns out to have left.</param>
    /// <param name="worker">Where the library's calls block; the device's own from now on.</param>
    /// <exception cref="FlashException">No permission, no libusb.</exception>
    /// <exception cref="DeviceGoneException"/>
    public static LibUsbDevice Open(Device device, string path, ReadOnlyMemory<byte> configuration, Func<Task<bool>> hasLeft, Worker worker)
    {
        var node = new SafeFileHandle(Libc.Open(path, Libc.ReadWrite | Libc.CloseOnExec, 0), ownsHandle: true);
        var context = nint.Zero;
        try
        {
            if (node.IsInvalid)
            {
                throw Libc.Errno switch
                {
                    Errno.AccessDenied or Errno.NotPermitted =>
                        Access.Denied($"{device} ({path})", path, device.Usb),
                    Errno.NoEntry or Errno.NoDevice or Errno.NoSuchDevice => new DeviceGoneException(device.ToString()),
                    var errno => ComputerFaults.PortUnusable(path, Libc.ErrorText(errno)),
                };
            }
            // A library that does not know the option lists the bus for nothing, and works.
            _ = SetOption(nint.Zero, OptionNoDiscovery);
            Check(device, path, Init(out context));
            Check(device, path, Wrap(context, node.DangerousGetHandle(), out var handle));
            Check(device, path, SetAutoDetach(handle, 1));
            return new LibUsbDevice(device, configuration, node, context, handle, path, hasLeft, worker);
        }
        catch (Exception fault)
        {
            if (context != nint.Zero)
                Exit(context);
            node.Dispose();
            throw fault is DllNotFoundException ? ComputerFaults.LibUsbMissing() : fault;
        }
    }

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate)
    {
        if (!_claimed.Contains(interfaceNumber))
            await CheckAsync(() => Claim(_handle, interfaceNumber));
        _claimed.Add(interfaceNumber);
        await CheckAsync(() => SetAlternate(_handle, interfaceNumber, alternate));
    }

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout)
    {
        _control.Submit(this, setup, data.Span, timeout);
        if (!_control.WaitBriefly(_context))
            await _worker.RunAsync(() => _control.Wait(_context));
        return await ThrowIfGoneAsync(_control.Take(this, setup, data.Span));
    }

    public async ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout) =>
        await ThrowIfGoneAsync(await _worker.RunAsync(() =>
    {
        using var pinned = data.Pin();
        var result = BulkTransfer(_handle, endpoint, Pointer(pinned), data.Length, out var length, Milliseconds(timeout));
        // Bytes that were transferred before the time-out count.
        return result == TimedOut && length > 0 ? new UsbTransfer(UsbStatus.Ok, length) : Outcome(result < 0 ? result : length);
    }));

    public async ValueTask<UsbTransfer> ClearHaltAsync(byte endpoint) =>
        await ThrowIfGoneAsync(await _worker.RunAsync(() => Outcome(ClearHalt(_handle, endpoint))));

    public ValueTask ResetAsync() => CheckAsync(() => ResetDevice(_handle));

    public async ValueTask DisposeAsync()
    {
        if (!_isOpen)
            return;
        _isOpen = false;
        await _worker.RunAsync(() =>
        {
            _control.Dispose();
            // The kernel's driver comes back with the first interface, and wants the others free by then. A device that has left needs no
            // release.
            foreach (var claimed in _claimed.Distinct().Reverse())
                _ = Release(_handle, claimed);
            Close(_handle);
            Exit(_context);
            _node.Dispose();
            return true;
        });
        _worker.Dispose();
    }

    /// <summary>A hub reports a departure up to a quarter of a second late; until then transfers fail as on a bad cable.</summary>
    private async ValueTask<UsbTransfer> ThrowIfGoneAsync(UsbTransfer transfer) =>
        transfer.Status == UsbStatus.Error && await _hasLeft() ? throw new DeviceGoneException(Device.ToString()) : transfer;

    private async ValueTask CheckAsync(Func<int> call)
    {
        var result = await _worker.RunAsync(call);
        if (result is < 0 and not (InUse or Denied or Gone or NotFound) && await _hasLeft())
            throw new DeviceGoneException(Device.ToString());
        Check(Device, _path, result);
    }

    private UsbTransfer Outcome(int result) => result switch
    {
        >= 0 => new(UsbStatus.Ok, result),
        Stalled => new(UsbStatus.Stall, 0),
        TimedOut => new(UsbStatus.Timeout, 0),
        Gone => throw new DeviceGoneException(Device.ToString()),
        _ => new(UsbStatus.Error, 0),
    };

    private static unsafe nint Pointer(System.Buffers.MemoryHandle pinned) => (nint)pinned.Pointer;

    // 0 would be for ever
    private static uint Milliseconds(TimeSpan timeout) => (uint)Math.Clamp(timeout.TotalMilliseconds, 1, int.MaxValue);

    private static void Check(Device device, string path, int result)
    {
        if (result >= 0)
            return;
        throw result switch
        {
            Gone or NotFound => new DeviceGoneException(device.ToString()),
            InUse => PortOwners.Fault(device.ToString(), path) ?? ComputerFaults.PortHeld(device.ToString(), PortOwners.Guess()),
            Denied => Access.Denied($"{device} ({path})", path, device.Usb),
            _ => ComputerFaults.PortUnusable($"{device}", Marshal.PtrToStringUTF8(ErrorName(result)) ?? $"libusb error {result}"),
        };
    }

    /// <summary>
    /// One control transfer at a time. A transfer that ends at once is awaited on the caller's thread, because two thread switches cost as
    /// much as the transfer. A longer one continues on the device's thread.
    /// </summary>
    private sealed unsafe class ControlTransfer : IDisposable
    {
        private const int SetupLength = 8;

        // Boards that are flashed side by side wait for each other at most this long.
        private const int BrieflyMicroseconds = 2000;

        private readonly Transfer* _transfer = AllocateTransfer(0);
        private readonly byte* _buffer = (byte*)NativeMemory.Alloc(SetupLength + ushort.MaxValue);
        private readonly int* _isOver = (int*)NativeMemory.AllocZeroed(sizeof(int));
        private bool _isUnderWay;

        public void Submit(LibUsbDevice device, UsbSetup setup, ReadOnlySpan<byte> data, TimeSpan timeout)
        {
            if (_isUnderWay)
                throw new InvalidOperationException("a control transfer is under way");
            var header = new Span<byte>(_buffer, SetupLength);
            (header[0], header[1]) = (setup.RequestType, setup.Request);
            BinaryPrimitives.WriteUInt16LittleEndian(header[2..], setup.Value);
            BinaryPrimitives.WriteUInt16LittleEndian(header[4..], setup.Index);
            BinaryPrimitives.WriteUInt16LittleEndian(header[6..], checked((ushort)data.Length));
            if (!setup.IsIn)
                data.CopyTo(new Span<byte>(_buffer + SetupLength, data.Length));
            *_isOver = 0;
            *_transfer = new Transfer
            {
                Handle = device._handle,
                Timeout = Milliseconds(timeout),
                Length = SetupLength + data.Length,
                Callback = &Over,
                UserData = _isOver,
                Buffer = _buffer,
            };
            var result = SubmitTransfer(_transfer);
            _isUnderWay = result >= 0;
            // A device that cannot accept it now reports an outcome; only one that left has none.
            if (result < 0)
                (_transfer->Status, *_isOver) = (result == Gone ? TransferNoDevice : TransferError, 1);
        }

        /// <summary>Whether it is over.</summary>
        public bool WaitBriefly(nint context)
        {
            var limit = new TimeValue { Microseconds = BrieflyMicroseconds };
            if (*_isOver == 0)
                _ = HandleEvents(context, &limit, _isOver);
            return *_isOver != 0;
        }

        /// <summary>Waits for its end, which its time-out guarantees.</summary>
        public bool Wait(nint context)
        {
            while (*_isOver == 0)
            {
                var limit = new TimeValue { Seconds = 60 };
                if (HandleEvents(context, &limit, _isOver) is < 0 and not InterruptedCall)
                    _ = CancelTransfer(_transfer);
            }
            return true;
        }

        public UsbTransfer Take(LibUsbDevice device, UsbSetup setup, Span<byte> data)
        {
            _isUnderWay = false;
            if (_transfer->Status == TransferDone && setup.IsIn)
                new ReadOnlySpan<byte>(_buffer + SetupLength, Math.Min(_transfer->ActualLength, data.Length)).CopyTo(data);
            return device.Outcome(_transfer->Status switch
            {
                TransferDone => _transfer->ActualLength,
                TransferTimedOut => TimedOut,
                TransferStalled => Stalled,
                TransferNoDevice => Gone,
                _ => -1,
            });
        }

        public void Dispose()
        {
            FreeTransfer(_transfer);
            NativeMemory.Free(_buffer);
            NativeMemory.Free(_isOver);
        }

        [UnmanagedCallersOnly]
        private static void Over(Transfer* transfer) => *(int*)transfer->UserData = 1;
    }

    // ---- libusb.h

    private const int TransferDone = 0, TransferError = 1, TransferTimedOut = 2, TransferStalled = 4, TransferNoDevice = 5;

    /// <summary>struct libusb_transfer, without the isochronous packets at its end.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Transfer
    {
        public nint Handle;
        public byte Flags;
        public byte Endpoint;   // 0
        public byte Type;       // 0: control
        public uint Timeout;
        public int Status;
        public int Length;
        public int ActualLength;
        public delegate* unmanaged<Transfer*, void> Callback;
        public void* UserData;
        public byte* Buffer;
        public int IsochronousPackets;
    }

    /// <summary>struct timeval where a long has the size of a pointer: every 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct TimeValue
    {
        public nint Seconds;
        public nint Microseconds;
    }

    private const string Library = "libusb-1.0.so.0";
    private const int OptionNoDiscovery = 2;
    private const int Denied = -3, Gone = -4, NotFound = -5, InUse = -6, TimedOut = -7, Stalled = -9, InterruptedCall = -10;

    [LibraryImport(Library, EntryPoint = "libusb_set_option")]
    private static partial int SetOption(nint context, int option);

    [LibraryImport(Library, EntryPoint = "libusb_init")]
    private static partial int Init(out nint context);

    [LibraryImport(Library, EntryPoint = "libusb_exit")]
    private static partial void Exit(nint context);

    [LibraryImport(Library, EntryPoint = "libusb_wrap_sys_device")]
    private static partial int Wrap(nint context, nint file, out nint handle);

    [LibraryImport(Library, EntryPoint = "libusb_close")]
    private static partial void Close(nint handle);

    [LibraryImport(Library, EntryPoint = "libusb_set_auto_detach_kernel_driver")]
    private static partial int SetAutoDetach(nint handle, int enable);

    [LibraryImport(Library, EntryPoint = "libusb_claim_interface")]
    private static partial int Claim(nint handle, int interfaceNumber);

    [LibraryImport(Library, EntryPoint = "libusb_reset_device")]
    private static partial int ResetDevice(nint handle);

    [LibraryImport(Library, EntryPoint = "libusb_release_interface")]
    private static partial int Release(nint handle, int interfaceNumber);

    [LibraryImport(Library, EntryPoint = "libusb_set_interface_alt_setting")]
    private static partial int SetAlternate(nint handle, int interfaceNumber, int alternate);

    [LibraryImport(Library, EntryPoint = "libusb_alloc_transfer")]
    private static unsafe partial Transfer* AllocateTransfer(int isochronousPackets);

    [LibraryImport(Library, EntryPoint = "libusb_free_transfer")]
    private static unsafe partial void FreeTransfer(Transfer* transfer);

    [LibraryImport(Library, EntryPoint = "libusb_submit_transfer")]
    private static unsafe partial int SubmitTransfer(Transfer* transfer);

    [LibraryImport(Library, EntryPoint = "libusb_cancel_transfer")]
    private static unsafe partial int CancelTransfer(Transfer* transfer);

    [LibraryImport(Library, EntryPoint = "libusb_handle_events_timeout_completed")]
    private static unsafe partial int HandleEvents(nint context, TimeValue* limit, int* isOver);

    [LibraryImport(Library, EntryPoint = "libusb_bulk_transfer")]
    private static partial int BulkTransfer(nint handle, byte endpoint, nint data, int length, out int transferred, uint timeout);

    [LibraryImport(Library, EntryPoint = "libusb_clear_halt")]
    private static partial int ClearHalt(nint handle, byte endpoint);

    [LibraryImport(Library, EntryPoint = "libusb_error_name")]
    private static partial nint ErrorName(int error);
}
