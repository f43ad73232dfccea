using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A printer of RatOS: its definitions, its hooks, and what its updates do beside the agent.</summary>
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
        var check = Assert.Single((await story.RequestAsync("doctor")).Items("checks"), check => check.Word("id") == "bad-board-definition");
        Assert.Equal(("warning", Reason), (check.Word("severity"), check.Word("text")));
        // Nothing else is in the way of the board that is there.
        Assert.Equal("octopus", (await story.RequestAsync("boards")).Items("boards").First().Word("board"));
        File.Delete(Path.Combine(broken, "board-definition.json"));
        Assert.Empty((await story.RequestAsync("boards")).Items("skipped"));
    });
}
