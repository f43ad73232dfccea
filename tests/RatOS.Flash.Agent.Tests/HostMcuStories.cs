using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>The Raspberry Pi itself as an MCU, by way of Moonraker and the unit of root's.</summary>
public sealed class HostMcuStories
{
    private const string Old = "v0.12.0-10-g1f2a9e1c";

    private static void Of(Func<AgentStory, Task> tell, InjectedFaults? faults = null) =>
        AgentStory.Of(tell, "octopus-and-pi", faults: faults);

    private static async Task<JsonJobBoard> FlashAsync(AgentStory story, int jobs = 1, params (string Name, object? Value)[] more)
    {
        await story.RequestAsync("flash", [("board", "pi"), .. more]);
        return (await story.UntilOverAsync(jobs)).Boards.Single();
    }

    [Fact]
    public void The_process_is_replaced_through_Moonraker_and_Klipper_stops_once() => Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "all"));
        var job = await story.UntilOverAsync();
        Assert.All(job.Boards, board => Assert.True(board.Ok, board.Fault?.Cause));
        Assert.True(story.Runs(VirtualPrinter.HostVersion, board: 1));
        Assert.Equal(1, story.Printer.Klippy.Stops);
        Assert.Contains("pi OK: runs v0.13.0-730-g84104bbbd, 43.4 KiB installed",
            string.Join('\n', story.Moonraker.Console.Concat(story.Moonraker.Dialog)), StringComparison.Ordinal);
        // Nothing but the answer is left in the folder that root's unit reads.
        Assert.Equal(["result"], Directory.GetFiles(story.Data.HostMcu).Select(Path.GetFileName));
    });

    [Fact]
    public void Without_the_unit_it_is_refused_with_the_command_that_installs_it_and_Klipper_keeps_running() => Of(async story =>
    {
        var pi = await FlashAsync(story);
        Assert.Equal("host-mcu-unit-missing", pi.Fault?.Code);
        Assert.Contains("install.sh --host-mcu`", pi.Fault!.Remedy, StringComparison.Ordinal);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        var plan = (await story.RequestAsync("plan", ("board", "pi"))).Items("plan").Single();
        Assert.True(plan.Flag("blocked"));
    }, new InjectedFaults { HasNoHostMcuUnit = true });

    [Fact]
    public void A_new_process_that_does_not_start_is_replaced_by_the_previous_one() => Of(async story =>
    {
        var pi = await FlashAsync(story);
        Assert.Equal(("host-mcu-not-up", "unchanged"), (pi.Fault?.Code, pi.Condition));
        Assert.True(story.Runs(Old, board: 1));
    }, new InjectedFaults { NewProcessCrashes = true });

    [Fact]
    public void A_program_for_another_computer_is_refused_by_the_unit() => Of(async story =>
    {
        var bytes = story.Printer.Boards[1].BuildFirmware();
        bytes[18] = 62;
        var pi = await FlashAsync(story, 1, ("firmware", "pi.elf"), ("confirm", story.Upload("pi.elf", bytes)));
        Assert.Equal(("host-mcu-refused", "unchanged"), (pi.Fault?.Code, pi.Condition));
        Assert.True(story.Runs(Old, board: 1));
        // And the right one is taken after that.
        Assert.True((await FlashAsync(story, 2)).Ok);
    });

    [Fact]
    public void An_answer_to_an_earlier_request_does_not_count() => Of(async story =>
    {
        Directory.CreateDirectory(story.Data.HostMcu);
        File.WriteAllText(Path.Combine(story.Data.HostMcu, "result"), "0123456789abcdef done\n");
        story.Printer.Boards[1].Process!.IgnoresInstall = true;
        var pi = await FlashAsync(story);
        Assert.Equal(("host-mcu-unit-silent", "unchanged"), (pi.Fault?.Code, pi.Condition));
        Assert.True(story.Runs(Old, board: 1));
    });
}
