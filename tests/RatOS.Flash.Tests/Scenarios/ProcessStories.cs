using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>What people live through with the Raspberry Pi itself as an MCU.</summary>
[VirtualOnly("the terminal of the process is no device of a kernel's")]
public sealed class ProcessStories
{
    [Fact]
    public void The_process_and_a_board_are_brought_up_in_one_stop_of_Klipper() => Story.Of("octopus-and-pi", async story =>
    {
        var report = await story.FlashAsync("octopus", "pi");
        Assert.All(report.Boards, board => Assert.True(board.Ok, board.Fault?.Cause));
        Assert.Equal(("v0.12.0-10-g1f2a9e1c", VirtualPrinter.HostVersion), (report.Boards[1].OldVersion, report.Boards[1].NewVersion));
        Assert.Equal(1, story.Printer.Klippy.Stops);
        Assert.Equal(Klipper.KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
        // No bootloader, no point of no return: what is replaced can be put back.
        Assert.DoesNotContain(story.Events, step => step.Board == "pi" && step.Kind == FlashEventKind.PointOfNoReturn);
    });

    [Fact]
    public void A_program_that_does_not_come_up_is_replaced_by_the_previous_one_and_Klipper_runs() =>
        Story.Of("octopus-and-pi", new InjectedFaults { NewProcessCrashes = true }, async story =>
        {
            var report = await story.FailedAsync("pi", "host-mcu-not-up", BoardCondition.Unchanged);
            Assert.Contains("runs v0.12.0-10-g1f2a9e1c", report.Fault!.Cause, StringComparison.Ordinal);
            Assert.Equal("v0.12.0-10-g1f2a9e1c", story.Find("pi").RunningFirmware?.Version);
            Assert.Equal(Klipper.KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
        });

    [Fact]
    public void Without_the_unit_nothing_is_touched_and_Klipper_goes_on() =>
        Story.Of("octopus-and-pi", new InjectedFaults { HasNoHostMcuUnit = true }, async story =>
    {
        var report = await story.FailedAsync("pi", "host-mcu-unit-missing", BoardCondition.Unchanged);
        Assert.True(report.Refused);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        Assert.True((await story.FlashAsync("octopus", "pi")).Boards[0].Ok, "the other board does not suffer");
    });

    [Fact]
    public void A_firmware_for_a_chip_is_refused_before_Klipper_is_stopped() => Story.Of("octopus-and-pi", async story =>
    {
        await story.FailedAsync("pi", "firmware-wrong-mcu", BoardCondition.Unchanged, story.Build("octopus"));
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void A_program_for_another_computer_is_refused_by_the_unit_and_the_old_one_goes_on() => Story.Of("octopus-and-pi", async story =>
    {
        var bytes = story.Find("pi").BuildFirmware();
        bytes[18] = 62;   // EM_X86_64
        var report = await story.FailedAsync("pi", "host-mcu-refused", BoardCondition.Unchanged, FirmwareImage.Parse(bytes, "klipper.elf"));
        Assert.Contains("another kind of computer", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal("v0.12.0-10-g1f2a9e1c", story.Find("pi").RunningFirmware?.Version);
    });

    [Fact]
    public void A_process_that_does_not_run_is_replaced_all_the_same() => Story.Of("octopus-and-pi", async story =>
    {
        story.Find("pi").PowerOff();
        await story.FlashedAsync("pi");
    });

    [Fact]
    public void A_cancel_before_the_program_is_handed_over_changes_nothing() => Story.Of("octopus-and-pi", async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (step is { Board: "pi", Phase: FlashPhase.Ask, Kind: FlashEventKind.End })
                cancel.Cancel();
        };
        var report = (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("pi"), story.Build("pi")))).Boards.Single();
        Assert.Equal(("cancelled", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
    });

    [Fact]
    public void Flashed_again_it_is_the_same_program_and_still_proven_to_be_a_new_process() => Story.Of("octopus-and-pi", async story =>
    {
        await story.FlashedAsync("pi");
        var before = story.Time.Now;
        await story.PassAsync(TimeSpan.FromMinutes(5));
        // The dictionary is the same as before: only the uptime shows that it was restarted.
        await story.FlashedAsync("pi");
        Assert.True(story.Time.Now > before);
        story.Find("pi").Process!.IgnoresRestart = true;
        await story.PassAsync(TimeSpan.FromMinutes(5));
        var report = await story.FailedAsync("pi", "host-mcu-not-up", BoardCondition.Unchanged);
        Assert.Contains("is the one from before", report.Fault!.Cause, StringComparison.Ordinal);
    });

    [Fact]
    public void Where_neither_comes_up_it_is_said_with_the_commands_that_bring_the_old_one_back() =>
        Story.Of("octopus-and-pi", new InjectedFaults { NewProcessCrashes = true }, async story =>
        {
            story.Find("pi").Process!.RefusesRestore = true;
            var report = await story.FailedAsync("pi", "host-mcu-lost", BoardCondition.Unconfirmed);
            Assert.Contains("sudo mv /usr/local/bin/klipper_mcu.previous", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        });
}
