using System.Diagnostics;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// Boards on CAN behind a real kernel: its virtual CAN interface, with the flasher's sockets at one end and the virtual bus at the other.
/// In the guest of tests/usb-rig alone, which has such an interface.
/// </summary>
public sealed class VcanStories
{
    private const string Interface = "vcan7";

    [Fact]
    public void A_tool_head_is_flashed_over_the_kernels_CAN() => Run(async (printer, hardware) =>
    {
        var report = await FlashAsync(printer, hardware, "ebb42");
        Assert.True(report.Ok, string.Join(", ", report.Boards.Select(board => board.Fault?.Cause)));
        Assert.Equal(VirtualPrinter.HostVersion, printer.Boards[0].RunningFirmware?.Version);
    });

    [Fact]
    public void An_interface_that_goes_down_and_comes_up_in_mid_write_does_not_end_the_flash() => Run(async (printer, hardware) =>
    {
        var isDone = false;
        var report = await FlashAsync(printer, hardware, "ebb42", step =>
        {
            if (isDone || step is not { Phase: FlashPhase.Verify, Kind: FlashEventKind.Begin })
                return;
            isDone = true;
            Ip("link", "set", Interface, "down");
            printer.Time.Schedule(TimeSpan.FromSeconds(3), () => Ip("link", "set", Interface, "up"));
        });
        Assert.True(isDone && report.Ok, string.Join(", ", report.Boards.Select(board => board.Fault?.Cause)));
    });

    [Fact]
    public void Up_down_and_gone_are_read_from_the_kernel() => Run(async (printer, hardware) =>
    {
        var first = Can(hardware.Look())!;
        Ip("link", "set", Interface, "down");
        Assert.NotNull(await hardware.WaitForAsync(seen => Can(seen) is { Can.IsUp: false } device ? device : null,
                TimeSpan.FromSeconds(60), printer.Time, CancellationToken.None));
        Assert.Equal("can-down", (await Assert.ThrowsAsync<FlashException>(() => hardware.OpenCanAsync(first))).Code);
        Ip("link", "set", Interface, "up");
        Assert.NotNull(await hardware.WaitForAsync(seen => Can(seen) is { Can.IsUp: true } device ? device : null, TimeSpan.FromSeconds(60),
                printer.Time, CancellationToken.None));
        await using var port = await hardware.OpenCanAsync(first);
        var waiting = port.ReceiveAsync(TimeSpan.FromSeconds(60)).AsTask();
        Ip("link", "del", Interface);
        await Assert.ThrowsAsync<DeviceGoneException>(() => waiting);
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await port.SendAsync(new CanFrame(0x3F0, 0x00)));
        Assert.NotNull(await hardware.WaitForAsync(seen => Can(seen) is null ? seen : null, TimeSpan.FromSeconds(60), printer.Time,
                CancellationToken.None));
        Ip("link", "add", Interface, "type", "vcan");
        Ip("link", "set", Interface, "up");
        var second = await hardware.WaitForAsync(seen => Can(seen) is { Can.IsUp: true } device ? device : null, TimeSpan.FromSeconds(60),
            printer.Time, CancellationToken.None);
        Assert.False(second!.IsSameSession(first));
    });

    private static Device? Can(DeviceList seen) => seen.Devices.FirstOrDefault(device => device.Port == Interface);

    private static Task<FlashReport> FlashAsync(VirtualPrinter printer, IHardware hardware, string name, Action<FlashEvent>? onEvent = null)
    {
        var board = printer.Boards.Single(board => board.Name == name);
        var known = printer.PrinterBoards.Single(known => known.Name == name) with { CanInterface = Interface };
        var flasher = new Flasher(hardware, new NoKlippy(), printer.Time, new FlashServices(), step =>
        {
            onEvent?.Invoke(step);
            return ValueTask.CompletedTask;
        });
        return flasher.FlashAsync([new FlashRequest(known, Firmware.FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin"))],
            CancellationToken.None);
    }

    private static void Run(Func<VirtualPrinter, LinuxHardware, Task> story)
    {
        Assert.SkipUnless(Rig.IsHere, "only the guest of tests/usb-rig has a virtual CAN interface");
        Ip("link", "add", Interface, "type", "vcan");
        Ip("link", "set", Interface, "up");
        try
        {
            var time = new VirtualTime { IsLive = true };
            time.Run(async () =>
            {
                var printer = VirtualPrinter.Create("can-toolhead", time);
                await printer.Klippy.StopAsync(CancellationToken.None);
                using var hardware = new LinuxHardware(time);
                using var over = new CancellationTokenSource();
                var bus = CarryAsync(printer, hardware, over.Token);
                await story(printer, hardware);
                await over.CancelAsync();
                await bus;
                return true;
            });
        }
        finally
        {
            Ip("link", "del", Interface);
        }
    }

    /// <summary>The virtual bus at the interface's far end, through every time that it goes and comes.</summary>
    private static async Task CarryAsync(VirtualPrinter printer, LinuxHardware hardware, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            try
            {
                var can = await hardware.WaitForAsync(seen => Can(seen) is { Can.IsUp: true } device ? device : null,
                    TimeSpan.FromSeconds(1), printer.Time, CancellationToken.None);
                if (can is null)
                    continue;
                await using var port = await hardware.OpenCanAsync(can);
                var said = new Queue<CanFrame>();
                printer.Can!.FromNodes = said.Enqueue;
                while (!over.IsCancellationRequested)
                {
                    while (said.TryDequeue(out var frame))
                        await port.SendAsync(frame);
                    if (await port.ReceiveAsync(TimeSpan.FromMilliseconds(1)) is { } heard)
                        printer.Can.ToNodes(heard);
                }
            }
            catch (Exception fault) when (fault is FlashException or DeviceGoneException)
            {
                // It is down or gone; it comes again.
            }
        }
    }

    private static void Ip(params string[] arguments)
    {
        using var ip = Process.Start("ip", arguments);
        ip.WaitForExit();
        Assert.Equal(0, ip.ExitCode);
    }
}
