using System.Runtime.Versioning;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Doctor in throw-away roots with a fake home, and beside a virtual Moonraker.</summary>
[SupportedOSPlatform("linux")]
public sealed class SystemProbeTests : IDisposable
{
    private static readonly Device Octopus =
        new() { Port = "1-1.1", Number = 1, Usb = UsbId.Klipper, Product = "stm32f446xx", Node = "/dev/ttyACM0" };

    private readonly string _root = Directory.CreateTempSubdirectory("rf-doctor-").FullName;

    public SystemProbeTests()
    {
        Write("proc/self/status", "Name:\tratos-flash\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t20 46\n");
        Write("proc/self/mounts", "/dev/root / ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\n");
        Write("proc/812/comm", "klippy\n");
        Write("etc/group", "root:x:0:\ntty:x:5:\ndialout:x:20:\nplugdev:x:46:\n");
        Write("etc/udev/rules.d/99-ratos-flash.rules", "rules\n");
        Write("usr/lib/systemd/systemd", "\u007fELF\u0002\u0001\u0001");
        Write("home/pi/ratos-flash/install.sh", "");
        Write("home/pi/ratos-flash/99-ratos-flash.rules", "rules\n");
        Write("home/pi/ratos-flash/config/ratos_flash.cfg", "[gcode_macro FLASH_MCU]\n[gcode_macro FLASH_STATUS]\n");
        Write("home/pi/ratos-flash/moonraker-component/ratos_flash.py", "component\n");
        Write("home/pi/printer_data/config/printer.cfg", "[include ratos_flash.cfg]\n[mcu]\n");
        Write("home/pi/printer_data/moonraker.asvc", "klipper_mcu\nratos-flash\n");
        foreach (var file in (string[])["Makefile", "src/Kconfig", "src/Makefile", "scripts/x", "klippy/.version"])
            Write($"home/pi/klipper/{file}", "v0.13.0\n");
        foreach (var tool in (string[])["make", "python3", "arm-none-eabi-gcc", "arm-none-eabi-as", "arm-none-eabi-ld",
                "arm-none-eabi-objcopy"])
            Program(tool, "exit 0");
        Directory.CreateDirectory(At("home/pi/moonraker/moonraker/components"));
        File.CreateSymbolicLink(At("home/pi/printer_data/config/ratos_flash.cfg"), At("home/pi/ratos-flash/config/ratos_flash.cfg"));
        File.CreateSymbolicLink(At("home/pi/moonraker/moonraker/components/ratos_flash.py"),
            At("home/pi/ratos-flash/moonraker-component/ratos_flash.py"));
    }

    private DataFolder Data => new(At("home/pi/printer_data"));

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private string At(string path) => Path.Combine(_root, path);

    private void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(path))!);
        File.WriteAllText(At(path), text);
    }

    private void Program(string name, string script)
    {
        Write($"usr/bin/{name}", $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(At($"usr/bin/{name}"), (UnixFileMode)0x1ED);
    }

    private async Task<IReadOnlyList<DoctorFinding>> FindAsync(params Device[] devices) => DoctorChecks.Run(await new SystemProbe
    {
        Root = _root,
        Home = At("home/pi"),
        User = "pi",
        Folder = At("home/pi/ratos-flash"),
        SearchPath = At("usr/bin"),
        Time = TimeProvider.System,
        Sources = At("home/pi/klipper"),
        Chips = ["stm32f446xx"],
        Devices = devices,
        Data = (Data, Product.Version),
    }.ProbeAsync(new MoonrakerFacts()));

    private async Task ExpectAsync(params string[] ids) =>
        Assert.Equal(ids.Order(), (await FindAsync()).Select(finding => finding.Id).Order());

    [Fact]
    public async Task A_correct_installation_has_no_findings() => await ExpectAsync();

    [Fact]
    public async Task Missing_files_and_tools_are_found()
    {
        File.Delete(At("etc/udev/rules.d/99-ratos-flash.rules"));
        File.Delete(At("usr/bin/arm-none-eabi-gcc"));
        File.Delete(At("home/pi/printer_data/config/ratos_flash.cfg"));
        File.Delete(At("home/pi/klipper/src/Kconfig"));
        Write("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nGroups:\t20\n");
        Write("proc/900/comm", "ModemManager\n");
        Program("python3", "echo \"ModuleNotFoundError: No module named '_curses'\" >&2; exit 1");
        await ExpectAsync("udev-rules-missing", "toolchain-missing", "macros-missing", "not-a-klipper-tree",
            "not-in-group", "grabber-modemmanager", "python-broken");
    }

    [Fact]
    public async Task A_systemd_of_32_bits_leaves_a_part_of_the_sandbox_without_effect()
    {
        Write("usr/lib/systemd/systemd", "\u007fELF\u0001\u0001\u0001");
        await ExpectAsync("sandbox-partial");
        File.Delete(At("usr/lib/systemd/systemd"));
        Write("lib/systemd/systemd", "\u007fELF\u0001\u0001\u0001");
        await ExpectAsync("sandbox-partial");
        Write("lib/systemd/systemd", "");
        await ExpectAsync();
    }

    [Fact]
    public async Task Old_and_broken_files_are_not_taken_for_current()
    {
        Write("etc/udev/rules.d/99-ratos-flash.rules", "older rules\n");
        Write("home/pi/ratos-flash/moonraker-component/ratos_flash.py", "newer\n");
        File.Delete(At("home/pi/moonraker/moonraker/components/ratos_flash.py"));
        Write("home/pi/moonraker/moonraker/components/ratos_flash.py", "component\n");
        Write("proc/self/mounts", "/dev/root / ext4 ro,noatime 0 0\n");
        Directory.CreateDirectory(At("home/pi/klipper/.git/hooks"));
        File.CreateSymbolicLink(At("home/pi/klipper/.git/hooks/post-merge"),
            "/home/pi/printer_data/config/RatOS/scripts/klipper-post-merge.sh");
        Write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
        Write("var/log/kern.log", "Nov 27 12:00:00 pi kernel: [1.0] usb 1-1.3: device descriptor read/64, error -71\n");
        var ids = (await FindAsync()).Select(finding => finding.Id).ToList();
        Assert.Equal(
            ((string[])["udev-rules-old", "component-old", "disk-read-only", "ratos-hook-broken", "undervoltage", "usb-errors"]).Order(),
            ids.Where(id => !id.StartsWith("klipper-git", StringComparison.Ordinal)).Order());
    }

    [Fact]
    public async Task A_node_that_only_root_may_open_is_reported_with_its_device()
    {
        Write("dev/ttyACM0", "");
        File.SetUnixFileMode(At("dev/ttyACM0"), UnixFileMode.None);
        Write("sys/bus/usb/devices/1-1.1/busnum", "1\n");
        Write("sys/bus/usb/devices/1-1.1/devnum", "7\n");
        Write("dev/bus/usb/001/007", "");
        File.SetUnixFileMode(At("dev/bus/usb/001/007"), (UnixFileMode)0x1B6);
        var finding = Assert.Single(await FindAsync(Octopus));
        Assert.Equal("node-closed", finding.Id);
        Assert.Contains("/dev/ttyACM0 (stm32f446xx)", finding.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Repaired_problems_are_gone_and_nothing_else_was_touched()
    {
        File.Delete(At("home/pi/printer_data/config/ratos_flash.cfg"));
        File.CreateSymbolicLink(At("home/pi/printer_data/config/ratos_flash.cfg"), "/nowhere");
        File.Delete(At("home/pi/moonraker/moonraker/components/ratos_flash.py"));
        Write("home/pi/printer_data/moonraker.asvc", "klipper_mcu");
        var findings = await FindAsync();
        Assert.Equal(["component-missing", "macros-missing", "service-not-allowed"], findings.Select(finding => finding.Id).Order());
        Assert.All(findings, finding => Assert.True(finding.Fix!.TryApply()));
        await ExpectAsync();
        Assert.Equal("ratos-flash\nklipper_mcu", File.ReadAllText(At("home/pi/printer_data/moonraker.asvc")));
        Assert.Equal(At("home/pi/ratos-flash/config/ratos_flash.cfg"),
            new FileInfo(At("home/pi/printer_data/config/ratos_flash.cfg")).LinkTarget);

        // A regular file is reported and left alone.
        File.Delete(At("home/pi/printer_data/config/ratos_flash.cfg"));
        Write("home/pi/printer_data/config/ratos_flash.cfg", "mine\n");
        Assert.Null(Assert.Single(await FindAsync()).Fix);
        // Where the user has a macro of that name, ours are left out.
        File.Delete(At("home/pi/printer_data/config/ratos_flash.cfg"));
        Write("home/pi/printer_data/config/mine/macros.cfg", "[gcode_macro  Flash_Status]\n");
        Write("home/pi/printer_data/config/printer.cfg", "[include mine/*.cfg]\n");
        await ExpectAsync();
    }

    /// <summary>
    /// A hard recovery of Moonraker is a new clone, and RatOS's wizard writes printer.cfg again: each takes its part of the installation.
    /// </summary>
    [Fact]
    public async Task What_a_recovery_of_Moonraker_and_RatOSs_wizard_take_is_put_back()
    {
        var (printer, moonraker) = (At("home/pi/printer_data/config/printer.cfg"), At("home/pi/printer_data/config/moonraker.conf"));
        Write("home/pi/moonraker/.git/info/exclude", "# git ls-files\n");
        File.Delete(At("home/pi/moonraker/moonraker/components/ratos_flash.py"));
        Write("home/pi/printer_data/config/ratos-flash-moonraker.conf", "[ratos_flash]\n");
        Write("home/pi/printer_data/config/moonraker.conf", "[include RatOS/moonraker.conf]\n");
        Write("home/pi/printer_data/config/RatOS.cfg", "[printer]\n");
        Write("home/pi/generated/printer.cfg", "[include RatOS.cfg]\n");
        File.SetUnixFileMode(At("home/pi/generated/printer.cfg"), (UnixFileMode)0x1B4);
        File.Delete(printer);
        File.CreateSymbolicLink(printer, At("home/pi/generated/printer.cfg"));
        var findings = await FindAsync();
        Assert.Equal(["component-missing", "component-not-excluded", "component-not-included", "macros-not-included"],
            findings.Select(finding => finding.Id).Order());
        Assert.All(findings, finding => Assert.True(finding.Fix!.TryApply()));
        await ExpectAsync();
        Assert.Equal("[include ratos_flash.cfg]\n[include RatOS.cfg]\n", File.ReadAllText(printer));
        Assert.NotNull(new FileInfo(printer).LinkTarget);
        Assert.Equal((UnixFileMode)0x1B4, File.GetUnixFileMode(At("home/pi/generated/printer.cfg")));
        Assert.Equal("[include RatOS.cfg]\n", File.ReadAllText(At("home/pi/generated/printer.cfg.ratos-flash-backup")));
        Assert.Equal("[include ratos-flash-moonraker.conf]\n[include RatOS/moonraker.conf]\n", File.ReadAllText(moonraker));
        Assert.Equal("moonraker/components/ratos_flash.py\n# git ls-files\n",
            File.ReadAllText(At("home/pi/moonraker/.git/info/exclude")));

        // An include in another file counts, and so does a pattern. Klipper would not start with two.
        Write("home/pi/generated/printer.cfg", "[include RatOS.cfg]\n");
        Write("home/pi/printer_data/config/RatOS.cfg", "[include ratos_*.cfg]\n");
        File.Delete(At("home/pi/moonraker/.git/info/exclude"));
        Assert.Equal("component-not-excluded", Assert.Single(await FindAsync()).Id);
    }

    [Fact]
    public async Task The_process_that_is_an_MCU_wants_its_unit_and_its_group()
    {
        Write("etc/systemd/system/klipper-mcu.service", "");
        await ExpectAsync("host-mcu-unit", "not-in-group");
        Write("etc/systemd/system/ratos-flash-host-mcu.service", "");
        Assert.Contains("may not start or stop ratos-flash-host-mcu",
            (await FindAsync()).Single(finding => finding.Id == "service-not-allowed").Text, StringComparison.Ordinal);
        Write("home/pi/printer_data/moonraker.asvc", "ratos-flash\nratos-flash-host-mcu\n");
        Write("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nGroups:\t5 20 46\n");
        await ExpectAsync();
    }

    [Theory]
    [InlineData("/home/pi/printer_data", "ratos-flash")]
    [InlineData("/home/pi/printer_left_data", "ratos-flash-left")]
    [InlineData("/home/pi/odd.place", "ratos-flash-odd-place")]
    public void The_unit_has_the_name_that_install_sh_gives_it(string folder, string unit) =>
        Assert.Equal(unit, new DataFolder(folder).Unit);

    [Fact]
    public void The_agent_runs_doctor_and_knows_what_Moonraker_has_loaded() => AgentStory.Of(async story =>
    {
        var answer = await story.RequestAsync("doctor");
        Assert.True(answer.Flag("ok"));
        var ids = answer.Items("checks").Select(check => check.Word("id")).ToList();
        Assert.Contains("component-not-loaded", ids);
        Assert.All(answer.Items("checks"), check =>
            Assert.True(check.Word("severity") is "problem" or "warning" or "note" && check.Word("remedy") is { Length: > 3 }));
        Assert.DoesNotContain("moonraker-gone", ids);
    }, setup: new MoonrakerSetup { HasComponent = false });
}
