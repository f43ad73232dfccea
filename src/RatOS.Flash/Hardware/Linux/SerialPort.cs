using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// An open serial port: exclusive, and raw before the first byte. By termios itself: an answer through System.IO.Ports takes one to two
/// milliseconds, and after the device has left its calls hang (docs/decisions.md).
/// </summary>
internal sealed class SerialPort : IDisposable
{
    // asm-generic/ioctls.h and termbits.h
    private const nuint GetTermios2 = 0x802C542A, SetTermios2 = 0x402C542B, Flush = 0x540B, SetExclusive = 0x540C, ClearExclusive = 0x540D,
        GetExclusive = 0x80045440;
    private const nuint SetModemBits = 0x5416, ClearModemBits = 0x5417;
    private const int DataTerminalReady = 2;
    private const int FlushBoth = 2;
    private const int TermiosSize = 44, ControlFlags = 8, ControlCharacters = 17, MinimumIndex = 6, InputSpeed = 36, OutputSpeed = 40;
    private const uint EightBits = 0x30, Receive = 0x80, EvenParity = 0x100, HangUpOnClose = 0x400, Local = 0x800, AnyRate = 0x1000;

    private bool _isExclusive;

    private SerialPort(SafeFileHandle file) => File = file;

    public SafeFileHandle File { get; }

    /// <exception cref="FlashException">No permission, in use, no such port, a rate that it cannot do.</exception>
    /// <exception cref="DeviceGoneException">The port left.</exception>
    public static SerialPort Open(Device device, SerialMode mode)
    {
        var node = device.Node
            ?? throw (device.Driver is null or "cdc_acm" ? ComputerFaults.NoSerialDriver(device.ToString())
            : ComputerFaults.PortHeld(device.ToString(), $"the driver '{device.Driver}'"));
        // Root passes every lock, and not every program sets one: visible owners of the port are checked first.
        // (The process that made a terminal keeps it open as well.)
        if (!device.IsTerminal && PortOwners.Fault(node, node) is { } held)
            throw held;
        var file = new SafeFileHandle(
            Libc.Open(node, Libc.ReadWrite | Libc.NoControllingTerminal | Libc.NonBlocking | Libc.CloseOnExec, 0), ownsHandle: true);
        var port = new SerialPort(file);
        try
        {
            if (file.IsInvalid)
                throw OpenFault(device, node, Libc.Errno);
            Span<byte> flag = stackalloc byte[4];
            if (Libc.Flock(file, Libc.LockExclusive | Libc.LockNonBlocking) < 0
                || (Libc.Ioctl(file, GetExclusive, flag) == 0 && BinaryPrimitives.ReadInt32LittleEndian(flag) != 0))
                throw ComputerFaults.PortHeld(node, PortOwners.Guess());
            // A terminal's flag would outlive us in a crash, and keep Klipper out until the process that made it ends.
            if (!device.IsTerminal)
                Check(device, Libc.Ioctl(file, SetExclusive, 0));
            port._isExclusive = !device.IsTerminal;
            port.SetMode(device, mode);
            Check(device, Libc.Ioctl(file, Flush, FlushBoth));
            return port;
        }
        catch
        {
            port.Dispose();
            throw;
        }
    }

    public void SetMode(Device device, SerialMode mode)
    {
        Span<byte> termios = stackalloc byte[TermiosSize];
        termios.Clear();   // raw: no flag of input, output or line discipline
        BinaryPrimitives.WriteUInt32LittleEndian(
            termios[ControlFlags..], EightBits | Receive | HangUpOnClose | Local | AnyRate | (mode.EvenParity ? EvenParity : 0));
        termios[ControlCharacters + MinimumIndex] = 1;   // 0 would make "nothing yet" look like the end
        BinaryPrimitives.WriteInt32LittleEndian(termios[InputSpeed..], mode.Baud);
        BinaryPrimitives.WriteInt32LittleEndian(termios[OutputSpeed..], mode.Baud);
        Check(device, Libc.Ioctl(File, SetTermios2, termios));
        // A UART that does not support the rate silently uses the nearest one.
        Check(device, Libc.Ioctl(File, GetTermios2, termios));
        var rate = BinaryPrimitives.ReadInt32LittleEndian(termios[OutputSpeed..]);
        if (Math.Abs(rate - mode.Baud) > mode.Baud * 0.03)
            throw ComputerFaults.NoSuchRate(device.Node!, mode.Baud, rate);
    }

    /// <summary>DTR. A port without modem lines (a pseudo terminal) has none to set.</summary>
    public void SetReady(Device device, bool ready)
    {
        Span<byte> bits = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bits, DataTerminalReady);
        if (Libc.Ioctl(File, ready ? SetModemBits : ClearModemBits, bits) < 0 && Libc.Errno != Errno.NotATerminal)
            Check(device, -1);
    }

    /// <summary>Discards unsent bytes, so that closing does not wait for a device that takes nothing.</summary>
    public void Discard() => Libc.Ioctl(File, Flush, FlushBoth);

    public void Dispose()
    {
        // A pseudo terminal outlives its last program, and would refuse the next one.
        if (_isExclusive)
            Libc.Ioctl(File, ClearExclusive, 0);
        _isExclusive = false;
        // A process that is being started has the file until it is replaced by its program, and would hold the lock.
        if (!File.IsInvalid)
            Libc.Flock(File, Libc.Unlock);
        File.Dispose();
    }

    private static void Check(Device device, int result)
    {
        if (result < 0)
            throw Libc.Errno is Errno.Io or Errno.NoDevice or Errno.NoSuchDevice ? new DeviceGoneException(device.ToString())
                : ComputerFaults.PortUnusable(device.Node!, Libc.ErrorText(Libc.Errno));
    }

    private static Exception OpenFault(Device device, string node, int errno) => errno switch
    {
        Errno.Busy => ComputerFaults.PortHeld(node, PortOwners.Guess()),
        Errno.AccessDenied or Errno.NotPermitted => Access.Denied(node, node, device.Usb),
        Errno.NoEntry or Errno.NoDevice or Errno.NoSuchDevice or Errno.Io => new DeviceGoneException(device.ToString()),
        _ => ComputerFaults.PortUnusable(node, Libc.ErrorText(errno)),
    };
}
