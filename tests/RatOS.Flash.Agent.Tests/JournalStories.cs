using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Tests;

/// <summary>An agent that was killed, and the one that comes after it.</summary>
public sealed class JournalStories
{
    /// <summary>The journal of a flash that went well, line by line.</summary>
    private static readonly Lazy<string[]> Whole = new(() =>
    {
        string[] lines = [];
        AgentStory.Of(async story =>
        {
            await story.TypeAsync("FLASH_MCU BOARD=octopus");
            await story.UntilOverAsync();
            lines = await File.ReadAllLinesAsync(story.Jobs[0].Path);
        });
        return lines;
    });

    [Fact]
    public void Killed_after_any_line_the_next_agent_tells_what_became_of_the_board_and_starts_Klipper()
    {
        var lines = Whole.Value;
        Assert.True(lines.Length > 30, $"{lines.Length} lines");
        // That Klipper was stopped by us stands written before a board is sent anywhere, and that it runs again behind all of it.
        Assert.InRange(Array.FindIndex(lines, line => line.Contains("\"stopping\"", StringComparison.Ordinal)), 1,
            Array.FindIndex(lines, line => line.Contains("\"phase\":\"enter\"", StringComparison.Ordinal)) - 1);
        Assert.True(Array.FindIndex(lines, line => line.Contains("\"started\"", StringComparison.Ordinal)) > Array.FindLastIndex(lines,
                line => line.Contains("\"phase\":\"prove\"", StringComparison.Ordinal)));
        var conditions = new List<string>();
        // The last line is the result: with it nothing was interrupted.
        for (var count = 1; count < lines.Length; count++)
        {
            var (kept, isStopped) = (lines[..count], lines[..count].Any(line => line.Contains("\"stopping\"", StringComparison.Ordinal))
                && !lines[..count].Any(line => line.Contains("\"started\"", StringComparison.Ordinal)));
            var isTorn = count % 3 == 0;
            AgentStory.Of(async story =>
            {
                var folder = Path.Combine(story.Data.Jobs, "20260101-000000-dead");
                Directory.CreateDirectory(folder);
                await File.WriteAllTextAsync(Path.Combine(folder, "journal.ndjson"),
                    string.Join('\n', kept) + "\n" + (isTorn ? lines[kept.Length][..20] : ""));
                if (isStopped)
                    await story.Printer.Klippy.StopAsync(CancellationToken.None);
                await story.StartAgentAsync();
                await story.UntilAsync(() => story.Printer.Klippy.State.Activity == KlippyActivity.Ready, "Klipper is ready");
                var record = Assert.Single(story.Jobs);
                Assert.NotNull(record.Result);
                await story.UntilAsync(() => story.Jobs[0].Stopped is null, "what was owed is paid");
                Assert.Null(story.Jobs[0].View().Klippy);
                Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("did not start again", StringComparison.Ordinal));
                var board = record.View().Boards[0];
                conditions.Add(board.Condition!);
                var hasVerdict = kept.Any(line => line.Contains("\"verdict\"", StringComparison.Ordinal));
                Assert.Equal(hasVerdict ? null : "interrupted", board.Fault?.Code);
                if (!hasVerdict)
                    await story.UntilSaidAsync("[interrupted]");
                // It is reported once.
                await story.StopAgentsAsync();
                Assert.Equal(record.View().Boards, story.Jobs[0].View().Boards);
            }, isAlone: true);
        }
        Assert.Equal(["unknown", "unchanged", "in-bootloader-unchanged", "in-bootloader-without-firmware", "unconfirmed", "flashed"],
            conditions.Distinct());
        // Between the beginning of an erase and its first progress it is not known whether anything was erased.
        Assert.Equal(2, conditions.Zip(conditions.Skip(1)).Count(pair => pair is { First: not "unknown", Second: "unknown" }
            or { First: "unknown", Second: not "unknown" }) - 1);
    }

    private const string Link = "/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00";

    /// <summary>The journal of a flash that was killed in the middle of its write, and the board as that left it.</summary>
    private static async Task KillInTheWriteAsync(AgentStory story, string? port)
    {
        var lines = Whole.Value.TakeWhile(line => !line.Contains("\"phase\":\"verify\"", StringComparison.Ordinal)).ToList();
        if (port is not null)
            lines[0] = lines[0].Replace("\"event\":\"job\",", $"\"event\":\"job\",\"port\":\"{port}\",", StringComparison.Ordinal);
        var folder = Path.Combine(story.Data.Jobs, "20260101-000000-dead");
        Directory.CreateDirectory(folder);
        await File.WriteAllLinesAsync(Path.Combine(folder, "journal.ndjson"), lines);
        var board = story.Printer.Boards[0];
        board.Flash.Erase(board.Flash.SectorAt(board.ApplicationStart), story.Time.Now);
        board.ResetWithBoot0();
        await Task.Delay(TimeSpan.FromSeconds(3), story.Time);
    }

    [Fact]
    public void After_a_killed_write_the_board_is_called_half_written_until_it_runs() => AgentStory.Of(async story =>
    {
        await KillInTheWriteAsync(story, port: null);
        story.Printer.Boards[0].PowerOff();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        for (var refused = 1; refused <= 2; refused++)
        {
            await story.RequestAsync("flash", ("board", "octopus"));
            var board = (await story.UntilOverAsync(refused)).Boards[0];
            Assert.Equal(("board-not-seen", "in-bootloader-without-firmware"), (board.Fault?.Code, board.Condition));
            Assert.Contains("BOOT0", board.Fault!.Remedy, StringComparison.Ordinal);
        }
        Assert.NotNull(Journal.Earlier(story.Data.Jobs, "octopus"));
        story.Printer.Boards[0].PowerOn();
        story.Printer.Boards[0].ResetWithBoot0();
        await Task.Delay(TimeSpan.FromSeconds(3), story.Time);
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.Equal("flashed", (await story.UntilOverAsync(3)).Boards[0].Condition);
        Assert.Null(Journal.Earlier(story.Data.Jobs, "octopus"));
    });

    /// <summary>The link of a board that runs Klipper is gone while it waits in its ROM.</summary>
    [Fact]
    public void The_same_command_finds_the_board_where_a_killed_write_left_it() => AgentStory.Of(async story =>
    {
        await KillInTheWriteAsync(story, Link);
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var report = await agent.FlashAsync(new FlashOptions(["octopus"]) { Port = Link }, static _ => { }, CancellationToken.None);
        Assert.True(report.Ok, report.Boards[0].Fault?.Cause);
        // That was this link's board; another link names another board.
        var other = await Assert.ThrowsAsync<Core.FlashException>(() => agent.FlashAsync(
            new FlashOptions(["octopus"]) { Port = Link + "9" }, static _ => { }, CancellationToken.None));
        Assert.Equal("no-such-port", other.Code);
    });

    [Fact]
    public void Nothing_is_touched_when_the_journal_cannot_be_written() => AgentStory.Of(async story =>
    {
        Directory.Delete(story.Data.Jobs, recursive: true);
        await File.WriteAllTextAsync(story.Data.Jobs, "a file where a folder should be");
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var report = await agent.FlashAsync(new FlashOptions(["octopus"]), static _ => { }, CancellationToken.None);
        Assert.Equal(("journal-unwritable", BoardCondition.Unchanged), (report.Boards[0].Fault!.Code, report.Boards[0].Condition));
        Assert.Equal(0, story.Printer.Klippy.Stops);
        File.Delete(story.Data.Jobs);
    });

    [Theory]
    [InlineData("")]
    [InlineData("not JSON\n{\"event\":\"step\"}\n")]
    [InlineData("{\"event\":\"job\"}\n")]
    [InlineData("{\"event\":\"job\",\"job\":7,\"boards\":null}\n")]
    [InlineData("\0\0\0\0\0\0")]
    [InlineData("[[[[[[[[[[")]
    public void A_damaged_journal_is_skipped(string text) => AgentStory.Of(async story =>
    {
        var folder = Path.Combine(story.Data.Jobs, "20260101-000000-dead");
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "journal.ndjson"), text);
        await story.StartAgentAsync();
        Assert.Empty((await story.RequestAsync("history")).Items("jobs"));
        await story.RequestAsync("flash", ("board", "octopus"));
        await story.UntilAsync(() => story.Jobs is [{ Result.Ok: true }], "the next flash works");
    }, isAlone: true);

    [Fact]
    public void Only_the_newest_fifty_are_kept() => AgentStory.Of(async story =>
    {
        for (var i = 0; i < 60; i++)
        {
            var folder = Path.Combine(story.Data.Jobs, $"20250101-0000{i:00}-{i:x4}");
            Directory.CreateDirectory(folder);
            await File.WriteAllLinesAsync(Path.Combine(folder, "journal.ndjson"), Whole.Value);
        }
        await story.RequestAsync("flash", ("board", "octopus"));
        await story.UntilAsync(() => story.Jobs.Count == 50 && story.Jobs[^1].Result is not null
            && !story.Jobs[^1].Path.Contains("2025", StringComparison.Ordinal), "50 are left");
    });
}
