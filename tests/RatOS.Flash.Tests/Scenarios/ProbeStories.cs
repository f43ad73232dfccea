using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>A probe that its maker's updater updates, and what the report says of it.</summary>
[VirtualOnly("the updater is a stand-in")]
public sealed class ProbeStories
{
    private static FlashRequest Beacon => new(new PrinterBoard("beacon", BoardCatalogue.BuiltIn.Find("beacon")!)
    {
        Port = "1-1.2",
        Serial = "FC2690BF5157355934202020FF0A0E04",
    }, null);

    private static async Task<BoardReport> UpdateAsync(Story story, CancellationToken cancel = default)
    {
        var report = (await story.FlashAsync(cancel, Beacon)).Boards.Single();
        Assert.Equal(KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
        return report;
    }

    private static void Of(Func<Story, VirtualProbe, Task> tell, InjectedFaults? faults = null) =>
        Story.Of("beacon", faults ?? InjectedFaults.None, story => tell(story, story.Printer.Probe!));

    /// <summary>A failure whose cause holds all these words.</summary>
    private static void CheckFailed(BoardReport report, string code, BoardCondition condition, params string[] words)
    {
        Assert.Equal((code, condition, false), (report.Fault?.Code, report.Condition, report.Ok));
        Assert.All(words, word => Assert.Contains(word, report.Fault!.Cause, StringComparison.Ordinal));
    }

    private static void CheckUntouched(Story story, VirtualProbe probe, BoardReport report, string code)
    {
        Assert.Equal((code, BoardCondition.Unchanged, true), (report.Fault?.Code, report.Condition, report.Refused));
        Assert.Equal((0, 0), (probe.Runs, story.Printer.Klippy.Stops));
    }

    [Fact]
    public void The_updater_reports_success_and_the_probe_is_back_and_no_more_is_claimed() => Of(async (story, probe) =>
    {
        var report = await UpdateAsync(story);
        Assert.Equal((true, BoardCondition.Unconfirmed, false), (report.Ok, report.Condition, report.IsConfirmed));
        Assert.Equal(("2.0.1", "2.1.0"), (report.OldVersion, report.NewVersion));
        Assert.Equal((1, 1), (probe.Runs, story.Printer.Klippy.Stops));
        Assert.Single(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn && step.Place?.Port == "1-1.2");
    });

    [Fact]
    public void A_probe_and_a_board_share_one_stop_of_Klipper() => Of(async (story, probe) =>
    {
        var report = await story.FlashAsync(CancellationToken.None, Beacon, new(story.Known("octopus"), story.Build("octopus")));
        Assert.True(report.Ok, story.Transcript);
        Assert.Equal(1, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void An_updater_that_finds_its_version_wrote_nothing() => Of(async (story, probe) =>
    {
        await UpdateAsync(story);
        var report = await UpdateAsync(story);
        Assert.Equal((true, BoardCondition.Unchanged), (report.Ok, report.Condition));
        Assert.Contains("wrote nothing: the probe stayed on the bus. \"up to date: 2.1.0\"", report.SkipReason, StringComparison.Ordinal);
    });

    [Fact]
    public void An_exit_code_is_a_failure_its_last_line_is_the_cause_and_the_next_call_finds_the_probe_in_its_bootloader() =>
        Of(async (story, probe) =>
    {
        probe.Exit = 3;
        var report = await UpdateAsync(story);
        CheckFailed(report, "probe-update-failed", BoardCondition.Unknown, "exit code 3: error: the bootloader refused the file.",
            "Beacon RevH Bootloader (04d8:bea1 at 1-1.2) is in its place");
        Assert.Contains("update all", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        probe.Exit = 0;
        Assert.True((await UpdateAsync(story)).Ok, story.Transcript);
    });

    [Fact]
    public void A_probe_that_never_left_the_bus_is_unchanged() => Of(async (story, probe) =>
    {
        (probe.Exit, probe.FailsEarly) = (255, true);
        CheckFailed(await UpdateAsync(story), "probe-update-failed", BoardCondition.Unchanged, "exit code 255",
            "stayed on the bus, so nothing was written");
    });

    [Theory]
    [InlineData(false, "was killed")]
    [InlineData(true, "could not be killed")]
    public void An_updater_that_hangs_is_killed_and_Klipper_starts_even_if_that_does_not_help(bool survives, string end) =>
        Of(async (story, probe) =>
    {
        (probe.Hangs, probe.SurvivesKill) = (true, survives);
        var report = await UpdateAsync(story);
        CheckFailed(report, "probe-update-endless", BoardCondition.Unknown, $"did not end within 120 s, and {end}: writing 2.1.0");
        Assert.InRange(report.Elapsed, TimeSpan.FromSeconds(120), TimeSpan.FromSeconds(155));
    });

    [Fact]
    public void Success_without_the_probe_on_the_bus_is_a_failure() => Of(async (story, probe) =>
    {
        probe.StaysAway = true;
        CheckFailed(await UpdateAsync(story), "probe-not-back", BoardCondition.Unknown, "did not return to the bus within 20 s",
            "The probe is not on the bus.");
    });

    [Fact]
    public void Nothing_is_called_while_the_printer_prints() => Of(async (story, probe) =>
    {
        story.Printer.Klippy.Busy = "printing part.gcode";
        var report = (await story.FlashAsync(CancellationToken.None, Beacon)).Boards.Single();
        CheckUntouched(story, probe, report, "printer-busy");
    });

    [Fact]
    public void A_missing_updater_is_reported_with_the_command_that_installs_it() => Of(async (story, probe) =>
    {
        probe.IsMissing = true;
        var report = await UpdateAsync(story);
        CheckUntouched(story, probe, report, "probe-updater-missing");
        Assert.Contains("git clone", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
    });

    [Fact]
    public void A_bootloader_that_this_user_may_not_open_is_known_before_the_probe_is_in_it() => Of(async (story, probe) =>
        CheckUntouched(story, probe, await UpdateAsync(story), "no-permission"), new InjectedFaults { HasNoRomRule = true });

    [Fact]
    public void A_probe_that_another_process_updates_is_refused() => Of(async (story, probe) =>
    {
        story.LockBoard = (place, board) => place == "1-1.2" ? throw ComputerFaults.BoardInUse(board, 812, null) : null;
        CheckUntouched(story, probe, await UpdateAsync(story), "board-in-use");
    });

    [Fact]
    public void A_probe_in_its_bootloader_is_refused_beside_another_one_which_the_updater_would_write_too() => Of((story, probe) =>
    {
        var running = story.Printer.Look().Devices.Single(ProbeUpdater.IsFor);
        var waiting = running with { Port = "1-1.4", Node = null, Product = "Beacon RevH Bootloader" };
        var plan = FlashPlan.Create([new(Beacon.Board with { Port = "1-1.4", Serial = null }, null)], new(1, [running, waiting]),
            new(KlippyActivity.Ready));
        Assert.Equal("boards-alike", plan.Boards.Single().Blocker?.Code);
        Assert.False(FlashPlan.Create([Beacon], new(1, [running, waiting]), new(KlippyActivity.Ready)).IsBlocked);
        return Task.CompletedTask;
    });

    [Theory]
    [InlineData(FlashPhase.Stop, false)]
    [InlineData(FlashPhase.Enter, false)]
    [InlineData(FlashPhase.Write, true)]
    public void A_cancel_ends_the_flash_only_before_the_updater_is_started(FlashPhase at, bool isOk) => Of(async (story, probe) =>
    {
        using var cancel = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (step.Phase == at)
                cancel.Cancel();
        };
        var report = await UpdateAsync(story, cancel.Token);
        Assert.Equal((isOk, isOk ? null : "cancelled", isOk ? 1 : 0), (report.Ok, report.Fault?.Code, probe.Runs));
    });
}
