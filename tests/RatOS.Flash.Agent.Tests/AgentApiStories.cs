using System.Net.Http.Json;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Every front end leads to the same queue of the same agent.</summary>
public sealed class AgentApiStories
{
    private const string Old = "v0.12.0-10-g1f2a9e1c";

    [Fact]
    public void A_macro_flashes_and_every_screen_shows_it() => AgentStory.Of(async story =>
    {
        Assert.True((await story.TypeAsync("FLASH_MCU BOARD=octopus")).IsOk);
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok);
        Assert.Equal(("macro", "flashed"), (job.By, job.Boards[0].Condition));
        Assert.True(story.Runs(VirtualPrinter.HostVersion));

        // One line a phase and a quarter, and it can be closed at the end.
        Assert.Contains("octopus: Writing 44468 bytes at 08008000", story.Moonraker.Dialog);
        Assert.Contains(story.Moonraker.Dialog, line => line is "octopus: erase 25 %" or "octopus: erase 50 %" or "octopus: write 50 %"
            or "octopus: write 75 %");
        Assert.True(story.Moonraker.Dialog.Count < 40, $"{story.Moonraker.Dialog.Count} lines");
        Assert.Contains(story.Moonraker.Console, line =>
            line.StartsWith($"// RatOS.Flash: job {job.Job}: octopus {Old} -> {VirtualPrinter.HostVersion}", StringComparison.Ordinal));
        Assert.Contains(story.Moonraker.Console, line => line.StartsWith("// RatOS.Flash: octopus OK: runs", StringComparison.Ordinal));
        Assert.DoesNotContain(story.Moonraker.Console, line => line.StartsWith("!!", StringComparison.Ordinal));

        // Programs get whole snapshots, not more than a few a second.
        var events = story.Moonraker.AgentEvents.Where(data => data.Word("job") == job.Job).ToList();
        var snapshots = events.Where(data => data.Word("state") is not null).ToList();
        Assert.Equal("done", snapshots[^1].Word("state"));
        Assert.Contains(snapshots, data => data.Word("state") == "running" && data.Items("boards").Any());
        Assert.InRange(snapshots.Count, 5, 45);
        Assert.Contains(events, data => data.Word("board", "phase") is "erase" or "write");

        Assert.Equal(1, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void Each_door_answers_in_the_words_of_its_front_end() => AgentStory.Of(async story =>
    {
        const string page = "FLASH_STATUS lists everything", terminal = "`ratos-flash boards` lists everything";
        using var commandLine = AgentBoards.TryOpen(story.Data)!;
        await story.TypeAsync("FLASH_MCU BOARD=nonsense");
        await story.UntilSaidAsync(page);
        Assert.Contains(page, (await story.RequestAsync("plan", ("board", "nonsense"))).Word("error", "remedy"), StringComparison.Ordinal);
        var fault = await Assert.ThrowsAsync<FlashException>(() => commandLine.PlanAsync(new FlashOptions(["nonsense"])));
        Assert.Contains(terminal, fault.Remedy.ToString(), StringComparison.Ordinal);

        // What was written down is read in either's words.
        story.Printer.Boards[0].PowerOff();
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.False((await story.UntilOverAsync()).Ok);
        await story.UntilSaidAsync($"Check its cable and its power. {page}");
        var kept = (await story.RequestAsync("history")).Items("jobs").Last().Items("boards").First();
        Assert.Equal("board-not-seen", kept.Word("fault", "code"));
        Assert.Contains(page, kept.Word("fault", "remedy"), StringComparison.Ordinal);
        Assert.Null(kept.Word("fault", "browser"));
        var asked = (await commandLine.AskAsync("history")).Jobs![^1].Boards[0].Fault!;
        Assert.Contains(terminal, asked.Remedy, StringComparison.Ordinal);
        Assert.Null(asked.Browser);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("ratos-flash boards", StringComparison.Ordinal));
    });

    [Theory]
    [InlineData("flash", null, "flash", "OK, from another program")]
    [InlineData("identify", null, "identify", "identify: OK, from another program")]
    [InlineData("recover", null, "recover", "recover: OK, from another program")]
    [InlineData("flash", "rollback", "rollback", "roll back: OK, from another program")]
    public void The_history_says_what_kind_of_job_it_was(string method, string? flag, string kind, string text) =>
        AgentStory.Of(async story =>
    {
        var jobs = 1;
        if (flag is not null)
        {
            await story.RequestAsync("flash", ("board", "octopus"));
            await story.UntilOverAsync(jobs++);
        }
        await story.RequestAsync(method, ("board", "octopus"), (flag ?? "when_idle", true));
        var job = await story.UntilOverAsync(jobs);
        Assert.Equal(kind, (await story.RequestAsync("history")).Items("jobs").Last().Word("kind"));
        Assert.Equal(kind, job.Kind);
        await story.TypeAsync("FLASH_STATUS");
        await story.UntilSaidAsync($" {text}");
    });

    [Fact]
    public void A_request_returns_at_once_with_a_job_and_a_second_one_joins_it() => AgentStory.Of(async story =>
    {
        var first = await story.RequestAsync("flash", ("board", "octopus"));
        Assert.True(first.Flag("ok"));
        Assert.DoesNotContain(story.Jobs, job => job.Result is not null);
        var second = await story.RequestAsync("flash", ("mcu", "OCTOPUS"), ("force", 1));
        Assert.Equal((first.Word("job"), true), (second.Word("job"), second.Flag("joined")));
        await story.UntilOverAsync();
        Assert.Single(story.Jobs);
        Assert.Equal(1, story.Printer.Klippy.Stops);

        var job = await story.RequestAsync("job", ("job", first.Word("job")));
        Assert.Equal("flashed", job.Items("jobs").First().Items("boards").First().Word("condition"));
        Assert.Equal(first.Word("job"), (await story.RequestAsync("history")).Items("jobs").Last().Word("job"));
        Assert.Equal("unknown-job", (await story.RequestAsync("job", ("job", "nope"))).Word("error", "code"));
        var status = await story.RequestAsync("status");
        Assert.Equal(("ready", 0), (status.Word("klippy"), status.Items("jobs").Count()));
        Assert.Equal("btt-octopus-11", (await story.RequestAsync("boards")).Items("boards").First().Word("id"));
        Assert.Equal("touch", (await story.RequestAsync("plan", ("board", "octopus"))).Items("plan").First().Word("entry"));
    });

    [Fact]
    public void HTTP_reaches_the_agent_while_Klipper_is_in_error() => AgentStory.Of(async story =>
    {
        await story.BreakProtocolAsync();
        Assert.False((await story.TypeAsync("FLASH_MCU BOARD=octopus")).IsOk);   // macros are dead

        using var http = new HttpClient();
        var answer = await http.PostAsJsonAsync(
            new Uri($"http://127.0.0.1:{story.Moonraker.Port}/server/extensions/request"),
            new { agent = "ratos_flash", method = "flash", arguments = new { board = "all" } });
        using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.True(body.RootElement.Flag("result", "ok"), body.RootElement.ToString());
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal(Klipper.KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
    }, setup: new() { Port = 0 });

    [Fact]
    public void The_command_line_goes_by_way_of_the_agent() => AgentStory.Of(async story =>
    {
        using var agent = AgentBoards.TryOpen(story.Data)!;
        Assert.Equal("octopus", (await agent.ListAsync()).Boards[0].Board);
        var plan = await agent.PlanAsync(new FlashOptions(["octopus"]));
        Assert.Equal((false, VirtualPrinter.HostVersion), (plan.IsBlocked, plan.Boards[0].Version));
        var steps = new List<FlashEvent>();
        var report = await agent.FlashAsync(new FlashOptions(["octopus"]), steps.Add, CancellationToken.None);
        Assert.True(report.Ok);
        // Nothing was lost on the way, and nothing came twice.
        var told = steps.Where(step => step.Kind != FlashEventKind.Progress).Select(step => step.Sequence).ToList();
        Assert.Equal(told.Order().Distinct(), told);
        Assert.Contains(steps, step => step.Kind == FlashEventKind.PointOfNoReturn);
        Assert.Contains(steps, step => step is { Kind: FlashEventKind.Progress, Total: > 0 });
        Assert.Equal(report.Boards[0].Sha256, steps.Find(step => step.Report is not null)!.Report!.Sha256);
    });

    [Fact]
    public void Firmware_that_the_command_line_read_is_what_the_agent_writes() => AgentStory.Of(async story =>
    {
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.9-1-gabcdef0");
        using var agent = AgentBoards.TryOpen(story.Data)!;
        Assert.True((await agent.FlashAsync(new FlashOptions(["octopus"]) { Firmware = new("klipper.bin", image) }, static _ => { },
                CancellationToken.None)).Ok);
        Assert.True(story.Runs("v0.13.9-1-gabcdef0"));

        var other = VirtualFirmware.Build(VirtualChip.F407, 0x0800_8000, "v0.13.9");
        var refused = await agent.FlashAsync(new FlashOptions(["octopus"]) { Firmware = new("klipper.bin", other) }, static _ => { },
            CancellationToken.None);
        Assert.Equal("firmware-wrong-mcu", refused.Boards[0].Fault!.Code);
        Assert.Equal(1, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void Firmware_in_the_firmware_folder_is_found_by_name_and_nothing_outside_of_it() => AgentStory.Of(async story =>
    {
        var sha256 = story.Upload("mine.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.8"));
        Assert.True((await story.RequestAsync("flash", ("board", "octopus"), ("firmware", "mine.bin"), ("confirm", sha256))).Flag("ok"));
        await story.UntilOverAsync();
        Assert.True(story.Runs("v0.13.8"));
        foreach (var name in (string[])["../firmware/mine.bin", "/etc/passwd", "..", "", "a\0b"])
            Assert.Equal("bad-request",
                (await story.RequestAsync("flash", ("board", "octopus"), ("firmware", name))).Word("error", "code"));
        Assert.Equal("firmware-unreadable", (await story.RequestAsync("flash", ("board", "octopus"), ("firmware", "nowhere.bin")))
            .Word("error", "code"));
        Assert.Single(story.Jobs);
    });

    [Theory]
    [InlineData("nonsense", "unknown-board")]
    [InlineData("octopuss", "unknown-board")]
    [InlineData("; rm -rf /", "unknown-board")]
    [InlineData("../../etc/passwd", "unknown-board")]
    [InlineData("line\nbreak", "unknown-board")]
    [InlineData("<script>alert(1)</script>", "unknown-board")]
    public void An_unknown_board_is_refused_with_a_remedy(string name, string code) => AgentStory.Of(async story =>
    {
        var answer = await story.RequestAsync("flash", ("board", name));
        Assert.Equal((false, code), (answer.Flag("ok"), answer.Word("error", "code")));
        Assert.Contains("octopus", answer.Word("error", "remedy"), StringComparison.Ordinal);
        Assert.Empty(story.Jobs);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void Invalid_arguments_are_refused_and_unknown_ones_are_ignored() => AgentStory.Of(async story =>
    {
        Assert.Equal("bad-request", (await story.RequestAsync("flash", ("board", 7))).Word("error", "code"));
        Assert.Equal("bad-request", (await story.RequestAsync("flash", ("board", new string('x', 10_000)))).Word("error", "code"));
        Assert.Equal("bad-request", (await story.RequestAsync("flash", ("boards", Enumerable.Repeat("octopus", 1000).ToArray())))
            .Word("error", "code"));
        Assert.Equal("bad-request", (await story.RequestAsync("flash", ("board", "octopus"), ("uuid", "zz"))).Word("error", "code"));
        Assert.Equal("bad-request", (await story.RequestAsync("flash", ("board", "octopus"), ("bootloader", "magic")))
            .Word("error", "code"));
        Assert.Equal("bad-option", (await story.RequestAsync("flash", ("board", "all"), ("port", "1-1.1"))).Word("error", "code"));
        Assert.Equal("no-such-port", (await story.RequestAsync("flash", ("board", "octopus"), ("port", "9-9"))).Word("error", "code"));
        Assert.Empty(story.Jobs);
        Assert.True((await story.RequestAsync("flash", ("colour", "red"), ("board", " Octopus "))).Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
    });

    [Fact]
    public void A_refused_macro_reports_it_in_the_console() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=nonsense");
        await story.UntilSaidAsync("[unknown-board]");
        Assert.Contains(story.Moonraker.Console, line =>
            line.StartsWith("!! RatOS.Flash: This printer has no board called 'nonsense'.", StringComparison.Ordinal));
        await story.TypeAsync("FLASH_CANCEL");
        await story.UntilSaidAsync("No flash is running.");
        await story.TypeAsync("FLASH_STATUS");
        await story.UntilSaidAsync("BIGTREETECH Octopus V1.1 F446 runs Klipper");
        Assert.Empty(story.Jobs);
    });

    [Fact]
    public void A_macro_without_an_agent_reports_an_error() => AgentStory.Of(async story =>
    {
        var refused = await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.False(refused.IsOk);
        Assert.Contains(story.Moonraker.Console, line => line.StartsWith("!! ", StringComparison.Ordinal));
    }, isAlone: true);

    [Fact]
    public void Without_the_component_messages_reach_the_console_through_Klipper() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync()).Ok);
        await story.UntilSaidAsync("octopus OK");
        Assert.Empty(story.Moonraker.Dialog);
        Assert.Contains("done", story.Moonraker.AgentEvents.Select(data => data.Word("state")));
    }, setup: new() { HasComponent = false });

    [Fact]
    public void A_cancel_before_the_point_of_no_return_leaves_the_board_as_it_was() => AgentStory.Of(async story =>
    {
        var job = (await story.RequestAsync("flash", ("board", "octopus"))).Word("job")!;
        await story.UntilAsync(() => story.Printer.Klippy.State.Activity == Klipper.KlippyActivity.Stopped, "Klipper is stopped");
        Assert.True((await story.RequestAsync("cancel", ("job", job))).Flag("ok"));
        var ended = await story.UntilOverAsync();
        Assert.Equal(("cancelled", false), (ended.Boards[0].Fault!.Code, ended.Ok));
        Assert.True(story.Runs(Old));
    });
}
