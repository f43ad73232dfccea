using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>What people live through with boards whose ROM waits on a UART.</summary>
[VirtualOnly("a board on a wire has nothing of USB")]
public sealed class UartRomStories
{
    /// <summary>What a person does to start the ROM: the jumper on, reset, the jumper off.</summary>
    private static async Task StartRomAsync(Story story)
    {
        story.Board.Boot0 = true;
        story.Board.PowerOff();
        story.Board.PowerOn();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        story.Board.Boot0 = false;
    }

    [Theory]
    [InlineData("uart-rom", "octopus")]
    [InlineData("uart-rom-g0b1", "skr-mini-e3")]   // ECC, pages of 2 KiB, a bootloader below
    public void A_board_that_waits_in_its_ROM_on_a_wire_is_flashed_and_proven_by_a_reset(string scenario, string board) =>
        Story.Of(scenario, async story =>
    {
        var report = await story.FlashedAsync(board);
        Assert.Empty(report.Notes);
        Assert.Equal(BoardState.Klipper, story.Board.State);
        Assert.Empty(story.Board.IllegalRequests);
        Assert.True(report.Elapsed < TimeSpan.FromSeconds(15), $"it took {report.Elapsed}");
    });

    [Fact]
    public void The_application_starts_where_the_board_has_it_and_not_at_the_flashs_beginning() => Story.Of("uart-rom-g0b1", async story =>
    {
        await story.FlashedAsync("skr-mini-e3");
        Assert.True(story.Board.IsBootAreaIntact);
        Assert.Equal(0, story.Board.Flash.Erases.Take(4).Sum());   // 8 KiB of pages of 2 KiB
    });

    [Fact]
    public void A_jumper_that_is_still_on_is_named_and_the_board_runs_until_its_next_reset() => Story.Of("uart-rom-boot0", async story =>
    {
        var report = await story.FailedAsync("octopus", "bootloader-after-reset", BoardCondition.Unconfirmed);
        Assert.Contains("BOOT0", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
        story.Board.Boot0 = false;
        story.Board.PressReset();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
    });

    [Fact]
    public void A_ROM_that_received_Klippers_bytes_is_silent_and_the_fault_names_the_jumper() => Story.Of("uart-rom-boot0", async story =>
    {
        var isDone = false;
        story.OnEvent = step =>
        {
            if (isDone || step is not { Phase: FlashPhase.Confirm, Kind: FlashEventKind.Begin })
                return;
            isDone = true;
            story.Board.PowerOff();
            story.Board.PowerOn();
        };
        var report = await story.FailedAsync("octopus", "klipper-silent", BoardCondition.Unconfirmed);
        Assert.Contains("BOOT0", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
    });

    [Fact]
    public void A_jumper_that_is_taken_off_in_mid_flash_is_no_trouble() => Story.Of("uart-rom-boot0", async story =>
    {
        story.OnEvent = step => story.Board.Boot0 &= step.Phase != FlashPhase.Write;
        await story.FlashedAsync("octopus");
    });

    [Fact]
    public void A_read_protected_chip_is_reported_before_anything_is_touched() =>
        Story.Of("uart-rom", new InjectedFaults { IsReadProtected = true }, async story =>
    {
        await story.FailedAsync("octopus", "read-protected", BoardCondition.Unknown);
        Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
    });

    [Fact]
    public void Another_chip_in_the_ROM_is_found_before_a_byte_is_written() => Story.Of("uart-rom", async story =>
    {
        var board = story.Known("octopus") with
        {
            Board = BoardCatalogue.BuiltIn.Find("btt-octopus-11-407")! with { FlashStartEffective = "0x8000000" },
        };
        var image = FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F407, 0x0800_0000, "v0.13.0", link: FirmwareLink.Uart),
            "klipper.bin");
        var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(board, image))).Boards.Single();
        Assert.Equal(("wrong-mcu", BoardCondition.Unknown), (report.Fault?.Code, report.Condition));
        Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
    });

    /// <summary>
    /// A byte of a frame, a byte of an answer, or a whole frame: at each of the first questions, then at every seventeenth frame. The very
    /// first one sets the speed: it has a story of its own.
    /// </summary>
    [Theory]
    [InlineData(TransferFaultKind.Damaged)]
    [InlineData(TransferFaultKind.AnswerDamaged)]
    [InlineData(TransferFaultKind.Lost)]
    [InlineData(TransferFaultKind.Late)]
    public void A_damaged_byte_or_a_lost_answer_costs_another_try_and_no_more(TransferFaultKind kind)
    {
        foreach (var scenario in new[] { "uart-rom", "uart-rom-g0b1" })
        {
            for (var index = 2; index < 1150; index += index < 15 ? 1 : 17)
            {
                var fault = new TransferFault(index, kind, TimeSpan.FromSeconds(3));
                Story.Of(scenario, new InjectedFaults { Transfers = [fault] }, async story =>
                {
                    var report = (await story.FlashAsync(story.Board.Name)).Boards.Single();
                    Assert.True(report.Ok, $"{scenario}, {fault}: [{report.Fault?.Code}] {report.Fault?.Cause}");
                });
            }
        }
    }

    /// <summary>The jump, the question whether the ROM is still there, and the running firmware's first answers.</summary>
    [Theory]
    [InlineData(TransferFaultKind.Damaged)]
    [InlineData(TransferFaultKind.AnswerDamaged)]
    [InlineData(TransferFaultKind.Lost)]
    public void A_lost_byte_during_the_leave_request_does_not_matter(TransferFaultKind kind)
    {
        var before = 0;
        Story.Of("uart-rom", async story =>
        {
            story.OnEvent = step => before = step is { Phase: FlashPhase.Leave, Kind: FlashEventKind.Begin }
                ? story.Printer.Transfers : before;
            await story.FlashedAsync("octopus");
        });
        Assert.True(before > 1000);
        for (var index = before + 1; index < before + 12; index++)
        {
            Story.Of("uart-rom", new InjectedFaults { Transfers = [new(index, kind, TimeSpan.Zero)] }, async story =>
            {
                var report = (await story.FlashAsync("octopus")).Boards.Single();
                Assert.True(report.Ok, $"{index - before}: [{report.Fault?.Code}] {report.Fault?.Cause}");
            });
        }
    }

    [Fact]
    public void A_ROM_that_received_Klippers_baud_rate_first_does_not_answer_until_its_next_reset() => Story.Of("uart-rom", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        await using (var line = await story.Printer.OpenSerialAsync(story.Printer.Look().Devices.Single(device => device.Usb is null),
                SerialMode.Klipper))
        {
            await line.WriteAsync(new byte[] { 0x7E });
            await Task.Delay(TimeSpan.FromMilliseconds(10), story.Time);
        }
        var report = await story.FailedAsync("octopus", "uart-rom-silent", BoardCondition.Unknown);
        Assert.Contains("reset", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        await StartRomAsync(story);
        await story.FlashedAsync("octopus");
    });

    /// <summary>A program died in the middle of each of its commands, and then the flash starts.</summary>
    [Theory]
    [InlineData("31")]
    [InlineData("31CE0800")]
    [InlineData("31CE0800000008")]
    [InlineData("31CE0800000008FF010203")]
    [InlineData("11EE0800000008")]
    [InlineData("21DE080000")]
    [InlineData("44BB00000002")]
    public void Half_a_command_of_a_dead_predecessor_does_not_matter(string said) => Story.Of("uart-rom", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        var device = story.Printer.Look().Devices.Single(device => device.Usb is null);
        await using (var line = await story.Printer.OpenSerialAsync(device, new SerialMode(115_200, EvenParity: true)))
        {
            await line.WriteAsync(Convert.FromHexString("7F" + said));
            await Task.Delay(TimeSpan.FromMilliseconds(100), story.Time);
        }
        await story.FlashedAsync("octopus");
        Assert.Empty(story.Board.IllegalRequests);
    });

    [Fact]
    public void A_board_that_runs_Klipper_all_the_time_is_none_the_worse_for_the_question() => Story.Of("uart-katapult", async story =>
    {
        var named = story.Known("octopus") with { Bootloader = Drivers.Find("stm32-uart") };
        var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(named, story.Build("octopus")))).Boards.Single();
        Assert.Equal(("uart-rom-silent", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
        Assert.Equal("v0.12.0-10-g1f2a9e1c", story.Board.RunningFirmware?.Version);
        await story.FlashedAsync("octopus");
    });

    [Theory]
    [InlineData(1, null)]
    [InlineData(2, null)]
    [InlineData(9, "did-not-leave")]
    public void A_ROM_that_does_not_leave_is_asked_again(int times, string? code) =>
        Story.Of("uart-rom", new InjectedFaults { LeavesIgnored = times }, async story =>
    {
        var report = (await story.FlashAsync("octopus")).Boards.Single();
        Assert.Equal(code, report.Fault?.Code);
        Assert.NotEmpty(report.Notes);
    });

    [Fact]
    public void A_ROM_that_jumps_without_an_answer_has_left() =>
        Story.Of("uart-rom", new InjectedFaults { LeaveIsSilent = true }, async story => await story.FlashedAsync("octopus"));

    [Theory]
    [InlineData(20, BoardCondition.Unknown)]                        // the first erase
    [InlineData(300, BoardCondition.InBootloaderWithoutFirmware)]   // a write
    [InlineData(800, BoardCondition.InBootloaderWithoutFirmware)]   // the read-back
    public void Power_that_fails_in_mid_flash_leaves_a_board_that_its_ROM_flashes_again(int index, BoardCondition condition) => Story.Of(
        "uart-rom", new InjectedFaults { Transfers = [new(index, TransferFaultKind.PowerCut, TimeSpan.FromSeconds(2))] }, async story =>
        {
            await story.FailedAsync("octopus", "uart-rom-silent", condition);
            await StartRomAsync(story);
            await story.FlashedAsync("octopus");
        });

    [Fact]
    public void A_write_protected_sector_is_silent_in_the_ROM_and_found_before_another_one_is_written() =>
        Story.Of("uart-rom", async story =>
    {
        story.Board.Flash.Protect(1);
        var report = await story.FailedAsync("octopus", "write-protected", BoardCondition.InBootloaderWithoutFirmware);
        Assert.Contains("08004000+16K", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.DoesNotContain(story.Events, step => step.Phase == FlashPhase.Write);
    });

    [Fact]
    public void A_cancel_before_the_point_of_no_return_leaves_the_board_in_its_ROM() => Story.Of("uart-rom", async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (step.Phase == FlashPhase.Identify)
                cancel.Cancel();
        };
        var report =
            (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Boards.Single();
        Assert.Equal(("cancelled", BoardCondition.Unknown), (report.Fault?.Code, report.Condition));
        await story.FlashedAsync("octopus");
    });
}
