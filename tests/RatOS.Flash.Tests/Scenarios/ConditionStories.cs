using RatOS.Flash.Flashing;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>The words about a board's firmware follow from what was observed, and from nothing else.</summary>
public sealed class ConditionStories
{
    private static readonly EarlierFlash Interrupted = new(BoardCondition.InBootloaderWithoutFirmware, new("1-1.1", null), null);

    private static async Task HalfWriteAsync(Story story)
    {
        // The write ended after the first erase: the chip's first sector of the application is blank.
        story.Board.Flash.Erase(story.Board.Flash.SectorAt(story.Board.ApplicationStart), story.Time.Now);
        await story.PassAsync(TimeSpan.FromSeconds(3));
    }

    [Theory]
    [InlineData("octopus-in-dfu")]
    [InlineData("octopus-half-written")]
    public void A_bootloader_that_waits_tells_nothing_of_the_firmware(string scenario) => Story.Of(scenario, async story =>
    {
        story.Printer.Klippy.Busy = "printing";
        Assert.True((await story.FailedAsync("octopus", "printer-busy", BoardCondition.Unknown)).Refused);
        var known = new FlashRequest(story.Known("octopus"), story.Build("octopus")) { Earlier = Interrupted };
        await HalfWriteAsync(story);
        var report = (await story.FlashAsync(CancellationToken.None, known)).Boards.Single();
        Assert.Equal(("printer-busy", BoardCondition.InBootloaderWithoutFirmware), (report.Fault?.Code, report.Condition));
    });

    [Theory]
    [InlineData(true, BoardCondition.InBootloaderWithoutFirmware)]
    [InlineData(false, BoardCondition.Unknown)]
    public void A_half_written_board_that_is_off_the_bus_is_started_by_BOOT0(bool isJournalled, BoardCondition condition) =>
        Story.Of("octopus-in-dfu", async story =>
    {
        await HalfWriteAsync(story);
        story.Board.PowerOff();
        await story.PassAsync(TimeSpan.FromSeconds(3));
        var request = new FlashRequest(story.Known("octopus"), story.Build("octopus")) { Earlier = isJournalled ? Interrupted : null };
        var report = (await story.FlashAsync(CancellationToken.None, request)).Boards.Single();
        Assert.Equal(("board-not-seen", condition), (report.Fault?.Code, report.Condition));
        Assert.Contains("BOOT0", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Equal(isJournalled, report.Fault.Cause.Contains("last flash was interrupted", StringComparison.Ordinal));
    });

    [Fact]
    public void A_recovery_without_firmware_tells_what_it_read() => Story.Of("octopus-in-dfu", async story =>
    {
        await HalfWriteAsync(story);
        var report = await story.RecoverAsync("octopus", hasFirmware: false);
        Assert.Equal(("firmware-missing", BoardCondition.InBootloaderWithoutFirmware), (report.Fault?.Code, report.Condition));
    });

    /// <summary>The board is lost before anything is erased, or while that cannot be known, or after it.</summary>
    [Theory]
    [InlineData("octopus-katapult", FlashPhase.Write, BoardCondition.Unknown)]
    [InlineData("octopus", FlashPhase.Erase, BoardCondition.Unknown)]
    [InlineData("octopus", FlashPhase.Write, BoardCondition.InBootloaderWithoutFirmware)]
    [VirtualOnly("the cable is pulled between two transfers")]
    public void Nothing_is_called_erased_that_was_not_seen_to_be(string scenario, FlashPhase phase, BoardCondition condition) =>
        Story.Of(scenario, async story =>
    {
        story.OnEvent = step =>
        {
            if (step.Phase == phase && step.Kind == FlashEventKind.Begin)
                story.Board.Unplug();
        };
        await story.FailedAsync("octopus", "device-lost", condition);
    });

    [Fact]
    public void A_board_that_ran_and_waits_in_its_bootloader_is_said_to_be_untouched() => Story.Of("octopus", async story =>
    {
        story.OnEvent = step =>
        {
            if (step.Phase == FlashPhase.Identify)
                story.Board.Unplug();
        };
        await story.FailedAsync("octopus", "device-lost", BoardCondition.InBootloaderUnchanged);
    });

    /// <summary>Running firmware was not erased, whatever an earlier flash reported.</summary>
    [Fact]
    public void A_board_that_runs_Klipper_now_is_not_called_half_written() => Story.Of("octopus", async story =>
    {
        story.Printer.Klippy.Busy = "printing";
        var request = new FlashRequest(story.Known("octopus"), story.Build("octopus")) { Earlier = Interrupted };
        Assert.Equal(BoardCondition.Unchanged, (await story.FlashAsync(CancellationToken.None, request)).Boards.Single().Condition);
    });
}
