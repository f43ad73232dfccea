using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>What the agent offers to a page: a flash as it happens, the firmware folder, and answers to its questions.</summary>
public sealed class PageRequestStories
{
    private static readonly AgentSettings FromFolder = new() { Policy = FlashPolicy.Never };

    /// <summary>The views of a board in the events of a job, oldest first.</summary>
    private static List<JsonElement> Views(AgentStory story) => [.. story.Moonraker.AgentEvents
        .SelectMany(data => data.At("board") is { } board ? [board] : data.Items("boards"))];

    [Fact]
    public void Events_show_what_is_erased_written_and_read_back_and_how_long_Klipper_is_stopped() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"), ("by", "page"));
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok);
        Assert.Equal(JobOrigin.Page, job.By);

        var views = Views(story);
        var before = views.TakeWhile(view => view.Word("phase") is not ("erase" or "write")).ToList();
        Assert.DoesNotContain(before, view => view.At("layout") is not null);
        var layout = views.First(view => view.Word("phase") == "erase").At("layout")!.Value;
        Assert.Equal(0x0800_8000, layout.Number("start"));
        Assert.Equal(44_468, layout.Number("size"));
        // F446: two sectors of 16 KiB and one of 64 (RM0390 3.3) hold these bytes from 08008000 on.
        Assert.Equal([[16384, 2]], layout.Items("sectors").Select(row => row.EnumerateArray().Select(n => n.GetInt32()).ToArray()).Take(1));
        Assert.Equal(44_468, layout.Items("runs").Sum(run => run[1].GetInt64()), 4.0);
        foreach (var phase in (string[])["erase", "write", "verify"])
        {
            var measured = views.Where(view => view.Word("phase") == phase && view.Number("total") > 0).ToList();
            Assert.NotEmpty(measured);
            Assert.Equal(measured.Select(view => view.Number("done")).Order(), measured.Select(view => view.Number("done")));
        }

        Assert.Contains(story.Moonraker.AgentEvents, data => data.Flag("stopped") && data.Number("down") is not null);
        var shown = (await story.RequestAsync("job", ("job", job.Job))).Items("jobs").First();
        Assert.InRange(shown.Number("down")!.Value, 3, shown.Number("elapsed")!.Value);
        Assert.False(shown.Flag("stopped"));
        var report = shown.Items("boards").First().At("report")!.Value;
        Assert.True(report.Flag("confirmed"));
        Assert.Equal(64, report.Word("sha256")!.Length);
        Assert.Equal("it runs the new firmware.", shown.Items("boards").First().Word("now"));
        // The journal tells the same when the job has left the memory.
        await story.RequestAsync("history");
        var kept = (await story.RequestAsync("history")).Items("jobs").Last();   // the second time its steps are not read again
        Assert.Equal(shown.Number("down")!.Value, kept.Number("down")!.Value, 0.5);
        Assert.Equal(report.Word("sha256"), kept.Items("boards").First().Word("report", "sha256"));
    });

    [Fact]
    public void At_most_ten_events_a_second_come_from_one_flash_of_three_boards() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "all"), ("force", true));
        var job = await story.UntilOverAsync();
        Assert.True(job.Ok);
        var events = story.Moonraker.AgentEvents.Where(data => data.Word("job") == job.Job).ToList();
        Assert.All(events, data => Assert.InRange(data.GetRawText().Length, 50, 8000));
        // The last one, with the verdicts, does not wait.
        var times = events.SkipLast(1).Select(data => data.Number("elapsed")!.Value).ToList();
        Assert.Equal("done", events[^1].Word("state"));
        Assert.InRange(times.Count, 40, 400);
        Assert.InRange(times.Count, 1, (10 * (times[^1] - times[0])) + 2);
        // The times are rounded to a tenth of a second, so two of them may be equal.
        Assert.All(times, begin => Assert.InRange(times.Count(at => at >= begin && at < begin + 0.85), 1, 10));
        foreach (var name in (string[])["octopus", "ebb42", "octopus-pro"])
        {
            var phases = Views(story).Where(view => view.Word("board") == name).Select(view => view.Word("phase")).ToHashSet();
            Assert.Superset(new HashSet<string?> { "enter", "erase", "write", "verify" }, phases);
        }
    }, "voron");

    [Fact]
    public void An_operator_is_shown_by_the_jobs_state_and_by_the_step() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"), ("by", "page"), ("person", true));
        await story.UntilAsync(
            () => story.Moonraker.AgentEvents.Any(data => data.Word("state") == "person"), "the job's state is sent when it waits");
        var waits = Views(story).Last(view => view.Word("phase") == "person");
        Assert.Equal("start-bootloader", waits.Word("step"));
        Assert.Contains("(1)", waits.Word("message"), StringComparison.Ordinal);
        await story.UntilOverAsync();
        Assert.True(story.Jobs[^1].View().Ok);
        Assert.Null(Views(story)[^1].At("step"));
    }, "h2-person");

    [Fact]
    public void The_firmware_folder_says_what_each_file_holds_and_which_boards_it_fits() => AgentStory.Of(async story =>
    {
        Assert.Empty((await story.RequestAsync("files")).Items("files"));
        var fits = story.Upload("fits.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.9-1-gabcdef0"));
        story.Upload("other-start.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0801_0000, "v0.13.9-1-gabcdef0"));
        story.Upload("other-chip.bin", VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_0000, "v0.13.9-1-gabcdef0"));
        File.WriteAllText(Path.Combine(story.Data.Firmware, "notes.txt"), "no firmware");
        var files = (await story.RequestAsync("files")).Items("files").ToDictionary(file => file.Word("file")!);
        Assert.Equal(["fits.bin", "notes.txt", "other-chip.bin", "other-start.bin"], files.Keys);
        Assert.Equal(["octopus"], files["fits.bin"].Items("boards").Select(board => board.GetString()));
        Assert.Equal(fits, files["fits.bin"].Word("firmware", "sha256"));
        Assert.Empty(files["other-start.bin"].Items("boards"));
        Assert.Empty(files["other-chip.bin"].Items("boards"));
        Assert.NotNull(files["notes.txt"].Word("error", "cause"));
        Assert.Null(files["notes.txt"].At("firmware"));
    }, settings: FromFolder);

    [Fact]
    public void A_folder_of_a_thousand_files_is_answered_in_part() => AgentStory.Of(async story =>
    {
        Directory.CreateDirectory(story.Data.Firmware);
        for (var i = 0; i < 1000; i++)
            File.WriteAllBytes(Path.Combine(story.Data.Firmware, $"{i:d4}.bin"), [1, 2, 3]);
        Assert.Equal(64, (await story.RequestAsync("files")).Items("files").Count());
    }, settings: FromFolder);

    [Fact]
    public void A_page_confirms_firmware_from_elsewhere_itself_and_no_prompt_opens() => AgentStory.Of(async story =>
    {
        var sha256 = story.Upload("new.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, VirtualPrinter.HostVersion + "-7"));
        (string, object?)[] request = [("board", "octopus"), ("firmware", "new.bin"), ("by", "page")];
        Assert.Equal("firmware-unconfirmed", (await story.RequestAsync("flash", request)).Word("error", "code"));
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("prompt_begin", StringComparison.Ordinal));
        Assert.True((await story.RequestAsync("flash", [.. request, ("confirm", sha256)])).Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
    }, settings: FromFolder);

    [Fact]
    public void By_way_of_Moonraker_a_fact_is_answered_only_with_what_its_question_offers() => AgentStory.Of(async story =>
    {
        await story.StartAgentAsync(waits: false);
        await story.UntilMethodsAsync();
        var plan = (await story.RequestAsync("plan", ("board", "mcu"))).Items("plan").First();
        var question = plan.Items("findings").Select(finding => finding.At("question")).First(one => one is not null)!.Value;
        Assert.Equal(["0x8000000", "0x8008000", "0x8010000"], question.Items("choices").Select(choice => choice.Word("value")));

        async Task<string?> AnswerAsync(string board, string fact, string? value) =>
            (await story.RequestAsync("answer", ("board", board), ("fact", fact), ("value", value))).Word("error", "code");
        Assert.Equal("bad-request", await AnswerAsync("mcu", "start", "0x8004000"));
        Assert.Equal("bad-request", await AnswerAsync("mcu", "chip", "stm32f407xx"));
        Assert.Equal("bad-request", await AnswerAsync("mcu", "start", null));
        Assert.NotNull(await AnswerAsync("other", "start", "0x8008000"));
        Assert.Null(await AnswerAsync("mcu", "start", "0x8008000"));
        Assert.True((await story.RequestAsync("flash", ("board", "mcu"))).Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
    }, "unlisted-in-dfu", isAlone: true);
}
