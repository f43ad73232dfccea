using System.Collections.Immutable;
using System.Text;
using CsCheck;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Tests.Linux;

public sealed class LinuxHardwareTests
{
    [Fact]
    public void Devices_are_read_with_everything_that_sysfs_says()
    {
        using var tree = new SysfsTree();
        tree.Plug("1-1.3.2", "1d50:614e", 17, "btt-octopus-11", "ttyACM0");
        tree.Plug("2-1", "0483:df11", 4, "203739645542", interfaceClass: 0xFE, driver: null, product: "STM32  BOOTLOADER");
        tree.Plug("1-1", "1a40:0101", 2, deviceClass: 9, driver: "hub");
        SysfsTree.Link($"{tree.Sys}/bus/usb/devices/usb2", "../../../devices/platform/soc/5311400.usb/usb2");
        using var hardware = Of(tree);
        Assert.Equal(["1-1.3.2", "2-1"], Look(hardware).Devices.Select(device => device.Port));
        var (klipper, dfu) = (Look(hardware).Devices[0], Look(hardware).Devices[1]);
        Assert.Equal((UsbId.Klipper, "btt-octopus-11", "stm32f446xx", $"{tree.Dev}/ttyACM0", "cdc_acm", (ushort)0x0200),
            (klipper.Usb, klipper.Serial, klipper.Product, klipper.Node, klipper.Driver, klipper.Release));
        Assert.Equal((DfuSeDriver.Id, "203739645542", "STM32  BOOTLOADER", null, null),
            (dfu.Usb, dfu.Serial, dfu.Product, dfu.Node, dfu.Driver));
        Assert.False(dfu.LacksSerialDriver);
        Assert.Equal((null, "5311400.usb"), (klipper.Controller, dfu.Controller));
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData("cdc_acm", null, true)]
    [InlineData("cdc_acm", "ttyACM0", false)]
    [InlineData("usbfs", null, false)]
    public void A_serial_port_without_a_driver_is_listed_and_says_so(string? driver, string? tty, bool lacksDriver)
    {
        using var tree = new SysfsTree();
        tree.Plug("1-1", "1d50:614e", 5, "one", tty, driver: driver);
        using var hardware = Of(tree);
        var device = Assert.Single(Look(hardware).Devices, device => device.Usb is not null);
        Assert.Equal(("stm32f446xx", lacksDriver), (device.Product, device.LacksSerialDriver));
    }

    [Fact]
    public void Wired_ports_are_listed_and_those_that_do_not_exist_are_not()
    {
        using var tree = new SysfsTree();
        Wire("ttyAMA0", "32", "uart-pl011");
        Wire("ttyS0", "0", "serial8250");
        Wire("ttyUSB0", null, "ch341-uart");
        using var hardware = Of(tree);
        Assert.Equal(["ttyAMA0", "ttyUSB0"], Look(hardware).Devices.Select(device => device.Port));
        Assert.All(Look(hardware).Devices, device => Assert.Null(device.Usb));

        void Wire(string name, string? type, string driver)
        {
            tree.Write($"{tree.Sys}/class/tty/{name}/dev", "4:64\n");
            if (type is not null)
                tree.Write($"{tree.Sys}/class/tty/{name}/type", type + "\n");
            Directory.CreateDirectory($"{tree.Sys}/class/tty/{name}/device");
            SysfsTree.Link($"{tree.Sys}/class/tty/{name}/device/driver", $"../{driver}");
        }
    }

    [Fact]
    public void A_board_that_comes_back_is_another_stay_and_one_that_stays_is_the_same()
    {
        using var tree = new SysfsTree();
        tree.Plug("1-1", "1d50:614e", 5, "one", "ttyACM0");
        tree.Plug("1-2", "1d50:614e", 6, "two", "ttyACM1");
        using var hardware = Of(tree);
        var first = Look(hardware);
        tree.Unplug("1-1");
        tree.Plug("1-1", "1d50:614e", 7, "one", "ttyACM0");
        var second = Look(hardware);
        Assert.True(second.Generation > first.Generation);
        Assert.False(second.Devices[0].IsSameSession(first.Devices[0]));
        Assert.True(second.Devices[1].IsSameSession(first.Devices[1]));
        Assert.Equal(second.Generation, Look(hardware).Generation);
    }

    [Fact]
    public void A_device_is_listed_when_udev_is_done_with_it_and_its_port()
    {
        using var tree = new SysfsTree().WithUdev();
        using var hardware = Of(tree);
        tree.Plug("1-1", "1d50:614e", 5, "one");
        Assert.Empty(Look(hardware).Devices);
        tree.Finish("c189:4");
        Assert.Empty(Look(hardware).Devices);   // cdc_acm has not made its port yet
        tree.Unplug("1-1");
        tree.Plug("1-1", "1d50:614e", 5, "one", "ttyACM0");
        Assert.Empty(Look(hardware).Devices);   // whose owner is not set yet
        tree.Finish("c166:0");
        Assert.Equal($"{tree.Dev}/ttyACM0", Assert.Single(Look(hardware).Devices).Node);
    }

    [Fact]
    public void A_board_whose_driver_never_came_is_listed_without_a_port()
    {
        using var tree = new SysfsTree().WithUdev();
        tree.Plug("1-1", "1d50:614e", 5, "one", driver: null);
        tree.Finish("c189:4", longAgo: true);
        using var hardware = Of(tree);
        Assert.Null(Assert.Single(Look(hardware).Devices).Node);
    }

    [Fact]
    public async Task What_udev_never_finishes_is_listed_all_the_same()
    {
        using var tree = new SysfsTree().WithUdev();
        using var hardware = Of(tree);
        tree.Plug("1-1", "0483:df11", 5, "one", interfaceClass: 0xFE, driver: null);
        var before = Look(hardware);
        Assert.Empty(before.Devices);
        Assert.Single(
            (await hardware.WaitForChangeAsync(before.Generation, CancellationToken.None).WaitAsync(TimeSpan.FromMinutes(1))).Devices);
    }

    [Fact]
    public async Task The_kernels_announcement_ends_every_wait()
    {
        const string Announce = "/sys/class/net/lo/uevent";
        Assert.SkipUnless(Environment.UserName == "root", "only root can make the kernel announce something");
        using var tree = new SysfsTree();
        using var hardware = Of(tree);
        var before = Look(hardware);
        var waits = new[] { hardware.WaitForChangeAsync(before.Generation, CancellationToken.None),
            hardware.WaitForChangeAsync(before.Generation, CancellationToken.None) };
        tree.Plug("1-1", "1d50:614e", 5, "one", "ttyACM0");
        Assert.All(waits, wait => Assert.False(wait.IsCompleted));
        await File.WriteAllTextAsync(Announce, "change");
        foreach (var wait in waits)
            Assert.Equal("1-1", Assert.Single((await wait.WaitAsync(TimeSpan.FromMinutes(1))).Devices).Port);
        // And one that is given the past ends at once.
        Assert.True(hardware.WaitForChangeAsync(before.Generation, CancellationToken.None).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_wait_that_is_cancelled_ends()
    {
        using var tree = new SysfsTree();
        using var hardware = Of(tree);
        using var cancel = new CancellationTokenSource();
        var wait = hardware.WaitForChangeAsync(Look(hardware).Generation, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
    }

    [Fact]
    public async Task A_stay_that_is_over_cannot_be_opened()
    {
        using var tree = new SysfsTree();
        tree.Plug("1-1", "1d50:614e", 5, "one", "ttyACM0");
        using var hardware = Of(tree);
        var device = Look(hardware).Devices[0];
        tree.Unplug("1-1");
        hardware.LookAgain();
        await Assert.ThrowsAsync<DeviceGoneException>(() => hardware.OpenSerialAsync(device, SerialMode.Klipper));
        await Assert.ThrowsAsync<DeviceGoneException>(() => hardware.OpenUsbAsync(device));
        await Assert.ThrowsAsync<DeviceGoneException>(() => hardware.TouchAsync(device, 1200));
    }

    [Fact]
    public void Only_events_of_usb_serial_and_network_devices_count()
    {
        Assert.True(Concerns("add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0SEQNUM=1\0"));
        Assert.True(Concerns("libudev\0\xFE\xED\xCA\xFE....SUBSYSTEM=tty\0"));
        Assert.False(Concerns("add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=usb\0"));
        Assert.False(Concerns("SUBSYSTEM=usbmon\0"));
        Assert.False(Concerns(""));
        static bool Concerns(string text) => Uevents.Concerns(Encoding.Latin1.GetBytes(text));
    }

    [Fact]
    public void The_active_configuration_is_found_whatever_the_descriptors_claim()
    {
        byte[] device = [18, 1, .. new byte[16]];
        byte[] one = [9, 2, 12, 0, 1, 1, 0, 0, 0, 3, 0xAA, 0];
        byte[] two = [9, 2, 11, 0, 1, 2, 0, 0, 0, 2, 0xBB];
        byte[] blob = [.. device, .. one, .. two];
        Assert.Equal(one, DescriptorBlob.Configuration(blob, 1).ToArray());
        Assert.Equal(two, DescriptorBlob.Configuration(blob, 2).ToArray());
        Assert.Equal(one, DescriptorBlob.Configuration(blob, null).ToArray());
        Assert.Equal(one[..10], DescriptorBlob.Configuration(blob.AsMemory(0, 28), 1).ToArray());   // cut short
        Gen.Byte.Array[0, 64].Sample(bytes =>
        {
            var found = DescriptorBlob.Configuration(bytes, 1);
            return found.Length <= Math.Max(0, bytes.Length - 18);
        });
    }

    /// <summary>A folder announces nothing by itself.</summary>
    private static DeviceList Look(LinuxHardware hardware)
    {
        hardware.LookAgain();
        return hardware.Look();
    }

    private static LinuxHardware Of(SysfsTree tree) =>
        new(TimeProvider.System, new Sysfs(tree.Sys, tree.Udev, tree.Dev), ImmutableArray<string>.Empty);
}
