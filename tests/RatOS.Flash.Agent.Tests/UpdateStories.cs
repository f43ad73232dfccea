using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>After an update of Klipper: by the state of the boards, by policy, never while the update runs, and never twice.</summary>
public sealed class UpdateStories
{
    private static AgentSettings By(FlashPolicy policy, bool whenIdle = false) => new() { Policy = policy, WhenIdle = whenIdle };

    [Fact]
    public void No_update_of_Moonrakers_begins_beside_a_flash() => AgentStory.Of(async story =>
    {
        Assert.Empty(story.Moonraker.Holding);
        var job = (await story.RequestAsync("flash", ("board", "octopus"), ("force", true))).Word("job")!;
        await story.UntilAsync(() => story.Moonraker.Holding.Contains(job), "updates are held");
        Assert.True((await story.UntilOverAsync()).Ok);
        await story.UntilAsync(() => story.Moonraker.Holding.Count == 0, "updates may begin again");
    });

    [Fact]
    public void The_user_is_asked_once_and_presses_the_button() => AgentStory.Of(async story =>
    {
        await story.UntilSaidAsync("action:prompt_show");
        Assert.Contains(story.Moonraker.Console, line =>
            line.Contains("prompt_text 1 board could have new firmware: mcu runs v0.12.0-10-g1f2a9e1c", StringComparison.Ordinal));
        Assert.Equal(1, story.Moonraker.Console.Count(line => line.Contains("prompt_text", StringComparison.Ordinal)));
        Assert.Contains("server.ratos_flash.announce", story.Moonraker.Calls);
        Assert.Empty(story.Jobs);

        // Also a new agent does not ask again.
        await story.StopAgentsAsync();
        await story.StartAgentAsync();
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
        Assert.Equal(1, story.Moonraker.Console.Count(line => line.Contains("prompt_show", StringComparison.Ordinal)));

        await story.TypeAsync(story.Button("Flash now"));
        var job = await story.UntilOverAsync();
        Assert.Equal((true, "prompt"), (job.Ok, job.By));
        Assert.Contains(story.Moonraker.Console, line => line.Contains("action:prompt_end", StringComparison.Ordinal));
        // Nothing is left to be done, and the note goes away.
        await story.UntilAsync(() => !File.Exists(story.Data.UpdateNotice), "it is forgotten");
    }, settings: By(FlashPolicy.Ask));

    [Fact]
    public void In_error_the_button_works_though_macros_do_not() => AgentStory.Of(async story =>
    {
        await story.BreakProtocolAsync();
        await story.StartAgentAsync(waits: false);
        await story.UntilSaidAsync("action:prompt_show");
        Assert.Contains(story.Moonraker.Console, line =>
            line.StartsWith("!! RatOS.Flash: 1 board needs new firmware before Klipper can work", StringComparison.Ordinal));
        Assert.False((await story.TypeAsync("FLASH_MCU BOARD=octopus")).IsOk);
        Assert.True((await story.TypeAsync(story.Button("Flash now"))).IsOk);
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal(Klipper.KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
    }, settings: By(FlashPolicy.Ask), isAlone: true);

    [Fact]
    public void An_error_without_a_notification_is_announced_within_seconds_but_not_before_every_screen_knows_it() =>
        AgentStory.Of(async story =>
    {
        await story.UntilSaidAsync("could have new firmware");
        var begin = story.Time.Now;
        await story.BreakProtocolAsync();
        await story.UntilSaidAsync("!! RatOS.Flash: 1 board needs new firmware before Klipper can work");
        Assert.InRange((story.Time.Now - begin).TotalSeconds, 10, 55);   // without, it is a minute
    }, settings: By(FlashPolicy.Ask));

    [Fact]
    public void A_flash_by_another_front_end_ends_the_question() => AgentStory.Of(async story =>
    {
        await story.UntilSaidAsync("action:prompt_show");
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("stop");
        await story.UntilAsync(() =>
            story.Moonraker.Console.Last(line => line is "// action:prompt_end" or "// action:prompt_show") == "// action:prompt_end",
            "the question is taken back");
        Assert.Null(story.Jobs[0].Result);
        Assert.True((await story.UntilOverAsync()).Ok);
    }, settings: By(FlashPolicy.Ask));

    [Fact]
    public void A_message_of_several_lines_has_a_line_each_in_the_dialog() => AgentStory.Of(async story =>
    {
        await story.BreakProtocolAsync();
        // Flashed, but not with what Klipper wants.
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.12.9");
        Assert.True((await agent.FlashAsync(new FlashOptions(["octopus"]) { Firmware = new("klipper.bin", image) }, static _ => { },
                CancellationToken.None)).Ok);
        await story.UntilAsync(() =>
            story.Moonraker.Dialog.SkipWhile(line => !line.EndsWith("is not ready: MCU Protocol error", StringComparison.Ordinal))
                .ElementAtOrDefault(1)?.StartsWith("This is", StringComparison.Ordinal) == true,
            "the dialog says why Klipper is not ready");
        Assert.DoesNotContain(story.Moonraker.Dialog, line => line.Length == 0);
    });

    [Theory]
    [InlineData("error", true)]
    [InlineData("shutdown", true)]
    [InlineData("ready", false)]
    public void An_outdated_protocol_is_recognised_by_Klippers_message(string state, bool isRequired)
    {
        const string words =
            "MCU Protocol error\n\nYour Klipper version is: v0.13.0\nMCU(s) which should be updated:\ntoolhead: Current version "
            + "v0.12.0-316-g96cceed2\nUp-to-date MCU(s):\nmcu: Current version v0.13.0\n";
        var need = FlashNeed.Of(
            new([], new("v0.13.0",
                new Dictionary<string, McuEvidence>
                {
                    ["mcu"] = new("v0.13.0", null),
                    ["mcu toolhead"] = new("v0.12.0-316-g96cceed2", null)
                }))
            { State = state, Message = words })!;
        Assert.Equal((isRequired, "mcu toolhead"), (need.IsRequired, Assert.Single(need.Boards).Key));
    }

    [Fact]
    public void During_an_update_no_question_is_asked() => AgentStory.Of(async story =>
    {
        story.Moonraker.UpdateBusy = "klipper";
        await story.StartAgentAsync(waits: false);
        await Task.Delay(TimeSpan.FromSeconds(10), story.Time);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("prompt_show", StringComparison.Ordinal));
        story.Moonraker.UpdateBusy = null;
        await story.UntilSaidAsync("action:prompt_show");
    }, settings: By(FlashPolicy.Ask), isAlone: true);

    [Theory]
    [InlineData("changed", true)]
    [InlineData("always", true)]
    [InlineData("never", false)]
    public void The_policy_decides_when_only_the_version_differs(string policy, bool isFlashed) => AgentStory.Of(async story =>
    {
        if (isFlashed)
            Assert.Equal((true, "update"), ((await story.UntilOverAsync()).Ok, story.Jobs[0].View().By));
        else
            await Task.Delay(TimeSpan.FromSeconds(30), story.Time);
        Assert.Equal(isFlashed, story.Runs(VirtualPrinter.HostVersion));
        Assert.Equal(isFlashed ? 1 : 0, story.Jobs.Count);
        // The policy asks about boards that are not required (ratos-flash.conf).
        Assert.Equal(policy == "required", story.Moonraker.Console.Any(line => line.Contains("prompt_show", StringComparison.Ordinal)));
    }, settings: By(Enum.Parse<FlashPolicy>(policy, ignoreCase: true)));

    [Fact]
    public void The_policy_required_asks_about_boards_that_are_not_required() => AgentStory.Of(async story =>
    {
        await story.UntilSaidAsync("action:prompt_show");
        Assert.Empty(story.Jobs);
    }, settings: By(FlashPolicy.Required));

    [Fact]
    public void The_policy_required_flashes_boards_that_are_required() => AgentStory.Of(async story =>
    {
        await story.BreakProtocolAsync();
        await story.StartAgentAsync(waits: false);
        Assert.True((await story.UntilOverAsync()).Ok);
        await Task.Delay(TimeSpan.FromMinutes(3), story.Time);
        Assert.Single(story.Jobs);
    }, settings: By(FlashPolicy.Required), isAlone: true);

    [Fact]
    public void When_idle_the_policy_waits_for_the_print() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        await story.StartAgentAsync(waits: false);
        await Task.Delay(TimeSpan.FromSeconds(20), story.Time);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.Print.PrintState = "complete";
        Assert.True((await story.UntilOverAsync()).Ok);
    }, settings: By(FlashPolicy.Changed, whenIdle: true), isAlone: true);

    [Theory]
    [InlineData("ask", false)]
    [InlineData("required", false)]
    [InlineData("changed", false)]
    [InlineData("always", true)]
    public void Only_the_policy_always_flashes_a_board_whose_firmware_did_not_change(string policy, bool isFlashed)
    {
        var need = FlashNeed.Of(new([], new("v0.13.0", new Dictionary<string, McuEvidence> { ["mcu"] = new("v0.12.0", null) })))!;
        var needs = new Dictionary<string, FirmwareNeed>
        {
            ["mcu"] = new(NeedLevel.Needless, "Only files of Klipper's host changed."),
        };
        Assert.Equal(isFlashed, need.Of(needs, Enum.Parse<FlashPolicy>(policy, ignoreCase: true)) is not null);
        // A board of another maker is left alone by every policy.
        Assert.Null(need.Of(new Dictionary<string, FirmwareNeed>(), Enum.Parse<FlashPolicy>(policy, ignoreCase: true)));
    }

    [Fact]
    public void Boards_that_were_flashed_within_the_update_are_not_flashed_again() => AgentStory.Of(async story =>
    {
        // RatOS's own hook did it.
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        await story.FlashWithoutAgentAsync();
        await story.Printer.Klippy.StartAsync();
        await story.StartAgentAsync();
        await Task.Delay(TimeSpan.FromSeconds(30), story.Time);
        Assert.Empty(story.Jobs);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("RatOS.Flash", StringComparison.Ordinal));
    }, settings: By(FlashPolicy.Always), isAlone: true);
}
