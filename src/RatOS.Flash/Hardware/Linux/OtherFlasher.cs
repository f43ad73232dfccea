using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// A process that writes boards, or that stops and starts Klipper for it, and of which Moonraker knows nothing: RatOS's scripts, its
/// configurator's jobs, <c>make flash</c>, and the tools that they call.
/// </summary>
/// <param name="Process">Its id.</param>
/// <param name="Name">Its script or program.</param>
public sealed record OtherFlasher(int Process, string Name)
{
    /// <summary>
    /// RatOS's scripts (Rat-OS/RatOS-configurator, <c>configuration/scripts</c> and <c>src/scripts</c>) and Klipper's.
    /// <c>ratos-update.sh</c> changes Klipper's sources (<c>klipper-fork-migration.sh</c>) and restarts Klipper.
    /// </summary>
    private static readonly string[] Scripts =
    [
        "klipper-mcu-update.sh", "klipper-post-merge.sh", "klipper-compile.sh", "flash-path.sh", "board-script.sh", "dfu-flash.sh",
        "ratos-update.sh", "klipper-fork-migration.sh", "flash-sdcard.sh", "flash_usb.py", "flash_can.py", "flashtool.py", "spi_flash.py",
    ];

    private static readonly string[] Tools = ["dfu-util", "avrdude", "bossac", "stm32flash", "picotool"];

    /// <summary>Start another program, which their first words name.</summary>
    private static readonly string[] Wrappers = ["sudo", "env", "nice", "ionice", "setsid", "timeout", "bash", "sh", "dash", "node"];

    private const int DeepestChild = 32;

    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);

    /// <summary>The first one, by its id; null for none. What this process started itself is none.</summary>
    /// <param name="proc">Where the kernel shows processes (proc(5)).</param>
    public static OtherFlasher? Find(string proc = "/proc") => PortOwners.Looked(
        () => PortOwners.Processes(proc).Order()
            .Select(id => Of(PortOwners.CommandLine(id, proc)) is { } name ? new OtherFlasher(id, name) : null)
            .FirstOrDefault(found => found is not null && !IsOurs(proc, found.Process)), null);

    /// <summary>A child of this process, or a child's: a maker's updater calls dfu-util.</summary>
    private static bool IsOurs(string proc, int process)
    {
        for (var (id, depth) = (process, 0); id > 1 && depth < DeepestChild; depth++)
        {
            if (id == Environment.ProcessId)
                return true;
            // Its name, in brackets, may contain anything (proc(5)): after it come the state and the parent.
            var stat = $"{proc}/{id}/stat";
            var line = PortOwners.Looked(() => File.ReadAllText(stat), "");
            if (line[(line.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [_, var parent, ..]
                || !int.TryParse(parent, NumberStyles.None, CultureInfo.InvariantCulture, out id))
                return false;
        }
        return false;
    }

    /// <summary>The script or tool of a command line; null where it flashes nothing.</summary>
    internal static string? Of(IReadOnlyList<string> words)
    {
        var at = 0;
        while (at < words.Count && IsWrapper(Path.GetFileName(words[at])))
        {
            var isSudo = Path.GetFileName(words[at]) == "sudo";
            for (at++; at < words.Count && (words[at].StartsWith('-') || words[at].Contains('=', StringComparison.Ordinal)
                || words[at].All(char.IsAsciiDigit)); at++)
            {
                if (isSudo && words[at] is "-u" or "-g")
                    at++;
            }
        }
        if (at >= words.Count)
            return null;
        var (name, rest) = (Path.GetFileName(words[at]), words.Skip(at + 1).ToList());
        return Scripts.Contains(name) ? name
            : Tools.Contains(name) && !rest.Contains("-l") && !rest.Contains("--list") ? name
            : name == "make" && rest.Contains("flash") ? "make flash"
            : (name == "ratos" || name.StartsWith("ratos.", StringComparison.Ordinal)) && rest.FirstOrDefault() == "flash" ? "ratos flash"
            : null;
    }

    /// <summary>Waits for the end of the process: the kernel tells it, of any user's (pidfd_open(2)).</summary>
    /// <returns>Completes when it has ended, and after ten minutes; never where the kernel does not tell.</returns>
    public Task ExitedAsync()
    {
        const int pidFdOpen = 434;
        var descriptor = (int)Libc.SystemCall(pidFdOpen, Process, 0);
        if (descriptor < 0)
            return Libc.Errno == Errno.NoSuchProcess ? Task.CompletedTask : new TaskCompletionSource().Task;
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            using var file = new SafeFileHandle(descriptor, ownsHandle: true);
            Libc.Poll([new() { File = descriptor, Events = Libc.PollIn }], 1, (int)LongestWait.TotalMilliseconds);
            ended.SetResult();
        })
        { IsBackground = true, Name = "process end" }.Start();
        return ended.Task;
    }

    public override string ToString() => $"{Name}, process {Process}";

    private static bool IsWrapper(string name) => Wrappers.Contains(name) || name.StartsWith("python", StringComparison.Ordinal);
}
