using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A pseudo terminal in raw mode: a program opens <see cref="Path"/> as a serial port, whose other end is here. This process does not
/// hold the program's side open, because flashtool and ratos-flash refuse a port that is in use. The numbers are those of the kernel's
/// generic interface: x86-64, arm64 and arm share them.
/// </summary>
/// <remarks>
/// A pty has no parity: the kernel clears it (drivers/tty/pty.c). It only remembers its speed. Both ends share the settings, which
/// outlive the programs.
/// </remarks>
internal sealed partial class Pty : IDisposable
{
    private const string Library = "libc";
    private const int ReadWrite = 2, NoControllingTerminal = 0x100, NonBlocking = 0x800, CloseOnExec = 0x80000;
    private const nuint GetTermios = 0x802C_542A, SetTermios = 0x402C_542B;   // TCGETS2, TCSETS2
    private const int TermiosSize = 44, ControlFlags = 8, LocalFlags = 12, InputSpeed = 36, OutputSpeed = 40;
    private const uint SpeedMask = 0x100F, AnySpeed = 0x1000, EightBits = 0x30;   // CBAUD, BOTHER, CS8
    private const uint Receiver = 0x80, Local = 0x800;                            // CREAD, CLOCAL
    private const short Input = 1, HungUp = 16;
    private const uint Opened = 0x20;   // IN_OPEN

    private readonly SafeFileHandle _master;
    private readonly SafeFileHandle _opens;   // tells each time a program opens the other end

    private Pty(SafeFileHandle master, string path)
    {
        (_master, Path) = (master, path);
        _opens = new SafeFileHandle(Check(OpenNotifier(NonBlocking | CloseOnExec), "inotify_init1"), ownsHandle: true);
        Check(Watch(_opens, path, Opened), "inotify_add_watch");
    }

    /// <summary>Such as <c>/dev/pts/3</c>.</summary>
    public string Path { get; }

    /// <exception cref="FlashException">The system has no pseudo terminals.</exception>
    public static Pty Open()
    {
        var master = new SafeFileHandle(
            Check(OpenMaster(ReadWrite | NoControllingTerminal | NonBlocking | CloseOnExec), "posix_openpt"), ownsHandle: true);
        Check(Grant(master), "grantpt");
        Check(Unlock(master), "unlockpt");
        var name = new byte[64];
        Check(Name(master, name, name.Length) == 0 ? 0 : -1, "ptsname_r");
        var path = System.Text.Encoding.ASCII.GetString(name.AsSpan(0, name.AsSpan().IndexOf((byte)0)));
        var pty = new Pty(master, path);
        pty.SetRaw(115_200);
        return pty;
    }

    /// <summary>The baud rate that the program at the other end set last, also after it ended.</summary>
    public int Baud
    {
        get
        {
            var termios = new byte[TermiosSize];
            return Control(_master, GetTermios, termios) == 0 ? BinaryPrimitives.ReadInt32LittleEndian(termios.AsSpan(OutputSpeed)) : 0;
        }
    }

    /// <summary>No echo, no line editing, no signals, 8 bits.</summary>
    public void SetRaw(int baud)
    {
        var termios = new byte[TermiosSize];
        Check(Control(_master, GetTermios, termios), "TCGETS2");
        var control = BinaryPrimitives.ReadUInt32LittleEndian(termios.AsSpan(ControlFlags));
        termios.AsSpan(0, ControlFlags).Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(
            termios.AsSpan(ControlFlags), (control & ~SpeedMask) | AnySpeed | EightBits | Receiver | Local);
        termios.AsSpan(LocalFlags, 4).Clear();
        BinaryPrimitives.WriteInt32LittleEndian(termios.AsSpan(InputSpeed), baud);
        BinaryPrimitives.WriteInt32LittleEndian(termios.AsSpan(OutputSpeed), baud);
        Check(Control(_master, SetTermios, termios), "TCSETS2");
    }

    /// <summary>Waits for bytes up to a limit; 0 when none came.</summary>
    public int Read(Span<byte> buffer, TimeSpan limit)
    {
        var said = WaitFor(_master, limit);
        if ((said & Input) != 0)
            return (int)Math.Max(0, ReadFile(_master, buffer, buffer.Length));
        // The other end is closed: poll would return at once each time, until a program opens it.
        if ((said & HungUp) != 0 && WaitFor(_opens, limit) != 0)
            ReadFile(_opens, stackalloc byte[4096], 4096);
        return 0;
    }

    private static short WaitFor(SafeFileHandle file, TimeSpan limit)
    {
        Span<PollFd> files = [new PollFd { File = (int)file.DangerousGetHandle(), Events = Input }];
        return Poll(files, 1, (int)limit.TotalMilliseconds) > 0 ? files[0].Returned : (short)0;
    }

    /// <summary>Bytes without room are lost, as on a wire.</summary>
    public void Write(ReadOnlySpan<byte> bytes) => WriteFile(_master, bytes, bytes.Length);

    public void Dispose()
    {
        _opens.Dispose();
        _master.Dispose();
    }

    private static int Check(int result, string call) =>
        result >= 0 ? result : throw VirtualFaults.NoPty($"{call}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int File;
        public short Events;
        public short Returned;
    }

    [LibraryImport(Library, EntryPoint = "posix_openpt", SetLastError = true)]
    private static partial int OpenMaster(int flags);

    [LibraryImport(Library, EntryPoint = "grantpt", SetLastError = true)]
    private static partial int Grant(SafeFileHandle master);

    [LibraryImport(Library, EntryPoint = "unlockpt", SetLastError = true)]
    private static partial int Unlock(SafeFileHandle master);

    [LibraryImport(Library, EntryPoint = "ptsname_r", SetLastError = true)]
    private static partial int Name(SafeFileHandle master, Span<byte> name, nint length);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, Span<byte> argument);

    [LibraryImport(Library, EntryPoint = "inotify_init1", SetLastError = true)]
    private static partial int OpenNotifier(int flags);

    [LibraryImport(Library, EntryPoint = "inotify_add_watch", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Watch(SafeFileHandle notifier, string path, uint events);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(Span<PollFd> files, nuint count, int milliseconds);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFile(SafeFileHandle file, Span<byte> buffer, nint length);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteFile(SafeFileHandle file, ReadOnlySpan<byte> buffer, nint length);
}
