using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Which boards the printer has, what they need, and the way back.</summary>
public sealed class BoardStories
{
    private const string New = VirtualPrinter.HostVersion, Old = "v0.12.0-10-g1f2a9e1c";

    [Fact]
    public void Every_board_of_the_configuration_is_listed_with_what_it_needs() => AgentStory.Of(async story =>
    {
        var rows = (await story.RequestAsync("boards")).Items("boards").ToList();
        Assert.Equal(["octopus", "ebb42", "octopus-pro", null], rows.Select(row => row.Word("board")));
        Assert.Equal(["mcu", "mcu ebb42", "mcu octopus-pro", null], rows.Select(row => row.Word("section")));
        Assert.Equal(["btt-octopus-11", "btt-ebb42-12", "btt-octopus-pro-h723", null], rows.Select(row => row.Word("id")));
        Assert.All(rows.Take(3), row =>
            Assert.Equal((Old, New, "unknown", "ours"), (row.Word("running"), row.Word("host"), row.Word("need"), row.Word("owner"))));
        Assert.Equal("none of this printer's boards", rows[3].Word("state"));
        // What cannot be asked while Klipper is stopped stays known.
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        Assert.Equal(["octopus", "ebb42", "octopus-pro", null],
            (await story.RequestAsync("boards")).Items("boards").Select(row => row.Word("board")));
        await story.Printer.Klippy.StartAsync();
    }, "voron");

    [Theory]
    [InlineData("mcu")]
    [InlineData("MCU Octopus-Pro")]
    [InlineData("ebb42,octopus")]
    public void Boards_are_found_by_the_names_of_their_sections(string named) => AgentStory.Of(async story =>
    {
        Assert.True((await story.RequestAsync("flash", ("board", named))).Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
    }, "voron");

    [Fact]
    public void All_leaves_out_what_needs_no_flash_and_with_nothing_to_do_Klipper_is_not_even_stopped() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=ebb42");
        Assert.True((await story.UntilOverAsync()).Ok);
        await story.TypeAsync("FLASH_MCU BOARD=all");
        var job = await story.UntilOverAsync(2);
        Assert.Equal([true, true, true], job.Boards.Select(board => board.Ok));
        Assert.StartsWith("skipped: It runs", job.Boards.Single(board => board.Board == "ebb42").Message, StringComparison.Ordinal);
        Assert.Equal([New, New, New], story.Printer.PrinterBoards.Select(board => board.RunningVersion));

        var stops = story.Moonraker.Calls.Count(call => call == "machine.services.stop");
        await story.TypeAsync("FLASH_MCU BOARD=all");
        Assert.True((await story.UntilOverAsync(3)).Ok);
        Assert.Equal((2, stops), (stops, story.Moonraker.Calls.Count(call => call == "machine.services.stop")));
        await story.UntilSaidAsync("octopus-pro skipped: It runs");
        // A board that is named is flashed anyway.
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync(4)).Ok);
        Assert.Equal(3, story.Moonraker.Calls.Count(call => call == "machine.services.stop"));
    }, "voron");

    [Fact]
    public void A_rollback_returns_to_the_firmware_from_before_the_first_flash_and_another_one_undoes_it() => AgentStory.Of(async story =>
    {
        Assert.Equal("nothing-to-roll-back",
            (await story.RequestAsync("flash", ("board", "octopus"), ("rollback", true))).Word("error", "code"));
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal([(New, "confirmed"), (Old, "read-out")], Kept(story));

        Assert.True((await story.RequestAsync("flash", ("board", "octopus"), ("rollback", true))).Flag("ok"));
        var back = await story.UntilOverAsync(2);
        Assert.True(back.Ok);
        Assert.True(story.Runs(Old));
        Assert.Equal([(Old, "confirmed"), (New, "confirmed")], Kept(story));

        await story.RequestAsync("flash", ("board", "octopus"), ("rollback", true));
        Assert.True((await story.UntilOverAsync(3)).Ok);
        Assert.True(story.Runs(New));
    });

    [Theory]
    [InlineData("octopus-katapult")]
    [InlineData("can-toolhead")]
    [InlineData("uart-katapult")]
    public void The_old_firmware_is_read_out_with_every_flash_method(string scenario) => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=all");
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal([(New, "confirmed"), (Old, "read-out")], Kept(story));
    }, scenario);

    [Fact]
    public void Three_firmwares_are_kept_and_a_damaged_one_is_skipped() => AgentStory.Of(async story =>
    {
        var good = new GoodImages(story.Data.Good, story.Time, story.LogFile);
        foreach (var version in (string[])["v1.0.0-1-g1111111", "v1.0.0-2-g2222222", "v1.0.0-3-g3333333", "v1.0.0-4-g4444444"])
        {
            good.Keep("../octopus",
                FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, version), version), "confirmed", null);
            await Task.Delay(TimeSpan.FromSeconds(1.1), story.Time);
        }
        Assert.Equal(["v1.0.0-4-g4444444", "v1.0.0-3-g3333333", "v1.0.0-2-g2222222"],
            good.Of("../octopus").Select(image => image.Image.Version));
        var newest = Directory.GetFiles(story.Data.Good, "*.bin", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Last();
        var bytes = File.ReadAllBytes(newest);
        bytes[9] ^= 1;
        File.WriteAllBytes(newest, bytes);
        Assert.Equal("v1.0.0-3-g3333333", good.Before("../octopus", running: null).Version);
        Assert.Equal("v1.0.0-2-g2222222", good.Before("../octopus", running: "v1.0.0-3-g3333333").Version);
    });

    [Fact]
    public void A_board_left_in_its_bootloader_is_known_by_the_port_where_it_was() => AgentStory.Of(async story =>
    {
        await story.UntilAsync(() => File.Exists(story.Data.Mcus), "what Klipper told is kept");
        await story.RequestAsync("boards");
        Assert.Contains("\"port\":\"1-1.1\"", File.ReadAllText(story.Data.Mcus), StringComparison.Ordinal);
        await story.StopAgentsAsync();
        // A damaged file is replaced by new answers.
        File.WriteAllText(story.Data.Mcus, "{\"mcus\":[null,{\"section\":null},{}],");
        await story.StartAgentAsync();
        Assert.Equal("octopus", (await story.RequestAsync("boards")).Items("boards").First().Word("board"));
    });

    [Fact]
    public void A_board_that_fell_into_its_bootloader_needs_a_flash_whatever_Klipper_reported_before() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=all");
        Assert.True((await story.UntilOverAsync()).Ok);
        Assert.Equal("needless", (await story.RequestAsync("boards")).Items("boards").First().Word("need"));
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        await story.Printer.TouchAsync(story.Printer.Look().Devices.Single(device => device.Usb == Hardware.UsbId.Klipper), 1200);
        await story.UntilAsync(() => story.Printer.Look().Devices.Any(device => device.Usb == DfuSeDriver.Id), "it is in its ROM");
        var row = (await story.RequestAsync("boards")).Items("boards").First();
        Assert.Equal(("unknown", null, "waits in USB DFU"), (row.Word("need"), row.Word("running"), row.Word("state")));
        Assert.True((await story.RequestAsync("flash")).Flag("ok"));
        Assert.True((await story.UntilOverAsync(2)).Ok);
        Assert.True(story.Runs(New));
        await story.Printer.Klippy.StartAsync();
    });

    [Fact]
    public void Boards_that_are_up_to_date_or_not_ours_cause_no_question()
    {
        var need = new FlashNeed(
            New, new Dictionary<string, string> { ["mcu"] = Old, ["mcu head"] = Old, ["mcu beacon"] = "2.0" }, false);
        Assert.Equal(["mcu head"], need.Of(new Dictionary<string, FirmwareNeed>(StringComparer.OrdinalIgnoreCase)
        {
            ["mcu"] = new(NeedLevel.Needless, "Only files of the host changed."),
            ["mcu HEAD"] = new(NeedLevel.Useful, "Sources changed."),
        }, FlashPolicy.Changed)!.Boards.Keys);
        Assert.Null(need.Of(new Dictionary<string, FirmwareNeed>(), FlashPolicy.Changed));
    }

    private static (string, string)[] Kept(AgentStory story) =>
        [.. new GoodImages(story.Data.Good, story.Time, story.LogFile).Of(JsonOf(story))
            .Select(image => (image.Image.Version, image.About.Source))];

    private static string JsonOf(AgentStory story)
    {
        using var about =
            JsonDocument.Parse(File.ReadAllText(Directory.GetFiles(story.Data.Good, "*.json", SearchOption.AllDirectories)[0]));
        return about.RootElement.Word("board")!;
    }
}
