using System.Runtime.Versioning;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Tests.Builds;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A printer of RatOS: its definitions, its hooks, and what its updates do beside the agent.</summary>
[SupportedOSPlatform("linux")]
public sealed class RatOsStories
{
    [Fact]
    public void Every_front_end_names_the_definitions_that_are_not_used() => AgentStory.Of(async story =>
    {
        var broken = Directory.CreateDirectory(Path.Combine(story.Data.RatOsBoards, "acme-widget")).FullName;
        await File.WriteAllTextAsync(Path.Combine(broken, "board-definition.json"), "{");
        const string Reason = "RatOS's definition in boards/acme-widget was ignored: its board-definition.json is no JSON.";
        var skipped = Assert.Single((await story.RequestAsync("boards")).Items("skipped"));
        Assert.Equal(("acme-widget", Reason), (skipped.Word("folder"), skipped.Word("reason")));
        var check = Assert.Single((await story.RequestAsync("doctor")).Items("checks"),
            check => check.Word("id") == "bad-board-definition");
        Assert.Equal(("warning", Reason), (check.Word("severity"), check.Word("text")));
        // Nothing else is in the way of the board that is there.
        Assert.Equal("octopus", (await story.RequestAsync("boards")).Items("boards").First().Word("board"));
        File.Delete(Path.Combine(broken, "board-definition.json"));
        Assert.Empty((await story.RequestAsync("boards")).Items("skipped"));
    });

    /// <summary>RatOS flashes board after board, and starts Klipper after each: Moonraker knows nothing of it.</summary>
    [Fact]
    public void While_RatOSs_scripts_flash_nothing_is_decided_and_afterwards_only_what_they_left() => AgentStory.Of(async story =>
    {
        Run(story, 4000, "sudo", "/home/pi/printer_data/config/RatOS/scripts/klipper-mcu-update.sh");
        await story.StartAgentAsync();
        await UntilLoggedAsync(story, "(klipper-mcu-update.sh, process 4000): versions are compared when it has ended");
        // Its first board is done, and Klipper runs again.
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        await story.FlashWithoutAgentAsync();
        await story.Printer.Klippy.StartAsync();
        await Task.Delay(TimeSpan.FromSeconds(10), story.Time);
        Assert.Empty(story.Jobs);

        // A user who asks meanwhile is told why not.
        var refused = await story.RequestAsync("plan", ("board", "ebb42"));
        Assert.Contains(refused.Items("findings"), finding => finding.Word("code") == "other-flash-runs"
            && finding.Word("text")!.Contains("klipper-mcu-update.sh, process 4000", StringComparison.Ordinal));

        Exit(story, 4000);
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal(["ebb42", "octopus-pro"], story.Jobs.Single().Result!.Boards.Where(board => board.LeftOut is null)
            .Select(board => board.Board).Order(StringComparer.Ordinal));
        Assert.All(story.Printer.Boards, board => Assert.Equal(BoardState.Klipper, board.State));
    }, "voron", settings: new() { Policy = FlashPolicy.Changed }, isAlone: true);

    /// <summary>Between two of RatOS's scripts there is no process for a moment.</summary>
    [Fact]
    public void A_gap_between_two_scripts_is_not_the_end() => AgentStory.Of(async story =>
    {
        Run(story, 4000, "sudo", "/home/pi/ratos-configurator/src/scripts/flash-path.sh", "/dev/RatOS/btt-octopus-11");
        await story.StartAgentAsync();
        await UntilLoggedAsync(story, "(flash-path.sh, process 4000)");
        Exit(story, 4000);
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Run(story, 4001, "/bin/bash", "/home/pi/ratos-configurator/src/scripts/klipper-compile.sh");
        await UntilLoggedAsync(story, "(klipper-compile.sh, process 4001)");
        await Task.Delay(TimeSpan.FromSeconds(10), story.Time);
        Assert.Empty(story.Jobs);
        Exit(story, 4001);
        Assert.True((await story.UntilOverAsync()).Ok);
    }, settings: new() { Policy = FlashPolicy.Changed }, isAlone: true);

    /// <summary>
    /// RatOS's klipper-fork-migration.sh resets ~/klipper to the commit that it pins, and restarts Klipper. A reset runs no hook, so RatOS
    /// flashes no board.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_reset_of_Klippers_sources_is_noticed_though_no_hook_runs(bool isAgentThere)
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        using var tree = new StandInTree();
        string Head() => tree.Git("rev-parse", "HEAD").Trim();
        var installed = Head();
        tree.Write("src/sched.c", "/* RatOS's fork */\n");
        tree.Commit("fork");
        tree.Git("update-ref", "refs/remotes/ratos-fork/ratos/v2.1.x", Head());
        tree.Git("reset", "-q", "--hard", installed);
        var hook = Path.Combine(tree.Root, "klipper-post-merge.sh");
        File.WriteAllText(hook, $"#!/bin/sh\ntouch {tree.Root}/flashed-by-hook\n");
        File.SetUnixFileMode(hook, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var hooks = Directory.CreateDirectory(Path.Combine(tree.Folder, ".git", "hooks")).FullName;
        File.CreateSymbolicLink(Path.Combine(hooks, "post-merge"), hook);
        AgentStory.Of(async story =>
        {
            const string Asked = "// RatOS.Flash: 3 boards could have new firmware";
            await story.StartAgentAsync();
            await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
            Assert.DoesNotContain(story.Moonraker.Console, line => line.StartsWith(Asked, StringComparison.Ordinal));
            if (!isAgentThere)
                await story.StopAgentsAsync();
            tree.Git("reset", "-q", "--hard", "refs/remotes/ratos-fork/ratos/v2.1.x");
            await story.Printer.Klippy.StopAsync(CancellationToken.None);
            await story.Printer.Klippy.StartAsync();
            if (!isAgentThere)
                await story.StartAgentAsync();
            await story.UntilSaidAsync(Asked);
            await story.UntilSaidAsync("prompt_footer_button Flash now|");
            // A merge runs the hook, so the hook itself would work.
            Assert.False(File.Exists(Path.Combine(tree.Root, "flashed-by-hook")));
            tree.Git("reset", "-q", "--hard", installed);
            tree.Git("merge", "-q", "--ff-only", "refs/remotes/ratos-fork/ratos/v2.1.x");
            Assert.True(File.Exists(Path.Combine(tree.Root, "flashed-by-hook")));
        }, "voron", settings: new() { Policy = FlashPolicy.Ask, KlipperPath = tree.Folder }, isAlone: true,
            firmware: $"v0.13.0-0-g{installed[..8]}");
    }

    [Fact]
    public void A_board_that_RatOSs_hook_would_write_elsewhere_is_warned_of() => AgentStory.Of(async story =>
    {
        Define("false");
        await story.RequestAsync("identify", ("board", "octopus"));
        Assert.True((await story.UntilOverAsync()).Ok);
        const string Text = "The application of octopus begins at 08008000 (by its running firmware, asked on ";
        var board = (await story.RequestAsync("boards")).Items("boards").First();
        var finding = Assert.Single(board.Items("findings"), Is).Word("text");
        Assert.StartsWith(Text, finding, StringComparison.Ordinal);
        Assert.Contains("but RatOS's firmware.config is for 08000000.", finding, StringComparison.Ordinal);
        var check = Assert.Single((await story.RequestAsync("doctor")).Items("checks"), check => check.Word("id") == "ratos-other-start");
        Assert.StartsWith(Text, check.Word("text"), StringComparison.Ordinal);
        Assert.Contains("config/RatOS/boards/octopus-folder/board-definition.json", check.Word("remedy"), StringComparison.Ordinal);

        Define("true");
        Assert.DoesNotContain((await story.RequestAsync("doctor")).Items("checks"), check => check.Word("id") == "ratos-other-start");
        Assert.DoesNotContain((await story.RequestAsync("boards")).Items("boards").First().Items("findings"), Is);

        static bool Is(System.Text.Json.JsonElement finding) => finding.Word("code") == "ratos-other-start";

        void Define(string disabled)
        {
            var folder = Directory.CreateDirectory(Path.Combine(story.Data.RatOsBoards, "octopus-folder")).FullName;
            File.WriteAllText(Path.Combine(folder, "board-definition.json"),
                $$"""{"id": "btt-octopus-11", "name": "Octopus V1.1 F446", "disableAutoFlash": {{disabled}}}""");
            File.WriteAllText(Path.Combine(folder, "firmware.config"),
                "CONFIG_MCU=\"stm32f446xx\"\nCONFIG_USBSERIAL=y\nCONFIG_FLASH_APPLICATION_ADDRESS=0x8000000\n");
        }
    });

    private static void Run(AgentStory story, int process, params string[] words)
    {
        var folder = Directory.CreateDirectory(Path.Combine(story.Processes, $"{process}")).FullName;
        File.WriteAllText(Path.Combine(folder, "cmdline"), string.Join('\0', words) + '\0');
    }

    private static void Exit(AgentStory story, int process) =>
        Directory.Delete(Path.Combine(story.Processes, $"{process}"), recursive: true);

    private static Task UntilLoggedAsync(AgentStory story, string text) =>
        story.UntilAsync(() => story.Log.Contains(text, StringComparison.Ordinal), $"the log says '{text}'");
}
