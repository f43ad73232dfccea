using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Who may have the updater of a probe's maker called, and when it is not called.</summary>
public sealed class ProbeStories
{
    private static void Of(Func<AgentStory, VirtualProbe, Task> tell, ProbePolicy probes = ProbePolicy.Ask,
        AgentSettings? settings = null) => AgentStory.Of(
            story => tell(story, story.Printer.Probe!), "beacon",
            settings: settings ?? new() { Policy = FlashPolicy.Never, Probes = probes }, isAlone: settings is not null);

    private static async Task<System.Text.Json.JsonElement> RowAsync(AgentStory story) =>
        (await story.RequestAsync("boards")).Items("boards").Single(row => row.Word("board") == "beacon");

    [Fact]
    public void A_macro_that_names_the_probe_updates_it_and_the_result_says_what_was_not_verified() => Of(async (story, probe) =>
    {
        Assert.Contains("FLASH_MCU BOARD=beacon", (await RowAsync(story)).Items("findings").Single().Word("remedy"),
            StringComparison.Ordinal);
        await story.TypeAsync("FLASH_MCU BOARD=beacon");
        var job = await story.UntilOverAsync();
        Assert.Equal((true, "unconfirmed", 1), (job.Ok, job.Boards.Single().Condition, probe.Runs));
        await story.UntilSaidAsync("beacon OK: its maker's updater reports success");
        await story.UntilSaidAsync("RatOS.Flash cannot read this firmware back");
    });

    [Theory]
    [InlineData("port", "1-1.2", "port")]
    [InlineData("bootloader", "stm32-uart", "bootloader")]
    [InlineData("sd_card", true, "SD card")]
    [InlineData("change_link", "usb:can", "change of link")]
    public void An_option_that_the_updater_does_not_have_is_refused(string option, object value, string noun) => Of(async (story, probe) =>
    {
        foreach (var method in (string[])["flash", "plan"])
        {
            var error = (await story.RequestAsync(method, ("board", "beacon"), (option, value))).GetProperty("error");
            Assert.Equal("bad-option", error.Word("code"));
            Assert.EndsWith($"It has no option for: {noun}.", error.Word("cause"), StringComparison.Ordinal);
            Assert.Contains("FLASH_MCU BOARD=beacon", error.Word("remedy"), StringComparison.Ordinal);
        }
        Assert.Equal(0, probe.Runs);
    });

    [Fact]
    public void All_leaves_it_out_and_says_so() => Of(async (story, probe) =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=all FORCE=1");
        var job = await story.UntilOverAsync();
        Assert.Equal((true, 0), (job.Ok, probe.Runs));
        Assert.Equal("skipped: its maker's updater is called only for a probe that is named.",
            job.Boards.Single(board => board.Board == "beacon").Message);
        await story.UntilSaidAsync("beacon skipped: its maker's updater");
    });

    [Fact]
    public void No_update_of_Klipper_calls_it() => Of(async (story, probe) =>
    {
        await story.StartAgentAsync(waits: false);
        var job = await story.UntilOverAsync();
        Assert.Equal("octopus", Assert.Single(job.Boards).Board);
        Assert.Equal(0, probe.Runs);
    }, settings: new() { Policy = FlashPolicy.Always, KlipperPath = "/nowhere" });   // with a checkout every board is built for

    [Fact]
    public void With_never_it_is_listed_as_before_and_nothing_else() => Of(async (story, probe) =>
    {
        var row = await RowAsync(story);
        Assert.Equal(("own-updater", "updated by its maker", false),
            (row.Word("owner"), row.Word("state"), row.TryGetProperty("findings", out _)));
        Assert.Equal("not-ours", (await story.RequestAsync("flash", ("board", "beacon"))).GetProperty("error").Word("code"));
        await story.TypeAsync("FLASH_MCU BOARD=all FORCE=1");
        Assert.Equal("octopus", Assert.Single((await story.UntilOverAsync()).Boards).Board);
        Assert.Equal(0, probe.Runs);
    }, ProbePolicy.Never);

    [Fact]
    public void Hot_heaters_and_a_print_refuse_it_as_they_refuse_a_flash() => Of(async (story, probe) =>
    {
        story.Moonraker.Print.Heaters["extruder"] = (210, 215);
        await story.TypeAsync("FLASH_MCU BOARD=beacon FORCE=1");
        Assert.Equal("heaters-hot", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        story.Moonraker.Print.Heaters.Clear();
        story.Moonraker.Print.IdleState = "Printing";
        await story.RequestAsync("flash", ("board", "beacon"));
        Assert.Equal("printer-busy", (await story.UntilOverAsync(2)).Boards[0].Fault!.Code);
        Assert.Equal((0, 0), (probe.Runs, story.Printer.Klippy.Stops));
        story.Moonraker.Print.IdleState = "Ready";
    });

    [Fact]
    public void There_is_no_earlier_firmware_of_it() => Of(async (story, probe) =>
    {
        var answer = await story.RequestAsync("flash", ("board", "beacon"), ("rollback", true));
        Assert.Equal("not-ours", answer.GetProperty("error").Word("code"));
        Assert.Equal(0, probe.Runs);
    });
}
