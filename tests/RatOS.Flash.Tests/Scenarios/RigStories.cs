using System.Diagnostics;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// What only a real kernel can tell: other programs at the same device, drivers that are taken away, and the field's own tool as a judge.
/// </summary>
public sealed class RigStories
{
    private const string NotHere = "needs the guest of tests/usb-rig";

    /// <summary>
    /// dfu-util is the oracle: what it writes is in the virtual flash, what it reads is what is there, nothing it sends is refused as
    /// illegal, and after its leave the firmware runs.
    /// </summary>
    [Theory]
    [InlineData("octopus", 0x0800_8000u)]
    [InlineData("octopus-407", 0x0800_8000u)]
    [InlineData("octopus-pro-429", 0x0800_8000u)]   // its layout is cut short
    [InlineData("octopus-pro-h723", 0x0802_0000u)]
    [InlineData("ebb42", 0x0800_0000u)]             // three alternates of one name
    [InlineData("ebb36-f072", 0x0800_0000u)]        // refuses early questions
    public void The_real_dfu_util_reads_writes_and_leaves_every_virtual_ROM(string scenario, uint start)
    {
        Assert.SkipUnless(Rig.IsHere, NotHere);
        Story.Of(scenario, async story =>
        {
            await StartRomAsync(story);
            var image = story.Board.BuildFirmware();
            var folder = Directory.CreateTempSubdirectory().FullName;
            await File.WriteAllBytesAsync($"{folder}/new.bin", image);
            var before = story.Board.Flash.Read(start, 4096).ToArray();

            var (exit, said) = await DfuUtilAsync(story, $"-a 0 -s 0x{start:x8}:4096 -U {folder}/old.bin");
            Assert.True(exit == 0, said);
            Assert.Equal(before, await File.ReadAllBytesAsync($"{folder}/old.bin"));

            (exit, said) = await DfuUtilAsync(story, $"-a 0 -s 0x{start:x8}:leave -D {folder}/new.bin");
            Assert.True(exit == 0, said);
            Assert.True(story.Board.Flash.Read(start, image.Length).SequenceEqual(image), "dfu-util wrote something else");
            Assert.Empty(story.Board.IllegalRequests);
            await story.Hardware.WaitForAsync(
                seen => seen.Devices.FirstOrDefault(device => device.Usb == UsbId.Klipper), TimeSpan.FromSeconds(60), story.Time,
                CancellationToken.None);
            Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
        });
    }

    [Fact]
    public void A_bootloader_that_another_program_has_claimed_is_reported_as_in_use()
    {
        Assert.SkipUnless(Rig.IsHere, NotHere);
        Story.Of("octopus-in-dfu", async story =>
        {
            await using var other =
                await story.Hardware.OpenUsbAsync(story.Hardware.Look().Devices.Single(device => device.Usb == DfuSeDriver.Id));
            await other.ClaimAsync(0, 0);
            await story.FailedAsync("octopus", "port-held", BoardCondition.Unknown);
        });
    }

    /// <summary>As brltty does it: the interface is claimed through usbfs, and the serial port is gone.</summary>
    [Fact]
    public void A_driver_that_steals_the_interface_is_named()
    {
        Assert.SkipUnless(Rig.IsHere, NotHere);
        Story.Of("octopus", async story =>
        {
            await using (var thief =
                await story.Hardware.OpenUsbAsync(story.Hardware.Look().Devices.Single(device => device.Usb == UsbId.Klipper)))
            {
                await thief.ClaimAsync(0, 0);
                await KlipperAsync(story, hasPort: false);
                var report = await story.FailedAsync("octopus", "port-held", BoardCondition.Unchanged);
                Assert.Contains("usbfs", report.Fault!.Cause, StringComparison.Ordinal);
            }
        });
    }

    [Fact]
    public void Bulk_transfers_reach_a_board_whose_driver_was_detached_and_the_driver_comes_back()
    {
        Assert.SkipUnless(Rig.IsHere, NotHere);
        Story.Of("octopus", async story =>
        {
            var board = story.Hardware.Look().Devices.Single(device => device.Usb == UsbId.Klipper);
            await using (var usb = await story.Hardware.OpenUsbAsync(board))
            {
                await usb.ClaimAsync(0, 0);
                await usb.ClaimAsync(1, 0);
                var identify = Convert.FromHexString("08100100285e9f7e");   // as recorded: 40 bytes from 0 on
                Assert.Equal(identify.Length, (await usb.BulkAsync(0x02, identify, TimeSpan.FromSeconds(10))).Length);
                var answer = new byte[64];
                Assert.True((await usb.BulkAsync(0x81, answer, TimeSpan.FromSeconds(10))).IsOk);
                Assert.Equal(0x11, answer[1]);   // the next sequence number that it expects
            }
            await KlipperAsync(story, hasPort: true);
            await story.FlashedAsync("octopus");
        });
    }

    [Fact]
    public void Several_boards_that_drop_at_once_in_the_middle_of_the_write_are_all_finished_when_they_return() =>
        Story.Of("voron", async story =>
    {
        var dropped = false;
        story.OnEvent = step =>
        {
            if (dropped || step is not { Phase: FlashPhase.Write, Kind: FlashEventKind.Progress })
                return;
            dropped = true;   // a hub that lost its power
            foreach (var board in story.Printer.Boards)
                board.Unplug();
            story.Time.Schedule(TimeSpan.FromSeconds(4), () =>
            {
                foreach (var board in story.Printer.Boards)
                    board.Plug();
            });
        };
        var report = await story.FlashAsync("octopus", "ebb42", "octopus-pro");
        Story.CheckAfterDrop(report, "in the middle of the write");
    });

    /// <summary>
    /// Cables pulled at transfers of every kind: descriptors, commands, erases, blocks, read-back, leave, and Klipper's frames.
    /// </summary>
    [Theory]
    [InlineData("octopus", 12, 40, 57, 90, 130, 160)]
    [InlineData("octopus-katapult", 10, 60, 800, 1400)]
    public void A_cable_pulled_and_put_back_does_not_end_a_flash(string scenario, params int[] transfers)
    {
        foreach (var index in transfers)
        {
            Story.Of(scenario, new InjectedFaults { Transfers = [new(index, TransferFaultKind.Unplug, TimeSpan.FromSeconds(3))] },
                async story => await story.FlashedAsync("octopus"));
        }
    }

    private static async Task StartRomAsync(Story story)
    {
        story.Board.Boot0 = true;
        story.Board.PressReset();
        Assert.NotNull(await story.Hardware.WaitForAsync(
            seen => seen.Devices.FirstOrDefault(device => device.Usb == DfuSeDriver.Id), TimeSpan.FromSeconds(60), story.Time,
            CancellationToken.None));
        story.Board.Boot0 = false;
    }

    private static async Task KlipperAsync(Story story, bool hasPort) => Assert.NotNull(await story.Hardware.WaitForAsync(
        seen => seen.Devices.FirstOrDefault(device => device.Usb == UsbId.Klipper && device.Node is not null == hasPort),
        TimeSpan.FromSeconds(60), story.Time, CancellationToken.None));

    private static async Task<(int Exit, string Said)> DfuUtilAsync(Story story, string arguments)
    {
        var port = ((Rig)story.Hardware).KernelPortOf(story.Board.Port!);
        using var process = Process.Start(new ProcessStartInfo("dfu-util", $"-d 0483:df11 -p {port} {arguments}")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        var said = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, string.Concat(said));
    }
}
