using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A job that waits for an operator step: shown on every screen, blocking no other job, ended by a button.</summary>
public sealed class OperatorStepStories
{
    private static readonly InjectedFaults NoRom = new() { RomMissesUsb = true };

    private static void SetJumper(VirtualBoard board)
    {
        board.Boot0 = true;
        board.PressReset();
        board.Boot0 = false;
    }

    private static Task UntilAwaitedAsync(AgentStory story) => story.UntilSaidAsync("action:prompt_begin A board needs you");

    [Fact]
    public void A_buttons_flash_waits_for_the_operator_step_and_continues_automatically() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await UntilAwaitedAsync(story);
        // The screen is usable, Klipper runs, and every front end shows the step.
        Assert.True(story.Printer.Klippy.IsRunning);
        Assert.Equal("(complete)", story.Moonraker.Dialog[^1]);
        Assert.Contains(story.Moonraker.Console, line => line.StartsWith("!! RatOS.Flash: octopus:", StringComparison.Ordinal)
            && line.Contains("BOOT0", StringComparison.Ordinal));
        var job = (await story.RequestAsync("status")).Items("jobs").Single();
        Assert.Equal(("person", "person"), (job.Word("state"), job.Items("boards").First().Word("phase")));
        Assert.Contains("BOOT0", job.Items("boards").First().Word("message"), StringComparison.Ordinal);

        await Task.Delay(TimeSpan.FromHours(0.1), story.Time);
        SetJumper(story.Printer.Boards[0]);
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
        Assert.EndsWith(
            "action:prompt_end", story.Moonraker.Console.Last(line => line.Contains("action:prompt", StringComparison.Ordinal)),
            StringComparison.Ordinal);
    }, faults: NoRom);

    [Fact]
    public void Giving_up_is_a_button_and_the_boards_own_fault_is_the_verdict() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await UntilAwaitedAsync(story);
        Assert.True((await story.TypeAsync(story.Button("Give up"))).IsOk);
        var job = await story.UntilOverAsync();
        Assert.Equal(("bootloader-not-seen", "unchanged"), (job.Boards[0].Fault!.Code, job.Boards[0].Condition));
        Assert.Equal(1, story.Printer.Klippy.Stops);
    }, faults: NoRom);

    [Fact]
    public void Other_boards_are_flashed_while_one_waits_for_an_operator_step() => AgentStory.Of(async story =>
    {
        var first = (await story.RequestAsync("flash", ("board", "octopus"), ("person", true))).Word("job");
        await UntilAwaitedAsync(story);
        SetJumper(story.Printer.Boards[1]);
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
        Assert.True((await story.RequestAsync("flash", ("board", "ebb42"))).Flag("ok"));
        await story.UntilAsync(() => story.Jobs.Any(job => job.Result is { Ok: true }), "the other board is flashed");
        Assert.True(story.Runs(VirtualPrinter.HostVersion, 1));
        Assert.Equal("person", (await story.RequestAsync("job", ("job", first))).Items("jobs").Single().Word("state"));

        SetJumper(story.Printer.Boards[0]);
        await story.UntilOverAsync(2);
        Assert.All(story.Jobs, job => Assert.True(job.Result!.Ok));
    }, scenario: "voron", faults: NoRom);

    [Fact]
    public void Without_an_operator_no_operator_step_is_waited_for() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.Equal("bootloader-not-seen", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
    }, faults: NoRom);

    [Fact]
    public void An_agent_that_is_stopped_while_it_waits_for_an_operator_step_ends_at_once() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await UntilAwaitedAsync(story);
        await story.StopAgentsAsync();
        Assert.Equal("bootloader-not-seen", story.Jobs[^1].View().Boards[0].Fault!.Code);
    }, faults: NoRom);
}

/// <summary>By hand, and by Moonraker's own switches.</summary>
public sealed class RecoveryStories
{
    private static readonly MoonrakerSetup WithSupply =
        new() { PowerDevices = ImmutableDictionary<string, ImmutableArray<string>>.Empty.Add("printer", ["octopus"]) };

    private static AgentSettings Named(string power) => new()
    {
        Policy = FlashPolicy.Never,
        Boards = [new PrinterBoard("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!) { Power = power }],
    };

    [Fact]
    public void A_named_power_device_of_Moonraker_brings_the_board_into_its_bootloader() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal(2, story.Moonraker.Calls.Count(call => call == "machine.device_power.post_device"));
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
    }, scenario: "h2-needs-power", setup: WithSupply, settings: Named("printer"));

    [Fact]
    public void A_missing_power_device_is_reported_and_the_boards_own_fault_stays() => AgentStory.Of(async story =>
    {
        var job = (await story.RequestAsync("flash", ("board", "octopus"))).Word("job");
        Assert.Equal("bootloader-not-seen", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        Assert.Contains("No valid device named psu", story.Log, StringComparison.Ordinal);
    }, scenario: "h2-needs-power", setup: WithSupply, settings: Named("psu"));

    [Fact]
    public void A_board_left_in_its_bootloader_runs_again_by_a_request() => AgentStory.Of(async story =>
    {
        // Klipper is in error, so it is not greeted.
        await story.StartAgentAsync(waits: false);
        await story.UntilMethodsAsync();
        Assert.True((await story.RequestAsync("recover", ("board", "octopus"))).Flag("ok"));
        var job = await story.UntilOverAsync();
        Assert.Equal((true, "running"), (job.Ok, job.Boards[0].Condition));
        Assert.Equal(Klipper.KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
    }, scenario: "octopus-in-dfu", isAlone: true);

    [Fact]
    public void The_command_line_recovers_by_way_of_the_agent() => AgentStory.Of(async story =>
    {
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var report = await agent.FlashAsync(
            new FlashOptions(["all"]) { Job = FlashJob.Recover }, static _ => { }, CancellationToken.None);
        Assert.Equal((true, BoardCondition.Running), (report.Ok, report.Boards[0].Condition));
    });
}
