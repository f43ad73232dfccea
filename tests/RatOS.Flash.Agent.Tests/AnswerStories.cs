using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A fact that a board cannot tell: asked by a prompt, kept, and changed.</summary>
public sealed class AnswerStories
{
    private const string Scenario = "unlisted-in-dfu";

    /// <summary>Klipper is in error as long as the board waits in its ROM.</summary>
    private static void Of(Func<AgentStory, Task> tell) => AgentStory.Of(async story =>
    {
        await story.StartAgentAsync(waits: false);
        await story.UntilMethodsAsync();
        await tell(story);
    }, Scenario, isAlone: true);

    private static async Task<JsonJob> FlashAsync(AgentStory story, int jobs)
    {
        Assert.True((await story.RequestAsync("flash", ("board", "mcu"))).Flag("ok"));
        return await story.UntilOverAsync(jobs);
    }

    private static async Task AnswerAsync(AgentStory story, string board, string fact, string? value)
    {
        using var commandLine = AgentBoards.TryOpen(story.Data)!;
        await commandLine.AnswerAsync(board, fact, value);
    }

    [Fact]
    public void A_prompt_asks_for_the_one_fact_and_its_press_flashes_the_board() => Of(async story =>
    {
        var job = await FlashAsync(story, 1);
        Assert.Equal(
            ("fact-missing", "start"), (job.Boards[0].Fault!.Code, job.Boards[0].Fault!.Question!.Fact));
        await story.UntilSaidAsync("action:prompt_begin One fact is missing");
        // The bottom line has no place for these answers.
        foreach (var button in (string[])[
            "prompt_button no bootloader (0x8000000)", "prompt_button 32 KiB", "prompt_footer_button Not now"])
            Assert.Contains(story.Moonraker.Console, line => line.StartsWith($"// action:{button}", StringComparison.Ordinal));

        Assert.True((await story.TypeAsync(story.Button("32 KiB bootloader (0x8008000)"))).IsOk);
        Assert.True((await story.UntilOverAsync(2)).Ok);

        // Kept: the next flash asks nothing.
        Assert.True((await FlashAsync(story, 3)).Ok);
        var facts = (await story.RequestAsync("boards")).Items("boards").First().Items("facts");
        Assert.Contains(facts, fact => fact.Word("says") == "application at 08008000");
    });

    [Fact]
    public void A_wrong_answer_is_found_and_another_one_takes_its_place() => Of(async story =>
    {
        await AnswerAsync(story, "mcu", "start", "0x8010000");
        Assert.Equal("firmware-wrong-offset", (await FlashAsync(story, 1)).Boards[0].Fault!.Code);
        await AnswerAsync(story, "mcu", "start", null);
        Assert.Equal("fact-missing", (await FlashAsync(story, 2)).Boards[0].Fault!.Code);
        await AnswerAsync(story, "mcu", "start", "0x8008000");
        Assert.True((await FlashAsync(story, 3)).Ok);
    });

    [Theory]
    [InlineData("mcu", "start", "0x8001000", "Klipper builds for no start at 08001000")]
    [InlineData("mcu", "start", "", "start has no value")]
    [InlineData("mcu", "start", "here", "'here' is no address")]
    [InlineData("mcu", "colour", "red", "there is no fact 'colour'")]
    [InlineData("other", "start", "0x8008000", "'other'")]
    public void An_answer_that_cannot_be_is_refused_with_the_reason(string board, string fact, string value, string why) =>
        Of(async story =>
    {
        var refusal = await Assert.ThrowsAsync<FlashException>(() => AnswerAsync(story, board, fact, value));
        Assert.Contains(why, refusal.Cause, StringComparison.Ordinal);
        Assert.Equal("fact-missing", (await FlashAsync(story, 1)).Boards[0].Fault!.Code);
    });

    [Fact]
    public void The_press_flashes_the_file_that_was_asked_for() => Of(async story =>
    {
        Directory.CreateDirectory(story.Data.Firmware);
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.12.5-77-g0badcafe");
        await File.WriteAllBytesAsync(Path.Combine(story.Data.Firmware, "mine.bin"), image);
        var sha = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(image));
        var asked = await story.RequestAsync("flash", ("board", "mcu"), ("firmware", "mine.bin"), ("confirm", sha));
        Assert.True(asked.Flag("ok"), asked.GetRawText());
        Assert.Equal("fact-missing", (await story.UntilOverAsync()).Boards[0].Fault!.Code);
        await story.UntilSaidAsync("action:prompt_begin One fact is missing");
        Assert.True((await story.TypeAsync(story.Button("32 KiB bootloader (0x8008000)"))).IsOk);
        // Firmware from elsewhere is confirmed at its flash.
        await story.UntilSaidAsync("action:prompt_begin Firmware from elsewhere");
        Assert.True((await story.TypeAsync(story.Button("Flash"))).IsOk);
        var job = await story.UntilOverAsync(2);
        Assert.Equal((true, "v0.12.5-77-g0badcafe"), (job.Ok, job.Boards[0].NewVersion));
    });

    [Fact]
    public void A_board_whose_pins_fit_several_is_asked_for_its_file_and_the_press_makes_that_one() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=ender CARD=1");
        var fault = (await story.UntilOverAsync()).Boards[0].Fault!;
        Assert.Equal(("fact-missing", "card"), (fault.Code, fault.Question?.Fact));
        Assert.Equal(["STM32F4_UPDATE/firmware.bin", "STM32F4_UPDATE/*.bin new"], fault.Question!.Choices.Select(choice => choice.Value));
        Assert.Null(story.Printer.Card);
        await story.UntilSaidAsync("action:prompt_begin One fact is missing");

        var button = story.Button("Creality Ender5 S1 2023, a new name each time (STM32F4_UPDATE/*.bin new)");
        Assert.True((await story.TypeAsync(button)).IsOk);
        Assert.True((await story.UntilOverAsync(2)).Ok);
        Assert.Matches("^STM32F4_UPDATE/k[0-9a-z]{7}\\.bin$", story.Printer.CardPath);

        // Kept: the next flash asks nothing.
        await story.TypeAsync("FLASH_MCU BOARD=ender CARD=1");
        Assert.True((await story.UntilOverAsync(3)).Ok);
    }, "card-unknown");

    [Theory]
    [InlineData("134250496")]
    [InlineData("false")]
    [InlineData("[\"0x8008000\"]")]
    [InlineData("{}")]
    public void A_value_that_is_no_text_is_refused_and_forgets_nothing(string json) => Of(async story =>
    {
        await AnswerAsync(story, "mcu", "start", "0x8008000");
        using var commandLine = AgentBoards.TryOpen(story.Data)!;
        var refusal = await Assert.ThrowsAsync<FlashException>(() => commandLine.AskAsync(
            "answer", new() { ["board"] = "mcu", ["fact"] = "start", ["value"] = JsonDocument.Parse(json).RootElement }));
        Assert.Equal(("bad-request", true), (refusal.Kind.Code, refusal.Cause.Contains("its value is no text", StringComparison.Ordinal)));
        Assert.True((await FlashAsync(story, 1)).Ok);
    });

    [Theory]
    [InlineData("../firmware.bin")]
    [InlineData("/firmware.bin")]
    [InlineData("a/b/firmware.bin")]
    [InlineData("firmware")]
    [InlineData("*.bin")]
    [InlineData("firmware.bin new")]
    [InlineData("firmware.bin zip")]
    public void A_file_that_no_card_can_have_is_refused_as_an_answer(string file) => AgentStory.Of(async story =>
    {
        var refusal = await Assert.ThrowsAsync<FlashException>(() => AnswerAsync(story, "ender", "card", file));
        Assert.Contains($"'{file}' is no file for a card", refusal.Cause, StringComparison.Ordinal);
    }, "card-unknown");

    [Fact]
    public void No_client_of_Moonraker_answers_for_a_board() => AgentStory.Of(async story =>
    {
        var answer = await story.RequestAsync("answer", ("board", "octopus"), ("fact", "start"), ("value", "0x8000000"));
        Assert.Equal("bad-request", answer.At("error")?.Word("code"));
        Assert.True((await story.RequestAsync("flash", ("board", "octopus"))).Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
    });
}
