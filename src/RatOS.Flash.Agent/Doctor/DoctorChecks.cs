using System.Collections.Immutable;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>What is wrong with a printer's computer, judged by facts alone.</summary>
internal static partial class DoctorChecks
{
    private const int Patience = 1000;   // milliseconds for one line
    private const long LeastFree = 100L << 20;   // a build, a log and a journal

    private static readonly string[] OwnGroups = ["dialout", "plugdev"];

    /// <summary>How many things are looked at.</summary>
    public static int Checks => All.Length;

    private static readonly Func<DoctorFacts, IEnumerable<DoctorFinding>>[] All =
    [
        Troubles, Groups, Rules, Nodes, LibUsb, Can, Grabbers, Tools, Python, Sources, Disk, Clock, Moonraker, Services, Component, Macros, Agent, HostMcu, RatOs, Usb, Power,
    ];

    public static ImmutableArray<DoctorFinding> Judge(DoctorFacts facts) => [.. All.SelectMany(check => check(facts))];

    /// <summary>Does what the printer's user may do. A file of somebody's is never replaced.</summary>
    /// <returns>Whether it was done.</returns>
    public static bool Apply(DoctorFix fix)
    {
        try
        {
            if (fix.Line is { } line)
            {
                // On top: its last line may have no end.
                var text = File.ReadAllText(fix.Path);
                File.WriteAllText(fix.Path + ".ratos-flash-new", $"{line}\n{text}");
                File.Move(fix.Path + ".ratos-flash-new", fix.Path, overwrite: true);
                return true;
            }
            if (new FileInfo(fix.Path) is { LinkTarget: not null } link)
                link.Delete();
            File.CreateSymbolicLink(fix.Path, fix.Target!);
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static DoctorFinding Wrong(string id, string text, string remedy) => new(id, FindingSeverity.Blocker, text, remedy);

    private static DoctorFinding Doubtful(string id, string text, string remedy) => new(id, FindingSeverity.Warning, text, remedy);

    private static DoctorFinding Of(FaultReport fault, FindingSeverity severity = FindingSeverity.Blocker) => new(fault.Code, severity, fault.Cause, fault.Remedy);

    private static string Installer(DoctorFacts facts) => $"{facts.Folder ?? "~/ratos-flash"}/install.sh";

    // ---- who may do what

    private static IEnumerable<DoctorFinding> Troubles(DoctorFacts facts) => facts.Troubles.Select(fault => Of(fault));

    private static IEnumerable<DoctorFinding> Groups(DoctorFacts facts)
    {
        if (facts.UserId == 0)
            yield break;
        foreach (var name in OwnGroups.Where(name => facts.Groups.Count > 0 && !facts.Groups.ContainsKey(name)))
            yield return Wrong("no-such-group", $"This system has no group {name}, which owns the boards' ports.", $"sudo groupadd --system {name}");
        string[] wanted = facts.HostMcu.IsService ? [.. OwnGroups, "tty"] : OwnGroups;
        var missing = wanted.Where(name => facts.Groups.TryGetValue(name, out var id) && !facts.GroupIds.Contains(id)).ToList();
        if (missing.Count > 0)
        {
            yield return Wrong("not-in-group", $"The user {facts.User} is not in {string.Join(", ", missing)}, or has not logged in anew since.",
                $"sudo usermod -aG {string.Join(',', missing)} {facts.User}");
        }
    }

    private static IEnumerable<DoctorFinding> Rules(DoctorFacts facts)
    {
        var source = facts.Folder is { } folder ? $"{folder}/99-ratos-flash.rules" : "99-ratos-flash.rules";
        var remedy = $"sudo cp {source} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb --subsystem-match=tty";
        if (facts.Rules is null)
            yield return Wrong("udev-rules-missing", "The udev rules are not installed: boards in a bootloader can be opened by root alone.", remedy);
        else if (facts.OwnRules is { } own && own.Trim() != facts.Rules.Trim())
            yield return Doubtful("udev-rules-old", "The udev rules that are installed are not those of this version.", remedy);
    }

    private static IEnumerable<DoctorFinding> Nodes(DoctorFacts facts) => facts.Nodes.Where(node => !MayOpen(facts, node)).Select(node => Wrong(
        "node-closed", $"{node.Path} ({node.What}) may not be opened by {facts.User}.",
        facts.Groups.FirstOrDefault(group => group.Value == node.Owner.Group).Key is { } name and not "root" && node.Owner.Mode.HasFlag(UnixFileMode.GroupRead | UnixFileMode.GroupWrite)
            ? $"sudo usermod -aG {name} {facts.User}"
            : "sudo udevadm trigger --subsystem-match=usb --subsystem-match=tty"));

    private static bool MayOpen(DoctorFacts facts, NodeFact node)
    {
        var (owner, group, mode) = (node.Owner.Owner, node.Owner.Group, node.Owner.Mode);
        // The first that applies counts, as for the kernel.
        return facts.UserId == 0 || mode.HasFlag(
            owner == facts.UserId ? UnixFileMode.UserRead | UnixFileMode.UserWrite
            : facts.GroupIds.Contains(group) ? UnixFileMode.GroupRead | UnixFileMode.GroupWrite : UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
    }

    private static IEnumerable<DoctorFinding> LibUsb(DoctorFacts facts) => facts.HasLibUsb ? [] : [Of(FaultReport.Of(ComputerFaults.LibUsbMissing()))];

    private static IEnumerable<DoctorFinding> Can(DoctorFacts facts) => facts.CanDown.Select(name => Of(FaultReport.Of(CanFaults.CanDown(name))));

    /// <summary>Our rules keep them off; without these, a byte of theirs can wedge a bootloader.</summary>
    private static IEnumerable<DoctorFinding> Grabbers(DoctorFacts facts) => facts.Grabbers.Select(name => new DoctorFinding(
        $"grabber-{name.ToLowerInvariant()}", facts.Rules is null ? FindingSeverity.Blocker : FindingSeverity.Note,
        facts.Rules is null ? $"{name} runs here and opens the ports of boards." : $"{name} runs here; the udev rules keep it off the boards.",
        name == "brltty" ? "sudo apt-get remove brltty" : $"sudo systemctl disable --now {name}"));

    // ---- building

    private static IEnumerable<DoctorFinding> Tools(DoctorFacts facts) => facts.Tools.Select(fault => Of(fault));

    private static IEnumerable<DoctorFinding> Python(DoctorFacts facts) => facts.Python switch
    {
        null => [],   // named among the tools
        "" => [],
        var said => [Wrong("python-broken", $"Python cannot run Klipper's build: {said}.", "sudo apt-get install --reinstall python3 python3-minimal libpython3-stdlib")],
    };

    private static IEnumerable<DoctorFinding> Sources(DoctorFacts facts) => facts.Sources is { } fault ? [Of(fault, FindingSeverity.Warning)] : [];

    // ---- the computer

    private static IEnumerable<DoctorFinding> Disk(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        if (data.IsReadOnly)
        {
            yield return Wrong("disk-read-only", $"The file system of {data.Root} cannot be written: the kernel has found it damaged, or it is mounted so.",
                "sudo touch /forcefsck && sudo reboot");
        }
        if (data.Free is { } free && free < LeastFree)
            yield return Wrong("disk-full", $"Only {free >> 20} MiB are free in {data.Root}; a build and its journal take up to {LeastFree >> 20}.", $"du -xh {data.Root} | sort -h | tail -n 20");
    }

    private static IEnumerable<DoctorFinding> Clock(DoctorFacts facts)
    {
        if (facts.Now.Year < 2024)
            yield return Wrong("clock-wrong", $"This computer believes that it is {facts.Now:yyyy-MM-dd}: updates refuse certificates, and nothing in a log can be dated.", "sudo timedatectl set-ntp true");
    }

    private static IEnumerable<DoctorFinding> Usb(DoctorFacts facts)
    {
        if (facts.KernelLog is not { } log)
            yield break;
        foreach (var port in log.Select(line => UsbTrouble().Match(line)).Where(match => match.Success).GroupBy(match => match.Groups["port"].Value, StringComparer.Ordinal).Take(8))
        {
            yield return Doubtful("usb-errors", $"The kernel's log has {port.Count()} errors of the USB port {port.Key}, the last one: {Text.Clean(port.Last().Value)}.",
                "Try another cable, then another port; a hub needs a supply of its own.");
        }
        foreach (var port in log.Select(line => UsbReset().Match(line)).Where(match => match.Success).GroupBy(match => match.Groups["port"].Value, StringComparer.Ordinal).Where(group => group.Count() >= 3).Take(8))
            yield return Doubtful("usb-resets", $"The kernel had to reset the device at USB port {port.Key} {port.Count()} times.", "Try another cable, then another port; a hub needs a supply of its own.");
        if (log.LastOrDefault(line => line.Contains("over-current", StringComparison.OrdinalIgnoreCase) && line.Contains("usb", StringComparison.OrdinalIgnoreCase)) is { } current)
            yield return Wrong("usb-over-current", $"A USB port was overloaded: {Text.Clean(current)}.", "Feed the boards from their own supply, and look for a short circuit.");
    }

    // Bits of the firmware's answer (Raspberry Pi documentation, vcgencmd get_throttled).
    private static IEnumerable<DoctorFinding> Power(DoctorFacts facts)
    {
        const uint volts = 1, slow = 0b1110, wasVolts = volts << 16, wasSlow = slow << 16;
        const string supply = "Use a supply of 5.1 V and 3 A or more, with a short, thick cable, and feed the boards from their own.";
        if (facts.Throttled is not { } bits)
            yield break;
        if ((bits & volts) != 0)
            yield return Wrong("undervoltage", $"This computer has too little voltage right now (0x{bits:x}): USB devices may drop out in the middle of a flash.", supply);
        else if ((bits & wasVolts) != 0)
            yield return Doubtful("undervoltage-before", $"This computer had too little voltage since it started (0x{bits:x}).", supply);
        if ((bits & (slow | wasSlow)) != 0 && (bits & (volts | wasVolts)) == 0)
            yield return Doubtful("throttled", $"This computer was slowed down because of heat (0x{bits:x}): builds take longer.", "Give it a heat sink or a fan.");
    }

    // "usb 1-1.3: device descriptor read/64, error -71" and its like (linux: drivers/usb/core/hub.c).
    [GeneratedRegex(@"usb (?<port>[0-9]+-[0-9.]+|[0-9]+-[0-9.]+-port[0-9]+): (?:device descriptor read.*error|device not accepting address|unable to enumerate|can't set config|cannot reset|.*disabled by hub|.*Cannot enable).*", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex UsbTrouble();

    [GeneratedRegex(@"usb (?<port>[0-9]+-[0-9.]+): reset (?:low|full|high)-speed USB device", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex UsbReset();
}
