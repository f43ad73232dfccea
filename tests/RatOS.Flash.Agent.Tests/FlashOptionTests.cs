using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Tests;

/// <summary>An option means the same in every front end, and is found under its name in each.</summary>
public sealed class FlashOptionTests
{
    [Fact]
    public void Force_flashes_boards_that_are_up_to_date_and_consent_alone_does_not() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=all");
        Assert.True(IsFlashed(await story.UntilOverAsync()));
        await story.TypeAsync("FLASH_MCU BOARD=all");
        Assert.False(IsFlashed(await story.UntilOverAsync(2)));
        await story.TypeAsync("FLASH_MCU BOARD=all FORCE=1");
        Assert.True(IsFlashed(await story.UntilOverAsync(3)));

        var findings = (await story.RequestAsync("plan", ("board", "all"), ("force", true))).Items("plan").First().Items("findings");
        Assert.DoesNotContain(findings, finding => finding.Word("code") == "needless");
        await story.RequestAsync("flash", ("board", "all"), ("consent", true));
        Assert.False(IsFlashed(await story.UntilOverAsync(4)));
        await story.RequestAsync("flash", ("board", "all"), ("force", 1));
        Assert.True(IsFlashed(await story.UntilOverAsync(5)));

        using var agent = AgentBoards.TryOpen(story.Data)!;
        var all = new FlashOptions([FlashOptions.All]);
        Assert.NotNull(
            (await agent.FlashAsync(FlashFlag.Consent.Set(all), static _ => { }, CancellationToken.None)).Boards.Single().SkipReason);
        Assert.Equal(BoardCondition.Flashed,
            (await agent.FlashAsync(FlashFlag.Force.Set(all), static _ => { }, CancellationToken.None)).Boards.Single().Condition);
    });

    [Fact]
    public void Every_flag_survives_the_way_from_the_command_line_to_the_agent() => Assert.All(FlashFlag.Every, flag =>
    {
        var options = flag.Set(new FlashOptions(["octopus"]));
        using var arguments = JsonDocument.Parse(JsonSerializer.Serialize(FlashArguments.Of(options)));
        var back = FlashArguments.Parse(arguments.RootElement, "/nowhere");
        Assert.Equal(options with { Boards = back.Boards }, back);
        Assert.True(flag.IsSet(back));
    });

    [Fact]
    public void A_change_of_link_survives_that_way_and_no_other_is_known() => Assert.All(LinkChange.Known, change =>
    {
        var options = new FlashOptions(["octopus"]) { LinkChange = change.Value };
        using var arguments = JsonDocument.Parse(JsonSerializer.Serialize(FlashArguments.Of(options)));
        Assert.Equal(change.Value, FlashArguments.Parse(arguments.RootElement, "/nowhere").LinkChange);
        using var wrong = JsonDocument.Parse("""{"change_link":"usb:moon"}""");
        Assert.Equal("bad-request",
            Assert.Throws<Core.FlashException>(() => FlashArguments.Parse(wrong.RootElement, "/nowhere")).Kind.Code);
    });

    [Theory]
    [InlineData("docs/agent-api.md")]
    [InlineData("docs/usage.md")]
    [InlineData("config/ratos_flash.cfg")]
    public void Every_flag_stands_under_its_name_where_people_look_for_it(string file)
    {
        var text = File.ReadAllText(Path.Combine(Root, file));
        foreach (var flag in FlashFlag.Every)
        {
            string?[] names = file switch
            {
                "docs/agent-api.md" => [$"| `{flag.Json}` | flag |"],
                "docs/usage.md" => [flag.Cli is null ? null : $"`{flag.Cli}`", flag.Macro is null ? null : $"`{flag.Macro}=1`"],
                _ => flag.Macro is null ? [] : [$"{flag.Macro}=1: ", $"params.{flag.Macro}|default(0)|int", $"{flag.Json}="],
            };
            Assert.All(names.OfType<string>(), name => Assert.Contains(name, text, StringComparison.Ordinal));
        }
    }

    private static bool IsFlashed(JsonJob job) => job is { Ok: true, Boards: [{ Condition: "flashed" }] };

    internal static string Root
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "RatOS.Flash.sln")))
                folder = folder.Parent!;
            return folder.FullName;
        }
    }
}
