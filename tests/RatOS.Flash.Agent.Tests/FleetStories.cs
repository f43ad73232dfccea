using System.Diagnostics;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
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
    public void A_file_is_needed_until_the_board_was_proved_to_run_that_very_file() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        await story.UntilOverAsync();
        // Another compiler makes another image of the same version.
        var sha256 = story.Upload(
            "new.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, VirtualPrinter.HostVersion, compiler: "gcc: 99.1"));
        (string, object?)[] request =
            [("board", "octopus"), ("firmware", "new.bin"), ("firmware_sha256", sha256), ("if_needed", true)];
        foreach (var (isChanged, jobs) in ((bool, int)[])[(true, 2), (false, 3)])
        {
            Assert.Equal(isChanged, (await story.RequestAsync("plan", request)).Items("plan").First().Flag("changed"));
            await story.RequestAsync("flash", request);
            var job = await story.UntilOverAsync(jobs);
            Assert.Equal((true, isChanged), (job.Ok, job.Changed));
        }
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

    [Fact]
    public void A_command_that_joined_a_flash_leaves_it_without_cancelling_it() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        using var mine = AgentBoards.TryOpen(story.Data)!;
        using var other = AgentBoards.TryOpen(story.Data)!;
        var options = new FlashOptions(["octopus"]) { WhenIdle = true };
        var flash = mine.FlashAsync(options, static _ => { }, CancellationToken.None);
        await story.UntilAsync(() => story.Jobs.Count == 1, "the job is open");
        using var leave = new CancellationTokenSource();
        var joined = other.FlashAsync(options, static _ => { }, leave.Token);
        await story.UntilAsync(() => other.HasJoined, "the other one has joined");
        await leave.CancelAsync();
        var left = await Assert.ThrowsAsync<FlashException>(() => joined);
        Assert.Contains("goes on: another request made it", left.Cause, StringComparison.Ordinal);
        Assert.False(mine.HasJoined);
        story.Moonraker.Print.PrintState = "complete";
        Assert.True((await flash).Ok);
    });

    [Fact]
    public void A_request_for_other_firmware_joins_no_open_job() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        (string, object?)[] own = [("board", "octopus"), ("when_idle", true)];
        var first = await story.RequestAsync("flash", own);
        var sha256 = story.Upload("new.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, New));
        (string, object?)[] file = [.. own, ("firmware", "new.bin"), ("firmware_sha256", sha256)];
        var second = await story.RequestAsync("flash", file);
        Assert.Equal((false, false), (first.Flag("joined"), second.Flag("joined")));
        Assert.NotEqual(first.Word("job"), second.Word("job"));
        Assert.Equal(first.Word("job"), (await story.RequestAsync("flash", own)).Word("job"));
        Assert.Equal(second.Word("job"), (await story.RequestAsync("flash", file)).Word("job"));
        // A recovery is other work, too.
        Assert.False((await story.RequestAsync("recover", own)).Flag("joined"));
        story.Moonraker.Print.PrintState = "complete";
        await story.UntilOverAsync(3);
        Assert.True(story.Runs(New));
    });

    [Fact]
    public void All_boards_with_a_file_and_one_board_with_it_need_it_alike() => AgentStory.Of(async story =>
    {
        await story.RequestAsync("flash", ("board", "octopus"));
        await story.UntilOverAsync();
        var sha256 = story.Upload(
            "new.bin", VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, VirtualPrinter.HostVersion, compiler: "gcc: 99.1"));
        foreach (var board in (string[])["octopus", "all"])
        {
            (string, object?)[] request = [("board", board), ("if_needed", true)];
            Assert.False(await ChangesAsync(request));
            Assert.True(await ChangesAsync([.. request, ("force", true)]));
            Assert.True(await ChangesAsync([.. request, ("firmware", "new.bin"), ("firmware_sha256", sha256)]));
        }

        async Task<bool> ChangesAsync((string, object?)[] request) =>
            (await story.RequestAsync("plan", request)).Items("plan").First().Flag("changed");
    });

    /// <summary>A value of another type must not turn into the default: the board would get other firmware than was meant.</summary>
    [Theory]
    [InlineData("flash", "firmware", 5)]
    [InlineData("flash", "port", 7)]
    [InlineData("flash", "if_needed", "nonsense")]
    [InlineData("plan", "bootloader", true)]
    [InlineData("job", "wait", "3")]
    [InlineData("job", "wait", -1)]
    public void A_value_of_another_type_is_refused(string method, string name, object value) => AgentStory.Of(async story =>
    {
        var answer = await story.RequestAsync(method, ("board", "octopus"), ("job", "beef"), (name, value));
        Assert.Equal("bad-request", answer.Word("error", "code"));
        Assert.Empty(story.Jobs);
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
        var inMemory = await home.RunAsync("flash", "octopus", "--virtual", "--when-idle");
        Assert.Contains("[no-agent]", inMemory.Output, StringComparison.Ordinal);
        Assert.Equal(2, (await home.RunAsync("flash", "octopus", "--virtual", "--timeout", "5")).Exit);
    }

    [Fact]
    public async Task A_farm_runs_printers_that_answer_are_off_or_print_and_keeps_them()
    {
        using var home = new ProgramHome();
        string[] farm = ["farm", "--printers", "3", "--seed", "8", "--off", "0.4", "--printing", "0.4", "--folder", home.PathOf("farm")];
        foreach (var isFlashed in (bool[])[false, true])
        {
            using var process = home.Start(farm);
            var said = new List<string>();
            while (await process.StandardOutput.ReadLineAsync() is { } line && said.Count < 3)
                said.Add(line);
            var drawn = string.Join('|', said.Select(line => line.Contains('(', StringComparison.Ordinal) ? line.Split('(')[1] : ""));
            Assert.Equal("prints for 60 s)|off)|", drawn);
            var addresses = (await File.ReadAllLinesAsync(home.PathOf("farm", "inventory.yml")))
                .Where(line => line.StartsWith("    printer-", StringComparison.Ordinal)).Select(line => line.Split('"')[1]).ToList();
            Assert.Equal(said.Select(line => line.Split(' ')[1]), addresses);

            using var http = new HttpClient();
            foreach (var (address, state) in addresses.Zip(drawn.Split('|')))
            {
                if (state == "off)")
                {
                    await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(http, address, "status"));
                    continue;
                }
                var klippy = (await AskAsync(http, address, "status")).Word("result", "klippy");
                Assert.Equal(state.Length > 0 ? "busy" : "ready", klippy);
                if (state.Length > 0)
                    continue;
                var boards = (await AskAsync(http, address, "boards")).Items("result", "boards");
                Assert.Equal(3, boards.Count(row => row.Word("board") is not null));
                var asked = await AskAsync(http, address, "flash", "\"board\":\"ebb42\",\"if_needed\":true");
                var job = await AskAsync(http, address, "job", $"\"job\":\"{asked.Word("result", "job")}\",\"wait\":50");
                Assert.Equal(!isFlashed, job.Items("result", "jobs").First().Flag("changed"));
            }
            var running = await home.RunAsync([.. farm, "--reset"]);
            Assert.Contains("Another ratos-flash is working", running.Output, StringComparison.Ordinal);
            using var stop = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            await process.WaitForExitAsync();
            Assert.Equal((0, ""), (process.ExitCode, await process.StandardError.ReadToEndAsync()));
        }
        var reset = await home.RunAsync([.. farm, "--reset"]);
        Assert.Equal((0, "3 virtual printers are back in their initial state."), (reset.Exit, reset.Output.Trim()));
        Assert.Equal(["inventory.yml"], Directory.GetFileSystemEntries(home.PathOf("farm"), "*.*", SearchOption.AllDirectories)
            .Where(File.Exists).Select(Path.GetFileName));
        Assert.Equal(2, (await home.RunAsync("farm", "--moonraker", "65530")).Exit);

        using var other = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        other.Start();
        var port = ((System.Net.IPEndPoint)other.LocalEndpoint).Port;
        var taken = await home.RunAsync("farm", "--printers", "2", "--moonraker", $"{port - 1}", "--folder", home.PathOf("other"));
        Assert.Contains($"127.0.0.1:{port}", taken.Output, StringComparison.Ordinal);
        Assert.NotEqual(0, taken.Exit);
    }

    private static async Task<JsonElement> AskAsync(HttpClient http, string address, string method, string arguments = "")
    {
        using var body = new StringContent(
            $"{{\"agent\":\"ratos_flash\",\"method\":\"{method}\",\"arguments\":{{{arguments}}}}}", null, "application/json");
        using var answer = await http.PostAsync($"{address}/server/extensions/request", body);
        return JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
    }
}
