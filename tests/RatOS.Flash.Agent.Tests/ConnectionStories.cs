using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Who may be the agent, and how it ends: names, keys, and a proper end in the middle of a flash.</summary>
public sealed class ConnectionStories
{
    private const string Old = "v0.12.0-10-g1f2a9e1c";

    [Fact]
    public void A_second_agent_of_the_name_waits_until_the_first_is_gone() => AgentStory.Of(async story =>
    {
        var other = new MoonrakerConnection(new(story.Data.Moonraker, story.Settings.MoonrakerUrl), story.Time,
            story.LogFile)
        { Api = new NoApi() };
        using var over = new CancellationTokenSource();
        var line = other.RunAsync(over.Token);
        await story.UntilAsync(
            () => story.Log.Contains("already registered and connected", StringComparison.Ordinal), "the name is taken");
        Assert.False(other.IsConnected);
        await story.StopAgentsAsync();
        await story.UntilAsync(() => other.IsConnected, "the second one takes over");
        await over.CancelAsync();
        await line;
    });

    [Fact]
    public void Two_agents_of_one_printer_are_one_too_many() => AgentStory.Of(async story =>
    {
        var second = await Assert.ThrowsAsync<FlashException>(() => story.StartAgentAgainAsync());
        Assert.Equal("already-running", second.Code);
        Assert.True((await story.RequestAsync("status")).Flag("ok"));
    });

    [Fact]
    public void A_method_that_belongs_to_another_program_is_reported_and_the_others_work() => AgentStory.Of(async story =>
    {
        var other = new MoonrakerConnection(new(story.Data.Moonraker, story.Settings.MoonrakerUrl), story.Time,
            story.LogFile)
        { Api = new NoApi(), Name = "somebody_else" };
        using var over = new CancellationTokenSource();
        var line = other.RunAsync(over.Token);
        await story.UntilAsync(() => other.IsConnected, "somebody else is connected");
        await story.StartAgentAsync(waits: false);
        var twice = 2 * RemoteMethods.All.Length;
        await story.UntilAsync(() => story.Moonraker.Calls.Count(call => call == "connection.register_remote_method") == twice
            && story.Moonraker.Calls.Contains("server.info"), "the agent is connected");
        Assert.Equal(RemoteMethods.All,
            (await story.RequestAsync("status")).Items("taken").Select(name => name.GetString()));
        await story.RequestAsync("flash", ("board", "octopus"));
        Assert.True((await story.UntilOverAsync()).Ok);
        await over.CancelAsync();
        await line;
    }, isAlone: true);

    [Fact]
    public void An_old_Moonraker_over_a_websocket_that_asks_for_a_key() => AgentStory.Of(async story =>
    {
        Assert.False(File.Exists(story.Data.Moonraker));
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync()).Ok);
    }, setup: new() { ApiKey = "0123456789abcdef", IsOld = true },
        settings: new AgentSettings { Policy = FlashPolicy.Never, ApiKey = "0123456789abcdef" }, isWeb: true);

    [Fact]
    public void A_wrong_key_is_logged_and_tried_again() => AgentStory.Of(async story =>
    {
        await story.StartAgentAsync(waits: false);
        await story.UntilAsync(() => story.Log.Contains("No connection to Moonraker", StringComparison.Ordinal), "the refusal is logged");
        Assert.DoesNotContain("printer.objects.subscribe", story.Moonraker.Calls);
        Assert.DoesNotContain("wrong", story.Log, StringComparison.Ordinal);   // the log shows no keys
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var checks = (await agent.AskAsync("doctor")).Checks!;
        var refused = Assert.Single(checks, check => check.Id == "moonraker-refused");
        Assert.Contains("refuses the API key of ratos-flash.conf", refused.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(checks, check => check.Id == "moonraker-gone");
    }, setup: new() { ApiKey = "0123456789abcdef" }, settings: new AgentSettings { Policy = FlashPolicy.Never, ApiKey = "wrong" },
    isWeb: true, isAlone: true);

    [Fact]
    public void With_a_bad_line_in_its_settings_the_agent_works_and_names_the_line() => AgentStory.Of(async story =>
    {
        await File.WriteAllTextAsync(story.Data.Settings, "[agent]\npolicy: never\n[board octopus]\ncolour: red\n");
        story.Settings = AgentSettings.ReadValid(story.Data.Settings);
        await story.StartAgentAsync();
        await story.UntilSaidAsync("line 4: a board has no 'colour'");
        Assert.Contains("line 4: a board has no 'colour'", story.Log, StringComparison.Ordinal);
        using var agent = AgentBoards.TryOpen(story.Data)!;
        Assert.Contains((await agent.AskAsync("doctor")).Checks!, check => check.Id == "bad-settings");
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync()).Ok);
    }, isAlone: true);

    [Fact]
    public void Asked_to_end_in_the_middle_of_a_write_it_ends_the_write_first() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("write");
        story.AskToStop();
        Assert.False(story.HasStopped);
        await story.UntilAsync(() => story.HasStopped, "the agent ends");
        Assert.True(story.Jobs[0].Result!.Ok);
        Assert.True(story.Runs(VirtualPrinter.HostVersion));
    });

    [Fact]
    public void Asked_to_end_before_anything_was_erased_it_brings_everything_back() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("ask");
        story.AskToStop();
        await story.UntilAsync(() => story.HasStopped, "the agent ends");
        Assert.Equal("cancelled", story.Jobs[0].Result!.Boards[0].Fault!.Code);
        await story.UntilAsync(() => story.Runs(Old), "the board runs what it ran");
    });

    [Fact]
    public void An_agent_that_comes_back_goes_on_in_the_same_dialog() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("write");
        story.Moonraker.DropConnections();
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal(1, story.Moonraker.Dialog.Count(line => line == "(complete)"));
        Assert.StartsWith("octopus OK", story.Moonraker.Dialog[^2], StringComparison.Ordinal);
    });

    private sealed class NoApi : IAgentApi
    {
        public Task MacroFlashAsync(System.Text.Json.JsonElement arguments = default) => Task.CompletedTask;

        public Task MacroDoctorAsync(System.Text.Json.JsonElement arguments = default) => Task.CompletedTask;

        public Task MacroBundleAsync(System.Text.Json.JsonElement arguments = default) => Task.CompletedTask;

        public Task MacroStatusAsync(System.Text.Json.JsonElement arguments = default) => Task.CompletedTask;

        public Task MacroCancelAsync(System.Text.Json.JsonElement arguments = default) => Task.CompletedTask;

        public Task<System.Text.Json.JsonElement> FlashAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> RecoverAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> IdentifyAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> PlanAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> OptionsAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> AnswerAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> BoardsAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> FilesAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> StatusAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> JobAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> CancelAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> HistoryAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> BundleAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();

        public Task<System.Text.Json.JsonElement> DoctorAsync(System.Text.Json.JsonElement arguments = default) =>
            throw new NotSupportedException();
    }
}
