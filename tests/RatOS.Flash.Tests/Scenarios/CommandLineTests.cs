using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>The program as a user or a script runs it: a real process, its lines, its exit code.</summary>
[VirtualOnly("the program itself is run in the rig")]
public sealed class CommandLineTests : IDisposable
{
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("ratos-flash-test");

    public void Dispose() => _home.Delete(recursive: true);

    private async Task<(int Exit, string Output, string Error)> RunAsync(params string[] args)
    {
        using var process = Start(args);
        process.StandardInput.Close();
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }

    private Process Start(params string[] args)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "ratos-flash.dll"), .. args])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };
        start.Environment["XDG_STATE_HOME"] = _home.FullName;
        start.Environment["HOME"] = _home.FullName;
        start.Environment.Remove("CI");
        return Process.Start(start)!;
    }

    private static List<JsonElement> Objects(string output) =>
        [.. output.Trim().Split('\n').Select(line => JsonDocument.Parse(line).RootElement)];

    private static string? Word(JsonElement line, string name) => line.GetProperty(name).GetString();

    private static int Number(JsonElement line, string name) => line.GetProperty(name).GetInt32();

    private string FileOf(byte[] bytes)
    {
        var path = Path.Combine(_home.FullName, $"{Guid.NewGuid():N}.bin");
        File.WriteAllBytes(path, bytes);
        return path;
    }

    [Fact]
    public async Task The_main_job_ends_with_a_true_verdict_and_is_remembered()
    {
        var flash = await RunAsync("flash", "octopus", "--virtual");
        Assert.Equal((0, ""), (flash.Exit, flash.Error));
        var verdict = flash.Output.Split('\n')[^2];
        Assert.StartsWith($"octopus OK: runs {VirtualPrinter.HostVersion}, 43.4 KiB verified", verdict, StringComparison.Ordinal);

        var boards = await RunAsync("boards", "--virtual", "--json");
        var octopus = Objects(boards.Output)[0];
        Assert.Equal(("btt-octopus-11", VirtualPrinter.HostVersion), (Word(octopus, "id"), Word(octopus, "running")));
        Assert.True(File.Exists(Path.Combine(_home.FullName, "ratos-flash", "ratos-flash.log")));

        Assert.Equal(0, (await RunAsync("virtual", "--reset")).Exit);
        Assert.Contains("v0.12.0-10", (await RunAsync("boards", "--virtual")).Output, StringComparison.Ordinal);
    }

    /// <summary>The catalogue's entries have no bootloader: the Katapult that is there decides.</summary>
    [Theory]
    [InlineData("sb2209", "sb2209-rp2040")]
    [InlineData("btt-ebb42-12", "can-toolhead")]
    public async Task A_board_is_flashed_by_a_Katapult_that_its_kind_does_not_have(string board, string scenario)
    {
        var flash = await RunAsync("flash", board, "--scenario", scenario);
        Assert.True(flash.Exit == 0, flash.Output + flash.Error);
    }

    [Fact]
    public async Task Every_JSON_line_is_an_object_with_an_event_and_the_last_one_is_the_result()
    {
        var flash = await RunAsync("flash", "octopus", "--virtual", "--json");
        var lines = Objects(flash.Output);
        Assert.All(lines, line => Assert.Contains(Word(line, "event"), new[] { "plan", "step", "verdict", "result" }));
        Assert.Equal("plan", Word(lines[0], "event"));
        var result = lines[^1];
        Assert.Equal(("result", true, 0), (Word(result, "event"), result.GetProperty("ok").GetBoolean(), Number(result, "exit")));
        Assert.Equal("flashed", Word(result.GetProperty("boards")[0], "condition"));
        Assert.Contains(lines, line => Word(line, "event") == "step" && Word(line, "kind") == "point-of-no-return");
    }

    [Fact]
    public async Task The_catalogue_has_a_line_for_each_kind_with_its_id_and_road()
    {
        var kinds = Objects((await RunAsync("boards", "--catalogue", "--json")).Output);
        Assert.Equal(
            Boards.BoardCatalogue.BuiltIn.Boards.Select(board => board.Id).Order(StringComparer.Ordinal),
            kinds.Select(kind => Word(kind, "id")));
        Assert.Contains(kinds, kind => Word(kind, "id") == "btt-octopus-11" && Word(kind, "road") == "engine");
        Assert.Contains(kinds, kind => Word(kind, "id") == "prusa-einsy" && Word(kind, "road") == "avrdude");
    }

    [Theory]
    [InlineData(2, "unknown-board", "flash", "octopuss", "--virtual")]
    [InlineData(2, "unknown-board", "plan", "; rm -rf /\n", "--virtual")]
    [InlineData(2, "unknown-scenario", "boards", "--scenario", "../../etc")]
    [InlineData(2, "firmware-unreadable", "flash", "octopus", "--virtual", "--firmware", "/nowhere/klipper.bin")]
    [InlineData(3, "no-such-port", "flash", "octopus", "--virtual", "--port", "9-9")]
    [InlineData(3, "no-such-port", "flash", "octopus", "--virtual", "--port", "1-1.5")]
    [InlineData(3, "foreign-firmware", "flash", "octopus", "--virtual", "--port", "1-1.4")]
    [InlineData(2, "unknown-board", "flash", "octopus")]                                     // this computer: the catalogue's names
    [InlineData(3, "no-such-port", "flash", "btt-octopus-11", "--port", "99-9")]
    [InlineData(3, "no-such-port", "plan", "btt-octopus-11", "--port", "/dev/ttyACM99")]
    [InlineData(3, "needs-bootloader-by-hand", "flash", "octopus-pro", "--scenario", "octopus-pro-429")]
    [InlineData(1, "bootloader-not-seen", "flash", "octopus", "--scenario", "sd-card-in-slot")]
    [InlineData(3, "other-bootloader", "flash", "octopus", "--virtual", "--bootloader", "stm32-uart")]
    [InlineData(3, "other-bootloader", "flash", "octopus", "--scenario", "octopus-in-dfu", "--bootloader", "katapult")]
    [InlineData(1, "bootloader-after-reset", "flash", "octopus", "--scenario", "uart-rom-boot0", "--bootloader", "stm32-uart")]
    [InlineData(3, "nothing-to-roll-back", "rollback", "octopus", "--virtual")]
    [InlineData(3, "no-pty", "virtual", "--pty", "/proc/nowhere")]
    [InlineData(1, "port-held", "flash", "octopus", "--scenario", "port-held")]
    [InlineData(3, "no-permission", "flash", "octopus", "--scenario", "no-permission")]
    [InlineData(3, "not-klipper-firmware", "firmware", "inspect", "/bin/sh")]
    public async Task A_fault_has_its_code_its_remedy_and_its_exit_code(int exit, string code, params string[] args)
    {
        var run = await RunAsync(args);
        Assert.Equal(exit, run.Exit);
        Assert.Contains($"[{code}]", run.Output + run.Error, StringComparison.Ordinal);
        Assert.Contains("Next step:", run.Output + run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("flash")]
    [InlineData("flash", "octopus", "--virtual", "--wrong")]
    [InlineData("flash", "octopus", "--pace", "fast")]
    [InlineData("flash", "octopus", "--virtual", "--pace", "NaN")]
    [InlineData("flash", "octopus", "--virtual", "--pace", "-1")]
    [InlineData("virtual", "--usbip", "65536")]
    [InlineData("virtual", "--attach")]
    [InlineData("nonsense")]
    [InlineData("seeds", "--count", "0")]
    [InlineData("seeds", "--from", "-1")]
    [InlineData("flash", "octopus", "--virtual", "--bootloader", "nonsense")]
    [InlineData("flash", "octopus", "--virtual", "--change-link", "usb:moon")]
    public async Task Wrong_usage_ends_with_two(params string[] args)
    {
        var run = await RunAsync(args);
        Assert.Equal((2, ""), (run.Exit, run.Output));
        Assert.Contains("--help", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Did you mean `flash`?", "flsh", "octopus")]
    [InlineData("Did you mean `boards`?", "board")]
    [InlineData("Did you mean `inspect`?", "firmware", "inspct", "klipper.bin")]
    [InlineData("Did you mean `--force`?", "flash", "octopus", "--virtual", "--frce")]
    [InlineData("Did you mean `--virtual`?", "flash", "octopus", "--virtal")]
    [InlineData("Did you mean `--scenario`?", "boards", "--scenaro", "octopus")]
    [InlineData("--seed takes a whole number.", "flash", "octopus", "--virtual", "--seed", "abc")]
    [InlineData("--pace takes a factor from 0 to 1000.", "flash", "octopus", "--virtual", "--pace", "fast")]
    [InlineData("--moonraker takes a TCP port from 0 to 65535.", "virtual", "--moonraker", "x")]
    [InlineData("--login takes a user, a colon and a password.", "virtual", "--login", "x:")]
    [InlineData("--usbip takes a TCP port from 0 to 65535.", "virtual", "--usbip", "x")]
    [InlineData("--count takes a number from 1 to 1000000.", "seeds", "--count", "x")]
    [InlineData("--from takes a number from 0 to 2146483647.", "seeds", "--from", "x")]
    [InlineData("Cannot parse argument '' for option '--data'.", "boards", "--virtual", "--data", "")]
    [InlineData("Cannot parse argument '' for option '--log'.", "boards", "--virtual", "--log", "")]
    public async Task Wrong_usage_is_answered_in_a_plain_sentence(string sentence, params string[] args)
    {
        var run = await RunAsync(args);
        Assert.Equal(2, run.Exit);
        Assert.Contains(sentence, run.Error.Split('\n'));
        Assert.DoesNotContain("System.", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("flash", "octopus", "--virtual")]
    [InlineData("boards", "--virtual")]
    [InlineData("plan", "octopus")]
    [InlineData("agent")]
    public async Task A_data_folder_that_does_not_exist_is_not_taken_for_a_bench(params string[] args)
    {
        var run = await RunAsync([.. args, "--data", "/does/not/exist"]);
        Assert.Equal(2, run.Exit);
        Assert.Contains("The printer's data folder /does/not/exist does not exist. [bad-option]", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Firmware_for_another_board_is_refused_by_plan_and_flash_alike()
    {
        var other = FileOf(VirtualFirmware.Build(VirtualChip.F407, 0x0800_8000, "v0.13.0"));
        var moved = FileOf(VirtualFirmware.Build(VirtualChip.F446, 0x0800_0000, "v0.13.0"));
        foreach (var (file, code) in new[] { (other, "firmware-wrong-mcu"), (moved, "firmware-wrong-offset") })
        {
            foreach (var verb in new[] { "plan", "flash" })
            {
                var run = await RunAsync(verb, "octopus", "--virtual", "--firmware", file);
                Assert.Equal(3, run.Exit);
                Assert.Contains(code, run.Output, StringComparison.Ordinal);
            }
        }
        Assert.Contains("v0.12.0-10", (await RunAsync("boards", "--virtual")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Firmware_for_another_link_is_shown_as_such_and_refused_whatever_is_agreed_to()
    {
        var uart = FileOf(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0", link: FirmwareLink.Uart));
        var can = FileOf(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0", link: FirmwareLink.Can));
        Assert.Contains("UART at 250000 baud on USART1", (await RunAsync("firmware", "inspect", uart)).Output, StringComparison.Ordinal);
        Assert.Equal("CAN at 1000000 bit/s on PB8_PB9",
            Word(Objects((await RunAsync("firmware", "inspect", can, "--json")).Output)[0], "link"));
        var run = await RunAsync("flash", "octopus", "--virtual", "--firmware", uart, "-y", "--force");
        Assert.Equal(3, run.Exit);
        Assert.Contains("firmware-other-link", run.Output, StringComparison.Ordinal);
        run = await RunAsync("flash", "octopus", "--virtual", "--firmware", can, "--change-link", "usb:can");
        Assert.Equal(3, run.Exit);
        Assert.Contains("can-missing", run.Output, StringComparison.Ordinal);   // this printer has no CAN
    }

    [Fact]
    public async Task A_damaged_folder_is_a_fault_and_not_a_crash()
    {
        var folder = _home.CreateSubdirectory("printer").FullName;
        Assert.Equal(0, (await RunAsync("flash", "octopus", "--virtual", "--folder", folder)).Exit);
        File.WriteAllText(Path.Combine(folder, "octopus.flash.bin"), "too short");
        var run = await RunAsync("boards", "--virtual", "--folder", folder);
        Assert.Equal(1, run.Exit);
        Assert.Contains("virtual-folder", run.Error, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(folder, "printer.json"), "[{]");
        Assert.Contains("virtual-folder", (await RunAsync("boards", "--virtual", "--folder", folder)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Seeds_are_repeatable_from_the_command_line()
    {
        var folder = Path.Combine(_home.FullName, "a");
        var first = await RunAsync("flash", "octopus", "--virtual", "--seed", "12", "--folder", folder);
        Assert.Contains("came-back-as-klipper", first.Output, StringComparison.Ordinal);
        // Its printer is kept as the flash left it, and the last line says how to begin again.
        var reset = first.Output.TrimEnd().Split('\n')[^1].Split('`')[1].Split(' ');
        Assert.Equal(["ratos-flash", "virtual", "--reset", "--scenario", "octopus", "--folder", folder], reset);
        Assert.Equal(0, (await RunAsync(reset[1..])).Exit);
        Assert.Equal(first, await RunAsync("flash", "octopus", "--virtual", "--seed", "12", "--folder", folder));
    }

    [Fact]
    public async Task Boards_are_served_until_the_end_is_asked_for_and_kept_then()
    {
        using var process = Start("virtual", "--usbip", "0", "--scenario", "two-octopuses", "--json", "--pace", "20");
        var port = 0;
        for (var came = 0; came < 2;)
        {
            var line = JsonDocument.Parse((await process.StandardOutput.ReadLineAsync())!).RootElement;
            if (line.GetProperty("event").GetString() == "message")
                port = int.Parse(Word(line, "text")!.Split("127.0.0.1:")[1].Split(' ')[0], CultureInfo.InvariantCulture);
            else if (line.GetProperty("kind").GetString() == "came")
                Assert.Equal(++came == 1 ? "octopus" : "octopus-2", line.GetProperty("board").GetString());
        }
        using (var client = await Pure.UsbIpClient.ImportAsync(port, "1-1.2"))
            Assert.Equal(18, (await client.ControlAsync("8006000100001200")).Length);
        using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]))
            await kill.WaitForExitAsync();
        var rest = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        Assert.Contains(
            "\"kind\":\"imported\",\"board\":\"octopus-2\",\"port\":\"1-1.2\",\"state\":\"klipper\"", rest, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(_home.FullName, "ratos-flash", "virtual", "two-octopuses", "printer.json")));
    }

    [Fact]
    public async Task A_board_whose_ROM_waits_on_a_wire_is_flashed_when_that_is_said()
    {
        string[] flashIt = ["flash", "octopus", "--scenario", "uart-rom", "--bootloader", "stm32-uart"];
        var flash = await RunAsync([.. flashIt, "--port", "ttyAMA0", "--json"]);
        Assert.Equal((0, ""), (flash.Exit, flash.Error));
        var plan = Objects(flash.Output)[0];
        Assert.Equal(("in-bootloader", "stm32-uart"), (Word(plan, "entry"), Word(plan, "bootloader")));
        Assert.Equal(1, (await RunAsync(flashIt)).Exit);   // it runs Klipper now
    }

    [Fact]
    public async Task Virtual_boards_are_on_pseudo_terminals_until_the_program_is_ended_and_what_became_of_them_is_kept()
    {
        var (ports, folder) = (Path.Combine(_home.FullName, "ports"), Path.Combine(_home.FullName, "printer"));
        using var process = Start("virtual", "--pty", ports, "--scenario", "uart-rom", "--folder", folder, "--json");
        var first = JsonDocument.Parse((await process.StandardOutput.ReadLineAsync())!).RootElement;
        Assert.StartsWith($"octopus: {ports}/octopus -> /dev/pts/", first.GetProperty("text").GetString(), StringComparison.Ordinal);
        await process.StandardOutput.ReadLineAsync();
        var path = Path.Combine(ports, "octopus");
        await using (var port = new FileStream(
            path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0, useAsync: true))
        {
            var answer = new byte[1];
            await port.WriteAsync(new byte[] { 0x7F });
            await port.ReadExactlyAsync(answer);
            Assert.Equal(0x79, answer[0]);
        }
        Process.Start("kill", ["-TERM", $"{process.Id}"]).Dispose();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(ports));
        Assert.Equal(VirtualChip.F446.FlashSize, new FileInfo(Path.Combine(folder, "octopus.flash.bin")).Length);
    }

    [Fact]
    public async Task Seeded_flashes_end_with_their_count_for_people_and_for_programs()
    {
        var text = await RunAsync("seeds", "--count", "24", "--from", "300");
        Assert.Equal((0, ""), (text.Exit, text.Error));
        Assert.Matches("^24 flashes, [0-9]+ recovered, [0-9]+ operator steps, 0 broken$", text.Output.Trim().Split('\n')[^1]);

        var lines = Objects((await RunAsync("seeds", "--count", "24", "--from", "300", "--json")).Output);
        var (end, flashes) = (lines[^1], lines[..^1]);
        Assert.Equal(Enumerable.Range(300, 24), flashes.Select(line => Number(line, "seed")).Order());
        var (recovered, steps) = (Number(end, "recovered"), Number(end, "humanSteps"));
        Assert.Contains($"{recovered} recovered, {steps} operator steps", text.Output, StringComparison.Ordinal);
        Assert.Equal(24, recovered + steps + Number(end, "undisturbed"));
        Assert.Equal(steps, flashes.Count(line => line.TryGetProperty("step", out _)));
    }

    [Fact]
    public async Task Help_names_every_verb()
    {
        var help = await RunAsync("--help");
        Assert.Equal(0, help.Exit);
        Assert.All(
            ["flash", "plan", "boards", "firmware", "virtual", "seeds", "--json", "--verbose"],
            word => Assert.Contains(word, help.Output, StringComparison.Ordinal));
        Assert.Equal("0.1.0\n", (await RunAsync("--version")).Output);
    }
}
