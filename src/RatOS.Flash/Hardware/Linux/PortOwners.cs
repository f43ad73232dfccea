using System.Buffers.Binary;
using System.Globalization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>The processes that have a device node open, as far as /proc shows them to this user.</summary>
internal static class PortOwners
{
    // What opens the ports of printers' boards by itself; the last part of a command line's words is compared, so scripts are found too.
    private static readonly string[] Grabbers = ["ModemManager", "brltty", "klippy.py", "octoprint", "flashtool.py", "dfu-util"];

    /// <summary>The other process that has the node open; null where none is seen.</summary>
    public static string? Of(string node)
    {
        var real = Looked(() => File.ResolveLinkTarget(node, returnFinalTarget: true)?.FullName, null) ?? node;
        foreach (var process in Processes())
        {
            if (process != Environment.ProcessId && Opens(process).Contains(real, StringComparer.Ordinal))
                return Name(process);
        }
        return null;
    }

    /// <summary>The fault of a port that another process has open; null where none is seen.</summary>
    /// <param name="shown">The port as the fault names it.</param>
    /// <param name="node">Its path.</param>
    public static FlashException? Fault(string shown, string node) => Of(node) is not { } owner ? null
        : owner.StartsWith("ratos-flash", StringComparison.Ordinal) ? ComputerFaults.PortHeldByFlash(shown, owner)
        : ComputerFaults.PortHeld(shown, owner);

    /// <summary>For a port that is held by a process of another user: programs that run here and are known to open ports.</summary>
    public static string Guess()
    {
        var known = Processes().Select(process => (process, Words: CommandLine(process)))
            .Where(one => one.Words.Exists(word => Grabbers.Contains(Path.GetFileName(word), StringComparer.Ordinal)))
                .Select(one => Name(one.process)).Distinct(StringComparer.Ordinal).ToList();
        return known.Count == 0 ? "a process of another user"
            : $"a process of another user; {string.Join(" and ", known)} run{(known.Count == 1 ? "s" : "")} here";
    }

    /// <summary>A process that runs a program or script of that file name; null where there is none.</summary>
    public static string? Running(string program)
    {
        var process = Processes().FirstOrDefault(candidate => CommandLine(candidate).Exists(word => Path.GetFileName(word) == program));
        return process == 0 ? null : Name(process);
    }

    /// <summary>The ids of all processes.</summary>
    /// <param name="proc">Where the kernel shows them (proc(5)).</param>
    internal static IEnumerable<int> Processes(string proc = "/proc") => Directory.EnumerateDirectories(proc)
        .Select(folder =>
            int.TryParse(Path.GetFileName(folder.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0)
            .Where(id => id > 0);

    private static List<string?> Opens(int process) => Looked(() => Directory.EnumerateFileSystemEntries($"/proc/{process}/fd")
        .Select(link => Looked(() => new FileInfo(link).LinkTarget, null)).ToList(), []);

    private static string Name(int process)
    {
        var words = CommandLine(process);
        // A script is named, not the interpreter that runs it.
        var script = words.Skip(1).FirstOrDefault(word =>
            word.EndsWith(".py", StringComparison.Ordinal) || Path.GetFileName(word) == "ratos-flash.dll");
        var name = Path.GetFileName(script ?? words.FirstOrDefault()) is { Length: > 0 } known ? known : "a process";
        return name == "klippy.py" ? $"Klipper (klippy.py, process {process})" : $"{name} (process {process})";
    }

    internal static List<string> CommandLine(int process, string proc = "/proc") =>
        Looked(() => File.ReadAllText($"{proc}/{process}/cmdline").Split('\0', StringSplitOptions.RemoveEmptyEntries).ToList(), []);

    /// <summary>A process may end while it is inspected; those of other users may not be inspected.</summary>
    internal static T Looked<T>(Func<T> look, T otherwise)
    {
        try
        {
            return look();
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return otherwise;
        }
    }
}

/// <summary>Why this user may not open a node.</summary>
internal static class Access
{
    private const uint GroupMayWrite = 0x10;   // S_IWGRP

    /// <summary>Names the group to join, or the missing udev rule.</summary>
    /// <param name="shown">The node as the fault names it.</param>
    /// <param name="node">Its path.</param>
    /// <param name="usb">The device's ids; null for another bus.</param>
    public static FlashException Denied(string shown, string node, UsbId? usb)
    {
        Span<byte> stat = stackalloc byte[256];
        const uint basicStats = 0x7FF;
        if (Libc.StatX(-100, node, 0, basicStats, stat) == 0)
        {
            var (group, mode) = (BinaryPrimitives.ReadUInt32LittleEndian(stat[24..]), BinaryPrimitives.ReadUInt16LittleEndian(stat[28..]));
            if (group != 0 && (mode & GroupMayWrite) != 0)
                return IsMember(group)
                    ? ComputerFaults.RefusedDespiteGroup(shown, GroupName(group))
                    : ComputerFaults.NotInGroup(shown, GroupName(group), Accounts.UserName);
        }
        var rule = usb is { } id ? RuleFor(id) : $"KERNEL==\"{Path.GetFileName(node)}\", MODE=\"0660\", GROUP=\"dialout\"";
        return ComputerFaults.NoUdevRule(shown, rule);
    }

    /// <summary>A line for udev.</summary>
    public static string RuleFor(UsbId id) =>
        $"SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{id.Vendor:x4}\", ATTR{{idProduct}}==\"{id.Product:x4}\", MODE=\"0660\", "
        + "GROUP=\"plugdev\"";

    /// <summary>The node is there, and this user may not read and write it.</summary>
    public static bool IsDenied(string node) =>
        Libc.Access(node, Libc.MayRead | Libc.MayWrite) != 0 && Libc.Errno is Errno.AccessDenied or Errno.NotPermitted;

    /// <summary>This process is in the group of that name.</summary>
    public static bool IsMember(string group) => GroupsFile().FirstOrDefault(parts => parts[0] == group) is { } found
        && uint.TryParse(found[2], NumberStyles.None, CultureInfo.InvariantCulture, out var id) && IsMember(id);

    private static bool IsMember(uint group)
    {
        Span<uint> groups = stackalloc uint[256];
        var count = Libc.Groups(groups.Length, groups);
        return count > 0 && groups[..count].Contains(group);
    }

    private static string GroupName(uint group)
    {
        var id = group.ToString(CultureInfo.InvariantCulture);
        return GroupsFile().FirstOrDefault(parts => parts[2] == id)?[0] ?? id;
    }

    private static IEnumerable<string[]> GroupsFile() => File.Exists("/etc/group")
        ? File.ReadLines("/etc/group").Select(line => line.Split(':')).Where(parts => parts.Length > 2) : [];
}
