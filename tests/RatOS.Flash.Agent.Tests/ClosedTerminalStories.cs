using System.Diagnostics;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A flash whose terminal or reader goes away: it ends before the point of no return, and is finished after it.</summary>
public sealed class ClosedTerminalStories : IDisposable
{
    private const string PointOfNoReturn = "Point of no return";

    private readonly ProgramHome _home = new();

    private DataFolder Data => new(_home.PathOf("data"));

    public ClosedTerminalStories() => Directory.CreateDirectory(Data.Root);

    public void Dispose() => _home.Dispose();

    private string[] Flash(string scenario = "octopus", double pace = 2) =>
    [
        "flash", "octopus", "--scenario", scenario, "--folder", _home.PathOf("v"), "--data", Data.Root,
        "--pace", $"{pace}",
    ];

    [Theory]
    [InlineData("HUP")]
    [InlineData("QUIT")]
    [InlineData("TERM")]
    public async Task A_signal_after_the_point_of_no_return_ends_the_program_when_the_board_is_flashed(string signal)
    {
        using var flash = _home.Start([.. Flash(pace: 0.5), "--json"]);
        await ProgramHome.ReadUntilAsync(flash, PointOfNoReturn);
        using var kill = Process.Start("kill", [$"-{signal}", $"{flash.Id}"]);
        var rest = await flash.StandardOutput.ReadToEndAsync();
        await flash.WaitForExitAsync();
        Assert.Equal(0, flash.ExitCode);
        // On a busy computer the signal may come when the write is over.
        Assert.Matches("Finishing the write first|The write is complete", rest);
        AssertFlashed();
    }

    [Fact]
    public async Task A_terminal_closed_after_the_point_of_no_return_does_not_end_the_write()
    {
        using var terminal = _home.StartAtTerminal([.. Flash(), "--json"]);
        await ProgramHome.ReadUntilAsync(terminal, PointOfNoReturn);
        terminal.Kill();
        await WaitForUnlockAsync();
        AssertFlashed();
    }

    [Fact]
    public async Task A_terminal_closed_before_the_point_of_no_return_cancels_the_flash()
    {
        using var terminal = _home.StartAtTerminal(Flash("h2-no-enumeration", pace: 50));
        await ProgramHome.ReadUntilAsync(terminal, "Do this now");
        terminal.Kill();
        await WaitForUnlockAsync();
        // The operator step is not waited for any longer: the reason for it is the result.
        var job = Assert.Single(Journal.ReadAll(Data.Jobs));
        Assert.Equal("bootloader-not-seen", Assert.Single(job.Result!.Boards).Fault!.Code);
        Assert.DoesNotContain(job.Steps, step => step.Kind == "point-of-no-return");
    }

    [Fact]
    public async Task A_reader_that_leaves_after_the_point_of_no_return_does_not_end_the_write()
    {
        using var flash = _home.Start([.. Flash(), "--json"]);
        await ProgramHome.ReadUntilAsync(flash, PointOfNoReturn);
        flash.StandardOutput.Close();
        await flash.WaitForExitAsync();
        Assert.Equal(0, flash.ExitCode);
        AssertFlashed();
    }

    [Fact]
    public async Task Without_a_reader_from_the_start_nothing_is_erased()
    {
        // The pipe's only reader is closed before the program starts.
        using var flash = _home.StartByShell(
            $"cd {_home.PathOf()}; mkfifo p; exec 3<>p 4>p 3<&-; exec $program {string.Join(' ', Flash())} >&4");
        await flash.WaitForExitAsync();
        Assert.Equal(1, flash.ExitCode);
        var job = Assert.Single(Journal.ReadAll(Data.Jobs));
        Assert.Equal("cancelled", Assert.Single(job.Result!.Boards).Fault!.Code);
        Assert.DoesNotContain(job.Steps, step => step.Kind == "point-of-no-return");
    }

    [Theory]
    [InlineData("boards --virtual --json", 1)]
    [InlineData("flash octopus --virtual", 0)]
    public async Task Output_that_a_full_disk_loses_is_a_failure_of_what_only_shows(string arguments, int exit)
    {
        using var shown = _home.StartByShell($"$program {arguments} --folder {_home.PathOf("w")} >/dev/full");
        Assert.Contains("standard output cannot be written", await shown.StandardError.ReadToEndAsync(), StringComparison.Ordinal);
        await shown.WaitForExitAsync();
        Assert.Equal(exit, shown.ExitCode);
    }

    private void AssertFlashed()
    {
        var job = Assert.Single(Journal.ReadAll(Data.Jobs));
        Assert.Equal((true, null), (job.Result?.Ok, job.Stopped));
        Assert.Contains(job.Steps, step => step is { Phase: "prove", Kind: "end" });
    }

    /// <summary>The flash is not our child: it holds the printer's lock as long as it works.</summary>
    private async Task WaitForUnlockAsync()
    {
        using var flock = Process.Start("flock", [Path.Combine(Data.Root, "ratos-flash", "lock"), "true"]);
        await flock.WaitForExitAsync();
    }
}
