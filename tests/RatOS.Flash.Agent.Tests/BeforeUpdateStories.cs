using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Tests.Builds;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Moonraker offers a Klipper: boards that need new firmware after it are announced before it, and nothing uncertain is.</summary>
public sealed class BeforeUpdateStories : IDisposable
{
    private const string Text = "After the update of Klipper that Moonraker offers, 3 of 3 boards need new firmware: octopus, ebb42, "
        + "octopus-pro. ";

    private readonly StandInTree _tree = null!;

    public BeforeUpdateStories()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        _tree = new StandInTree();
        Installed = Head;
    }

    /// <summary>The commit of Klipper and of all boards.</summary>
    private string Installed { get; }

    private string Head => _tree.Git("rev-parse", "HEAD").Trim();

    public void Dispose() => _tree?.Dispose();

    /// <summary>A commit that Moonraker fetches, and does not check out.</summary>
    private string Fetched(string file)
    {
        _tree.Git("checkout", "-q", "--detach", File.Exists(Path.Combine(_tree.Root, "fetched")) ? "origin/master" : Installed);
        _tree.Write(file, $"/* {Guid.NewGuid()} */\n");
        _tree.Commit(file);
        var commit = Head;
        _tree.Git("update-ref", "refs/remotes/origin/master", commit);
        _tree.Git("checkout", "-q", "--detach", Installed);
        File.WriteAllText(Path.Combine(_tree.Root, "fetched"), commit);
        return commit;
    }

    private void Tell(Func<AgentStory, Task> tell, FlashPolicy policy = FlashPolicy.Ask, bool whenIdle = false) => AgentStory.Of(
        tell, "voron", settings: new() { Policy = policy, WhenIdle = whenIdle, KlipperPath = _tree.Folder }, isAlone: true,
        firmware: $"v0.13.0-0-g{Installed[..8]}");

    private OfferedKlipper OfferOf(string commit) => new(Installed, commit, "v0.13.0-1");

    /// <summary>The agent runs and has asked its own question: the virtual Klipper's version is none of the checkout's.</summary>
    private static async Task BeginAsync(AgentStory story)
    {
        await story.StartAgentAsync();
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
    }

    private static async Task RefreshAsync(AgentStory story, OfferedKlipper? offer)
    {
        story.Moonraker.Offer = offer;
        var calls = story.Moonraker.Calls.Count;
        story.Moonraker.NotifyRefreshed();
        await story.UntilAsync(() => story.Moonraker.Calls.Skip(calls).Contains("machine.update.status"), "the agent looks at the offer");
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
    }

    private static int Said(AgentStory story, string text) =>
        story.Moonraker.Console.Count(line => line.Contains(text, StringComparison.Ordinal));

    private static async Task<string?> BoardsBeforeAsync(AgentStory story)
    {
        var status = await story.RequestAsync("status");
        Assert.True(status.Flag("ok"));
        return status.At("before") is null ? null
            : string.Join(", ", status.Items("before", "boards").Select(board => board.GetString()));
    }

    private static async Task IsSilentAsync(AgentStory story)
    {
        Assert.Equal(0, Said(story, "that Moonraker offers"));
        Assert.Null(story.Moonraker.Announcement);
        Assert.Null(await BoardsBeforeAsync(story));
    }

    [Fact]
    public void An_update_that_changes_firmware_is_announced_once_and_its_boards_are_named() => Tell(async story =>
    {
        await BeginAsync(story);
        Assert.Null(story.Moonraker.Announcement);
        var offer = Fetched("src/sched.c");
        await RefreshAsync(story, OfferOf(offer));
        await story.UntilSaidAsync($"// RatOS.Flash: {Text}RatOS.Flash will ask.");
        Assert.Equal($"{Text}RatOS.Flash will ask.", story.Moonraker.Announcement);
        var before = (await story.RequestAsync("status")).At("before")!.Value;
        Assert.Equal(($"v0.13.0-1-g{offer[..8]}", 3.0, $"{Text}RatOS.Flash will ask."),
            (before.Word("version"), before.Number("of"), before.Word("text")));
        Assert.Equal("octopus, ebb42, octopus-pro", await BoardsBeforeAsync(story));

        // The next commit changes nothing of it, and neither does a new agent.
        await RefreshAsync(story, OfferOf(Fetched("src/other.c")));
        await story.StopAgentsAsync();
        await BeginAsync(story);
        Assert.Equal("octopus, ebb42, octopus-pro", await BoardsBeforeAsync(story));
        Assert.Equal(1, Said(story, Text));
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void An_update_that_was_offered_before_the_agent_started_is_announced_too() => Tell(async story =>
    {
        story.Moonraker.Offer = OfferOf(Fetched("src/sched.c"));
        await BeginAsync(story);
        Assert.Equal(1, Said(story, Text));
    });

    [Fact]
    public void An_update_that_changes_the_host_alone_is_not_announced() => Tell(async story =>
    {
        Fetched("docs/Overview.md");
        await BeginAsync(story);
        await RefreshAsync(story, OfferOf(Fetched("klippy/toolhead.py")));
        await IsSilentAsync(story);
    });

    [Fact]
    public void A_pinned_commit_is_the_target_and_not_the_branch() => Tell(async story =>
    {
        var pinned = Fetched("klippy/toolhead.py");
        var later = Fetched("src/sched.c");
        await BeginAsync(story);
        await RefreshAsync(story, OfferOf(pinned[..8]));
        await IsSilentAsync(story);
        await RefreshAsync(story, OfferOf(later[..10]));
        Assert.Equal(1, Said(story, Text));
    });

    [Fact]
    public void Of_a_commit_that_was_not_fetched_nothing_is_said() => Tell(async story =>
    {
        await BeginAsync(story);
        await RefreshAsync(story, OfferOf("0123456789abcdef0123456789abcdef01234567"));
        await IsSilentAsync(story);
        Assert.Contains("Klipper v0.13.0-1-g01234567 is offered. It runs ", story.Log, StringComparison.Ordinal);
        Assert.Contains("The changes up to v0.13.0-1-g01234567 are unknown.", story.Log, StringComparison.Ordinal);
    });

    [Fact]
    public void While_Moonraker_itself_does_not_know_the_commits_what_was_said_stays() => Tell(async story =>
    {
        await BeginAsync(story);
        await RefreshAsync(story, new("?", "?", null));
        await IsSilentAsync(story);
        var offer = OfferOf(Fetched("src/sched.c"));
        await RefreshAsync(story, offer);
        await RefreshAsync(story, new("?", "?", null));
        Assert.StartsWith(Text, story.Moonraker.Announcement, StringComparison.Ordinal);
        // A checkout with changes is not updated.
        await RefreshAsync(story, offer with { IsDirty = true });
        Assert.Null(story.Moonraker.Announcement);
        Assert.Null(await BoardsBeforeAsync(story));
        Assert.Equal(1, Said(story, Text));
    });

    [Theory]
    [InlineData("ask")]
    [InlineData("never")]
    public void After_the_update_it_goes(string policy) => Tell(async story =>
    {
        story.Moonraker.Offer = OfferOf(Fetched("src/sched.c"));
        await BeginAsync(story);
        Assert.StartsWith(Text, story.Moonraker.Announcement, StringComparison.Ordinal);
        // No refresh follows an update.
        story.Moonraker.Offer = null;
        _tree.Git("checkout", "-q", "origin/master");
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        await story.Printer.Klippy.StartAsync();
        var isAsked = policy == "ask";
        await story.UntilAsync(() => isAsked == story.Moonraker.Announcement?.StartsWith("3 boards could have new firmware",
            StringComparison.Ordinal) is true && (isAsked || story.Moonraker.Announcement is null), "the other one takes its place");
        await Task.Delay(TimeSpan.FromSeconds(10), story.Time);
        Assert.Equal(isAsked, story.Moonraker.Announcement is not null);
        Assert.Null(await BoardsBeforeAsync(story));
        Assert.False(File.Exists(story.Data.OfferNotice));
    }, Enum.Parse<FlashPolicy>(policy, ignoreCase: true));

    [Theory]
    [InlineData("never", "Flash them after the update.")]
    [InlineData("changed", "RatOS.Flash will flash them.")]
    [InlineData("always", "RatOS.Flash will flash every board.")]
    [InlineData("required", "RatOS.Flash will flash boards that Klipper cannot work with, and ask about the others.")]
    public void Every_policy_informs_and_says_what_it_will_do(string policy, string then) =>
        Assert.Equal($"{Text}{then}", Service.UpdateForecast.TextOf(
            ["octopus", "ebb42", "octopus-pro"], 3, Enum.Parse<FlashPolicy>(policy, ignoreCase: true)));

    [Fact]
    public void One_board_is_not_counted()
    {
        Assert.EndsWith(" the board needs new firmware: pi. Flash it after the update.",
            Service.UpdateForecast.TextOf(["pi"], 1, FlashPolicy.Never), StringComparison.Ordinal);
        Assert.EndsWith(" 1 of 2 boards needs new firmware: pi. Flash it after the update.",
            Service.UpdateForecast.TextOf(["pi"], 2, FlashPolicy.Never), StringComparison.Ordinal);
    }

    [Fact]
    public void Boards_that_could_be_flashed_now_are_announced_first() => Tell(async story =>
    {
        Fetched("src/sched.c");
        story.Moonraker.Offer = OfferOf(Fetched("src/other.c"));
        _tree.Git("checkout", "-q", "origin/master~1");
        await BeginAsync(story);
        Assert.StartsWith("3 boards could have new firmware", story.Moonraker.Announcement, StringComparison.Ordinal);
        Assert.Equal(0, Said(story, Text));
        Assert.Equal("octopus, ebb42, octopus-pro", await BoardsBeforeAsync(story));
    });

    [Fact]
    public void A_flash_that_the_policy_begins_comes_first() => Tell(async story =>
    {
        Fetched("src/sched.c");
        story.Moonraker.Offer = OfferOf(Fetched("src/other.c"));
        _tree.Git("checkout", "-q", "origin/master~1");
        story.Moonraker.Print.PrintState = "printing";
        await BeginAsync(story);
        Assert.Single(story.Jobs);
        await IsSilentAsync(story);
        await story.RequestAsync("cancel");
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
        Assert.NotNull(await BoardsBeforeAsync(story));
        story.Moonraker.Print.PrintState = "complete";
    }, FlashPolicy.Changed, whenIdle: true);

    [Fact]
    public void While_a_job_is_open_nothing_is_announced() => Tell(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        await BeginAsync(story);
        await story.RequestAsync("flash", ("board", "octopus"), ("when_idle", true), ("force", true), ("consent", true));
        await story.UntilAsync(() => story.Jobs.Count == 1, "a job waits");
        story.Moonraker.Offer = OfferOf(Fetched("src/sched.c"));
        story.Moonraker.NotifyRefreshed();
        await Task.Delay(TimeSpan.FromSeconds(10), story.Time);
        await IsSilentAsync(story);
        await story.RequestAsync("cancel");
        await story.UntilSaidAsync(Text);
        story.Moonraker.Print.PrintState = "complete";
    });

    [Theory]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"0123456789ab","remote_version":"v0.13.0-731"}""", "v0.13.0-731-g01234567")]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"84104bbb"}""", null)]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"0123456789ab","commits_behind_count":0}""", null)]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"0123456789ab","is_valid":false}""", null)]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"0123456789ab","is_dirty":true}""", null)]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"?"}""", "?")]
    [InlineData("""{"current_hash":"84104bbbd762","remote_hash":"--output=x"}""", "?")]
    public void An_offer_is_an_update_that_Moonraker_would_install(string klipper, string? version)
    {
        var members = JsonNode.Parse(klipper)!.AsObject();
        members.TryAdd("commits_behind_count", 3);
        members.TryAdd("is_valid", true);
        var status = new JsonObject { ["version_info"] = new JsonObject { ["klipper"] = members } };
        using var answer = JsonDocument.Parse(status.ToJsonString());
        Assert.Equal(version, KlipperOffer.Of(answer.RootElement)?.Version);
        Assert.Null(KlipperOffer.Of(null));
    }

    [Fact]
    public void Firmware_that_Klipper_calls_deprecated_needs_new_one_whatever_git_knows() => Tell(async story =>
    {
        story.Printer.Klippy.Deprecated["ebb42"] = "i2c_transfer";
        await BeginAsync(story);
        await RefreshAsync(story, OfferOf("0123456789abcdef0123456789abcdef01234567"));
        Assert.Equal("ebb42", await BoardsBeforeAsync(story));
        await story.UntilSaidAsync("1 of 3 boards needs new firmware: ebb42.");
    });
}
