using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Each interface of the agent, used by another program: its permitted and its refused requests.</summary>
public sealed class DoorStories
{
    private const string Other = "v0.13.8-1-gfeedbee";

    private static byte[] Firmware(string version = Other) => VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, version, 8 * 1024);

    /// <summary>With a checkout a virtual printer has no firmware of its own.</summary>
    private static AgentSettings FromFolder => new() { Policy = FlashPolicy.Never, KlipperPath = "/nowhere" };

    private static Task<GcodeResult> PrintAsync(AgentStory story, string words) =>
        story.TypeAsync($"RESPOND TYPE=command MSG=\"action:ratos_flash {words}\"");

    private static bool IsAsked(AgentStory story) =>
        story.Moonraker.Console.Any(line => line.Contains("prompt_show", StringComparison.Ordinal));

    [Theory]
    [InlineData("flash board=octopus")]
    [InlineData("flash board=octopus force=1 hot=1 when_idle=1 firmware=x.bin")]
    [InlineData("flash board=octopus force=1 hot=1 when_idle=1 firmware=x.bin bytes=BYTES")]
    [InlineData("flash token=0 board=octopus")]
    [InlineData("flash 00000000000000000000000000000000")]
    [InlineData("cancel")]
    [InlineData("explode")]
    [InlineData("")]
    public void A_console_line_that_no_button_printed_is_refused(string words) => AgentStory.Of(async story =>
    {
        story.Upload("x.bin", Firmware());
        await PrintAsync(story, words.Replace("BYTES", Convert.ToBase64String(Firmware()), StringComparison.Ordinal));
        await story.UntilSaidAsync("[stale-button]");
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Assert.Empty(story.Jobs);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void A_button_works_once_and_only_with_its_own_verb() => AgentStory.Of(async story =>
    {
        await story.UntilSaidAsync("action:prompt_show");
        var press = story.Button("Flash now");
        await story.TypeAsync(press.Replace("ratos_flash flash", "ratos_flash cancel", StringComparison.Ordinal));
        await PrintAsync(story, "flash 00000000000000000000000000000000");
        await story.UntilAsync(
            () => story.Moonraker.Console.Count(line => line.Contains("[stale-button]", StringComparison.Ordinal)) == 2,
            "the other verb and the other token are refused");
        Assert.Empty(story.Jobs);
        await story.TypeAsync(press);
        Assert.True((await story.UntilOverAsync()).Ok);
        await story.TypeAsync(press);
        await story.UntilAsync(
            () => story.Moonraker.Console.Count(line => line.Contains("[stale-button]", StringComparison.Ordinal)) == 3,
            "the second press is refused");
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Assert.Single(story.Jobs);
    }, settings: new() { Policy = FlashPolicy.Ask });

    [Fact]
    public void A_button_asks_for_what_it_was_shown_with_and_for_nothing_more() => AgentStory.Of(async story =>
    {
        await story.UntilSaidAsync("action:prompt_show");
        await story.TypeAsync(story.Button("Flash now").Replace("\"", "", StringComparison.Ordinal).Replace("MSG=", "MSG=\"",
            StringComparison.Ordinal) + " firmware=x.bin force=1\"");
        await story.UntilSaidAsync("[stale-button]");
        Assert.Empty(story.Jobs);
    }, settings: new() { Policy = FlashPolicy.Ask });

    [Theory]
    [InlineData("flash")]
    [InlineData("recover")]
    [InlineData("plan")]
    public void A_request_by_way_of_Moonraker_carries_no_firmware(string method) => AgentStory.Of(async story =>
    {
        var answer = await story.RequestAsync(
            method, ("board", "octopus"), ("firmware", "x.bin"), ("bytes", Convert.ToBase64String(Firmware())), ("force", true));
        Assert.Equal("bad-request", answer.Word("error", "code"));
        Assert.Contains("only the agent's own socket accepts", answer.Word("error", "cause"), StringComparison.Ordinal);
        Assert.Empty(story.Jobs);
    });

    [Fact]
    public void Uploaded_firmware_is_flashed_only_when_its_prompt_is_pressed() => AgentStory.Of(async story =>
    {
        var sha256 = story.Upload("octopus.bin", Firmware());
        var words = $"octopus.bin was not built here and has never run on octopus. It is {Other} for USB, sha256 {sha256}.";
        var refused = await story.RequestAsync("flash", ("board", "octopus"), ("force", true), ("consent", true));
        Assert.Equal(("firmware-unconfirmed", words), (refused.Word("error", "code"), refused.Word("error", "cause")));
        await story.TypeAsync("FLASH_MCU BOARD=octopus FORCE=1");
        await story.UntilSaidAsync("[firmware-unconfirmed]");
        Assert.Contains(
            story.Moonraker.Console,
            line => line.Contains($"prompt_text {words}", StringComparison.Ordinal));
        Assert.Equal(
            "firmware-unconfirmed",
            (await story.RequestAsync("flash", ("board", "octopus"), ("confirm", new string('0', 64)))).Word("error", "code"));
        Assert.Empty(story.Jobs);

        await story.TypeAsync(story.Button("Flash"));
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.True(story.Runs(Other));
        // The board has run it now, so the next flash asks no more.
        Assert.True((await story.RequestAsync("flash", ("board", "octopus"))).Flag("ok"));
        Assert.True((await story.UntilOverAsync(2)).Ok);
    }, settings: FromFolder);

    [Fact]
    public void The_command_line_sees_uploaded_firmware_as_a_warning_and_agrees_itself() => AgentStory.Of(async story =>
    {
        story.Upload("octopus.bin", Firmware());
        using var agent = AgentBoards.TryOpen(story.Data)!;
        var options = new FlashOptions(["octopus"]);
        var plan = await agent.PlanAsync(options);
        Assert.Contains(plan.Boards[0].Findings, finding => finding is { Code: "firmware-unconfirmed", Severity: "warning" });
        Assert.True(plan.Boards[0].NeedsConsent);
        var refused = await Assert.ThrowsAsync<FlashException>(
            () => agent.FlashAsync(options, static _ => { }, CancellationToken.None));
        Assert.Equal(FaultKind.ConsentMissing, refused.Kind);
        Assert.False(IsAsked(story));
        Assert.True((await agent.FlashAsync(FlashFlag.Consent.Set(options), static _ => { }, CancellationToken.None)).Ok);
    }, settings: FromFolder);

    [Fact]
    public void A_policy_never_flashes_uploaded_firmware() => AgentStory.Of(async story =>
    {
        Directory.CreateDirectory(story.Data.Firmware);
        story.Upload("octopus.bin", Firmware(VirtualPrinter.HostVersion));
        await story.StartAgentAsync();
        await story.UntilSaidAsync("1 board could have new firmware");
        await Task.Delay(TimeSpan.FromSeconds(30), story.Time);
        Assert.Empty(story.Jobs);
    }, settings: FromFolder with { Policy = FlashPolicy.Always }, isAlone: true);

    [Fact]
    public void A_print_that_ends_with_FLASH_MCU_flashes_nothing() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        await story.TypeAsync("FLASH_MCU BOARD=octopus FORCE=1 HOT=1");
        story.Moonraker.Print.PrintState = "complete";
        await story.UntilSaidAsync("a G-code file called FLASH_MCU");
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Assert.Empty(story.Jobs);
    });

    [Fact]
    public void A_version_that_is_HTML_is_shown_as_text() => AgentStory.Of(async story =>
    {
        const string evil = "v1<img src=x onerror=alert(1)>\u009b\u202e";
        story.Upload("octopus.bin", Firmware(evil));
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilSaidAsync("[firmware-unconfirmed]");
        await story.TypeAsync(story.Button("Flash"));
        await story.UntilOverAsync();
        Assert.Contains(story.Moonraker.Console, line => line.Contains("v1\u2039img src=x", StringComparison.Ordinal));
        Assert.DoesNotContain(
            story.Moonraker.Console.Concat(story.Moonraker.Dialog),
            line => line.Contains('<', StringComparison.Ordinal) || line.Any(PlainText.IsHidden));
    }, settings: FromFolder);

    [Fact]
    public void The_menus_of_KlipperScreen_carry_no_token_and_work() => AgentStory.Of(async story =>
    {
        var calls = File.ReadLines(Path.Combine(FlashOptionTests.Root, "config", "ratos-flash-klipperscreen.conf"))
            .Where(line => line.StartsWith("params: ", StringComparison.Ordinal)).Select(line => line["params: ".Length..]).ToList();
        Assert.Equal(8, calls.Count);
        var jobs = 0;
        foreach (var line in calls)
        {
            using var call = JsonDocument.Parse(line);
            var method = call.RootElement.Word("method")!;
            var arguments = call.RootElement.Members("arguments").Select(member => (member.Name, (object?)member.Value.Clone()));
            Assert.True((await story.RequestAsync(method, [.. arguments])).Flag("ok"), line);
            if (method is "flash" or "recover")
                Assert.True((await story.UntilOverAsync(++jobs)).Ok);
        }
        Assert.Equal("screen", story.Jobs[0].View().By);
    });
}
