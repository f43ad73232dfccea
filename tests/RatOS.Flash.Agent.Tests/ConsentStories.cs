using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Warnings reach the door that asked: a macro and a screen show no answer.</summary>
public sealed class ConsentStories
{
    /// <summary>
    /// A board that waits in its ROM, which no agent has seen before: only that no other board is missing tells which it is.
    /// </summary>
    private static void Of(Func<AgentStory, Task> tell) => AgentStory.Of(async story =>
    {
        var serial = story.Printer.Klippy.Config.Section(story.Printer.Boards[0]).Serial;
        Directory.CreateDirectory(Path.GetDirectoryName(story.Data.Mcus)!);
        await File.WriteAllTextAsync(story.Data.Mcus, $$"""{"state":"error","mcus":[{"section":"mcu","serial":"{{serial}}"}]}""");
        await story.StartAgentAsync(waits: false);
        await story.UntilMethodsAsync();
        await tell(story);
    }, "octopus-in-dfu", isAlone: true);

    [Fact]
    public void A_screen_is_shown_the_warning_with_a_button_that_accepts_it() => Of(async story =>
    {
        var answer = await story.RequestAsync("flash", ("board", "all"), ("by", "screen"), ("person", true));
        Assert.Equal("consent-missing", answer.At("error")?.Word("code"));
        await story.UntilSaidAsync("action:prompt_begin Flash despite warnings?");
        Assert.Contains(story.Moonraker.Console, line => line.Contains("prompt_text ", StringComparison.Ordinal)
            && line.Contains("octopus", StringComparison.Ordinal));

        Assert.True((await story.TypeAsync(story.Button("Flash anyway"))).IsOk);
        Assert.True((await story.UntilOverAsync(1)).Ok);
    });

    [Fact]
    public void A_program_asks_its_own_user() => Of(async story =>
    {
        var answer = await story.RequestAsync("flash", ("board", "all"));
        Assert.Equal("consent-missing", answer.At("error")?.Word("code"));
        Assert.DoesNotContain(story.Moonraker.Console, line => line.Contains("prompt_begin", StringComparison.Ordinal));
        Assert.True((await story.RequestAsync("flash", ("board", "all"), ("consent", true))).Flag("ok"));
        Assert.True((await story.UntilOverAsync(1)).Ok);
    });
}
