using System.Net.Sockets;
using System.Runtime.InteropServices;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The controller's folder consists of plain files here, and the test acts as the kernel.</summary>
public sealed class VhciAttacherTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vhci-").FullName;

    [DllImport("libc", EntryPoint = "dup")]
    private static extern int Duplicate(int file);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void Status(params int[] states)
    {
        var lines = states.Select(
            (state, port) =>
            $"hs  {port:0000} {state:000} {(state == 6 ? "002 00010002 000012 3-" + (port + 1) : "000 00000000 000000 0-0")}");
        File.WriteAllLines(
            Path.Combine(_folder, "status.new"),
            ["hub port sta spd dev      sockfd local_busid", .. lines, "ss  0008 004 000 00000000 000000 0-0"]);
        File.Move(Path.Combine(_folder, "status.new"), Path.Combine(_folder, "status"), overwrite: true);
    }

    private string Attached => File.ReadAllText(Path.Combine(_folder, "attach"));

    private void With(string scenario, Func<VirtualPrinter, VhciAttacher, Task, Func<Func<bool>, Task>, Task> story)
    {
        File.WriteAllText(Path.Combine(_folder, "attach"), "");
        File.WriteAllText(Path.Combine(_folder, "detach"), "");
        var time = new VirtualTime { IsLive = true, Pace = 20, YieldsToLoad = true };
        time.Run(async () =>
        {
            var printer = VirtualPrinter.Create(scenario, time);
            await using var server = UsbIpServer.Start(printer, 0, _ => { });
            var attacher = new VhciAttacher(printer, server.Port, _ => { }, _folder);
            using var over = new CancellationTokenSource();
            var running = attacher.RunAsync(over.Token);
            await story(printer, attacher, running, async until =>
            {
                for (var tries = 0; !until(); tries++)
                {
                    Assert.True(tries < 6000, "it never came to that");
                    await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
                }
            });
            over.Cancel();
            return true;
        });
    }

    [Fact]
    public void A_board_gets_the_first_free_high_speed_port_and_returns_to_it()
    {
        Status(6, 4, 4);
        With("octopus", async (printer, attacher, running, waitAsync) =>
        {
            await waitAsync(() => Attached.Length > 0);
            Assert.Matches("^1 [0-9]+ 65538 2$", Attached);   // port, socket, bus 1 device 2, full speed
            Assert.Equal(1, attacher.Ports["1-1.1"]);
            Assert.Null(attacher.KernelPort("1-1.1"));
            Status(6, 6, 4);
            Assert.Equal("3-2", attacher.KernelPort("1-1.1"));

            // The kernel goes on talking over the very socket that it was given.
            using var socket = new Socket(
                new SafeSocketHandle(Duplicate(int.Parse(Attached.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)),
                    ownsHandle: true));
            await socket.SendAsync(
                Convert.FromHexString("00000001000000010001000200000001000000000000000000000012000000000000000000000000"
                    + "8006000100001200"));
            var reply = new byte[66];
            for (var at = 0; at < reply.Length;)
                at += await socket.ReceiveAsync(reply.AsMemory(at));
            Assert.Equal("120100020200001050", Convert.ToHexString(reply.AsSpan(48, 9)));

            // Another free port is not enough: it waits for its own.
            File.WriteAllText(Path.Combine(_folder, "attach"), "");
            Status(4, 6, 4);
            printer.Boards[0].PressReset();
            await waitAsync(() => printer.Look().Devices.Any(device => device.Port == "1-1.1" && device.Number > 2));
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System);
            Assert.Equal("", Attached);
            Status(4, 4, 4);
            await waitAsync(() => Attached.Length > 0);
            Assert.Matches("^1 [0-9]+ 65539 2$", Attached);
            attacher.Detach();
            Assert.Equal("1", File.ReadAllText(Path.Combine(_folder, "detach")));
        });
    }

    [Fact]
    public void Two_boards_get_a_port_each()
    {
        Status(4, 4);
        With("two-octopuses", async (printer, attacher, running, waitAsync) =>
        {
            await waitAsync(() => attacher.Ports.Count == 2);
            Assert.Equal([0, 1], attacher.Ports.Values.Order());
        });
    }

    [Fact]
    public void A_controller_that_refuses_is_a_fault_with_a_remedy()
    {
        Status(4);
        With("octopus", async (printer, attacher, running, waitAsync) =>
        {
            File.Delete(Path.Combine(_folder, "attach"));
            var fault = await Assert.ThrowsAsync<FlashException>(() => running);
            Assert.Equal("vhci-refused", fault.Code);
        });
    }

    [Fact]
    public void A_controller_that_is_unloaded_is_a_fault_with_a_remedy() =>
        With("octopus", async (printer, attacher, running, waitAsync) =>
        Assert.Equal("vhci-missing", (await Assert.ThrowsAsync<FlashException>(() => running)).Code));

    [Fact]
    public void A_board_that_another_client_has_is_not_attached()
    {
        Status(5);
        With("octopus", async (printer, attacher, running, waitAsync) =>
        {
            await printer.Klippy.StopAsync(CancellationToken.None);
            await using var line = await printer.OpenSerialAsync(
                printer.Look().Devices.First(device => device.Port == "1-1.1"), Hardware.SerialMode.Klipper);
            Status(4);
            await waitAsync(() => attacher.Ports.Count == 1);
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            Assert.Equal("", Attached);
            Assert.False(running.IsCompleted);
        });
    }

    [Fact]
    public void A_missing_controller_is_a_fault_with_a_remedy()
    {
        Assert.SkipWhen(Directory.Exists(VhciAttacher.Controller), "this computer has one");
        var fault = Assert.Throws<FlashException>(
            () => new VhciAttacher(VirtualPrinter.Create("octopus", new VirtualTime()), 1, _ => { }));
        Assert.Equal("vhci-missing", fault.Code);
        Assert.Contains("modprobe vhci-hcd", fault.Remedy.ToString(), StringComparison.Ordinal);
    }
}
