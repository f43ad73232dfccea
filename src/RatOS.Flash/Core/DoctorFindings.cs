using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Problems of the printer's computer that doctor finds. Each remedy is one command or one action.</summary>
public static class DoctorFindings
{
    private const string Retrigger = "sudo udevadm trigger --subsystem-match=usb --subsystem-match=tty";
    private const string NotShown = "flashes are not shown while Klipper is stopped";
    private static Remedy OtherCable => $"Try another cable, then another port. A hub needs its own power supply.";
    private static Remedy Supply =>
        $"Use a supply of 5.1 V and 3 A or more with a short, thick cable, and power the boards from their own supply.";

    // ---- permissions

    public static Finding NoSuchGroup(string name) => Problem(
        FaultKind.NoSuchGroup, $"This system has no group {name}, which owns the boards' ports.",
        $"{Command($"sudo groupadd --system {name}")}");

    public static Finding NotInGroup(string user, IReadOnlyCollection<string> groups) => Problem(
        FaultKind.NotInGroup, $"The user {user} is not in {string.Join(", ", groups)}, or has not logged out and back in since.",
        $"{Command($"sudo usermod -aG {string.Join(',', groups)} {user}")}");

    /// <param name="source">The rules of this version.</param>
    public static Finding UdevRulesMissing(string source) => Problem(
        FaultKind.UdevRulesMissing, "The udev rules are not installed: only root can open boards in a bootloader.", InstallRules(source));

    /// <inheritdoc cref="UdevRulesMissing"/>
    public static Finding UdevRulesOld(string source) => Warning(
        FaultKind.UdevRulesOld, "The installed udev rules are not those of this version.", InstallRules(source));

    private static Remedy InstallRules(string source) =>
        $"{Command($"sudo cp {source} /etc/udev/rules.d/ && sudo udevadm control --reload && {Retrigger}")}";

    /// <param name="path">The device node.</param>
    /// <param name="device">The device in words.</param>
    /// <param name="user">Who may not open it.</param>
    /// <param name="group">The group that may; null for none.</param>
    public static Finding NodeClosed(string path, string device, string user, string? group) => Problem(
        FaultKind.NodeClosed, $"{user} may not open {path} ({device}).",
        $"{Command(group is null ? Retrigger : $"sudo usermod -aG {group} {user}")}");

    /// <param name="device">In words.</param>
    /// <param name="hasModules">The running kernel's modules are there.</param>
    public static Finding NoSerialDriver(string device, bool hasModules) => Problem(
        FaultKind.NoSerialDriver,
        hasModules ? $"{device} has no serial port: the kernel's cdc_acm driver is not attached."
            : $"{device} has no serial port: the kernel was updated since this computer started, and its drivers are gone.",
        $"{Command(hasModules ? "sudo modprobe cdc_acm" : "sudo reboot")}");

    /// <param name="hasRules">The udev rules keep it off the boards.</param>
    public static Finding ModemManager(bool hasRules) =>
        Grabber(FaultKind.GrabberModemmanager, "ModemManager", hasRules, $"{Command("sudo systemctl disable --now ModemManager")}");

    /// <inheritdoc cref="ModemManager"/>
    public static Finding Brltty(bool hasRules) =>
        Grabber(FaultKind.GrabberBrltty, "brltty", hasRules, $"{Command("sudo apt-get remove brltty")}");

    private static Finding Grabber(FaultKind kind, string name, bool hasRules, Remedy remedy) => hasRules
        ? Note(kind, $"{name} runs. The udev rules keep it off the boards.", remedy)
        : Problem(kind, $"{name} runs and opens the ports of boards.", remedy);

    // ---- Moonraker and the agent

    public static Finding MoonrakerPolicykit() => Problem(
        FaultKind.MoonrakerPolicykit, "Moonraker may not start and stop services: its PolicyKit rules are missing.",
        $"{Command("~/moonraker/scripts/set-policykit-rules.sh && sudo systemctl restart moonraker")}");

    /// <param name="unit">The service.</param>
    /// <param name="file">The path of moonraker.asvc.</param>
    public static Finding ServiceNotAllowed(string unit, string file) => Warning(
        FaultKind.ServiceNotAllowed,
        $"Moonraker may not start or stop {unit}: moonraker.asvc does not list it (RatOS rewrites that file at times).",
        $"{Command($"sed -i '1i {unit}' {file} && sudo systemctl restart moonraker")}");

    public static Finding ComponentMissing(string path, string target) => Warning(
        FaultKind.ComponentMissing, $"Moonraker's component ratos_flash is not installed: {NotShown}.", Link(path, target, AndRestart));

    public static Finding ComponentOld(string path, string target) => Warning(
        FaultKind.ComponentOld, $"{path} is not the component of this version.", Link(path, target, AndRestart));

    public static Finding ComponentFailed() => Problem(
        FaultKind.ComponentFailed, "Moonraker could not load the component ratos_flash.",
        $"{Command("grep -A 20 ratos_flash ~/printer_data/logs/moonraker.log | tail -n 40")}");

    /// <param name="installer">The path of install.sh.</param>
    public static Finding ComponentNotLoaded(string installer) => Warning(
        FaultKind.ComponentNotLoaded, $"Moonraker has not loaded the component ratos_flash: {NotShown}.", $"{Command(installer)}");

    /// <param name="file">The path of moonraker.conf.</param>
    public static Finding ComponentNotIncluded(string file) => Warning(
        FaultKind.ComponentNotIncluded, $"{file} does not include ratos-flash-moonraker.conf: {NotShown}.",
        Include(file, "ratos-flash-moonraker.conf", AndRestart));

    /// <param name="file">The path of Moonraker's .git/info/exclude.</param>
    /// <param name="line">The line that it lacks.</param>
    public static Finding ComponentNotExcluded(string file, string line) => Warning(
        FaultKind.ComponentNotExcluded,
        "Git does not ignore the component in Moonraker's folder, so Moonraker reports its own installation as modified. "
        + "A hard recovery of Moonraker causes this.",
        $"{Command($"echo {line} >> {file}")}");

    public static Finding MacrosMissing(string path, string target) => Warning(
        FaultKind.MacrosMissing, $"The macros are not installed: {path} is missing.", Link(path, target, ""));

    public static Finding MacrosOld(string path, string target) => Warning(
        FaultKind.MacrosOld, $"{path} is not the file of this version.", Link(path, target, ""));

    /// <inheritdoc cref="ComponentNotLoaded"/>
    public static Finding MacrosNotLoaded(string installer) => Warning(
        FaultKind.MacrosNotLoaded,
        "Klipper does not know FLASH_MCU: it was not restarted since the installation, or printer.cfg does not include ratos_flash.cfg.",
        $"{Command($"{installer}; then restart Klipper")}");

    /// <param name="file">The path of printer.cfg.</param>
    public static Finding MacrosNotIncluded(string file) => Warning(
        FaultKind.MacrosNotIncluded,
        $"{file} does not include ratos_flash.cfg, so Klipper does not know FLASH_MCU. RatOS's wizard and "
        + "`ratos config regenerate -p` overwrite that file, which removes the include.",
        Include(file, "ratos_flash.cfg", "; then restart Klipper"));

    private static Remedy Include(string file, string name, string andThen) =>
        $"{Command($"sed -i '1i [include {name}]' {file}{andThen}")}";

    private const string AndRestart = " && sudo systemctl restart moonraker";

    private static Remedy Link(string path, string target, string andThen) => $"{Command($"ln -sfn {target} {path}{andThen}")}";

    public static Finding AgentNotRunning(string folder, string unit) => Problem(
        FaultKind.AgentNotRunning, $"No agent is running for {folder}: macros, buttons and updates do nothing.",
        $"{Command($"sudo systemctl enable --now {unit}")}");

    public static Finding AgentOld(string agent, string program, string unit) => Warning(
        FaultKind.AgentOld, $"The running agent is version {agent}, but this program is {program}.",
        $"{Command($"sudo systemctl restart {unit}")}");

    /// <param name="files">What install.sh wrote outside of the program's folder.</param>
    /// <param name="installer">The path of install.sh.</param>
    public static Finding InstallationOld(IReadOnlyCollection<string> files, string installer) => Warning(
        FaultKind.InstallationOld,
        $"Of another version than the program: {string.Join(", ", files)}. An update by Moonraker replaces the program's folder only.",
        $"{Command(installer)}");

    public static Finding SettingsUnconfirmed(string settings) => Warning(
        FaultKind.SettingsUnconfirmed,
        $"ratos-flash.conf sets {settings}. Browsers can write that file, so it does not count before you confirm it once.",
        $"{Command("ratos-flash confirm")}");

    /// <inheritdoc cref="ComponentNotLoaded"/>
    public static Finding HostMcuUnit(string installer) => Note(
        FaultKind.HostMcuUnit,
        "Klipper's process on this computer (Raspberry Pi as MCU) is a service. The unit that replaces it is not installed.",
        $"{Command($"{installer} --host-mcu")}");

    /// <inheritdoc cref="ComponentNotLoaded"/>
    public static Finding HostMcuUnitOld(string installer) => Warning(
        FaultKind.HostMcuUnitOld,
        "Root's script that replaces Klipper's process on this computer comes from an older version and is not safe. It is not used.",
        $"{Command($"{installer} --host-mcu")}");

    // ---- RatOS

    public static Finding RatosHookBroken() => Warning(
        FaultKind.RatosHookBroken, "RatOS's hook in Klipper's repository is a broken link: an update of Klipper ends with an error.",
        $"{Command("rm ~/klipper/.git/hooks/post-merge (RatOS restores it at its next update)")}");

    public static Finding SandboxPartial() => Note(
        FaultKind.SandboxPartial,
        "systemd is 32-bit here and this program is 64-bit, so the service's system call filters have no effect on the agent. "
        + "Its user, files, devices and capabilities are restricted as usual (docs/security.md).",
        $"Nothing to do. On a 64-bit system image the whole sandbox applies.");

    public static Finding RatosHook(string hook) => Note(
        FaultKind.RatosHook, $"RatOS flashes boards itself during an update of Klipper ({hook}). Those boards are not flashed again.",
        $"Nothing to do.");

    // ---- the computer

    public static Finding PythonBroken(string error) => Problem(
        FaultKind.PythonBroken, $"Python cannot run Klipper's build: {error}.",
        $"{Command("sudo apt-get install --reinstall python3 python3-minimal libpython3-stdlib")}");

    public static Finding DiskReadOnly(string folder) => Problem(
        FaultKind.DiskReadOnly, $"The file system of {folder} is read-only: it is damaged, or mounted read-only.",
        $"{Command("sudo touch /forcefsck && sudo reboot")}");

    public static Finding DiskFull(string folder, long freeMib, long neededMib) => Problem(
        FaultKind.DiskFull, $"{folder} has {freeMib} MiB free. A build and its journal need up to {neededMib} MiB.",
        $"{Command($"du -xh {folder} | sort -h | tail -n 20")}");

    /// <param name="today">The date of its clock.</param>
    public static Finding ClockWrong(string today) => Problem(
        FaultKind.ClockWrong, $"This computer's date is {today}: updates refuse certificates, and logs have wrong dates.",
        $"{Command("sudo timedatectl set-ntp true")}");

    /// <param name="port">The USB port.</param>
    /// <param name="count">How many.</param>
    /// <param name="last">The last line.</param>
    public static Finding UsbErrors(string port, int count, string last) => Warning(
        FaultKind.UsbErrors, $"The kernel log has {Counts.Of(count, "error")} for USB port {port}. The last one: {last}.", OtherCable);

    public static Finding UsbResets(string port, int count) => Warning(
        FaultKind.UsbResets, $"The kernel reset the device at USB port {port} {Counts.Times(count)}.", OtherCable);

    public static Finding UsbOverCurrent(string line) => Problem(
        FaultKind.UsbOverCurrent, $"A USB port was overloaded: {line}.",
        $"Power the boards from their own supply, and look for a short circuit.");

    /// <param name="bits">Of the Raspberry Pi's firmware (vcgencmd get_throttled).</param>
    public static Finding Undervoltage(uint bits) => Problem(
        FaultKind.Undervoltage, $"This computer has undervoltage now (0x{bits:x}): USB devices may fail in the middle of a flash.", Supply);

    /// <inheritdoc cref="Undervoltage"/>
    public static Finding UndervoltageBefore(uint bits) => Warning(
        FaultKind.UndervoltageBefore, $"This computer had undervoltage since it started (0x{bits:x}).", Supply);

    /// <inheritdoc cref="Undervoltage"/>
    public static Finding Throttled(uint bits) => Warning(
        FaultKind.Throttled, $"This computer was throttled by its temperature (0x{bits:x}): builds take longer.",
        $"Give it a heat sink or a fan.");

    private static Finding Problem(FaultKind kind, string text, Remedy remedy) => new(FindingSeverity.Blocker, kind, text, remedy);

    private static Finding Warning(FaultKind kind, string text, Remedy remedy) => new(FindingSeverity.Warning, kind, text, remedy);

    private static Finding Note(FaultKind kind, string text, Remedy remedy) => new(FindingSeverity.Note, kind, text, remedy);
}
