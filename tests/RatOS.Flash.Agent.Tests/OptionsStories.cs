using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Tests.Builds;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A page shows Klipper's menu for a board as a form, and saves it.</summary>
public sealed class OptionsStories : IDisposable
{
    private readonly StandInTree _standIn = null!;

    public OptionsStories()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        _standIn = new StandInTree();
    }

    private AgentSettings Settings => new() { Policy = FlashPolicy.Never, KlipperPath = _standIn.Folder };

    public void Dispose() => _standIn?.Dispose();

    private static Task<JsonElement> OptionsAsync(AgentStory story, object? set, bool save = false, string board = "octopus") =>
        story.RequestAsync("options", ("board", board), ("set", set), ("save", save));

    private static string KeptIn(AgentStory story) => Path.Combine(story.Data.Configs, "octopus.config");

    [Fact]
    public void A_page_shows_changes_and_saves_the_options_of_a_board() => AgentStory.Of(async story =>
    {
        var form = await OptionsAsync(story, new { USB_SERIAL_NUMBER = "mine", SERIAL_BAUD = "5" });
        Assert.True(form.Flag("ok"), form.GetRawText());
        Assert.Equal(("octopus", _standIn.Describe()), (form.Word("options", "board"), form.Word("options", "klipper")));
        var chip = form.Items("options", "nodes").Single(node => node.Word("prompt") == "Processor model");
        Assert.Equal(("choice", "MACH_STM32F446"), (chip.Word("kind"), chip.Word("value")));
        Assert.Contains("stm32f446xx, by ", chip.Word("board"), StringComparison.Ordinal);
        Assert.Equal("SERIAL_BAUD", form.Items("options", "refused").Single().Word("name"));
        Assert.Equal((false, false), (form.Flag("options", "kept"), File.Exists(KeptIn(story))));

        // Also on the agent's own socket.
        using var own = AgentBoards.TryOpen(story.Data)!;
        var saved = await own.AskAsync("options", new()
        {
            ["board"] = "octopus",
            ["set"] = new JsonObject { ["USB_SERIAL_NUMBER"] = "mine" },
            ["save"] = true,
        });
        Assert.True(saved.Options is { Saved: true, Kept: true, Changed: [] });
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"mine\"", await File.ReadAllTextAsync(KeptIn(story)), StringComparison.Ordinal);
    }, settings: Settings);

    [Fact]
    public void Options_for_another_chip_are_not_saved_and_if_they_were_nothing_would_be_flashed() => AgentStory.Of(async story =>
    {
        var refused = await OptionsAsync(story, new { MACH_STM32G0B1 = "y" }, save: true);
        Assert.Equal("config-drift", refused.Word("error", "code"));
        Assert.Contains("Nothing was kept.", refused.Word("error", "remedy"), StringComparison.Ordinal);
        Assert.False(File.Exists(KeptIn(story)));

        Directory.CreateDirectory(story.Data.Configs);
        await File.WriteAllTextAsync(KeptIn(story), "CONFIG_MACH_STM32=y\nCONFIG_MACH_STM32G0B1=y\nCONFIG_MCU=\"stm32g0b1xx\"\n");
        await story.RequestAsync("flash", ("board", "octopus"), ("force", true), ("consent", true));
        var board = (await story.UntilOverAsync()).Boards[0];
        Assert.Equal(("config-drift", false), (board.Fault?.Code, board.Ok));
        Assert.Equal(0, story.Printer.Klippy.Stops);
        // The form can mend it.
        Assert.True((await OptionsAsync(story, new { MACH_STM32F446 = "y", STM32_FLASH_START_8000 = "y", STM32_CLOCK_REF_12M = "y" },
            save: true)).Flag("options", "saved"));
    }, settings: Settings);

    [Fact]
    public void Bad_requests_are_refused_before_any_process_runs() => AgentStory.Of(async story =>
    {
        object?[] bad =
        [
            "y", new[] { "y" }, new { X = 1 }, new { X = true }, new { X = (string?)null }, new { X = new string('a', 201) },
            new Dictionary<string, string> { ["a b"] = "y" }, new Dictionary<string, string> { [""] = "y" },
            new Dictionary<string, string> { [new string('A', 65)] = "y" },
            Enumerable.Range(0, 257).ToDictionary(number => $"X{number}", _ => "y"),
        ];
        foreach (var set in bad)
            Assert.Equal("bad-request", (await OptionsAsync(story, set)).Word("error", "code"));
        Assert.Equal("bad-request", (await story.RequestAsync("options")).Word("error", "code"));
        Assert.Equal("unknown-board", (await OptionsAsync(story, null, board: "nonsense")).Word("error", "code"));
        // Without a checkout: this printer's firmware is its own.
        Assert.Equal("not-a-klipper-tree", (await OptionsAsync(story, null)).Word("error", "code"));
    });
}
