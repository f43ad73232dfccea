using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>
/// A flash by the board's SD card, asked for where people ask: the file lies where Mainsail offers it, and the job waits for the person.
/// </summary>
public sealed class SdCardStories
{
    private static string FileOf(AgentStory story) =>
        Path.Combine(story.Data.Root, "config", "firmware_binaries", "octopus", "firmware.bin");

    [Fact]
    public void The_macro_lays_the_file_ready_and_the_job_goes_on_when_the_card_was_carried() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus CARD=1");
        await story.UntilSaidAsync("action:prompt_begin A board needs you");
        Assert.True(story.Printer.Klippy.IsRunning);
        Assert.Equal(story.Printer.Boards[0].BuildFirmware(), File.ReadAllBytes(FileOf(story)));
        Assert.Contains(story.Moonraker.Console, line => line.Contains("umount /media/card", StringComparison.Ordinal));
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
        Assert.True(story.Jobs.Single().Result!.Boards.Single().SdCard);
    }, "card-in-computer");

    [Fact]
    public void An_agent_that_is_killed_meanwhile_does_not_say_that_the_board_was_left_as_it_was() => AgentStory.Of(async story =>
    {
        // The printer's switch is this computer's as well.
        await story.TypeAsync("FLASH_MCU BOARD=octopus CARD=1");
        await story.UntilSaidAsync("action:prompt_begin A board needs you");
        var report = Journal.ReadAll(story.Data.Jobs).Single().Interrupted().Boards.Single();
        Assert.True(report is { Condition: BoardCondition.Unconfirmed, IsBySdCard: true, Fault.Code: "interrupted" });
        Assert.True((await story.UntilOverAsync()).Ok);
    }, "card-in-computer");

    [Fact]
    public void A_flash_that_failed_leaves_the_file_for_another_way() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.Equal("bootloader-not-seen", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        Assert.Equal(story.Printer.Boards[0].BuildFirmware(), File.ReadAllBytes(FileOf(story)));
        Assert.Contains(story.Jobs.Single().Result!.Boards.Single().Notes, note =>
            note.Contains("firmware_binaries/octopus/firmware.bin", StringComparison.Ordinal));
    }, faults: new InjectedFaults { RomMissesUsb = true });

    [Fact]
    public void A_flash_that_went_well_leaves_no_file() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.False(File.Exists(FileOf(story)));
    });

    [Fact]
    public void Where_the_file_cannot_be_laid_the_card_is_written_all_the_same() => AgentStory.Of(async story =>
    {
        // In the way of the folder stands a file: as root too.
        File.WriteAllText(Path.Combine(story.Data.Root, "config", "firmware_binaries"), "");
        await story.RequestAsync("flash", ("board", "octopus"), ("sd_card", true), ("person", true));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Contains("could not be written", story.Log, StringComparison.Ordinal);
    }, "card-in-computer");
}
