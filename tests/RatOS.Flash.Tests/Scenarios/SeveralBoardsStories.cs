using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Several boards of one printer in one flash: side by side, and each one itself.</summary>
public sealed class SeveralBoardsStories
{
    [Fact]
    public void Three_boards_go_through_one_stop_of_Klipper_side_by_side() => Story.Of("voron", async story =>
    {
        var report = await story.AllFlashedAsync("octopus", "ebb42", "octopus-pro");
        Assert.Equal(1, story.Printer.Klippy.Stops);
        Assert.True(report.Boards.Sum(board => board.Elapsed.TotalSeconds) > 1.5 * report.Boards.Max(board => board.Elapsed.TotalSeconds));
    });

    [Fact]
    public void One_boards_failure_does_not_stop_the_others() => Story.Of("voron", async story =>
    {
        story.OnEvent = step =>
        {
            if (step is { Board: "ebb42", Phase: FlashPhase.Write, Kind: FlashEventKind.Begin })
                story.Find("ebb42").Unplug();
        };
        var report = await story.FlashAsync("octopus", "ebb42", "octopus-pro");
        Assert.True(report.Boards[0].Ok && report.Boards[2].Ok,
            $"{report.Boards[0].Fault?.Cause} {report.Boards[2].Fault?.Cause}\n{story.Transcript}");
        Assert.Equal(("device-lost", BoardCondition.InBootloaderWithoutFirmware),
            (report.Boards[1].Fault!.Code, report.Boards[1].Condition));
    });

    [Fact]
    public void Each_of_two_equal_boards_finds_itself() => Story.Of("two-octopuses", async story =>
    {
        await story.FlashedAsync("octopus-2");   // FlashInvariants checks the other board too
        await story.FlashedAsync("octopus");
        await story.AllFlashedAsync("octopus", "octopus-2");
        Assert.Equal(["1-1.1", "1-1.2"], story.Printer.Boards.Select(board => board.Port!));
    });

    [Fact]
    public void An_equal_board_is_never_flashed_in_place_of_one_that_is_missing() => Story.Of("two-octopuses", async story =>
    {
        story.Find("octopus-2").Unplug();
        await story.FailedAsync("octopus-2", "board-not-seen", BoardCondition.Unknown);   // FlashInvariants checks the other board too
    });

    [Fact]
    public void An_equal_board_that_comes_back_is_never_taken_for_one_that_was_lost() => Story.Of("two-octopuses", async story =>
    {
        story.OnEvent = step =>
        {
            if (step is { Board: "octopus-2", Phase: FlashPhase.Write, Kind: FlashEventKind.Begin })
                story.Find("octopus-2").Unplug();
        };
        var report = await story.FlashAsync("octopus", "octopus-2");
        Assert.True(report.Boards is [{ Ok: true }, { Ok: false }], story.Transcript);
        Assert.Equal(BoardState.Klipper, story.Find("octopus").State);
    });

    [Fact]
    public void An_equal_board_of_equal_firmware_at_the_same_port_is_known_by_its_unique_id() => Story.Of("two-octopuses", async story =>
    {
        await story.FlashedAsync("octopus-2");
        story.OnEvent = step =>
        {
            if (step is not { Phase: FlashPhase.Prove, Kind: FlashEventKind.Begin } || story.Find("octopus").Port is null)
                return;
            story.Find("octopus").Unplug();
            story.Find("octopus-2").Unplug();
            story.Find("octopus-2").Plug("1-1.1");
        };
        await story.FailedAsync("octopus", "other-board-answers", BoardCondition.Unconfirmed);
    });

    [Fact]
    public void Another_board_in_DFU_is_never_taken_for_the_one_that_was_asked() => Story.Of("two-octopuses", async story =>
    {
        story.Find("octopus").Boot0 = true;
        story.Find("octopus").PressReset();
        story.Find("octopus-2").Unplug();
        await story.PassAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(BoardState.Rom, story.Find("octopus").State);
        await story.FailedAsync("octopus-2", "which-bootloader", BoardCondition.Unknown);
    });
}
