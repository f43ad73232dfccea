using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// Boards whose firmware was stopped on the way to their bootloader, and which never came there. Klipper refuses a board in that state.
/// </summary>
[VirtualOnly("their waits are minutes, which an emulated kernel makes many more; what they wait for is told there by the other stories")]
public sealed class StopStories
{
    [Theory]
    [InlineData("octopus", "octopus")]
    [InlineData("manta-m8p", "manta-m8p")]
    [InlineData("can-toolhead", "ebb42")]
    public void A_board_that_was_stopped_in_vain_is_reset_and_Klipper_is_ready(string scenario, string board) =>
        Story.Of(scenario, new InjectedFaults { TouchesIgnored = 99 }, async story =>
    {
        await story.FailedAsync(board, "touch-ignored", BoardCondition.Unchanged);
        Assert.Contains(story.Events, step => step.Message.Contains("emergency stop", StringComparison.Ordinal));
        Assert.Equal(new KlippyState(KlippyActivity.Ready), story.Printer.Klippy.State);
    });

    [Fact]
    public void A_board_that_loses_its_cable_after_the_stop_and_then_its_flash_is_reset_when_it_is_back() =>
        Story.Of("octopus", new InjectedFaults { TouchesIgnored = 99 }, async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (!step.Message.Contains("emergency stop", StringComparison.Ordinal))
                return;
            story.Time.Schedule(TimeSpan.FromSeconds(1), () => story.Board.Unplug());
            story.Time.Schedule(TimeSpan.FromSeconds(3), () => story.Board.Plug());
            cancel.Cancel();
        };
        var report =
            (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Boards.Single();
        Assert.False(report.Ok);
        Assert.Equal(BoardCondition.Unchanged, report.Condition);
        Assert.Equal(new KlippyState(KlippyActivity.Ready), story.Printer.Klippy.State);
    });
}
