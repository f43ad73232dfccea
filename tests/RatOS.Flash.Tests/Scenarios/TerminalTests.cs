using System.Text.RegularExpressions;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>The program at a real terminal: it fits its width, says each thing once, and leaves the terminal as it was.</summary>
[VirtualOnly("the program itself is run in the rig")]
public sealed partial class TerminalTests : IDisposable
{
    private const int Columns = 80;
    private const int Indent = 24;   // of texts, at most

    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("rf-tty-");

    public void Dispose() => _home.Delete(recursive: true);

    private TerminalRun Start(int columns, params string[] args) => new(_home.FullName, columns, [], args);

    private async Task<(int Exit, string Output, TerminalScreen Screen)> RunAsync(int columns, params string[] args)
    {
        using var run = Start(columns, args);
        var exit = await run.EndAsync();
        return (exit, run.Output, run.Screen);
    }

    /// <summary>Application mode of the keypad, as System.Console switches it on, would stay on for the shell.</summary>
    [Theory]
    [InlineData("--version")]
    [InlineData("--help")]
    [InlineData("nonsense")]
    [InlineData("boards", "--virtual", "--verbose")]
    [InlineData("flash", "nonsense", "--virtual")]
    [InlineData("flash", "octopus", "--virtual", "--pace", "0")]
    public async Task The_terminal_is_left_as_it_was(params string[] args)
    {
        using var run = new TerminalRun(_home.FullName, Columns, new() { ["NO_COLOR"] = "1" }, args);
        await run.EndAsync();
        Assert.NotEqual("", run.Output);
        // Only movements within the text, and no colours.
        Assert.All(Escapes().Matches(run.Output).Select(match => match.Value), escape => Assert.Matches("^\\[(A|2K)$", escape));
    }

    /// <summary>
    /// A word that is broken is none of those that a terminal of 200 columns shows. Only a path that fits no row may be broken.
    /// </summary>
    [Theory]
    [InlineData("boards", "--scenario", "voron")]
    [InlineData("boards", "--catalogue")]
    [InlineData("plan", "octopus", "--virtual")]
    [InlineData("doctor", "--virtual")]
    [InlineData("flash", "--help")]
    [InlineData("flash", "octopus", "--virtual", "--seed", "12", "--pace", "0")]
    public async Task Every_row_fits_the_terminal_and_no_word_is_broken(params string[] args)
    {
        var wide = (await RunAsync(200, args)).Screen;
        Assert.Equal(0, wide.Overflows);
        var words = wide.Rows.SelectMany(row => row.Split(' ')).ToHashSet(StringComparer.Ordinal);
        foreach (var columns in new[] { 60, 80 })
        {
            var (_, output, screen) = await RunAsync(columns, args);
            Assert.True(screen.Overflows == 0, output);
            // Cells that moved below their row are separated by commas.
            Assert.All(
                screen.Rows.SelectMany(row => row.Split(' ')),
                word => Assert.True(
                    words.Contains(word) || words.Contains(word.TrimEnd(','))
                    || words.Any(path => path.Length > columns - Indent && path.Contains(word, StringComparison.Ordinal)), output));
        }
    }

    [Theory]
    [InlineData(60)]
    [InlineData(80)]
    [InlineData(200)]
    public async Task The_list_of_boards_shows_each_name_port_and_version_in_one_piece(int columns)
    {
        var (exit, output, screen) = await RunAsync(columns, "boards", "--scenario", "voron");
        Assert.Equal(0, exit);
        foreach (var board in new[] { "octopus", "ebb42", "octopus-pro" })
        {
            var row = Assert.Single(screen.Rows, row => row.StartsWith(board + " ", StringComparison.Ordinal));
            Assert.Contains("v0.12.0-10-g1f2a9e1c", row, StringComparison.Ordinal);
        }
        Assert.All(["BIGTREETECH Octopus V1.1 F446", "stm32h723xx", "1-1.3", "Webcam C270"], text => Assert.True(
            screen.Rows.Any(row => row.Contains(text, StringComparison.Ordinal)), output));
    }

    [Fact]
    public async Task What_follows_a_label_stays_to_the_right_of_it()
    {
        var (_, output, screen) = await RunAsync(Columns, "flash", "octopus", "--virtual", "--seed", "12", "--pace", "0");
        var rows = screen.Rows.SkipWhile(row => !row.StartsWith("octopus FAILED", StringComparison.Ordinal)).Skip(1)
            .Where(row => row.Length > 0).ToList();
        Assert.Contains(rows, row => row.StartsWith("  Next step:  ", StringComparison.Ordinal));
        Assert.Contains(rows, row => row.StartsWith("              ", StringComparison.Ordinal));
        var report = rows.FindIndex(row => row.StartsWith("This printer is virtual, ", StringComparison.Ordinal));
        Assert.True(report > 0, output);
        Assert.EndsWith("beginning.", rows[^1], StringComparison.Ordinal);
        Assert.All(rows.Take(report), row => Assert.True(Labelled().IsMatch(row), output));
    }

    [Fact]
    public async Task A_warning_is_shown_once()
    {
        var (_, output, screen) = await RunAsync(200, "flash", "octopus", "--virtual", "--seed", "12", "--pace", "0");
        var warnings = screen.Rows.Where(row => row.StartsWith("  ! ", StringComparison.Ordinal)).Select(row => row[4..]).ToList();
        Assert.NotEmpty(warnings);
        Assert.All(warnings, warning => Assert.True(
            screen.Rows.Count(row => row.Contains(warning, StringComparison.Ordinal)) == warnings.Count(other => other == warning),
            output));
    }

    /// <summary>No row of an earlier drawing may be left over, with the log between the steps or without.</summary>
    [Theory]
    [InlineData]
    [InlineData("--verbose")]
    public async Task A_flash_is_a_list_of_its_steps_in_their_order(params string[] more)
    {
        var (exit, output, screen) = await RunAsync(Columns, ["flash", "octopus", "--virtual", "--pace", "20", .. more]);
        Assert.Equal(more.Length > 0, screen.Rows.Any(row => row.Contains("Writing 44468 bytes", StringComparison.Ordinal)));
        Assert.Equal(0, exit);
        string[] phases = ["Look", "Stop", "Ask", "Enter", "Identify", "Erase", "Write", "Verify", "Leave", "Confirm", "Prove", "Start"];
        var steps = screen.Rows.Where(row => row.StartsWith("  ✔ ", StringComparison.Ordinal)).Select(row => row[4..].Split(' ')[0]);
        Assert.True(steps.SequenceEqual(phases), output);
        Assert.DoesNotContain(screen.Rows, row => row.Any("━─⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏".Contains));
        Assert.StartsWith("octopus OK: runs v0.13.0", screen.Rows[^3], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Guide_on_the_virtual_printer_shows_how_its_operator_starts_the_bootloader()
    {
        var (exit, output, screen) = await RunAsync(Columns, "guide", "octopus", "--virtual", "--pace", "50");
        Assert.True(exit == 0, output);
        Assert.Contains(screen.Rows, row => row.Contains("(1) If there is a card", StringComparison.Ordinal));
        Assert.Contains(screen.Rows, row => row.Contains("USB DFU at 1-1.1", StringComparison.Ordinal));
        // It is in its bootloader now, as the guide says.
        Assert.Contains("waits in USB DFU", (await RunAsync(200, "boards", "--virtual")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ctrl_C_says_what_it_does_at_that_moment()
    {
        // Half the speed of a real board, so that no phase is over before the interrupt has come.
        using var run = Start(Columns, "flash", "octopus", "--virtual", "--pace", "0.5");
        foreach (var (phase, sentence) in new[]
        {
            ("Erase", "Finishing the write first:"),
            ("Prove", "The write is complete."),
            ("Start", "The boards are finished. Klipper is started again."),
        })
        {
            await run.UntilShownAsync($" {phase} ");
            run.Interrupt();
            await run.UntilShownAsync(sentence);
        }
        // It was too late to cancel.
        Assert.Equal(0, await run.EndAsync());
        Assert.Single(run.Screen.Rows, row => row.StartsWith("Finishing the write first", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Ctrl_C_before_the_write_leaves_the_board_as_it_was()
    {
        using var run = Start(Columns, "flash", "octopus", "--virtual");
        await run.UntilShownAsync(" Stop ");
        run.Interrupt();
        Assert.Equal(1, await run.EndAsync());
        Assert.Contains("Stopping: nothing was erased. Klipper is started again.", run.Screen.Rows);
        Assert.Contains("  Board now:  untouched: it still has its old firmware.", run.Screen.Rows);
    }

    [Fact]
    public async Task Watch_shows_the_steps_and_the_verdict_of_another_programs_flash()
    {
        var (folder, data) = (Path.Combine(_home.FullName, "v"), Path.Combine(_home.FullName, "v", "printer_data"));
        using var printer = Start(200, "virtual", "--folder", folder, "--moonraker", "0", "--pace", "5");
        await printer.UntilShownAsync("Moonraker at ");
        using var watch = Start(Columns, "watch", "--data", data);
        // The agent tells a watcher of what begins after it has come.
        await printer.UntilShownAsync("Agent:");
        var (exit, output, _) = await RunAsync(Columns, "flash", "octopus", "--data", data);
        Assert.True(exit == 0, output);
        await watch.UntilShownAsync("octopus OK: runs v0.13.0");
        await watch.UntilShownAsync("Klipper is ready");
        watch.Interrupt();
        Assert.Equal(0, await watch.EndAsync());
        Assert.Contains("Writing 44468 bytes", watch.Output, StringComparison.Ordinal);
        Assert.Contains("Read back 44468 bytes", watch.Output, StringComparison.Ordinal);
        printer.Interrupt();
        Assert.Equal(0, await printer.EndAsync());
    }

    [Fact]
    public async Task Help_has_the_verbs_in_groups_and_optional_arguments_in_brackets()
    {
        var (exit, _, screen) = await RunAsync(Columns, "--help");
        Assert.Equal(0, exit);
        Assert.Equal(
            ["Flash:", "Look:", "Recover:", "Support:", "Try without hardware:", "Common options:", "Virtual printer:"],
            screen.Rows.Where(row => row.EndsWith(':') && !row.StartsWith(' ')));
        foreach (var usage in new[] { "flash BOARD...", "recover [BOARD...]", "cancel [JOB]", "boards", "firmware inspect FILE" })
        {
            Assert.Single(screen.Rows, row => row.StartsWith($"  {usage} ", StringComparison.Ordinal));
            Assert.Contains($"Usage: ratos-flash {usage} [OPTIONS]", (await RunAsync(Columns, usage.Split(' ')[0], "--help")).Screen.Rows);
        }
    }

    [GeneratedRegex("(?<=\x1b).[^A-Za-z=>]*[A-Za-z=>]?", RegexOptions.None, 1000)]
    private static partial Regex Escapes();

    [GeneratedRegex("^  ([A-Z][a-z ]+: +|            )[^ ]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Labelled();
}
