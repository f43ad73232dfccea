using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// A person carries the firmware on a card into the board's slot: its maker's bootloader writes it, and what runs then is proven like any
/// other flash.
/// </summary>
[VirtualOnly("its waits are a person's minutes")]
public sealed class SdCardStories
{
    private static FlashRequest ByCard(Story story, string board = "octopus") =>
        new(story.Known(board), story.Build(board)) { Job = FlashJob.SdCard };

    private static IEnumerable<FlashEvent> OperatorSteps(Story story) =>
        story.Events.Where(step => step is { Phase: FlashPhase.Operator, Kind: FlashEventKind.Begin });

    [Fact]
    public void The_file_is_put_onto_the_card_and_what_runs_is_proven() => Story.Of("card-in-computer", async story =>
    {
        story.Operator = static _ => { };   // the scenario's own person carries it
        var report = await story.FlashAsync(default, ByCard(story));
        Assert.True(report.Boards[0] is { Ok: true, IsBySdCard: true, Condition: BoardCondition.Flashed });
        Assert.Equal(story.Build("octopus").Bytes.ToArray(), story.Printer.Card);
        var asked = Assert.Single(OperatorSteps(story)).Message;
        Assert.Contains("umount /media/card", asked, StringComparison.Ordinal);
        // It was stopped once, when there was something to ask; and no bootloader of ours was needed.
        Assert.Equal(1, story.Printer.Klippy.Stops);
        Assert.DoesNotContain(story.Events, step => step.Phase is FlashPhase.Enter && step.Kind == FlashEventKind.Begin
            || step.Phase is FlashPhase.Erase or FlashPhase.Write);
    });

    [Fact]
    public void Without_a_card_in_this_computer_the_steps_begin_with_the_copying() => Story.Of("octopus", async story =>
    {
        story.Operator = _ =>
        {
            story.Board.SdFirmware = story.Board.BuildFirmware();
            story.Board.PressReset();
        };
        var report = await story.FlashAsync(default, ByCard(story));
        Assert.True(report.Ok);
        Assert.Contains("(1) Copy octopus/firmware.bin onto a card of 32 GB or less with FAT32, as firmware.bin.",
            Assert.Single(OperatorSteps(story)).Message, StringComparison.Ordinal);
    });

    [Fact]
    public void A_card_that_was_not_installed_is_detected_and_asked_for_again() => Story.Of("octopus", async story =>
    {
        var times = 0;
        story.Operator = _ =>
        {
            story.Board.SdFirmware = ++times == 1 ? null : story.Board.BuildFirmware();
            story.Board.PressReset();
        };
        var report = await story.FlashAsync(default, ByCard(story));
        Assert.True(report.Ok);
        Assert.Equal(2, OperatorSteps(story).Count());
        Assert.Contains("still runs v0.12.0-10-g1f2a9e1c", OperatorSteps(story).Last().Message, StringComparison.Ordinal);
        Assert.Contains("FIRMWARE.CUR", OperatorSteps(story).Last().Message, StringComparison.Ordinal);
    });

    [Fact]
    public void A_reset_by_Klipper_that_starts_again_is_not_taken_for_the_persons() => Story.Of("octopus", async story =>
    {
        var times = 0;
        story.OnEvent = step =>
        {
            if (step is { Phase: FlashPhase.Start, Kind: FlashEventKind.Begin })
                story.Board.PressReset();
        };
        story.Operator = _ =>
        {
            story.Board.SdFirmware = ++times == 1 ? null : story.Board.BuildFirmware();
            story.Board.PressReset();
        };
        Assert.True((await story.FlashAsync(default, ByCard(story))).Ok);
        Assert.Equal((2, 2), (times, story.Printer.Klippy.Stops));
    });

    [Fact]
    public void A_card_with_other_firmware_is_no_success() => Story.Of("octopus", async story =>
    {
        using var over = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (step is { Phase: FlashPhase.Confirm, Kind: FlashEventKind.Begin })
                over.Cancel();
        };
        story.Operator = _ =>
        {
            story.Board.SdFirmware = VirtualFirmware.Build(story.Board.Chip, story.Board.ApplicationStart, "v9.9.9-1-g9999999");
            story.Board.PressReset();
        };
        var report = (await story.FlashAsync(over.Token, ByCard(story))).Boards[0];
        Assert.Equal(("other-firmware-runs", BoardCondition.Unconfirmed), (report.Fault?.Code, report.Condition));
    });

    [Fact]
    public void A_board_that_does_not_start_any_more_is_helped_by_a_card() => Story.Of("octopus", async story =>
    {
        // Half an application behind the stock bootloader: it loops for ever and is seen nowhere.
        story.Board.PowerOff();
        story.Board.Flash.Preset(story.Board.ApplicationStart, [.. Enumerable.Repeat((byte)0xFF, 64)]);
        story.Board.PowerOn();
        await story.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(BoardState.Hung, story.Board.State);
        story.Operator = _ =>
        {
            story.Board.SdFirmware = story.Board.BuildFirmware();
            story.Board.PressReset();
        };
        Assert.True((await story.FlashAsync(default, ByCard(story))).Ok);
    });

    [Fact]
    public void Without_an_operator_the_file_is_offered_and_the_remedy_has_the_steps() => Story.Of("card-in-computer", async story =>
    {
        var report = (await story.FlashAsync(default, ByCard(story))).Boards[0];
        Assert.Equal(("sd-card-by-hand", true), (report.Fault?.Code, report.Refused));
        Assert.StartsWith("(1) firmware.bin is on the card at /media/card: `umount /media/card`", report.Fault!.Remedy.ToString(),
            StringComparison.Ordinal);
        Assert.NotNull(story.Printer.Card);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Theory]
    [InlineData("ebb42", "ebb42", "sd-card-unknown")]
    [InlineData("can-toolhead", "ebb42", "sd-card-unknown")]
    public void A_board_without_such_a_bootloader_is_refused_before_a_card_is_touched(string scenario, string board, string code) =>
        Story.Of(scenario, async story =>
    {
        var report = (await story.FlashAsync(default, ByCard(story, board))).Boards[0];
        Assert.Equal((code, true), (report.Fault?.Code, report.Refused));
    });

    [Fact]
    public void Katapult_reads_no_card_and_that_is_said_as_soon_as_the_board_was_asked() => Story.Of("octopus-katapult", async story =>
    {
        story.Operator = _ => story.Board.PressReset();
        var report = (await story.FlashAsync(default, ByCard(story))).Boards[0];
        Assert.Equal("sd-card-not-read", report.Fault?.Code);
    });

    [Fact]
    public void A_firmware_for_another_chip_never_reaches_the_card() => Story.Of("card-in-computer", async story =>
    {
        var other = RatOS.Flash.Firmware.FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, "v1"), "klipper.bin");
        var report = (await story.FlashAsync(default, ByCard(story) with { Image = other })).Boards[0];
        Assert.Equal("firmware-wrong-mcu", report.Fault?.Code);
        Assert.Null(story.Printer.Card);
    });

    [Fact]
    public void A_print_that_began_meanwhile_is_never_disturbed() => Story.Of("octopus", async story =>
    {
        story.Operator = _ =>
        {
            story.Printer.Klippy.Busy = "printing benchy.gcode, 3 %";
            story.Board.SdFirmware = story.Board.BuildFirmware();
            story.Board.PressReset();
            story.Time.Schedule(TimeSpan.FromMinutes(10), () =>
            {
                Assert.Equal(0, story.Printer.Klippy.Stops);
                story.Printer.Klippy.Busy = null;
            });
        };
        Assert.True((await story.FlashAsync(default, ByCard(story))).Ok);
    });

    [Fact]
    public void A_board_whose_flash_failed_has_the_file_ready_as_another_way() => Story.Of("h2-no-enumeration", async story =>
    {
        var report = (await story.FlashAsync("octopus")).Boards[0];
        Assert.Equal("bootloader-not-seen", report.Fault?.Code);
        var (board, name, file) = Assert.Single(story.Offered);
        Assert.Equal(("octopus", "firmware.bin"), (board, name));
        Assert.Equal(story.Build("octopus").Bytes.ToArray(), file);
        Assert.Contains(report.Notes, note => note.StartsWith("Another way: octopus/firmware.bin, on a card", StringComparison.Ordinal));
    });

    [Theory]
    [InlineData("octopus")]            // nothing went wrong
    [InlineData("octopus-katapult")]   // Katapult reads no card
    [InlineData("bad-build")]          // it is in the board already, and does not do
    public void Nothing_is_offered_where_a_card_would_not_help(string scenario) => Story.Of(scenario, async story =>
    {
        await story.FlashAsync("octopus");
        Assert.Empty(story.Offered);
    });
}
