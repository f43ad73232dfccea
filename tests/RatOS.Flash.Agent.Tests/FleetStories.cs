using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>What a program that keeps many printers up to date asks of one of them.</summary>
public sealed class FleetStories
{
    private const string New = "v0.13.9-1-gabcdef0";

    [Fact]
    public void A_board_that_is_up_to_date_is_skipped_though_it_is_named_and_nothing_has_changed() => AgentStory.Of(async story =>
    {
        (string, object?)[] request = [("board", "octopus"), ("if_needed", true)];
        var plan = (await story.RequestAsync("plan", request)).Items("plan").First();
        Assert.True(plan.Flag("changed"));
        Assert.Null(plan.At("leftOut"));
        await story.RequestAsync("flash", request);
        var first = await story.UntilOverAsync();
        Assert.Equal((true, true), (first.Ok, first.Changed));

        plan = (await story.RequestAsync("plan", request)).Items("plan").First();
        Assert.False(plan.Flag("changed"));
        Assert.NotNull(plan.Word("leftOut"));
        await story.RequestAsync("flash", request);
        var second = await story.UntilOverAsync(2);
        Assert.Equal((true, false), (second.Ok, second.Changed));
        Assert.Equal(1, story.Printer.Klippy.Stops);
        Assert.NotNull(second.Boards[0].Report!.LeftOut);

        // Without the flag a board that is named is flashed.
        Assert.True((await story.RequestAsync("plan", ("board", "octopus"))).Items("plan").First().Flag("changed"));
    });

    [Fact]
    public void A_flash_gives_up_when_the_printer_was_not_idle_in_time_and_says_why() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        var job = await story.RequestAsync("flash", ("board", "octopus"), ("when_idle", true), ("timeout", 90));
        var begin = story.Time.Now;
        var waited = (await story.RequestAsync("job", ("job", job.Word("job")), ("wait", 20))).Items("jobs").First();
        Assert.Equal("waiting", waited.Word("state"));
        Assert.InRange((story.Time.Now - begin).TotalSeconds, 20, 25);

        var over = await story.UntilOverAsync();
        Assert.InRange((story.Time.Now - begin).TotalSeconds, 90, 100);
        Assert.Equal((false, false, "printer-busy"), (over.Ok, over.Changed, over.Boards[0].Fault?.Code));
        Assert.Contains("not idle within 90 s", over.Boards[0].Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        story.Moonraker.Print.PrintState = "complete";
    });

    [Fact]
    public void A_request_for_a_job_waits_for_its_end_and_no_longer() => AgentStory.Of(async story =>
    {
        var job = await story.RequestAsync("flash", ("board", "octopus"));
        var done = (await story.RequestAsync("job", ("job", job.Word("job")), ("wait", 50))).Items("jobs").First();
        Assert.Equal(("done", true, true), (done.Word("state"), done.Flag("ok"), done.Flag("changed")));
        Assert.True(done.Items("boards").First().At("report")!.Value.Flag("changed"));

        var begin = story.Time.Now;
        var again = await story.RequestAsync("job", ("job", job.Word("job")), ("wait", 50));
        Assert.Equal("done", again.Items("jobs").First().Word("state"));
        Assert.True(story.Time.Now - begin < TimeSpan.FromSeconds(2));
    });

    [Fact]
    public void Waiting_requests_keep_no_others_from_their_answers() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        var job = (await story.RequestAsync("flash", ("board", "octopus"), ("when_idle", true))).Word("job");
        var begin = story.Time.Now;
        var waits = Enumerable.Range(0, 80).Select(_ => story.RequestAsync("job", ("job", job), ("wait", 25))).ToList();
        Assert.True((await story.RequestAsync("status")).Flag("ok"));
        Assert.True(story.Time.Now - begin < TimeSpan.FromSeconds(20));
        Assert.All(await Task.WhenAll(waits), answer => Assert.True(answer.Flag("ok")));
        story.Moonraker.Print.PrintState = "complete";
        Assert.True((await story.UntilOverAsync()).Ok);
    });

    [Fact]
    public void Firmware_that_differs_in_a_byte_is_refused_and_the_expected_one_needs_no_more() => AgentStory.Of(async story =>
    {
        var sha256 = story.Upload("octopus-new.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, New));
        (string, object?)[] request = [("board", "octopus"), ("firmware", "octopus-new.bin")];
        var differs = await story.RequestAsync("flash", [.. request, ("firmware_sha256", new string('0', 64))]);
        Assert.Equal("firmware-differs", differs.Word("error", "code"));
        Assert.Contains(sha256, differs.Word("error", "cause"), StringComparison.Ordinal);
        Assert.Equal("bad-request", (await story.RequestAsync("flash", [.. request, ("firmware_sha256", "12")])).Word("error", "code"));
        Assert.Equal(
            "bad-request", (await story.RequestAsync("flash", ("board", "octopus"), ("firmware_sha256", sha256))).Word("error", "code"));
        Assert.Equal("firmware-unconfirmed", (await story.RequestAsync("flash", request)).Word("error", "code"));
        Assert.Empty(story.Jobs);

        Assert.True((await story.RequestAsync("flash", [.. request, ("firmware_sha256", sha256.ToUpperInvariant())])).Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.True(story.Runs(New));
    });

    [Theory]
    [InlineData(0)]
    [InlineData(1e9)]
    [InlineData("soon")]
    public void A_limit_that_is_no_time_is_refused(object limit) => AgentStory.Of(async story =>
        Assert.Equal("bad-request", (await story.RequestAsync(
            "flash", ("board", "octopus"), ("when_idle", true), ("timeout", limit))).Word("error", "code")));

    /// <summary>The command line builds once; each printer gets the file, and flashes only what was built.</summary>
    [Fact]
    public async Task Firmware_is_built_pushed_and_flashed_on_the_command_line()
    {
        using var home = new ProgramHome();
        Directory.CreateDirectory(home.PrinterData);
        string[] printer = ["--folder", home.PathOf("v"), "--data", home.PrinterData, "--pace", "0"];
        var built = await home.RunAsync(["build", "octopus", "--scenario", "octopus", "--output", home.PathOf("out"), "--json"]);
        Assert.Equal(0, built.Exit);
        var firmware = JsonDocument.Parse(built.Output).RootElement;
        var (file, sha256) = (firmware.Word("file")!, firmware.Word("sha256")!);
        Assert.Equal(home.PathOf("out", "octopus.bin"), file);

        string[] push = ["firmware", "push", file, "--scenario", "octopus", .. printer];
        var differs = await home.RunAsync([.. push, "--firmware-sha256", new string('0', 64)]);
        Assert.NotEqual(0, differs.Exit);
        Assert.Contains("[firmware-differs]", differs.Output, StringComparison.Ordinal);
        var kept = Path.Combine(home.PrinterData, "ratos-flash", "firmware", "octopus.bin");
        Assert.False(File.Exists(kept));
        Assert.Equal(0, (await home.RunAsync([.. push, "--firmware-sha256", sha256])).Exit);
        Assert.Equal(await File.ReadAllBytesAsync(file), await File.ReadAllBytesAsync(kept));
        var listed = await home.RunAsync(["firmware", "list", "--json", "--scenario", "octopus", .. printer]);
        var line = JsonDocument.Parse(listed.Output).RootElement;
        Assert.Equal(("file", "octopus.bin", sha256), (line.Word("event"), line.Word("file"), line.Word("firmware", "sha256")));

        string[] flash = ["flash", "octopus", "--scenario", "octopus", "--yes", "--if-needed", "--json", .. printer];
        Assert.Equal(
            2, (await home.RunAsync(["flash", "octopus", "--virtual", "--firmware-sha256", sha256])).Exit);   // of which file?
        foreach (var isChanged in (bool[])[true, false])
        {
            var flashed = await home.RunAsync([.. flash, "--firmware", file, "--firmware-sha256", sha256]);
            Assert.Equal(0, flashed.Exit);
            var result = JsonDocument.Parse(flashed.Output.Trim().Split('\n')[^1]).RootElement;
            Assert.Equal(("result", isChanged), (result.Word("event"), result.Flag("changed")));
        }
    }

    [Fact]
    public async Task Waiting_for_an_idle_printer_needs_the_agent()
    {
        using var home = new ProgramHome();
        Directory.CreateDirectory(home.PrinterData);
        var alone = await home.RunAsync(
            "flash", "octopus", "--when-idle", "--scenario", "octopus", "--folder", home.PathOf("v"), "--data", home.PrinterData);
        Assert.Contains("[no-agent]", alone.Output, StringComparison.Ordinal);
        Assert.NotEqual(0, alone.Exit);
        Assert.Equal(2, (await home.RunAsync("flash", "octopus", "--virtual", "--timeout", "5")).Exit);
    }
}
