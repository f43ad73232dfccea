using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>
/// A flash from an SD card by macro: Mainsail offers the file for download, and the job waits for the operator step.
/// </summary>
public sealed class SdCardStories
{
    private static string FileOf(AgentStory story) =>
        Path.Combine(story.Data.Root, "config", "firmware_binaries", "octopus", "firmware.bin");

    [Fact]
    public void The_macro_offers_the_file_and_the_job_continues_after_the_card_was_moved() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus CARD=1");
        await story.UntilSaidAsync("action:prompt_begin A board needs you");
        Assert.True(story.Printer.Klippy.IsRunning);
        Assert.Equal(story.Printer.Boards[0].BuildFirmware(), File.ReadAllBytes(FileOf(story)));
        Assert.Contains(story.Moonraker.Console, line => line.Contains("umount /media/card", StringComparison.Ordinal));
        // A note is no error, and only a wait can be ended.
        var said = story.Moonraker.Console.Where(line => line.Contains("RatOS.Flash: octopus: ", StringComparison.Ordinal)).ToList();
        var wait = Assert.Single(said, line => line.StartsWith("!! ", StringComparison.Ordinal));
        Assert.EndsWith("FLASH_CANCEL ends the wait.", wait, StringComparison.Ordinal);
        Assert.Contains(said, line => line.StartsWith("// ", StringComparison.Ordinal));
        Assert.DoesNotContain(said, line => line != wait && line.Contains("FLASH_CANCEL", StringComparison.Ordinal));
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
        Assert.True(story.Jobs.Single().Result!.Boards.Single().SdCard);
    }, "card-in-computer");

    [Fact]
    public void An_agent_that_is_killed_meanwhile_does_not_report_the_board_as_untouched() => AgentStory.Of(async story =>
    {
        // The printer's switch is this computer's as well.
        await story.TypeAsync("FLASH_MCU BOARD=octopus CARD=1");
        await story.UntilSaidAsync("action:prompt_begin A board needs you");
        var report = Journal.ReadAll(story.Data.Jobs).Single().Interrupted().Boards.Single();
        Assert.True(report is { Condition: BoardCondition.Unconfirmed, IsBySdCard: true, Fault.Code: "interrupted" });
        Assert.True((await story.UntilOverAsync()).Ok);
    }, "card-in-computer");

    [Fact]
    public void A_failed_flash_leaves_the_file_for_another_flash_method() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.Equal("bootloader-not-seen", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        Assert.Equal(story.Printer.Boards[0].BuildFirmware(), File.ReadAllBytes(FileOf(story)));
        Assert.Contains(story.Jobs.Single().Result!.Boards.Single().Notes, note =>
            note.Contains("firmware_binaries/octopus/firmware.bin", StringComparison.Ordinal));
    }, faults: new InjectedFaults { RomMissesUsb = true });

    [Fact]
    public void A_successful_flash_leaves_no_file() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.False(File.Exists(FileOf(story)));
    });

    [Fact]
    public void A_file_that_cannot_be_offered_does_not_keep_the_card_from_being_written() => AgentStory.Of(async story =>
    {
        // In the way of the folder stands a file: as root too.
        File.WriteAllText(Path.Combine(story.Data.Root, "config", "firmware_binaries"), "");
        await story.RequestAsync("flash", ("board", "octopus"), ("sd_card", true), ("person", true));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Contains("cannot be written", story.Log, StringComparison.Ordinal);
    }, "card-in-computer");
}
