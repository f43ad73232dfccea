using System.Runtime.InteropServices;

namespace RatOS.Flash.Core;

/// <summary>Random bytes of the kernel's generator, for tokens and keys. The base library's go through OpenSSL.</summary>
public static partial class SecureRandom
{
    private const int Interrupted = 4;

    public static void Fill(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var filled = GetRandom(bytes, bytes.Length, 0);
            if (filled > 0)
                bytes = bytes[(int)filled..];
            else if (Marshal.GetLastPInvokeError() is not Interrupted and var errno)
                throw new IOException($"no random bytes: {Marshal.GetPInvokeErrorMessage(errno)}");
        }
    }

    public static byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        Fill(bytes);
        return bytes;
    }

    // getrandom(2): waits only while the kernel starts.
    [LibraryImport("libc", EntryPoint = "getrandom", SetLastError = true)]
    private static partial nint GetRandom(Span<byte> buffer, nint length, uint flags);
}
