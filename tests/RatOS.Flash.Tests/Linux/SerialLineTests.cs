using System.Diagnostics;
using System.Runtime.InteropServices;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Linux;

/// <summary>On real pseudo terminals and with real processes.</summary>
public sealed class SerialLineTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Every_byte_passes_unchanged_both_ways()
    {
        using var pty = new Pty();
        await using var line = Open(pty);
        var all = Enumerable.Range(0, 256).Select(value => (byte)value).ToArray();
        await line.WriteAsync(all);
        Assert.Equal(all, await FarAsync(pty, 256));
        await pty.Far.WriteAsync(all);
        var got = new byte[256];
        for (var at = 0; at < got.Length;)
        {
            var length = await line.ReadAsync(got.AsMemory(at), Long);
            Assert.InRange(length, 1, got.Length - at);
            at += length;
        }
        Assert.Equal(all, got);
    }

    [Fact]
    public async Task What_came_before_the_port_was_opened_is_not_echoed_and_not_read()
    {
        using var pty = new Pty();
        await pty.Far.WriteAsync(new byte[] { 1, 2, 3, 10 });
        await using var line = Open(pty);
        Assert.Equal(0, await line.ReadAsync(new byte[8], TimeSpan.FromMilliseconds(50)));
        await line.WriteAsync(new byte[] { 0x7E });
        // The terminal echoed them to their sender while it was not open; the following bytes are only ours.
        var far = new List<byte>();
        while (!far.Contains(0x7E))
            far.AddRange(await FarAsync(pty, 1));
        Assert.Equal(0x7E, far[^1]);
    }

    [Fact]
    public async Task A_read_ends_empty_when_its_time_is_over()
    {
        using var pty = new Pty();
        await using var line = Open(pty);
        Assert.Equal(0, await line.ReadAsync(new byte[8], TimeSpan.FromMilliseconds(20)));
        Assert.Equal(0, await line.ReadAsync(new byte[8], TimeSpan.Zero));
    }

    [Fact]
    public async Task A_device_that_leaves_ends_the_read_that_waits_and_everything_after()
    {
        using var pty = new Pty();
        await using var line = Open(pty);
        await pty.Far.WriteAsync(new byte[] { 5 });
        Assert.Equal(1, await line.ReadAsync(new byte[8], Long));
        var waiting = line.ReadAsync(new byte[8], Long).AsTask();
        pty.Dispose();
        await Assert.ThrowsAsync<DeviceGoneException>(() => waiting.WaitAsync(Long));
        await Assert.ThrowsAsync<DeviceGoneException>(() => line.ReadAsync(new byte[8], Long).AsTask());
        await Assert.ThrowsAsync<DeviceGoneException>(() => line.WriteAsync(new byte[] { 1 }).AsTask());
    }

    [Theory]
    [InlineData(250_000, false)]
    [InlineData(115_200, true)]
    [InlineData(1_200, false)]
    [InlineData(333_333, false)]
    public async Task Odd_rates_are_set_and_the_port_is_raw(int baud, bool even)
    {
        using var pty = new Pty();
        await using var line = Open(pty, new SerialMode(baud, even));
        // The far end sees the same settings: struct termios2 of the kernel.
        var termios = new byte[44];
        Assert.Equal(0, Libc.Ioctl(pty.Far.SafeFileHandle, 0x802C542A, termios));
        Assert.Equal((baud, baud), (BitConverter.ToInt32(termios, 36), BitConverter.ToInt32(termios, 40)));
        // raw
        Assert.Equal((0u, 0u, 0u),
            (BitConverter.ToUInt32(termios, 0), BitConverter.ToUInt32(termios, 4), BitConverter.ToUInt32(termios, 12)));
    }

    [Fact]
    public async Task A_port_that_is_open_here_cannot_be_opened_twice()
    {
        using var pty = new Pty();
        await using var line = Open(pty);
        Assert.Equal("port-held", Assert.Throws<FlashException>(() => SerialPort.Open(pty.Device, SerialMode.Klipper)).Code);
    }

    [Fact]
    public void A_port_that_another_process_has_open_is_refused_and_the_process_is_named()
    {
        using var pty = new Pty();
        using var held =
            Process.Start(new ProcessStartInfo("sh",
                ["-c", $"exec 3<>{pty.Node}; echo open; exec sleep 60"])
            { RedirectStandardOutput = true, UseShellExecute = false })!;
        try
        {
            Assert.Equal("open", held.StandardOutput.ReadLine());
            var fault = Assert.Throws<FlashException>(() => SerialPort.Open(pty.Device, SerialMode.Klipper));
            Assert.Equal("port-held", fault.Code);
            Assert.Contains($"process {held.Id}", fault.Cause, StringComparison.Ordinal);
        }
        finally
        {
            held.Kill();
        }
    }

    [Fact]
    public void A_port_that_is_not_there_has_left()
    {
        Assert.Throws<DeviceGoneException>(() =>
            SerialPort.Open(new Device { Port = "ttyACM77", Number = 1, Node = "/dev/ttyACM77" }, SerialMode.Klipper));
        Assert.Equal("no-serial-driver",
            Assert.Throws<FlashException>(() =>
                SerialPort.Open(new Device { Port = "1-1", Number = 1, Usb = UsbId.Klipper }, SerialMode.Klipper)).Code);
        var taken = new Device { Port = "1-1", Number = 1, Usb = UsbId.Klipper, Driver = "usbfs" };
        Assert.Contains("usbfs", Assert.Throws<FlashException>(() => SerialPort.Open(taken, SerialMode.Klipper)).Cause,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_port_is_a_fault_with_a_remedy()
    {
        var file = Path.GetTempFileName();
        Assert.Equal("port-unusable",
            Assert.Throws<FlashException>(() =>
                SerialPort.Open(new Device { Port = file, Number = 1, Node = file }, SerialMode.Klipper)).Code);
        File.Delete(file);
    }

    /// <summary>Root may open everything, so the program runs as the user nobody.</summary>
    [Fact]
    public async Task A_user_without_permission_sees_which_group_or_rule_is_missing()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become somebody else");
        using var pty = new Pty();
        await ShAsync($"chgrp tty {pty.Node} && chmod 660 {pty.Node}");
        Assert.Contains("usermod -aG tty", await AsNobodyAsync(pty), StringComparison.Ordinal);
        await ShAsync($"chgrp root {pty.Node} && chmod 600 {pty.Node}");
        Assert.Contains("99-ratos-flash.rules", await AsNobodyAsync(pty), StringComparison.Ordinal);
    }

    private static async Task<string> AsNobodyAsync(Pty pty)
    {
        // A place that the user nobody can read: the tests may be in a folder of root's.
        var folder = Directory.CreateTempSubdirectory().FullName;
        await File.WriteAllBytesAsync($"{folder}/klipper.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0",
            link: FirmwareLink.Uart));
        // Not this process's own program: that is the muxer or the tests' apphost, as they were started.
        var runtime = new DirectoryInfo(RuntimeEnvironment.GetRuntimeDirectory());
        var dotnet = runtime.Parent!.Parent!.Parent!.FullName;
        const string Nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        return await ShAsync(
            $"cp '{AppContext.BaseDirectory}'/*.dll '{AppContext.BaseDirectory}'/ratos-flash.runtimeconfig.json "
            + $"'{AppContext.BaseDirectory}'/ratos-flash.deps.json '{folder}'; "
            + $"dotnet='{dotnet}'; if ! {Nobody} test -x \"$dotnet/dotnet\" -a -r '{runtime.FullName}/System.Private.CoreLib.dll'; then "
            + $"dotnet='{folder}'; "
            + $"mkdir -p '{folder}/shared/{runtime.Parent.Name}' && cp -r '{dotnet}/dotnet' '{dotnet}/host' '{folder}' && cp -r "
            + $"'{runtime.FullName}' '{folder}/shared/{runtime.Parent.Name}/{runtime.Name}'; fi; "
            + $"chmod -R a+rX '{folder}' && cd / && {Nobody} env HOME=/nonexistent DOTNET_ROOT=\"$dotnet\" \"$dotnet/dotnet\" "
            + $"'{folder}/ratos-flash.dll' "
            + $"flash btt-octopus-11 --no-klipper --yes --port {pty.Node} --firmware '{folder}/klipper.bin' --log /dev/null 2>&1; rm -rf "
            + $"'{folder}'");
    }

    private static SerialLine Open(Pty pty, SerialMode? mode = null) =>
        new(pty.Device, SerialPort.Open(pty.Device, mode ?? SerialMode.Klipper), TimeProvider.System);

    private static async Task<byte[]> FarAsync(Pty pty, int atLeast)
    {
        var all = new List<byte>();
        var buffer = new byte[512];
        while (all.Count < atLeast)
            all.AddRange(buffer[..await pty.Far.ReadAsync(buffer)]);
        return [.. all];
    }

    private static async Task<string> ShAsync(string command)
    {
        using var shell =
            Process.Start(new ProcessStartInfo("sh",
                ["-c", command])
            { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var text = await shell.StandardOutput.ReadToEndAsync() + await shell.StandardError.ReadToEndAsync();
        await shell.WaitForExitAsync();
        return text;
    }
}
