using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Tests.Linux;

/// <summary>What installed udev rules allow a user who is not root, in rules as packages have them.</summary>
public sealed class UdevRulesTests : IDisposable
{
    private static readonly UsbId Rom = new(0x0483, 0xdf11);

    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("rf-udev-");

    public void Dispose() => _root.Delete(recursive: true);

    [Theory]
    [InlineData(null, "add this line to /etc/udev/rules.d/99-ratos-flash.rules: SUBSYSTEM==\"usb\", ATTR{idVendor}==\"0483\"")]
    [InlineData("""SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", MODE="0664" """, "99-ratos-flash.rules")]
    [InlineData("""#ATTR{idVendor}=="0483", ATTR{idProduct}=="df11", MODE="0666" """, "99-ratos-flash.rules")]
    [InlineData("""ATTR{idVendor}=="0483", ATTR{idProduct}=="3748", MODE="0666" """, "99-ratos-flash.rules")]
    [InlineData("""ATTR{idVendor}=="0483", ATTR{idProduct}=="df11", MODE="0666" """, null)]
    [InlineData("""ATTRS{idVendor}=="0483", ATTRS{idProduct}=="df1?|5740", MODE="664", TAG+="uaccess" """, null)]
    [InlineData("""ATTRS{idVendor}=="0483", \<LF>  MODE:="0666" """, null)]
    [InlineData("""ATTRS{idVendor}=="0483", ATTRS{idProduct}=="DF11", MODE="664", GROUP="no-such-group" """, "usermod -aG no-such-group")]
    [InlineData("""SUBSYSTEM=="usb", MODE="0666" """, null)]
    [InlineData("""SUBSYSTEM=="usb", ATTR{product}=="STM32*BOOTLOADER", MODE="0666" """, null)]
    public void A_missing_permission_is_known_before_the_bootloader_appears(string? rule, string? remedy)
    {
        Directory.CreateDirectory(Path.Combine(_root.FullName, "run/udev"));
        File.WriteAllText(Path.Combine(_root.FullName, "run/udev/control"), "");
        if (rule is not null)
        {
            var folder = Directory.CreateDirectory(Path.Combine(_root.FullName, "usr/lib/udev/rules.d"));
            File.WriteAllText(Path.Combine(folder.FullName, "60-other.rules"), rule.Replace("<LF>", "\n", StringComparison.Ordinal));
        }
        var fault = new UdevRules(_root.FullName) { IsRoot = false }.WhyClosed(Rom);
        if (remedy is null)
            Assert.Null(fault);
        else
            Assert.Contains(remedy, fault!.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Our_own_rules_name_the_ROM_and_its_group()
    {
        Directory.CreateDirectory(Path.Combine(_root.FullName, "run/udev"));
        File.WriteAllText(Path.Combine(_root.FullName, "run/udev/control"), "");
        var folder = Directory.CreateDirectory(Path.Combine(_root.FullName, "etc/udev/rules.d"));
        File.Copy(Path.Combine(AppContext.BaseDirectory, "99-ratos-flash.rules"), Path.Combine(folder.FullName, "99-ratos-flash.rules"));
        var fault = new UdevRules(_root.FullName) { IsRoot = false, IsMember = static group => group == "plugdev" }.WhyClosed(Rom);
        Assert.Null(fault);
        fault = new UdevRules(_root.FullName) { IsRoot = false, IsMember = static _ => false }.WhyClosed(Rom);
        Assert.Contains("usermod -aG plugdev", fault!.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_udev_and_for_root_nothing_is_refused()
    {
        Assert.Null(new UdevRules(_root.FullName) { IsRoot = false }.WhyClosed(Rom));
        Assert.Null(new UdevRules(_root.FullName) { IsRoot = true }.WhyClosed(Rom));
    }
}
