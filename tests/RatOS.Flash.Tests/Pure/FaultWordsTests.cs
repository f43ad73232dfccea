using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The sentences of all faults and findings: each front end reads its own words, and numbers are right.</summary>
public sealed class FaultWordsTests
{
    private static readonly string[] PageWords =
        ["FLASH_MCU", "FLASH_STATUS", "FLASH_CANCEL", "FORCE=1", "HOT=1", "CARD=1", "services menu", "in a terminal"];

    /// <summary>Options and commands of this program stand only where a browser's reader is sent to a terminal.</summary>
    [Fact]
    public void A_browser_never_shows_an_option_or_a_bare_command()
    {
        Assert.All(FaultList.All, fault =>
        {
            var words = WithoutTerminals(fault.Browser);
            Assert.DoesNotContain("--", words, StringComparison.Ordinal);
            Assert.DoesNotContain("`ratos-flash", words, StringComparison.Ordinal);
            Assert.DoesNotContain("`sudo", words, StringComparison.Ordinal);
        });
        Assert.Contains(FaultList.All, fault => fault.CommandLine.Contains("--yes", StringComparison.Ordinal));
    }

    [Fact]
    public void A_command_line_never_shows_a_button_a_macro_or_a_menu_of_a_page() => Assert.All(FaultList.All, fault =>
    {
        var words = fault.CommandLine.Replace("Run it in a terminal", "", StringComparison.Ordinal);
        foreach (var word in PageWords)
            Assert.DoesNotContain(word, words, StringComparison.OrdinalIgnoreCase);
        // A board has buttons too.
        foreach (var at in Indexes(fault.CommandLine, "button"))
            Assert.Matches("(reset|BOOT0 jumper or) $", fault.CommandLine[..at]);
    });

    /// <summary>
    /// A second step is for when the first one does not help, and is worded so: offered as an equal, it would have to hold in every state.
    /// </summary>
    [Fact]
    public void No_step_at_the_board_is_offered_in_place_of_another_one()
    {
        RemedyAction[] steps =
        [
            RemedyAction.PowerCycle, RemedyAction.CheckCable, RemedyAction.DoubleReset, RemedyAction.StartRom, RemedyAction.RemoveBoot0,
        ];
        Assert.All(FaultList.All, fault => Assert.All(steps, step =>
        {
            Assert.DoesNotContain($" or {step.CommandLine}", fault.CommandLine, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain($"{step.CommandLine} or ", fault.CommandLine, StringComparison.OrdinalIgnoreCase);
        }));
        Remedy guide = $"(1) Start it.";
        Assert.All(Enum.GetValues<OperatorStep>(), step =>
            Assert.DoesNotContain(" or switch", OperatorSteps.Of(step, guide)?.ToString() ?? "", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_cause_and_every_remedy_is_sentences() => Assert.All(FaultList.All, fault =>
    {
        foreach (var text in (string[])[fault.Cause, fault.CommandLine, fault.Browser])
        {
            Assert.True(text.Length > 10 || text is ['[', .., ']'], fault.Method);
            Assert.DoesNotContain("  ", text, StringComparison.Ordinal);
            Assert.DoesNotMatch(@"\.\.$|\.\. |: [A-Z][a-z]* the ", text);
            Assert.DoesNotContain("RemedyAction", text, StringComparison.Ordinal);
            // Doctor's remedies are commands.
            var begins = char.IsUpper(text[0]) || text[0] is '[' or '`' || text.StartsWith("git ", StringComparison.Ordinal);
            Assert.True(begins || fault.Class == nameof(DoctorFindings), $"{fault.Method}: {text}");
        }
    });

    [Theory]
    [InlineData("It re-enumerated as Klipper once and ignored the request twice.", 1)]
    [InlineData("It re-enumerated as Klipper twice and ignored the request once.", 2)]
    [InlineData("It re-enumerated as Klipper each time.", 3)]
    public void What_a_board_did_with_each_request_is_counted(string words, int cameBack) =>
        Assert.Equal(
            $"octopus was asked 3 times for its bootloader and stayed in Klipper. {words}",
            FlashFaults.CameBackAsKlipper("octopus", 3, cameBack, 3 - cameBack, hasCardSlot: false, startsOnDoubleReset: false).Cause);

    [Fact]
    public void Numbers_have_their_words()
    {
        Assert.Equal(
            "The read-back differs from the firmware after 1 attempt: 1 byte, the first at 08008000.",
            FlashFaults.VerifyFailed(0x0800_8000, 1, 1).Cause);
        Assert.Contains("after 3 attempts: 2 bytes", FlashFaults.VerifyFailed(0x0800_8000, 2, 3).Cause, StringComparison.Ordinal);
        Assert.Equal(
            "octopus left the bus 3 times while it was being flashed.",
            FlashFaults.DeviceLostRepeatedly("octopus", 3, false).Cause);
        Assert.Equal("1 flash is already in the queue.", AgentFaults.QueueFull(1).Cause);
        Assert.Equal("4 flashes are already in the queue.", AgentFaults.QueueFull(4).Cause);
        Assert.Contains(": 1 byte too few.", FirmwareFaults.FirmwareTooBig(2, 0, 1).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bootloader_that_reported_no_state_is_not_given_one()
    {
        const string doing = "writing 08012000";
        var silent = BootloaderFaults.DfuRefused(doing, "no answer", null);
        Assert.Equal("The DFU bootloader refused while writing 08012000: no answer.", silent.Cause);
        var reported = BootloaderFaults.DfuRefused(doing, "errVENDOR", $"{DfuState.Error}");
        Assert.EndsWith("errVENDOR in state Error.", reported.Cause, StringComparison.Ordinal);
    }

    private static string WithoutTerminals(string text)
    {
        while (text.IndexOf("in a terminal", StringComparison.OrdinalIgnoreCase) is >= 0 and var at)
        {
            var rest = text[(at + "in a terminal".Length)..];
            // A command between backticks, or, as doctor's, all that follows.
            var open = rest.IndexOf('`', StringComparison.Ordinal);
            var end = open is >= 0 and < 3 ? rest.IndexOf('`', open + 1) + 1 : rest.Length;
            text = text[..at] + rest[end..];
        }
        return text;
    }

    private static IEnumerable<int> Indexes(string text, string word)
    {
        for (var at = text.IndexOf(word, StringComparison.Ordinal); at >= 0; at = text.IndexOf(word, at + 1, StringComparison.Ordinal))
            yield return at;
    }
}
