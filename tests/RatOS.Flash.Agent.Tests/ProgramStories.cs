using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Tests;

/// <summary>The program as people run it: one process that is the printer, others that ask its agent.</summary>
public sealed class ProgramStories : IDisposable
{
    private readonly ProgramHome _home = new();
    private Process? _printer;

    private string Data => _home.PrinterData;

    public void Dispose()
    {
        if (_printer is { HasExited: false })
        {
            _printer.Kill();
            _printer.WaitForExit();
        }
        _printer?.Dispose();
        _home.Dispose();
    }

    /// <summary>Starts the whole virtual printer and returns where its Moonraker is.</summary>
    private async Task<Uri> StartPrinterAsync(params string[] more)
    {
        _printer = _home.Start(["virtual", "--folder", _home.PathOf("v"), "--moonraker", "0", "--pace", "2", .. more]);
        var first = await _printer.StandardOutput.ReadLineAsync() ?? await _printer.StandardError.ReadToEndAsync();
        Assert.Contains("Moonraker at http://127.0.0.1:", first, StringComparison.Ordinal);
        return new Uri(first.Split("Moonraker at ")[1].Split(' ')[0]);
    }

    [Theory]
    [InlineData("y\n", "v0.12.0-10-g1f2a9e1c")]
    [InlineData("n\n", null)]
    public async Task At_a_terminal_the_user_confirms_the_rollback(string answer, string? runs)
    {
        Directory.CreateDirectory(Data);
        var (exit, screen) = await _home.AtTerminalAsync(
            [("Do this now", "\x03"), ("Roll octopus back to the previous firmware?", answer)],
            "flash", "octopus", "--scenario", "bad-build", "--folder", _home.PathOf("v"), "--data", Data, "--pace", "50");
        // The flash that was asked for has failed in any case.
        Assert.Equal(1, exit);
        Assert.Contains("octopus FAILED", screen, StringComparison.Ordinal);
        Assert.Equal(runs is not null, screen.Contains($"octopus OK: runs {runs}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("2\n", 0, "mcu OK: runs")]
    [InlineData("\n", 3, "mcu NOT FLASHED")]
    public async Task At_a_terminal_the_user_is_asked_for_the_one_fact_that_a_board_cannot_tell(string answer, int exit, string verdict)
    {
        Directory.CreateDirectory(Data);
        var asked = await _home.AtTerminalAsync(
            [("Answer [1-3, Enter for none]:", answer)],
            "flash", "mcu", "--scenario", "unlisted-in-dfu", "--folder", _home.PathOf("v"), "--data", Data, "--pace", "50");
        Assert.Contains("2  0x8008000", asked.Screen, StringComparison.Ordinal);
        Assert.Contains(verdict, asked.Screen, StringComparison.Ordinal);
        Assert.Equal(exit, asked.Exit);
    }

    /// <summary>A user may name any folder, even a real printer's home.</summary>
    [Fact]
    public async Task A_reset_deletes_a_virtual_printer_and_no_file_of_others()
    {
        var folder = _home.PathOf("home");
        Directory.CreateDirectory(Path.Combine(folder, "printer_data"));
        await File.WriteAllTextAsync(Path.Combine(folder, "notes.txt"), "mine");
        var refused = await _home.RunAsync("virtual", "--reset", "--folder", folder);
        Assert.Equal(1, refused.Exit);
        Assert.Contains("Nothing was deleted.", refused.Output, StringComparison.Ordinal);

        // Beside a virtual printer they are left as well, and its answers go.
        var answered = await _home.RunAsync("answer", "octopus", "start", "0x8008000", "--virtual", "--folder", folder);
        Assert.Equal(0, answered.Exit);
        Assert.Equal(0, (await _home.RunAsync("flash", "octopus", "--virtual", "--folder", folder)).Exit);
        Assert.Equal(0, (await _home.RunAsync("virtual", "--reset", "--folder", folder)).Exit);
        Assert.Equal(["notes.txt", "printer_data"], Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task Words_at_a_terminal_are_found_where_they_are_wrapped_and_coloured()
    {
        using var terminal = _home.StartByShell(@"printf '\033[33m  > Silent. Do\033[0m\r\n\033[33m    this now: wait.\033[0m\r\n'");
        Assert.Contains("wait.", await ProgramHome.ReadUntilAsync(terminal, "Do this now: wait."), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_whole_virtual_printer_is_tried_without_hardware()
    {
        var moonraker = await StartPrinterAsync();
        Assert.Equal((0, true), await Contains(["status", "--data", Data], "No flash is running."));
        Assert.Equal((0, true), await Contains(["status", "--data", Data], $"Page: {moonraker}server/ratos_flash/page"));
        var flash = await _home.RunAsync("flash", "octopus", "--data", Data);
        Assert.Equal(0, flash.Exit);
        Assert.Contains("octopus OK: runs v0.13.0", flash.Output, StringComparison.Ordinal);

        // The macro from the program's own hint, while `watch` runs. `watch` connects in its own time, so it may miss a flash.
        using var watch = _home.Start("watch", "--data", Data, "--json");
        var seen = new ConcurrentQueue<string>();
        var isOver = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        watch.OutputDataReceived += (_, line) =>
        {
            seen.Enqueue(line.Data ?? "");
            if (line.Data?.Contains("Klipper is ready", StringComparison.Ordinal) == true && seen.Any(IsVerdict))
                isOver.TrySetResult();
        };
        watch.BeginOutputReadLine();
        using var http = new HttpClient();
        for (var jobs = 2; !isOver.Task.IsCompleted; jobs++)
        {
            Assert.True(jobs < 20 && !watch.HasExited, string.Join('\n', seen));
            using var macro = await http.PostAsJsonAsync(new Uri(moonraker, "printer/gcode/script"),
                new { script = "FLASH_MCU BOARD=octopus" });
            Assert.True(macro.IsSuccessStatusCode);
            await UntilAsync(
                () => Task.FromResult(Journal.ReadAll(new DataFolder(Data).Jobs).Count(job => job.Result is not null) == jobs),
                $"{jobs} jobs are over");
            await Task.WhenAny(isOver.Task, Task.Delay(TimeSpan.FromSeconds(1)));   // of a flash that it missed it shows nothing
        }
        Assert.Contains(seen, line => line.Contains("Klipper is ready", StringComparison.Ordinal));
        using var verdict = JsonDocument.Parse(seen.First(IsVerdict));
        Assert.True(verdict.RootElement.GetProperty("report").GetProperty("ok").GetBoolean());
        watch.Kill();

        Assert.Equal((0, true), await Contains(["history", "--data", Data], "from a macro"));
        Assert.Equal((2, true), await Contains(["flash", "nonsense", "--data", Data], "[unknown-board]"));
        Assert.Equal((0, true), await Contains(["cancel", "--data", Data], "No flash is running."));
        Assert.Equal((2, true), await Contains(["cancel", "beef", "--data", Data], "[unknown-job]"));

        using var stop = Process.Start("kill", ["-TERM", $"{_printer!.Id}"]);
        await _printer.WaitForExitAsync();
        Assert.Equal(0, _printer.ExitCode);
        Assert.False(File.Exists(Path.Combine(Data, "comms", "ratos-flash.sock")));
        Assert.Equal((1, true), await Contains(["status", "--data", Data], "[no-agent]"));
    }

    [Fact]
    public async Task Killed_in_the_middle_of_a_write_the_next_agent_reports_what_happened()
    {
        await StartPrinterAsync();
        using var flash = _home.Start("flash", "octopus", "--data", Data);
        string? line;
        do
        {
            line = await flash.StandardOutput.ReadLineAsync();
        }
        while (line is not null && !line.Contains("Writing 44468 bytes", StringComparison.Ordinal));
        Assert.NotNull(line);
        _printer!.Kill();   // SIGKILL
        await _printer.WaitForExitAsync();
        await flash.WaitForExitAsync();
        Assert.Equal(1, flash.ExitCode);
        Assert.Contains("[agent-gone]", await flash.StandardError.ReadToEndAsync(), StringComparison.Ordinal);
        _printer.Dispose();

        await StartPrinterAsync();
        var history = await _home.RunAsync("history", "--data", Data);
        Assert.Contains("[interrupted]", history.Output, StringComparison.Ordinal);
        Assert.Contains("no working firmware", history.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_is_killed_leaves_a_stopped_Klipper_and_the_next_one_starts_it()
    {
        var moonraker = await StartPrinterAsync("--no-agent");
        string[] agent = ["agent", "--virtual", "--folder", _home.PathOf("w"), "--pace", "2", "--data", Data];
        using var http = new HttpClient();
        using (var first = _home.Start(agent))
        {
            Assert.Contains("The agent serves", await first.StandardOutput.ReadLineAsync() ?? "", StringComparison.Ordinal);
            using var flash = _home.Start("flash", "octopus", "--data", Data);
            while (await flash.StandardOutput.ReadLineAsync() is { } line
                && !line.Contains("Writing 44468 bytes", StringComparison.Ordinal))
            {
                // On to the write.
            }
            first.Kill();
            await first.WaitForExitAsync();
            await flash.WaitForExitAsync();
        }
        Assert.Equal("disconnected", await StateAsync());

        using var second = _home.Start(agent);
        Assert.Contains("The agent serves", await second.StandardOutput.ReadLineAsync() ?? "", StringComparison.Ordinal);
        await UntilAsync(async () => await StateAsync() == "ready", "Klipper is ready");
        Assert.Equal((0, true), await Contains(["history", "--data", Data], "[interrupted]"));
        second.Kill();

        async Task<string?> StateAsync()
        {
            using var info = JsonDocument.Parse(await http.GetStringAsync(new Uri(moonraker, "server/info")));
            return info.RootElement.Word("result", "klippy_state");
        }
    }

    [Fact]
    public async Task Without_an_agent_the_command_line_stops_and_starts_Klipper_itself()
    {
        await StartPrinterAsync("--no-agent");
        Assert.Equal((1, true), await Contains(["status", "--data", Data], "[no-agent]"));
        string[] boards = ["--virtual", "--folder", _home.PathOf("w"), "--pace", "2", "--data", Data];
        var flash = await _home.RunAsync(["flash", "octopus", .. boards]);
        Assert.True(flash.Exit == 0, flash.Output);
        Assert.Contains("Klipper is stopped", flash.Output, StringComparison.Ordinal);
        Assert.Contains("Klipper is ready", flash.Output, StringComparison.Ordinal);
        var journal = Assert.Single(Journal.ReadAll(new DataFolder(Data).Jobs));
        Assert.Equal((true, null, "command-line"), (journal.Result!.Ok, journal.Stopped, journal.Header.By));

        Assert.Equal((0, true), await Contains(["history", "--data", Data], "OK, from the command line"));
        Assert.Equal((1, true), await Contains(["status", "--data", Data], "octopus: runs v0.13.0"));
        var hour = DateTimeOffset.Parse(journal.Header.Created, CultureInfo.InvariantCulture).AddHours(9)
            .ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
        using (var tokyo = _home.StartByShell($"TZ=Asia/Tokyo exec $program history --data {Data}"))
            Assert.Contains($"{hour} +09:00", await tokyo.StandardOutput.ReadToEndAsync(), StringComparison.Ordinal);

        // Who works on the boards holds the lock.
        using (new DataFolder(Data).Lock())
            Assert.Equal((3, true), await Contains(["flash", "octopus", .. boards], "[already-running]"));

        // A rollback of one of two boards with the same name is possible by its port.
        var port = await _home.RunAsync(["rollback", "octopus", "--port", "1-1.1", .. boards]);
        Assert.DoesNotContain("Unrecognized", port.Output, StringComparison.Ordinal);
        Assert.Equal(0, port.Exit);
    }

    [Fact]
    public async Task A_flash_of_another_command_line_is_shown_as_running()
    {
        Directory.CreateDirectory(Data);
        string[] place = ["--data", Data];
        using var flash = _home.Start(
            ["flash", "octopus", "--virtual", "--folder", _home.PathOf("w"), "--pace", "1", "--json", .. place]);
        await ProgramHome.ReadUntilAsync(flash, "Stopping Klipper");
        var status = await _home.RunAsync(["status", .. place]);
        Assert.Contains("running, from the command line", status.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("interrupted", status.Output, StringComparison.Ordinal);
        await flash.StandardOutput.ReadToEndAsync();
    }

    private static bool IsVerdict(string line) => line.Contains("\"event\":\"verdict\"", StringComparison.Ordinal);

    /// <summary>Asks again and again, for minutes of real time.</summary>
    private static async Task UntilAsync(Func<Task<bool>> isTrue, string what)
    {
        var begin = Stopwatch.GetTimestamp();
        while (!await isTrue())
        {
            Assert.True(Stopwatch.GetElapsedTime(begin) < TimeSpan.FromMinutes(5), $"never: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    private async Task<(int Exit, bool Contains)> Contains(string[] args, string text)
    {
        var (exit, output) = await _home.RunAsync(args);
        return (exit, output.Contains(text, StringComparison.Ordinal));
    }
}
