using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// The few calls of the C library that .NET does not offer. Numbers are those of the kernel's generic interface: x86-64, arm64 and arm
/// share them. Each sets errno; a result of -1 is an error.
/// </summary>
internal static partial class Libc
{
    private const string Library = "libc";

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport(Library, EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Access(string path, int mode);

    public const int MayWrite = 2, MayRead = 4;

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(SafeFileHandle file, Span<byte> buffer, nint length);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(SafeFileHandle file, ReadOnlySpan<byte> buffer, nint length);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(Span<PollFd> files, nuint count, int milliseconds);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Ioctl(SafeFileHandle file, nuint request, Span<byte> argument);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Ioctl(SafeFileHandle file, nuint request, nint argument);

    [LibraryImport(Library, EntryPoint = "klogctl", SetLastError = true)]
    public static partial int KernelLog(int action, Span<byte> buffer, int length);

    /// <summary>For calls that an older C library does not know.</summary>
    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    public static partial nint SystemCall(nint number, nint first, nint second);

    [LibraryImport(Library, EntryPoint = "flock", SetLastError = true)]
    public static partial int Flock(SafeFileHandle file, int operation);

    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int domain, int type, int protocol);

    [LibraryImport(Library, EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(SafeFileHandle socket, ReadOnlySpan<byte> address, uint length);

    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(SafeFileHandle socket, int level, int option, ReadOnlySpan<byte> value, uint length);

    [LibraryImport(Library, EntryPoint = "if_nametoindex", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint InterfaceIndex(string name);

    [LibraryImport(Library, EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();

    [LibraryImport(Library, EntryPoint = "getgroups", SetLastError = true)]
    public static partial int Groups(int size, Span<uint> groups);

    /// <summary>Writes all of the file's file system to its disk.</summary>
    [LibraryImport(Library, EntryPoint = "syncfs", SetLastError = true)]
    public static partial int SyncFileSystem(SafeFileHandle file);

    /// <summary>0, or the number of an error.</summary>
    [LibraryImport(Library, EntryPoint = "posix_fadvise64")]
    public static partial int Advise(SafeFileHandle file, long offset, long length, int advice);

    /// <summary>A negative number is a process group's.</summary>
    [LibraryImport(Library, EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int process, int signal);

    /// <summary>Answer of 256 bytes: owner at 20, group at 24, mode (16 bits) at 28 (linux/stat.h).</summary>
    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatX(int folder, string path, int flags, uint mask, Span<byte> answer);

    public const int ReadWrite = 2, NoControllingTerminal = 0x100, NonBlocking = 0x800, CloseOnExec = 0x80000;
    public const int AdviseDontNeed = 4;
    public const int LockExclusive = 2, LockNonBlocking = 4, Unlock = 8;
    public const int EventNonBlocking = NonBlocking, EventCloseOnExec = CloseOnExec;

    public const short PollIn = 1, PollOut = 4, PollError = 8, PollHangUp = 16, PollInvalid = 32;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int File;
        public short Events;
        public short Returned;
    }

    /// <summary>errno of the last call on this thread.</summary>
    public static int Errno => Marshal.GetLastPInvokeError();

    public static string ErrorText(int errno) => Marshal.GetPInvokeErrorMessage(errno);
}

/// <summary>errno values, the same on all of Linux's common machines.</summary>
internal static class Errno
{
    public const int NotPermitted = 1, NoEntry = 2, NoSuchProcess = 3, Interrupted = 4, Io = 5, NoSuchDevice = 6, TryAgain = 11,
        AccessDenied = 13, Busy = 16, NoDevice = 19, NotATerminal = 25, Pipe = 32, NoBuffers = 105, NetworkDown = 100;
}
