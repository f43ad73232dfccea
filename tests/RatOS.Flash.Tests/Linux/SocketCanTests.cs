using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Tests.Linux;

/// <summary>The Linux end of CAN: the kernel's structures byte by byte, and the port on a socket pair where there is no CAN.</summary>
public sealed partial class SocketCanTests
{
    private static readonly Device Can0 = new() { Port = "can0", Number = 1, Can = new CanLink(true, 1_000_000, null) };
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>Recorded frames are struct can_frame as the kernel gave it, with whatever stood behind a short one's data.</summary>
    [Fact]
    public void Recorded_frames_are_read_and_written_as_the_kernel_has_them()
    {
        var count = 0;
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Recordings", "katapult_g0b1_can_flash.raw"))
            .Where(line => line.Length > 0 && line[0] is '>' or '<'))
        {
            var bytes = Convert.FromHexString(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2]);
            var state = CanBusState.NotAcknowledged;
            var frame = SocketCan.Decode(bytes, ref state);
            Assert.Equal((bytes[4], CanBusState.Working), (frame!.Value.Length, state));
            bytes.AsSpan(8 + bytes[4]).Clear();
            Assert.Equal(bytes, SocketCan.Encode(frame.Value));
            count++;
        }
        Assert.True(count > 4000, $"{count} frames");
    }

    [Theory]
    // error passive, sending
    [InlineData("04000020" + "08000000" + "0020000000000000", CanBusState.Working, CanBusState.NotAcknowledged)]
    // error passive, listening
    [InlineData("04000020" + "08000000" + "0010000000000000", CanBusState.Working, CanBusState.NotAcknowledged)]
    // a warning is not yet trouble
    [InlineData("04000020" + "08000000" + "0008000000000000", CanBusState.Working, CanBusState.Working)]
    // no acknowledgement
    [InlineData("20000020" + "08000000" + "0000000000000000", CanBusState.Working, CanBusState.NotAcknowledged)]
    [InlineData("40000020" + "08000000" + "0000000000000000", CanBusState.NotAcknowledged, CanBusState.Off)]            // bus-off
    [InlineData("44000020" + "08000000" + "0020000000000000", CanBusState.Working, CanBusState.Off)]                    // both at once
    [InlineData("04000020" + "08000000" + "0020000000000000", CanBusState.Off, CanBusState.Off)]                        // off it stays
    [InlineData("00010020" + "08000000" + "0000000000000000", CanBusState.Off, CanBusState.Working)]                    // started again
    // error active again
    [InlineData("04000020" + "08000000" + "0040000000000000", CanBusState.NotAcknowledged, CanBusState.Working)]
    // a lost arbitration is daily life
    [InlineData("02000020" + "08000000" + "0000000000000000", CanBusState.Working, CanBusState.Working)]
    // 29 bits: none of ours
    [InlineData("01020080" + "08000000" + "0000000000000000", CanBusState.Off, CanBusState.Off)]
    [InlineData("01020040" + "00000000" + "0000000000000000", CanBusState.Off, CanBusState.Off)]                        // a remote frame
    // a length that none has
    [InlineData("01020000" + "09000000" + "0000000000000000", CanBusState.Off, CanBusState.Off)]
    public void Only_data_frames_are_returned_and_error_frames_give_the_state_of_the_bus(string hex, CanBusState before, CanBusState after)
    {
        var state = before;
        Assert.Null(SocketCan.Decode(Convert.FromHexString(hex), ref state));
        Assert.Equal(after, state);
    }

    [Fact]
    public void Interfaces_are_listed_with_their_adapters_port()
    {
        using var tree = new SysfsTree();
        Add("can0", "devices/platform/soc/3f980000.usb/usb1/1-1/1-1.5/1-1.5:1.0", 280, 0x40081, 4);
        Add("can1", "devices/platform/soc/3f204000.spi/spi_master/spi0/spi0.0", 280, 0x40080, 5);
        Add("vcan0", "devices/virtual", 280, 0xC1, 6);
        Add("eth0", "devices/platform/soc/3f980000.usb/usb1/1-1/1-1.1/1-1.1:1.0", 1, 0x1003, 2);
        var seen = CanInterfaces.List(tree.Sys).OrderBy(found => found.Device.Port, StringComparer.Ordinal).ToList();
        Assert.Equal(["can0", "can1", "vcan0"], seen.Select(found => found.Device.Port));
        Assert.Equal([(true, "1-1.5"), (false, null), (true, null)],
            seen.Select(found => (found.Device.Can!.IsUp, found.Device.Can.UsbPort)));
        Assert.All(seen, found => Assert.True(found.IsReady && found.Device is { Usb: null, Node: null, IsWired: false }));
        Assert.Equal("can0 4", seen[0].Session);   // another number when it comes back

        using var hardware = new LinuxHardware(TimeProvider.System, new Sysfs(tree.Sys, tree.Udev, tree.Dev), []);
        Assert.Equal(3, hardware.Look().Devices.Count(device => device.Can is not null));

        void Add(string name, string parent, int type, int flags, int index)
        {
            var folder = $"{tree.Sys}/{parent}/net/{name}";
            tree.Write($"{folder}/type", $"{type}\n");
            tree.Write($"{folder}/flags", $"0x{flags:x}\n");
            tree.Write($"{folder}/ifindex", $"{index}\n");
            Directory.CreateDirectory($"{tree.Sys}/class/net");
            SysfsTree.Link($"{tree.Sys}/class/net/{name}", $"../../{parent}/net/{name}");
        }
    }

    [Fact]
    public void An_interface_that_is_half_gone_is_not_listed()
    {
        using var tree = new SysfsTree();
        tree.Write($"{tree.Sys}/class/net/can0/type", "280\n");
        tree.Write($"{tree.Sys}/class/net/can1/type", "");
        Assert.Empty(CanInterfaces.List(tree.Sys));
    }

    [Fact]
    public void The_bitrate_is_found_in_the_kernels_description_of_a_link()
    {
        var timing = Attribute(1, [.. Word(500_000), .. new byte[28]]);   // struct can_bittiming
        var info = Attribute(18 | 0x8000,
            [.. Attribute(1, Encoding.ASCII.GetBytes("can\0")), .. Attribute(2, [.. Attribute(2, new byte[32]), .. timing])]);
        byte[] message = [.. Word(0), 16, 0, 0, 0, .. Word(0), .. Word(0), 0, 0, .. BitConverter.GetBytes((ushort)280), .. Word(4),
            .. Word(0xC1), .. Word(0),
            .. Attribute(3, Encoding.ASCII.GetBytes("can0\0")), .. info];
        Assert.Equal(500_000, CanInterfaces.BitrateOf(message));
        Assert.True(CanInterfaces.Concerns(message));
        for (var length = 0; length < message.Length; length++)
            Assert.True(CanInterfaces.BitrateOf(message.AsSpan(0, length)) is null or 500_000);
        message[18] = 1;
        Assert.False(CanInterfaces.Concerns(message));

        static byte[] Word(int value) => BitConverter.GetBytes(value);

        static byte[] Attribute(int type, byte[] data) =>
            [.. BitConverter.GetBytes((ushort)(data.Length + 4)), .. BitConverter.GetBytes((ushort)type), .. data,
                .. new byte[(4 - (data.Length % 4)) % 4]];
    }

    [Fact]
    public void This_computers_kernel_answers_for_a_link_without_a_bitrate() => Assert.Null(CanInterfaces.Bitrate(1));

    [Fact]
    public async Task A_port_carries_frames_both_ways_and_waits_no_longer_than_it_is_told()
    {
        var (near, far) = Pair();
        await using var port = new SocketCan(Can0, near, TimeProvider.System);
        await port.SendAsync(new CanFrame(0x3F0, 0x02, 1, 2, 3, 4, 5, 6));
        Assert.Equal("f00300000700000002010203040506" + "00", Convert.ToHexStringLower(Read(far)));
        Assert.Null(await port.ReceiveAsync(TimeSpan.FromMilliseconds(20)));
        var waiting = port.ReceiveAsync(Second * 30);
        Write(far, "04000020080000000020000000000000");   // an error frame is no frame
        Write(far, "f10300000800000020a19f7f1b35c111");
        Assert.Equal(new CanFrame(0x3F1, Convert.FromHexString("20a19f7f1b35c111")), await waiting);
        Assert.Equal(CanBusState.Working, port.State);
        far.Dispose();
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await port.ReceiveAsync(Second * 30));
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await port.SendAsync(new CanFrame(0x3F0, 0x00)));
    }

    [Fact]
    public async Task A_port_whose_interface_leaves_ends_a_wait_at_once()
    {
        var (near, far) = Pair();
        await using var port = new SocketCan(Can0, near, TimeProvider.System);
        var waiting = port.ReceiveAsync(Second * 30);
        far.Dispose();
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await waiting);
    }

    [Fact]
    public async Task A_queue_that_stays_full_is_reported_by_the_state_of_the_bus()
    {
        var (near, far) = Pair();
        var clock = new FastClock();
        await using var port = new SocketCan(Can0, near, clock);
        var fault = await Assert.ThrowsAsync<FlashException>(async () =>
        {
            for (var i = 0; i < 100_000; i++)
                await port.SendAsync(new CanFrame(0x3F0, 0x00));
        });
        Assert.Equal("can-not-acknowledged", fault.Code);
        Write(far, "40000020080000000000000000000000");
        while (port.State != CanBusState.Off)
            await Task.Yield();
        Assert.Equal("can-bus-off",
            (await Assert.ThrowsAsync<FlashException>(async () => await port.SendAsync(new CanFrame(0x3F0, 0x00)))).Code);
        far.Dispose();
    }

    [Fact]
    public void Without_such_an_interface_or_without_CAN_in_the_kernel_that_is_said()
    {
        var fault = Record.Exception(() => SocketCan.Open(Can0 with { Port = "can987" }, TimeProvider.System));
        Assert.True(fault is DeviceGoneException or FlashException { Code: "can-unsupported" }, $"{fault}");
    }

    /// <summary>Time in which no task waits.</summary>
    private sealed class FastClock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now += TimeSpan.TicksPerMillisecond * 100;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            System.CreateTimer(callback, state, TimeSpan.Zero, period);
    }

    private static (SafeFileHandle Near, SafeFileHandle Far) Pair()
    {
        Span<int> both = stackalloc int[2];
        Assert.Equal(0, SocketPair(1, 5 | 0x800 | 0x80000, 0, both));   // AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC
        return (new SafeFileHandle(both[0], ownsHandle: true), new SafeFileHandle(both[1], ownsHandle: true));
    }

    private static byte[] Read(SafeFileHandle far)
    {
        var bytes = new byte[32];
        var length = Libc.Read(far, bytes, bytes.Length);
        return bytes[..(int)length];
    }

    private static void Write(SafeFileHandle far, string hex) => Assert.Equal(16, Libc.Write(far, Convert.FromHexString(hex), 16));

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPair(int domain, int type, int protocol, Span<int> both);
}
