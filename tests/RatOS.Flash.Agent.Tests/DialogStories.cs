using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>What macros and screens are told: they get no answer to a call.</summary>
public sealed class DialogStories
{
    [Fact]
    public void FLASH_MCU_without_a_board_asks_before_it_flashes() => AgentStory.Of(async story =>
    {
        Assert.True((await story.TypeAsync("FLASH_MCU HOT=1")).IsOk);
        await story.UntilSaidAsync("action:prompt_begin Flash boards?");
        Assert.Contains(story.Moonraker.Console, line =>
            line.Contains("prompt_text These boards will be flashed: octopus (v0.12.0-10-g1f2a9e1c -> ", StringComparison.Ordinal));
        await Task.Delay(TimeSpan.FromSeconds(20), story.Time);
        Assert.Empty(story.Jobs);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.StartsWith("!!", StringComparison.Ordinal));

        Assert.True((await story.TypeAsync(story.Button("Flash"))).IsOk);
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));

        await story.UntilAsync(() => story.Printer.Klippy.State.Activity == Klipper.KlippyActivity.Ready, "Klipper is ready");
        await story.TypeAsync("FLASH_MCU");
        await story.UntilSaidAsync("// RatOS.Flash: All boards are up to date.");
        Assert.Single(story.Jobs);
    });

    [Fact]
    public void FLASH_MCU_for_all_boards_flashes_at_once() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=all");
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("prompt_begin", StringComparison.Ordinal));
    });

    [Fact]
    public void A_macro_in_the_moment_in_which_Klipper_becomes_ready_is_heard() => AgentStory.Of(async story =>
    {
        // The agent has not told the macros yet that it is there.
        story.Moonraker.Klipper.Macros["_RATOS_FLASH"].Reset();
        Assert.True((await story.TypeAsync("FLASH_STATUS")).IsOk);
        await story.UntilSaidAsync("// RatOS.Flash: octopus");
        await story.UntilAsync(() => Asked(story) == 0, "the call is acknowledged");

        story.Moonraker.Klipper.Macros["_RATOS_FLASH"].Variables["settled"] = 1.0;
        story.Moonraker.Klipper.Macros["_RATOS_FLASH"].Variables["alive"] = 0.0;
        Assert.Contains("not connected", (await story.TypeAsync("FLASH_STATUS")).Message, StringComparison.Ordinal);
    });

    [Fact]
    public void The_consoles_past_has_no_command_of_the_agents() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_STATUS");
        await story.UntilAsync(() => Asked(story) == 0, "the call is acknowledged");
        Assert.Contains("server.ratos_flash.macro", story.Moonraker.Calls);
        Assert.DoesNotContain("printer.gcode.script", story.Moonraker.Calls);
    });

    [Fact]
    public void An_agent_that_does_not_know_of_the_macros_yet_acknowledges_a_call() => AgentStory.Of(async story =>
    {
        var macro = story.Moonraker.Klipper.Macros["_RATOS_FLASH"];
        story.Moonraker.Klipper.Macros.Remove("_RATOS_FLASH");
        await story.StartAgentAsync(waits: false);
        await story.UntilMethodsAsync();
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
        story.Moonraker.Klipper.Macros["_RATOS_FLASH"] = macro;
        macro.Reset();
        Assert.True((await story.TypeAsync("FLASH_STATUS")).IsOk);
        await story.UntilAsync(() => Asked(story) == 0, "the call is acknowledged");
    }, isAlone: true);

    private static double? Asked(AgentStory story) => (double?)story.Moonraker.Klipper.Macros["_RATOS_FLASH"].Variables["asked"];

    [Fact]
    public void In_error_the_question_is_asked_again_when_Moonraker_has_restarted() => AgentStory.Of(async story =>
    {
        int Shown() => story.Moonraker.Console.Count(line => line == "// action:prompt_show");
        await story.BreakProtocolAsync();
        await story.StartAgentAsync(waits: false);
        await story.UntilAsync(() => Shown() == 1, "the question is shown");
        await story.Moonraker.RestartAsync(TimeSpan.FromSeconds(2));
        await story.UntilAsync(() => Shown() == 2, "it is shown again");
        await Task.Delay(TimeSpan.FromMinutes(3), story.Time);
        Assert.Equal(2, Shown());
        Assert.Single(story.Moonraker.Calls, call => call == "server.ratos_flash.announce");
        Assert.True((await story.TypeAsync(story.Button("Flash now"))).IsOk);
        Assert.True((await story.UntilOverAsync()).Ok);
    }, settings: new() { Policy = FlashPolicy.Ask }, isAlone: true);

    [Fact]
    public void A_flash_without_a_prompt_takes_none_away() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync()).Ok);
        await Task.Delay(TimeSpan.FromSeconds(10), story.Time);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("action:prompt", StringComparison.Ordinal));
    });

    [Fact]
    public void A_screen_is_told_of_a_refusal() => AgentStory.Of(async story =>
    {
        var answer = await story.RequestAsync("flash", ("board", "nose"), ("by", "screen"));
        Assert.Equal("unknown-board", answer.At("error")?.Word("code"));
        await story.UntilSaidAsync("!! RatOS.Flash: This printer has no board called 'nose'");
        Assert.Empty(story.Moonraker.Dialog);
        await story.RequestAsync("flash", ("board", "knee"));
        await story.RequestAsync("cancel", ("by", "screen"));
        await story.UntilSaidAsync("echo: RatOS.Flash: No flash is running.");
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("knee", StringComparison.Ordinal));
    });

    [Fact]
    public void In_error_a_screen_is_told_of_a_refusal_by_the_dialog() => AgentStory.Of(async story =>
    {
        await story.BreakProtocolAsync();
        await story.StartAgentAsync(waits: false);
        await story.UntilMethodsAsync();
        await story.RequestAsync("flash", ("board", "nose"), ("by", "screen"));
        await story.UntilAsync(() => story.Moonraker.Dialog is [var line, "(complete)"]
            && line.StartsWith("Error: This printer has no board called 'nose'", StringComparison.Ordinal), "the dialog is complete");
    }, isAlone: true);

    [Fact]
    public void A_long_wait_is_counted() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilSaidAsync("action:prompt_begin A board needs you");
        var waits = story.Moonraker.Dialog.Where(line => line.EndsWith(" s", StringComparison.Ordinal)).ToList();
        Assert.Contains(waits, line => line.StartsWith("octopus: ", StringComparison.Ordinal)
            && line.EndsWith(": 5 s", StringComparison.Ordinal));
        Assert.Contains(waits, line => line.EndsWith(": 20 s", StringComparison.Ordinal));
        Assert.InRange(waits.Count, 4, 10);
        await Task.Delay(TimeSpan.FromMinutes(1), story.Time);
        Assert.Equal("(complete)", story.Moonraker.Dialog[^1]);
    }, faults: new() { RomMissesUsb = true });

    [Fact]
    public void A_bundle_and_doctor_are_macros_and_menus() => AgentStory.Of(async story =>
    {
        Assert.True((await story.TypeAsync("FLASH_BUNDLE")).IsOk);
        await story.UntilSaidAsync("Download it from the folder logs of your front end, or from /server/files/logs/");
        Assert.True((await story.TypeAsync("FLASH_DOCTOR")).IsOk);
        await story.UntilSaidAsync("// RatOS.Flash: Doctor found");
        await story.UntilAsync(() => Asked(story) == 0, "the calls are acknowledged");
        Assert.True((await story.TypeAsync("FLASH_BUNDLE JOB=nose")).IsOk);
        await story.UntilSaidAsync("!! RatOS.Flash: ");

        Assert.True((await story.RequestAsync("doctor", ("by", "screen"))).Flag("ok"));
        await story.UntilSaidAsync("echo: Doctor found");
        Assert.True((await story.RequestAsync("bundle", ("by", "screen"))).Flag("ok"));
        await story.UntilSaidAsync("echo: RatOS.Flash: The bundle");
    });

    [Fact]
    public void Findings_of_doctor_are_messages_with_their_remedies()
    {
        DoctorFinding[] findings =
        [
            DoctorFinding.Of(FaultReport.Of(FlashFaults.ConsentMissing()), FindingSeverity.Note),
            DoctorFinding.Of(FaultReport.Of(FlashFaults.ConsentMissing())),
        ];
        var messages = ConsoleText.Doctor(findings).ToList();
        Assert.Equal(3, messages.Count);
        Assert.Equal("// RatOS.Flash: Doctor found 1 problem.", messages[^1]);
        Assert.Contains(messages, message => message.StartsWith("!! RatOS.Flash: problem: ", StringComparison.Ordinal)
            && message.Contains('\n', StringComparison.Ordinal));
        Assert.StartsWith("echo: Doctor found 1 problem.\nproblem: ", ConsoleText.DoctorPopup(findings), StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_of_several_lines_is_printed_by_Klipper_line_by_line() => Assert.Equal(
        ["RESPOND TYPE=error MSG=\"octopus FAILED\"", "RESPOND TYPE=error MSG=\"What to do: x\"", "RESPOND TYPE=echo MSG=\"done\""],
        [.. ConsoleText.Responds("!! octopus FAILED\nWhat to do: x"), .. ConsoleText.Responds("echo: done")]);
}
