using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>An operator does the requested step minutes later, and the flash continues automatically.</summary>
[VirtualOnly("their waits are minutes, which an emulated kernel makes many more; what they wait for is told there by the other stories")]
public sealed class OperatorStepStories
{
    /// <summary>Sets BOOT0, presses reset, and takes the jumper off as soon as the ROM waits.</summary>
    private static void SetJumper(VirtualBoard board)
    {
        board.Boot0 = true;
        board.PressReset();
        board.Boot0 = false;
    }

    private static void PowerCycle(VirtualBoard board)
    {
        board.PowerOff();
        board.PowerOn();
    }

    private static IEnumerable<FlashEvent> OperatorSteps(Story story) =>
        story.Events.Where(step => step is { Phase: FlashPhase.Operator, Kind: FlashEventKind.Begin });

    [Fact]
    public void A_person_who_sets_the_jumper_is_waited_for_while_Klipper_runs() => Story.Of("octopus-pro-429", async story =>
    {
        // Only the board itself can tell that it has no Katapult: it is asked in a first stop of Klipper, and flashed in a second one.
        story.Operator = _ => SetJumper(story.Board);
        await story.FlashedAsync("octopus-pro");
        Assert.Equal(2, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void A_jumper_that_stayed_on_is_asked_for_once_more_and_then_all_is_proven() => Story.Of("octopus-pro-429", async story =>
    {
        story.Operator = step =>
        {
            story.Board.Boot0 = !story.Board.Boot0;
            story.Board.PressReset();
        };
        await story.FlashedAsync("octopus-pro");
        Assert.Contains("Remove the BOOT0 jumper", OperatorSteps(story).Last().Message, StringComparison.Ordinal);
        Assert.Equal(2, OperatorSteps(story).Count());
    });

    [Fact]
    public void H2_a_rom_that_never_comes_is_one_step_of_a_person_with_the_cause_named() => Story.Of("h2-no-enumeration", async story =>
    {
        story.Operator = _ => SetJumper(story.Board);
        await story.FlashedAsync("octopus");
        var asked = Assert.Single(OperatorSteps(story)).Message;
        Assert.Contains("no bootloader appeared at port", asked, StringComparison.Ordinal);
        Assert.Contains("SD slot", asked, StringComparison.Ordinal);
        Assert.Contains("BOOT0", asked, StringComparison.Ordinal);
    });

    [Fact]
    public void The_simulated_operator_does_the_steps_on_the_virtual_printer() => Story.Of("h2-person", async story =>
    {
        story.Operator = static _ => { };
        await story.FlashedAsync("octopus");
    });

    [Fact]
    public void H2_a_person_who_only_switches_power_sees_it_tried_again_and_is_asked_again() => Story.Of("h2-no-enumeration", async story =>
    {
        var times = 0;
        story.Operator = _ =>
        {
            if (++times < 3)
                PowerCycle(story.Board);
            else
                SetJumper(story.Board);
        };
        await story.FlashedAsync("octopus");
        Assert.Equal(3, OperatorSteps(story).Count());
    });

    [Fact]
    public void A_board_that_ignores_every_request_is_flashed_when_a_person_starts_its_bootloader() =>
        Story.Of("octopus", new InjectedFaults { TouchesIgnored = 99 }, async story =>
    {
        story.Operator = _ => SetJumper(story.Board);
        await story.FlashedAsync("octopus");
    });

    [Fact]
    public void A_rom_that_does_not_leave_is_asked_off_power_and_what_was_written_is_proven_and_not_written_again() =>
        Story.Of("octopus", new InjectedFaults { LeavesIgnored = 99 }, async story =>
    {
        story.Operator = _ => PowerCycle(story.Board);
        await story.FlashedAsync("octopus");
        Assert.Single(story.Events, step => step is { Phase: FlashPhase.Write, Kind: FlashEventKind.Begin });
        Assert.All(story.Board.Flash.Erases, count => Assert.InRange(count, 0, 1));
    });

    [Fact]
    public void A_cable_that_is_out_for_an_hour_ends_in_a_flash_all_the_same() => Story.Of("octopus", async story =>
    {
        var pulled = false;
        story.OnEvent = step =>
        {
            if (step is not { Phase: FlashPhase.Write, Kind: FlashEventKind.Begin } || pulled)
                return;
            pulled = true;
            story.Board.Unplug();
        };
        story.Operator = _ => story.Board.Plug();
        await story.FlashedAsync("octopus");
        Assert.Contains("cable", OperatorSteps(story).Single().Message, StringComparison.Ordinal);
    });

    [Fact]
    public void A_print_that_was_started_while_a_person_was_awaited_is_never_disturbed() => Story.Of("h2-no-enumeration", async story =>
    {
        var stops = 0;
        story.Operator = _ =>
        {
            story.Printer.Klippy.Busy = "printing benchy.gcode, 3 %";
            stops = story.Printer.Klippy.Stops;
            SetJumper(story.Board);
            story.Time.Schedule(TimeSpan.FromMinutes(1), () =>
            {
                Assert.Equal(stops, story.Printer.Klippy.Stops);
                Assert.Equal(BoardState.Rom, story.Board.State);
                Assert.Contains(story.Events, step =>
                    step.Phase == FlashPhase.Operator && step.Message.Contains("benchy", StringComparison.Ordinal));
                story.Printer.Klippy.Busy = null;
            });
        };
        await story.FlashedAsync("octopus");
        Assert.Equal(stops + 1, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void Other_boards_have_their_verdict_while_one_waits_for_a_person() =>
        Story.Of("voron", new InjectedFaults { RomMissesUsb = true }, async story =>
    {
        // Only the Octopus has its bootloader started manually here: the others return from theirs.
        var told = new List<string?>();
        foreach (var name in (string[])["ebb42", "octopus-pro"])
            SetJumper(story.Find(name));
        await story.PassAsync(TimeSpan.FromSeconds(3));
        story.Operator = step =>
        {
            told.AddRange(story.Events.Where(done => done.Report is not null).Select(done => done.Board));
            SetJumper(story.Find("octopus"));
        };
        var report = await story.FlashAsync("octopus", "ebb42", "octopus-pro");
        Assert.True(report.Ok, string.Join("; ", report.Boards.Select(board => board.Fault?.Cause)));
        Assert.Equal(["ebb42", "octopus-pro"], told.Order());
    });

    [Fact]
    public void A_wait_that_is_given_up_ends_with_what_was_found_out_before() => Story.Of("h2-no-enumeration", async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.Operator = _ => cancel.Cancel();
        var report =
            (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Boards.Single();
        Assert.Equal(("bootloader-not-seen", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
        Assert.Contains(report.Notes, note => note.Contains("given up", StringComparison.Ordinal));
        Assert.True(story.Printer.Klippy.IsRunning);
    });

    [Fact]
    public void A_wait_for_the_printer_to_be_idle_can_be_given_up_too() => Story.Of("h2-no-enumeration", async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.Operator = _ =>
        {
            story.Printer.Klippy.Busy = "printing";
            SetJumper(story.Board);
            story.Time.Schedule(TimeSpan.FromSeconds(30), cancel.Cancel);
        };
        var report =
            (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Boards.Single();
        Assert.Equal("bootloader-not-seen", report.Fault?.Code);
        Assert.Equal(1, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void Another_board_in_its_bootloader_is_not_what_is_awaited() =>
        Story.Of("two-octopuses", new InjectedFaults { RomMissesUsb = true }, async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.Operator = _ =>
        {
            SetJumper(story.Find("octopus-2"));
            story.Time.Schedule(TimeSpan.FromMinutes(2), cancel.Cancel);
        };
        var report =
            (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Boards.Single();
        Assert.Equal("bootloader-not-seen", report.Fault?.Code);   // FlashInvariants checks the other board too
    });

    [Fact]
    public void A_bridge_that_waits_for_a_person_does_not_keep_Klipper_from_running() =>
        Story.Of("can-bridge-dfu", new InjectedFaults { RomMissesUsb = true }, async story =>
    {
        story.Operator = _ => SetJumper(story.Find("octopus"));
        await story.FlashedAsync("octopus");
    });
}
