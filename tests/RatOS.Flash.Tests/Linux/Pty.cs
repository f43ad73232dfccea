using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Tests.Linux;

/// <summary>A real pseudo terminal: what the kernel gives for a serial port. The test holds the far end.</summary>
internal sealed partial class Pty : IDisposable
{
    private readonly SafeFileHandle _far;

    public Pty()
    {
        _far = new SafeFileHandle(Open(2 | 0x100), ownsHandle: true);   // O_RDWR | O_NOCTTY
        var name = new byte[64];
        if (_far.IsInvalid || Grant(_far) != 0 || Unlock(_far) != 0 || Name(_far, name, name.Length) != 0)
            throw new InvalidOperationException("no pseudo terminal");
        Node = Encoding.ASCII.GetString(name, 0, Array.IndexOf(name, (byte)0));
        Far = new FileStream(_far, FileAccess.ReadWrite, bufferSize: 0);
    }

    public string Node { get; }

    public Device Device => new() { Port = Node, Number = 1, Node = Node };

    public FileStream Far { get; }

    /// <summary>The far end closes: the port hangs up, as that of a device that leaves.</summary>
    public void Dispose() => Far.Dispose();

    [LibraryImport("libc", EntryPoint = "posix_openpt")]
    private static partial int Open(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt")]
    private static partial int Grant(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "unlockpt")]
    private static partial int Unlock(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "ptsname_r")]
    private static partial int Name(SafeFileHandle file, [Out] byte[] name, nint length);
}
