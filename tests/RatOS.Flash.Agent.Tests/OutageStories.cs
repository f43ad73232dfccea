using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Moonraker, Klipper or the agent fail in the middle: the verdict is true, and Klipper runs again.</summary>
public sealed class OutageStories
{
    private const string Old = "v0.12.0-10-g1f2a9e1c";

    [Theory]
    [InlineData("stop")]
    [InlineData("enter")]
    [InlineData("erase")]
    [InlineData("write")]
    [InlineData("verify")]
    [InlineData("prove")]
    [InlineData("start")]
    public void Moonraker_restarts_in_the_middle(string phase) => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync(phase);
        var calls = story.Moonraker.Calls.Count;
        await story.Moonraker.RestartAsync(TimeSpan.FromSeconds(2));
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok, job.Boards[0].Fault?.Cause);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
        // The agent registered again: the next press works.
        await story.UntilRegisteredAsync(calls);
        Assert.True((await story.TypeAsync("FLASH_STATUS")).IsOk);
        await story.UntilSaidAsync("runs Klipper");
    });

    [Fact]
    public void A_Klipper_that_is_started_in_the_middle_is_stopped_again() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok, job.Boards[0].Fault?.Cause);
        Assert.Equal(2, story.Printer.Klippy.Stops);
    }, scenario: "h4-foreign-start", faults: Scenario.Find("h4-foreign-start").Faults);

    [Fact]
    public void Klipper_is_killed_and_Moonraker_restarted_in_one_go_as_a_full_update_does() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("erase");
        var restart = story.Moonraker.RestartAsync(TimeSpan.FromSeconds(1));
        story.Printer.Klippy.StartFromOutside();
        await restart;
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok, job.Boards[0].Fault?.Cause);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_request_of_nine_megabytes_is_refused_and_the_next_one_answered(bool isWeb) => AgentStory.Of(async story =>
    {
        await Assert.ThrowsAsync<MoonrakerException>(
            () => story.RequestAsync("flash", ("board", "octopus"), ("junk", new string('x', 9 * 1024 * 1024))));
        Assert.Equal("unknown-board", (await story.RequestAsync("flash", ("board", "octopuss"))).Word("error", "code"));
    }, isWeb: isWeb);

    [Fact]
    public void A_connection_that_breaks_again_and_again_does_not_end_the_flash() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("look");
        for (var i = 0; i < 20; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(0.4), story.Time);
            story.Moonraker.DropConnections();
        }
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
    });

    [Theory]
    [InlineData(2, null)]
    [InlineData(240, "moonraker-gone")]
    public void A_connection_lost_during_a_query_is_waited_for_but_not_for_ever(int seconds, string? code) =>
        AgentStory.Of(async story =>
    {
        story.Moonraker.AnswerDelay = TimeSpan.FromSeconds(1.5);
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("look");
        await story.Moonraker.RestartAsync(TimeSpan.FromSeconds(seconds));
        var job = await story.UntilOverAsync();
        Assert.Equal((code, code is null ? "flashed" : "unchanged"), (job.Boards[0].Fault?.Code, job.Boards[0].Condition));
        Assert.Equal(code is null ? 1 : 0, story.Printer.Klippy.Stops);
        story.Moonraker.AnswerDelay = TimeSpan.Zero;
    });

    [Fact]
    public void A_Moonraker_that_stays_away_for_minutes_finds_Klipper_started_when_it_is_back() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("write");
        await story.Moonraker.RestartAsync(TimeSpan.FromMinutes(4));
        await story.UntilOverAsync();
        var job = story.Jobs[0].Result!;
        Assert.Equal((true, "klipper-not-started"), (job.Boards[0].Ok, job.Klippy?.Code));
        await story.UntilAsync(() => story.Printer.Klippy.State.Activity == KlippyActivity.Ready, "Klipper is ready");
        await story.UntilAsync(() => story.Log.Contains("Klipper was stopped for a flash that is over", StringComparison.Ordinal),
            "it was started by the agent");
    });

    [Fact]
    public void A_Moonraker_that_answers_nothing_is_given_up_and_asked_again() => AgentStory.Of(async story =>
    {
        story.Moonraker.IsSilent = true;
        story.Moonraker.DropConnections();
        await story.UntilAsync(() => story.Log.Contains("it did not answer within 10 s", StringComparison.Ordinal),
            "the silence is noticed");
        story.Moonraker.IsSilent = false;
        await story.UntilRegisteredAsync(story.Moonraker.Calls.Count);
        Assert.True((await story.RequestAsync("status")).Flag("ok"));
    });

    [Fact]
    public void Slow_answers_only_take_longer() => AgentStory.Of(async story =>
    {
        story.Moonraker.AnswerDelay = TimeSpan.FromSeconds(1.5);
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync()).Ok);
        story.Moonraker.AnswerDelay = TimeSpan.Zero;
    });

    [Theory]
    [InlineData("printing")]
    [InlineData("paused")]
    public void A_printer_at_work_is_left_alone_even_by_force(string state) => AgentStory.Of(async story =>
    {
        (story.Moonraker.Print.PrintState, story.Moonraker.Print.FileName) = (state, "boat.gcode");
        await story.RequestAsync("flash", ("board", "octopus"), ("force", true), ("hot", true));
        var job = await story.UntilOverAsync();
        Assert.Equal(("printer-busy", "unchanged"), (job.Boards[0].Fault!.Code, job.Boards[0].Condition));
        Assert.Contains("boat.gcode", job.Boards[0].Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.Print.PrintState = "standby";
    });

    [Theory]
    [InlineData(0)]      // it has Klipper as disconnected
    [InlineData(0.65)]   // ... as starting
    public void A_Moonraker_that_has_just_restarted_does_not_know_of_a_print_and_is_asked_until_it_does(double later) =>
        AgentStory.Of(async story =>
    {
        using var over = new CancellationTokenSource();
        var moonraker = new MoonrakerConnection(new(story.Data.Moonraker, story.Settings.MoonrakerUrl), story.Time, story.LogFile);
        var line = moonraker.RunAsync(over.Token);
        await story.UntilAsync(() => moonraker.IsConnected, "the line is up");
        story.Moonraker.Print.PrintState = "printing";
        var epoch = moonraker.Epoch;
        await story.Moonraker.RestartAsync(TimeSpan.FromSeconds(0.1));
        await story.UntilAsync(() => moonraker.Epoch != epoch, "it is up again");
        await Task.Delay(TimeSpan.FromSeconds(later), story.Time);
        var state = await new MoonrakerKlippy(moonraker, story.Time).LookAsync(CancellationToken.None);
        Assert.Equal("printer-busy", state.Blocker?.Code);
        story.Moonraker.Print.PrintState = "standby";
        await over.CancelAsync();
        await line;
    });

    [Fact]
    public void A_Klipper_that_runs_where_Moonraker_does_not_find_it_may_be_printing_and_is_left_alone() => AgentStory.Of(async story =>
    {
        story.Moonraker.FindsKlipper = false;
        var calls = story.Moonraker.Calls.Count;
        await story.Moonraker.RestartAsync(TimeSpan.FromSeconds(0.1));
        await story.UntilAsync(() => story.Moonraker.Calls.Skip(calls).Contains("server.connection.identify"), "the agent is back");
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var report = await agent.FlashAsync(new FlashOptions(["octopus"]), static _ => { }, CancellationToken.None);
        Assert.Equal("printer-unknown", report.Boards[0].Fault!.Code);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void A_print_that_begins_while_the_connection_is_lost_before_the_stop_is_left_alone() => AgentStory.Of(async story =>
    {
        story.Moonraker.AnswerDelay = TimeSpan.FromSeconds(1.5);
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("stop");
        story.Moonraker.Print.PrintState = "printing";
        await story.Moonraker.RestartAsync(TimeSpan.FromSeconds(2));
        var job = await story.UntilOverAsync();
        Assert.Equal(("printer-busy", "unchanged"), (job.Boards[0].Fault?.Code, job.Boards[0].Condition));
        Assert.Equal(0, story.Printer.Klippy.Stops);
        (story.Moonraker.AnswerDelay, story.Moonraker.Print.PrintState) = (TimeSpan.Zero, "standby");
    });

    [Fact]
    public void A_print_that_begins_between_the_two_queries_is_seen_by_the_second() => AgentStory.Of(async story =>
    {
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var looks = 0;
        var report = await agent.FlashAsync(new FlashOptions(["octopus"]), step =>
        {
            if (step is { Phase: FlashPhase.Look, Kind: FlashEventKind.Begin } && looks++ == 0)
                story.Moonraker.Print.PrintState = "printing";
        }, CancellationToken.None);
        Assert.Equal("printer-busy", report.Boards[0].Fault!.Code);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.Print.PrintState = "standby";
    });

    [Fact]
    public void While_it_homes_nothing_is_flashed() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.IdleState = "Printing";
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.Equal("printer-busy", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.Print.IdleState = "Ready";
    });

    [Fact]
    public void Hot_heaters_refuse_a_flash_unless_the_request_allows_them() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.Heaters["extruder"] = (210, 215);
        await story.TypeAsync("FLASH_MCU BOARD=octopus FORCE=1");
        var refused = await story.UntilOverAsync();
        Assert.Equal("heaters-hot", refused.Boards[0].Fault!.Code);
        Assert.Contains("extruder is at 210 °C", refused.Boards[0].Fault!.Cause, StringComparison.Ordinal);
        await story.TypeAsync("FLASH_MCU BOARD=octopus HOT=1");
        Assert.True((await story.UntilOverAsync(2)).Ok);
        Assert.Equal(0, story.Moonraker.Print.Heaters["extruder"].Target);
    });

    [Fact]
    public void A_heater_that_only_just_began_is_turned_off() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.Heaters["heater_bed"] = (31, 60);
        var isOff = false;
        using var agent = AgentBoards.TryOpen(story.Data)!;
        await agent.FlashAsync(
            new FlashOptions(["octopus"]), step => isOff |= step is { Phase: FlashPhase.Stop, Kind: FlashEventKind.End }
            && story.Moonraker.Calls.Contains("printer.gcode.script"), CancellationToken.None);
        Assert.True(isOff);
        Assert.Equal(0, story.Moonraker.Print.Heaters["heater_bed"].Target);
    });

    [Fact]
    public void While_Moonraker_updates_nothing_is_flashed() => AgentStory.Of(async story =>
    {
        story.Moonraker.UpdateBusy = "klipper";
        await story.RequestAsync("flash", ("board", "octopus"), ("force", true));
        Assert.Equal("update-runs", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.UpdateBusy = null;
    });

    [Fact]
    public void A_Klipper_that_does_not_stop_is_reported_and_nothing_was_touched() => AgentStory.Of(async story =>
    {
        story.Printer.Klippy.WillNotStop = "it hangs";
        await story.RequestAsync("flash", ("board", "octopus"));
        var job = await story.UntilOverAsync();
        Assert.Equal(("klipper-would-not-stop", "unchanged"), (job.Boards[0].Fault!.Code, job.Boards[0].Condition));
        Assert.True(story.Runs(Old));
        story.Printer.Klippy.WillNotStop = null;
    });

    [Fact]
    public void A_flash_when_idle_waits_for_the_end_of_the_print() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        var job = (await story.RequestAsync("flash", ("board", "octopus"), ("when_idle", true))).Word("job");
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
        Assert.Equal("waiting", (await story.RequestAsync("job", ("job", job))).Items("jobs").First().Word("state"));
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.Print.PrintState = "complete";
        // The next poll is a minute away: the notification was heard.
        var begin = story.Time.Now;
        await story.UntilAsync(() => story.Printer.Klippy.Stops == 1, "Klipper is stopped");
        Assert.True(story.Time.Now - begin < TimeSpan.FromSeconds(50), "the end of the print was not heard");
        Assert.True((await story.UntilOverAsync()).Ok);
    });

    [Fact]
    public void A_cancelled_job_that_waits_is_named_and_touched_nothing() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        var job = (await story.RequestAsync("flash", ("board", "octopus"), ("when_idle", true))).Word("job")!;
        await story.UntilAsync(() => story.Jobs.Count == 1, "the job has begun to wait");
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var cancelled = (await agent.AskAsync("cancel")).Jobs!;
        Assert.Equal($"Cancelled {job}: nothing was touched.", JobText.Cancelled(cancelled));
        Assert.Equal("cancelled", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        Assert.Equal("No flash is running.", JobText.Cancelled((await agent.AskAsync("cancel")).Jobs ?? []));
    });
}
