using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A new firmware that does not do, and the last good one.</summary>
public sealed class RollbackStories
{
    private const string New = VirtualPrinter.HostVersion, Old = "v0.12.0-10-g1f2a9e1c", Bad = "v0.9.0-1-gbadbad0";

    private static readonly InjectedFaults Mute = new() { MuteVersion = New };

    private static AgentSettings By(RollbackPolicy policy) => new() { Policy = FlashPolicy.Never, Rollback = policy };

    private static int Stops(AgentStory story) => story.Moonraker.Calls.Count(call => call == "machine.services.stop");

    private static async Task<JsonJob> FlashAsync(AgentStory story, int jobs = 1)
    {
        Assert.True((await story.RequestAsync("flash", ("board", "octopus"))).Flag("ok"));
        return await story.UntilOverAsync(jobs);
    }

    /// <summary>Klipper works with its own version alone from now on, and a firmware of another is flashed.</summary>
    private static async Task FlashWhatKlipperRefusesAsync(AgentStory story)
    {
        Assert.True((await FlashAsync(story)).Ok);
        story.Printer.Klippy.ProtocolDiffers = true;
        Assert.Equal(KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
        var sha256 = story.Upload("bad.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Bad));
        Assert.True((await story.RequestAsync("flash", ("board", "octopus"), ("firmware", "bad.bin"), ("confirm", sha256))).Flag("ok"));
    }

    [Fact]
    public void Firmware_that_does_not_answer_is_rolled_back_within_the_job_and_both_verdicts_are_reported() =>
        AgentStory.Of(async story =>
    {
        var job = await FlashAsync(story);
        Assert.True(story.Runs(Old));
        Assert.Equal(
            (false, "klipper-silent", "running", New),
            (job.Ok, job.Boards[0].Fault!.Code, job.Boards[0].Condition, job.Boards[0].NewVersion));
        Assert.Contains($"{Old} runs again", job.Boards[0].Fault!.Remedy, StringComparison.Ordinal);
        Assert.Equal(2, Stops(story));
        var back = story.Jobs.Single().Result!.Boards[0].Back!;
        Assert.Equal((Old, false, true, "flashed"), (back.Version, back.Asks, back.Report!.Ok, back.Report.Condition));
        await story.UntilSaidAsync($"Rollback: {Old}, which it ran before, was put back");
        // One record: the steps' numbers and times go on, and the last verdict is the one that counts.
        var steps = story.Jobs.Single().Steps;
        Assert.Equal(steps.Select(step => step.Seq).Order(), steps.Select(step => step.Seq));
        Assert.Equal(steps.Select(step => step.At).Order(), steps.Select(step => step.At));
        Assert.Equal(
            [("unconfirmed", false), ("unconfirmed", false), ("running", false)],
            steps.Where(step => step.Report is not null).Select(step => (step.Report!.Condition, step.Report.Ok)));
        using (var recorded = File.OpenRead(Path.Combine(Path.GetDirectoryName(story.Jobs.Single().Path)!, JobRecorder.RecordingName)))
            Assert.Equal([("octopus", "Unconfirmed", "klipper-silent")], JobRecording.Read(recorded, "recording").Verdicts);
        Assert.Equal("running", (await story.RequestAsync("history")).Items("jobs").Single().Items("boards").First().Word("condition"));
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("prompt_begin", StringComparison.Ordinal));
    }, settings: By(RollbackPolicy.Auto), faults: Mute);

    [Fact]
    public void Macros_roll_back_and_recover() => AgentStory.Of(async story =>
    {
        Assert.True((await FlashAsync(story)).Ok);
        var refused = await story.TypeAsync("FLASH_ROLLBACK");
        Assert.False(refused.IsOk);
        Assert.Contains("FLASH_ROLLBACK needs a board", refused.Message, StringComparison.Ordinal);

        Assert.True((await story.TypeAsync("FLASH_ROLLBACK BOARD=octopus")).IsOk);
        Assert.True((await story.UntilOverAsync(2)).Ok);
        Assert.True(story.Runs(Old));

        // The board works, so a recovery leaves it as it is.
        Assert.True((await story.TypeAsync("FLASH_RECOVER")).IsOk);
        Assert.Equal((true, "running"), await story.UntilOverAsync(3) is var job ? (job.Ok, job.Boards[0].Condition) : default);
        Assert.True(story.Runs(Old));
    }, settings: By(RollbackPolicy.Never));

    [Fact]
    public void Firmware_that_Klipper_refuses_is_rolled_back_to_the_last_that_it_accepted() => AgentStory.Of(async story =>
    {
        await FlashWhatKlipperRefusesAsync(story);
        var job = await story.UntilOverAsync(2);
        Assert.True(story.Runs(New));
        Assert.Equal((false, "klipper-refuses-firmware", "running"), (job.Ok, job.Boards[0].Fault!.Code, job.Boards[0].Condition));
        Assert.Equal((KlippyActivity.Ready, 3), (story.Printer.Klippy.State.Activity, Stops(story)));
        // What Klipper refused is not a way to go back to.
        Assert.DoesNotContain(
            new GoodImages(story.Data.Good, story.Time, story.LogFile).Of("octopus"), good => good.Image.Version == Bad);
    }, settings: By(RollbackPolicy.Auto));

    [Fact]
    public void A_press_of_the_button_rolls_back() => AgentStory.Of(async story =>
    {
        await FlashWhatKlipperRefusesAsync(story);
        var job = await story.UntilOverAsync(2);
        Assert.Equal((false, "klipper-refuses-firmware", "flashed"), (job.Ok, job.Boards[0].Fault!.Code, job.Boards[0].Condition));
        await story.UntilSaidAsync("action:prompt_begin New firmware does not work");
        Assert.True(story.Runs(Bad));

        Assert.True((await story.TypeAsync(story.Button("Roll back"))).IsOk);
        Assert.True((await story.UntilOverAsync(3)).Ok);
        Assert.True(story.Runs(New));
        Assert.EndsWith(
            "action:prompt_end", story.Moonraker.Console.Last(line => line.Contains("action:prompt", StringComparison.Ordinal)),
            StringComparison.Ordinal);
    });

    [Fact]
    public void The_button_finds_the_old_firmware_of_a_silent_board() => AgentStory.Of(async story =>
    {
        Assert.Equal("unconfirmed", (await FlashAsync(story)).Boards[0].Condition);
        await story.UntilSaidAsync("action:prompt_begin New firmware does not work");
        await story.TypeAsync(story.Button("Roll back"));
        Assert.True((await story.UntilOverAsync(2)).Ok);
        Assert.True(story.Runs(Old));
    }, settings: By(RollbackPolicy.Ask), faults: Mute);

    [Fact]
    public void Never_means_only_a_report() => AgentStory.Of(async story =>
    {
        var job = await FlashAsync(story);
        Assert.Equal(("klipper-silent", "unconfirmed"), (job.Boards[0].Fault!.Code, job.Boards[0].Condition));
        await story.UntilSaidAsync($"{Old}, which it ran before, is kept: in a terminal, `ratos-flash rollback octopus` puts it back");
        await Task.Delay(TimeSpan.FromMinutes(1), story.Time);
        Assert.Equal(1, Stops(story));
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("prompt_begin", StringComparison.Ordinal));
    }, settings: By(RollbackPolicy.Never), faults: Mute);

    [Fact]
    public void A_board_that_an_operator_step_can_help_has_not_failed_and_giving_up_asks_about_a_rollback() =>
        AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilSaidAsync("action:prompt_begin A board needs you");
        await Task.Delay(TimeSpan.FromMinutes(1), story.Time);
        Assert.Equal(1, Stops(story));
        await story.TypeAsync(story.Button("Give up"));
        var job = await story.UntilOverAsync();
        Assert.Equal(("klipper-silent", "unconfirmed", 1), (job.Boards[0].Fault!.Code, job.Boards[0].Condition, Stops(story)));
        Assert.Null(story.Jobs.Single().Result!.Boards[0].Back!.Report);
        await story.UntilSaidAsync("action:prompt_begin New firmware does not work");
    }, settings: By(RollbackPolicy.Auto), faults: Mute);

    [Fact]
    public void Failed_firmware_differs_from_a_good_one_of_the_same_version_by_its_bytes() => AgentStory.Of(async story =>
    {
        var good = new GoodImages(story.Data.Good, story.Time, story.LogFile);
        foreach (var version in (string[])[Bad, Old])
        {
            good.Keep(
                "head", FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, version), version), "confirmed", null);
            await Task.Delay(TimeSpan.FromSeconds(1.1), story.Time);
        }
        Assert.Equal(Bad, good.Before("head", running: Old).Version);
        good.Failed("head", new string('0', 64));
        Assert.Equal(Old, good.Before("head", running: Old).Version);
        // Proven again it is the one that runs.
        good.Keep("head", good.Of("head")[0].Image, "confirmed", null);
        Assert.Equal(Bad, good.Before("head", running: Old).Version);
    });

    [Fact]
    public void An_agent_that_dies_during_a_rollback_leaves_its_last_state() => AgentStory.Of(async story =>
    {
        await FlashAsync(story);
        var record = story.Jobs.Single();
        var erased = record.Steps.ToList().FindLastIndex(step => step is { Phase: "erase", Kind: "begin" });
        BoardCondition After(int steps) =>
            (record with { Steps = [.. record.Steps.Take(steps)], Result = null }).Interrupted().Boards[0].Condition;
        Assert.Equal((BoardCondition.Unknown, BoardCondition.InBootloaderWithoutFirmware), (After(erased + 1), After(erased + 2)));
        var verdict = record.Steps.ToList().FindLastIndex(step => step.Report is not null);
        var rolledBack = record with { Steps = [.. record.Steps.Take(verdict + 1)], Result = null };
        Assert.Equal(BoardCondition.Running, rolledBack.Interrupted().Boards[0].Condition);
    }, settings: By(RollbackPolicy.Auto), faults: Mute);
}
