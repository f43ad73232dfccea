using System.Text;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>The kernel's messages, as far as this user may read them.</summary>
public static class KernelLog
{
    private const int ReadAll = 3;
    private const int Most = 256 * 1024;

    private static readonly string[] Files = ["/var/log/kern.log", "/var/log/syslog", "/var/log/messages"];

    /// <summary>The newest messages; or null and the reason.</summary>
    public static (string? Text, string Source) Read()
    {
        var buffer = new byte[Most];
        var length = Libc.KernelLog(ReadAll, buffer, buffer.Length);
        if (length > 0)
            return (Encoding.UTF8.GetString(buffer, 0, length), "the kernel");
        var why = length == 0 ? "it is empty" : Libc.ErrorText(Libc.Errno);
        foreach (var path in Files)
        {
            try
            {
                using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
                file.Seek(-Math.Min(file.Length, Most), SeekOrigin.End);
                var read = file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
                return (Encoding.UTF8.GetString(buffer, 0, read), path);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                // The next file may exist.
            }
        }
        return (null, $"this user may not read the kernel's messages ({why})");
    }
}
