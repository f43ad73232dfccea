using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace RatOS.Flash.Hardware.Linux;

/// <param name="Owner">User id.</param>
/// <param name="Group">Group id.</param>
/// <param name="Mode">Permission bits alone.</param>
public readonly record struct NodeOwner(uint Owner, uint Group, UnixFileMode Mode);

/// <summary>Facts about this computer, as far as this user may read them; null for the others.</summary>
/// <param name="root">What stands for <c>/</c>.</param>
public sealed class SystemFacts(string root = "")
{
    private const int MostLog = 1 << 20;

    /// <summary>Newest last, without time and priority; null where this user may not read it.</summary>
    public IReadOnlyList<string>? KernelLog() => FromDevice(root + "/dev/kmsg") ?? FromFile(root + "/var/log/kern.log");

    /// <summary>A Raspberry Pi's throttling flags as in <c>vcgencmd get_throttled</c>: bit 0 undervoltage now, bit 16 since boot.</summary>
    public uint? Throttled()
    {
        foreach (var file in (string[])["/sys/devices/platform/soc/soc:firmware/get_throttled",
            "/sys/devices/platform/axi/soc:firmware/get_throttled", "/sys/devices/platform/firmware/get_throttled"])
        {
            if (Text(root + file) is { } text
                && uint.TryParse(text.Trim().AsSpan(text.StartsWith("0x", StringComparison.Ordinal) ? 2 : 0),
                NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var bits))
                return bits;
        }
        if (!Directory.Exists(root + "/sys/class/hwmon"))
            return null;
        var volts = Directory.EnumerateDirectories(root + "/sys/class/hwmon")
            .FirstOrDefault(folder => Text(folder + "/name")?.Trim() == "rpi_volt");
        return volts is null || Text(volts + "/in0_lcrit_alarm") is not { } alarm ? null : alarm.Trim() == "1" ? 1u : 0u;
    }

    /// <summary>systemd is a program of 32 bits: byte 4 of an ELF file is 1 for them (elf.h).</summary>
    public bool HasOldSystemd()
    {
        var begin = new byte[5];
        foreach (var path in (string[])["/usr/lib/systemd/systemd", "/lib/systemd/systemd"])
        {
            try
            {
                using var file = File.OpenRead(root + path);
                return file.ReadAtLeast(begin, begin.Length, throwOnEndOfStream: false) == begin.Length
                    && begin.AsSpan(0, 4).SequenceEqual("\u007fELF"u8) && begin[4] == 1;
            }
            catch (Exception none) when (none is IOException or UnauthorizedAccessException)
            {
                // Another folder, or another init.
            }
        }
        return false;
    }

    /// <summary>The owner of a file or node; null where there is none.</summary>
    public NodeOwner? OwnerOf(string path)
    {
        Span<byte> stat = stackalloc byte[256];
        const uint basicStats = 0x7FF;
        const int permissions = 0xFFF, here = -100;
        return Libc.StatX(here, root + path, 0, basicStats, stat) != 0 ? null : new NodeOwner(
            BinaryPrimitives.ReadUInt32LittleEndian(stat[20..]), BinaryPrimitives.ReadUInt32LittleEndian(stat[24..]),
            (UnixFileMode)(BinaryPrimitives.ReadUInt16LittleEndian(stat[28..]) & permissions));
    }

    /// <summary>
    /// A record a read: <c>priority,number,microseconds,flags;text</c>, and lines that begin with a blank, which belong to it
    /// (Documentation/ABI/testing/dev-kmsg).
    /// </summary>
    private static List<string>? FromDevice(string path)
    {
        using var file = new SafeFileHandle(Libc.Open(path, Libc.NonBlocking | Libc.CloseOnExec, 0), ownsHandle: true);
        if (file.IsInvalid)
            return null;
        var (lines, buffer) = (new List<string>(), new byte[8192]);
        while (true)
        {
            var length = (int)Libc.Read(file, buffer, buffer.Length);
            if (length > 0)
            {
                var text = Encoding.UTF8.GetString(buffer, 0, length);
                lines.Add(text[(text.IndexOf(';', StringComparison.Ordinal) + 1)..].Split('\n', 2)[0]);
            }
            // Overwritten records are reported as EPIPE, and reading continues.
            else if (length == 0 || Libc.Errno is not (Errno.Pipe or Errno.Interrupted))
                return length < 0 && Libc.Errno is not Errno.TryAgain ? null : lines;
        }
    }

    private static List<string>? FromFile(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            file.Seek(-Math.Min(file.Length, MostLog), SeekOrigin.End);
            using var reader = new StreamReader(file);
            return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A device, a pipe, a socket or a folder is there: a file must not take its place.</summary>
    public static bool IsSpecial(string path)
    {
        Span<byte> stat = stackalloc byte[256];
        const uint type = 1;
        const int kinds = 0xF000, regular = 0x8000, here = -100;
        return Libc.StatX(here, path, 0, type, stat) == 0 && (BinaryPrimitives.ReadUInt16LittleEndian(stat[28..]) & kinds) != regular;
    }

    /// <summary>A small file of this computer; null where it is missing, or this user may not read it.</summary>
    public static string? Text(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path) : null;
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
