using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Tests.Linux;

/// <summary>Where the kernel has a hub's switches, in a tree made of files.</summary>
public sealed class PortSwitchTests : IDisposable
{
    private readonly DirectoryInfo _sys = Directory.CreateTempSubdirectory("rf-sys-");

    private string Switch(string path)
    {
        var file = Path.Combine(_sys.FullName, "bus/usb/devices", path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, "0\n");
        return file;
    }

    [Theory]
    [InlineData("1-1", "1-0:1.0/usb1-port1/disable")]
    [InlineData("1-1.3", "1-1:1.0/1-1-port3/disable")]
    [InlineData("3-1.2.4", "3-1.2:1.0/3-1.2-port4/disable")]
    [InlineData("10-12", "10-0:1.0/usb10-port12/disable")]
    public void A_port_s_switch_lies_with_its_hub(string port, string path)
    {
        var sysfs = new Sysfs(_sys.FullName);
        Assert.Null(sysfs.PortSwitch(port));
        var file = Switch(path);
        Assert.Equal(Path.GetFullPath(file), Path.GetFullPath(sysfs.PortSwitch(port)!));
        Assert.True(PortSwitch.TrySet(file, isOff: true));
        Assert.Equal("1", File.ReadAllText(file));
    }

    [Theory]
    [InlineData("ttyAMA0")]
    [InlineData("../../etc")]
    [InlineData("can0")]
    [InlineData("1-1/..")]
    public void Text_that_is_not_a_port_has_no_port(string port) => Assert.Null(new Sysfs(_sys.FullName).PortSwitch(port));

    [Fact]
    public void One_that_cannot_be_written_is_left_alone() =>
        Assert.False(PortSwitch.TrySet(Path.Combine(_sys.FullName, "nowhere", "disable"), isOff: true));

    public void Dispose() => _sys.Delete(recursive: true);
}
