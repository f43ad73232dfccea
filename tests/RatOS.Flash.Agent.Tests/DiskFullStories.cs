using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent.Tests;

/// <summary>
/// A disk that fills up. The printer's folder is a tiny tmpfs in a mount namespace of its own, where a shell runs the program.
/// </summary>
public sealed class DiskFullStories : IDisposable
{
    /// <summary>Fills the disk but for one page, in which a journal begins and does not end.</summary>
    private const string FillButForOnePage = "head -c 8M /dev/zero >$data/fill 2>/dev/null; truncate -s -4096 $data/fill";

    private readonly ProgramHome _home = new();

    public void Dispose() => _home.Dispose();

    private async Task<(int Exit, string Output, string Errors)> ByShellAsync(string lines)
    {
        using var process = _home.StartByShell(
            $"""
            if [ "$1" != inside ]; then exec unshare -rm bash -c "$BASH_EXECUTION_STRING" bash inside; fi
            data={_home.PathOf("data")} v="--folder {_home.PathOf("v")}" log="--log {_home.PathOf("log")}"
            mkdir -p $data && mount -t tmpfs -o size=1M tmpfs $data || exit 99
            {lines}
            """);
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await errors);
    }

    [Fact]
    public async Task A_log_on_a_full_disk_is_reported_once_and_the_flash_succeeds()
    {
        using var flash = _home.Start("flash", "octopus", "--virtual", "--folder", _home.PathOf("v"), "--log", "/dev/full");
        var (output, errors) = (flash.StandardOutput.ReadToEndAsync(), flash.StandardError.ReadToEndAsync());
        await flash.WaitForExitAsync();
        Assert.Equal(0, flash.ExitCode);
        Assert.Contains("octopus OK: runs", await output, StringComparison.Ordinal);
        var error = Assert.Single(Lines(await errors));
        Assert.StartsWith("The log /dev/full is incomplete: No space left on device", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_room_for_a_journal_nothing_is_touched()
    {
        var (exit, output, _) = await ByShellAsync(
            """
            head -c 8M /dev/zero >$data/fill 2>/dev/null
            $program flash octopus --virtual $v $log --data $data --pace 50
            """);
        Assert.Equal(3, exit);
        Assert.Contains("octopus NOT FLASHED [journal-unwritable]", output, StringComparison.Ordinal);
        Assert.Contains("untouched", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_that_fills_up_in_the_middle_of_a_flash_changes_no_verdict()
    {
        var (exit, output, errors) = await ByShellAsync(
            $"""
            flash="$program flash octopus --virtual $v $log --data $data --pace 20"
            $flash >/dev/null || exit 98
            {FillButForOnePage}
            $flash
            """);
        Assert.Equal((0, ""), (exit, errors));
        Assert.Contains("octopus OK: runs", output, StringComparison.Ordinal);
        Assert.Single(Lines(output), line => line.Contains("is incomplete: No space left on device", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_job_of_the_agent_ends_on_a_full_disk_and_the_next_flash_is_a_job_of_its_own()
    {
        var (exit, output, errors) = await ByShellAsync(
            $"""
            exec 3< <(exec $program virtual $v $log --data $data --moonraker 0 --pace 5)
            agent=$!
            read -r line <&3
            flash="$program flash octopus --data $data"
            $flash >/dev/null || exit 98
            {FillButForOnePage}
            $flash || exit 97
            rm $data/fill
            $flash | sed 's/^/third: /'
            $program status --data $data
            $program history --data $data
            kill $agent
            """);
        Assert.True(exit == 0, $"{exit}: {output}{errors}");
        Assert.Equal("", errors);
        Assert.Single(Lines(output), line => line.Contains("is incomplete: No space left", StringComparison.Ordinal));
        Assert.Contains("\nthird: octopus OK: runs", output, StringComparison.Ordinal);
        Assert.Contains("No flash is running.", output, StringComparison.Ordinal);
        Assert.Equal(3, Regex.Count(output, "^[0-9a-f]{4}  .* OK, from ", RegexOptions.Multiline));
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
