using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Which finding follows from which state of the computer: tables.</summary>
public sealed class DoctorCheckTests
{
    private const UnixFileMode GroupNode = (UnixFileMode)0x1B0;   // rw-rw----, octal 660
    private const UnixFileMode RootNode = (UnixFileMode)0x180;    // rw-------, octal 600

    private static readonly DoctorFacts Well = new()
    {
        User = "pi",
        UserId = 1000,
        GroupIds = [1000, 20, 46, 5],
        Groups = ImmutableDictionary<string, uint>.Empty.Add("root", 0).Add("tty", 5).Add("dialout", 20).Add("plugdev", 46),
        Rules = "rules\n",
        OwnRules = "rules\n",
        Folder = "/home/pi/ratos-flash",
        RulesFile = "/home/pi/ratos-flash/99-ratos-flash.rules",
        Data = new("/home/pi/printer_data", "ratos-flash")
        {
            Agent = Product.Version,
            Free = 1L << 30,
            Macros = new("/home/pi/printer_data/config/ratos_flash.cfg", "/home/pi/ratos-flash/config/ratos_flash.cfg", true),
            Component = new("/home/pi/moonraker/moonraker/components/ratos_flash.py",
                "/home/pi/ratos-flash/moonraker-component/ratos_flash.py", true),
        },
        Moonraker = new() { HasMacros = true },
        KernelLog = ["usb 1-1.3: new full-speed USB device number 5 using xhci_hcd",
            "usb 1-1.3: reset full-speed USB device number 5 using xhci_hcd"],
        Throttled = 0,
        Now = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero),
    };

    private static NodeFact Node(uint owner, uint group, UnixFileMode mode) =>
        new("/dev/ttyACM0", "stm32f446xx", new(owner, group, mode));

    private static MoonrakerFacts Answers => new() { HasMacros = true };

    private static DataFacts Data => Well.Data!;

    [Fact]
    public void A_computer_without_problems_has_no_findings() => Assert.Empty(DoctorChecks.Run(Well));

    [Fact]
    public void Unknown_state_causes_no_finding_except_missing_udev_rules() =>
        Assert.Equal(["udev-rules-missing"], DoctorChecks.Run(new DoctorFacts { User = "pi", UserId = 1000, Now = Well.Now })
            .Select(finding => finding.Id));

    [Fact]
    public void A_note_is_no_problem_and_root_needs_no_group()
    {
        Assert.All(DoctorChecks.Run(
                Well with { RatOsHook = "klipper-post-merge.sh", HostMcu = (true, false, false), Grabbers = ["ModemManager"] }), finding =>
                Assert.Equal(FindingSeverity.Note, finding.Severity));
        Assert.Empty(DoctorChecks.Run(Well with { UserId = 0, GroupIds = [], Nodes = [Node(0, 0, RootNode)] }));
    }

    private static readonly (string Id, string Remedy, DoctorFacts Facts)[] Table =
    [
        ("not-in-group", "sudo usermod -aG dialout,plugdev pi", Well with { GroupIds = [1000] }),
        ("not-in-group", "sudo usermod -aG tty pi", Well with { GroupIds = [20, 46], HostMcu = (true, true, false) }),
        ("no-such-group", "sudo groupadd --system plugdev", Well with { Groups = Well.Groups.Remove("plugdev") }),
        ("udev-rules-missing", "sudo cp /home/pi/ratos-flash/99-ratos-flash.rules /etc/udev/rules.d/", Well with { Rules = null }),
        ("udev-rules-old", "sudo udevadm control --reload", Well with { Rules = "other rules" }),
        ("node-closed", "sudo udevadm trigger", Well with { Nodes = [Node(0, 0, RootNode)] }),
        ("node-closed", "sudo usermod -aG uucp pi", Well with { Groups = Well.Groups.Add("uucp", 10), Nodes = [Node(0, 10, GroupNode)] }),
        // For the owner the owner's bits count, and no others.
        ("node-closed", "sudo ", Well with { Nodes = [Node(1000, 20, (UnixFileMode)0x30)] }),
        ("no-serial-driver", "sudo modprobe cdc_acm", Well with { WithoutDriver = ["stm32f446xx (1d50:614e at 1-1.1)"] }),
        ("no-serial-driver", "sudo reboot", Well with { WithoutDriver = ["stm32f446xx (1d50:614e at 1-1.1)"], HasModules = false }),
        ("can-down", "sudo ip link set can0 up", Well with { CanDown = ["can0"] }),
        ("grabber-modemmanager", "sudo systemctl disable --now ModemManager", Well with { Grabbers = ["ModemManager"], Rules = null }),
        ("grabber-brltty", "sudo apt-get remove brltty", Well with { Grabbers = ["brltty"], Rules = null }),
        ("toolchain-missing", "sudo apt-get install gcc-arm-none-eabi",
            Well with { Tools = [FaultReport.Of(BuildFaults.ToolchainMissing("stm32f446xx", "arm-none-eabi-gcc",
                "gcc-arm-none-eabi"))] }),
        ("python-broken", "sudo apt-get install --reinstall python3",
            Well with { Python = "ModuleNotFoundError: No module named 'zlib'" }),
        ("klipper-without-tags", "fetch --tags",
            Well with { Sources = FaultReport.Of(BuildFaults.KlipperWithoutTags("/home/pi/klipper")) }),
        ("bad-settings", "Correct that line",
            Well with { Troubles = [FaultReport.Of(AgentFaults.BadSettings("ratos-flash.conf", 3, "there is no setting 'polcy'"))] }),
        ("disk-read-only", "reboot", Well with { Data = Data with { IsReadOnly = true } }),
        ("disk-full", "du -xh /home/pi/printer_data", Well with { Data = Data with { Free = 20 << 20 } }),
        ("clock-wrong", "sudo timedatectl set-ntp true", Well with { Now = new(2023, 12, 31, 23, 59, 59, TimeSpan.Zero) }),
        ("moonraker-gone", "sudo systemctl start moonraker",
            Well with { Moonraker = new(FaultReport.Of(PrinterFaults.MoonrakerGone("moonraker.sock", "no answer"))) }),
        ("moonraker-policykit", "set-policykit-rules.sh",
            Well with { Moonraker = Answers with { Warnings = ["PolicyKit warnings detected. See moonraker.log"] } }),
        ("service-not-allowed", "sed -i '1i ratos-flash' /home/pi/printer_data/moonraker.asvc",
            Well with { Data = Data with { NotAllowed = ["ratos-flash"] } }),
        ("component-missing", "ln -sfn /home/pi/ratos-flash/moonraker-component/ratos_flash.py /home/pi/moonraker/",
            Well with { Data = Data with { Component = Data.Component! with { Is = null } } }),
        ("component-old", "sudo systemctl restart moonraker",
            Well with { Data = Data with { Component = Data.Component! with { Is = false } } }),
        ("component-failed", "moonraker.log", Well with { Moonraker = Answers with { ComponentFailed = true } }),
        ("component-not-loaded", "/home/pi/ratos-flash/install.sh", Well with { Moonraker = Answers with { HasComponent = false } }),
        ("macros-missing", "ln -sfn ", Well with { Data = Data with { Macros = Data.Macros! with { Is = null } } }),
        ("macros-old", "ln -sfn ", Well with { Data = Data with { Macros = Data.Macros! with { Is = false } } }),
        ("macros-not-loaded", "restart Klipper", Well with { Moonraker = Answers with { HasMacros = false } }),
        ("macros-not-included", "sed -i '1i [include ratos_flash.cfg]' /home/pi/printer_data/config/printer.cfg",
            Well with
            {
                Data = Data with { WithoutMacros = "/home/pi/printer_data/config/printer.cfg" },
                Moonraker = Answers with { HasMacros = false },
            }),
        ("component-not-included", "sed -i '1i [include ratos-flash-moonraker.conf]' moonraker.conf",
            Well with { Data = Data with { WithoutSettings = "moonraker.conf" }, Moonraker = Answers with { HasComponent = false } }),
        ("component-not-excluded", "echo moonraker/components/ratos_flash.py >> exclude",
            Well with { Data = Data with { WithoutExclude = "exclude" } }),
        ("ratos-other-start", "disableAutoFlash",
            Well with { OtherStarts =
                [PlanFindings.RatosOtherStart("mcu", 0x8002000, "its running firmware", 0x8000000, "btt-ebb42-12")] }),
        ("bad-board-definition", "Correct it", Well with { Skipped = [new("acme", "it has no id")] }),
        ("bad-board-definition", "update RatOS", Well with { Skipped = [new("", "the folder has more than 1000 folders")] }),
        ("agent-not-running", "sudo systemctl enable --now ratos-flash", Well with { Data = Data with { Agent = null } }),
        ("agent-old", "sudo systemctl restart ratos-flash", Well with { Data = Data with { Agent = "0.0.1" } }),
        ("installation-old", "/home/pi/ratos-flash/install.sh", Well with { OldFiles = ["/etc/systemd/system/ratos-flash.service"] }),
        ("ratos-hook-broken", "post-merge", Well with { RatOsHook = "" }),
        ("usb-errors", "another cable",
            Well with { KernelLog =
                ["usb 1-1.3: device descriptor read/64, error -71", "usb 1-1.3: device not accepting address 7, error -71"] }),
        ("usb-errors", "another cable", Well with { KernelLog = ["usb 1-1-port4: unable to enumerate USB device"] }),
        ("usb-resets", "another cable",
            Well with { KernelLog = [.. Enumerable.Repeat("usb 1-1.3: reset full-speed USB device number 5 using xhci_hcd", 3)] }),
        ("usb-over-current", "short circuit", Well with { KernelLog = ["usb usb1-port2: over-current change #4"] }),
        ("undervoltage", "5.1 V", Well with { Throttled = 0x50005 }),
        ("undervoltage-before", "5.1 V", Well with { Throttled = 0x50000 }),
        ("throttled", "heat sink", Well with { Throttled = 0xE0000 }),
    ];

    [Fact]
    public void Each_problem_is_the_only_finding_and_has_one_remedy() => Assert.All(Table, row =>
    {
        var wrong = DoctorChecks.Run(row.Facts).Where(finding => finding.Severity != FindingSeverity.Note
            && (finding.Id != "udev-rules-missing" || row.Id == "udev-rules-missing")).ToList();
        var finding = Assert.Single(wrong);
        Assert.Equal(row.Id, finding.Id);
        Assert.Contains(row.Remedy.ToString(), finding.Remedy.ToString(), StringComparison.Ordinal);
        Assert.True(finding.Text.Length > 10 && !finding.Remedy.ToString().Contains('\n'), row.Id);
    });

    [Fact]
    public void Only_the_users_own_files_are_repaired_and_no_regular_file_is_replaced()
    {
        Assert.Equal(
            ["component-missing", "component-not-excluded", "component-not-included", "component-old", "macros-missing",
                "macros-not-included", "macros-old", "service-not-allowed"],
            Table.SelectMany(row => DoctorChecks.Run(row.Facts)).Where(finding => finding.Fix is not null).Select(finding => finding.Id)
                .Distinct().Order());
        Assert.Null(DoctorChecks.Run(Well with { Data = Data with { Macros = Data.Macros! with { Is = false, IsFile = true } } })
            .Single().Fix);
    }

    [Fact]
    public void Sixteen_ports_with_errors_give_eight_findings()
    {
        var log = Enumerable.Range(1, 16).Select(port => $"usb 1-1.{port}: device descriptor read/64, error -71\u001b[31m").ToList();
        var findings = DoctorChecks.Run(Well with { KernelLog = log });
        Assert.Equal(8, findings.Length);
        Assert.All(findings, finding => Assert.DoesNotContain('\u001b', finding.Text));
    }
}
