using RatOS.Flash.Boards;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>A board that is found in some state or other is to run again, and is flashed only where nothing less helps.</summary>
public sealed class RecoverStories
{
    private const string Old = "v0.12.0-10-g1f2a9e1c";

    private static void SetJumper(VirtualBoard board)
    {
        board.Boot0 = true;
        board.PressReset();
        board.Boot0 = false;
    }

    [Theory]
    [InlineData("octopus-in-dfu")]
    [InlineData("octopus-half-written")]   // whole, as the story begins
    [InlineData("octopus")]
    [InlineData("uart-katapult")]
    [InlineData("uart-rom")]
    public void A_board_whose_firmware_is_whole_runs_again_without_a_flash(string scenario) => Whole(scenario);

    /// <summary>A G0B1 may have 512 KiB; this one has 128, but could not be asked: it waits in Katapult.</summary>
    [Fact]
    public void Firmware_that_the_smallest_chip_of_the_name_cannot_hold_is_not_written_while_its_size_is_unknown()
    {
        var board = Scenario.Find("manta-m8p").Boards[0] with { State = BoardState.Katapult };
        Story.Of(new Scenario("katapult-waits", "one board", board), InjectedFaults.None, async story =>
        {
            var image = Firmware.FirmwareImage.Parse(
                VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, "v0.13.0", 140 * 1024), "klipper.bin");
            var request = new FlashRequest(story.Known("manta-m8p"), image);
            var report = (await story.FlashAsync(CancellationToken.None, request)).Boards.Single();
            Assert.Equal("firmware-too-big", report.Fault?.Code);
            Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
            await story.FlashedAsync("manta-m8p");
        });
    }

    [Fact]
    [VirtualOnly("USB/IP carries no CAN bus")]
    public void A_node_whose_firmware_is_whole_runs_again_without_a_flash() => Whole("can-toolhead");

    private static void Whole(string scenario) => Story.Of(scenario, async story =>
    {
        var report = await story.RecoverAsync(story.Board.Name, hasFirmware: false);
        Assert.Equal((true, BoardCondition.Running, Old), (report.Ok, report.Condition, report.NewVersion));
        Assert.All(story.Board.Flash.Erases, count => Assert.Equal(0, count));
        Assert.Equal(1, story.Printer.Klippy.Stops);
    });

    /// <summary>What a flash leaves that died at the end of its first sectors: vectors that look well, and nothing behind them.</summary>
    private static void BreakFirmware(Story story) =>
        story.Board.Flash.Erase(story.Board.Flash.SectorAt(story.Board.ApplicationStart) + 1, story.Time.Now);

    [Theory]
    [InlineData("octopus-in-dfu")]
    [InlineData("octopus-half-written")]
    public void A_half_written_one_is_flashed(string scenario) => Story.Of(scenario, async story =>
    {
        BreakFirmware(story);
        await story.PassAsync(TimeSpan.FromSeconds(3));
        var report = await story.RecoverAsync("octopus");
        Assert.Equal((true, BoardCondition.Flashed), (report.Ok, report.Condition));
    });

    /// <summary>Katapult starts any firmware unchecked: then only a double reset would help.</summary>
    [Fact]
    public void A_half_written_one_is_never_started() => Story.Of("octopus-half-written", async story =>
    {
        BreakFirmware(story);
        await story.PassAsync(TimeSpan.FromSeconds(3));
        var report = await story.RecoverAsync("octopus", hasFirmware: false);
        Assert.Equal(("firmware-missing", BoardCondition.InBootloaderWithoutFirmware, BoardState.Katapult),
            (report.Fault?.Code, report.Condition, story.Board.State));
    });

    [Fact]
    public void An_interrupted_write_of_the_same_firmware_is_detected_by_its_last_byte() => Story.Of("octopus-in-dfu", async story =>
    {
        await story.FlashedAsync("octopus");
        SetJumper(story.Board);
        await story.PassAsync(TimeSpan.FromSeconds(2));
        story.Board.Flash.Program(story.Board.ApplicationStart + 0x400, new byte[16], story.Time.Now);
        await story.PassAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(BoardCondition.Flashed, (await story.RecoverAsync("octopus")).Condition);
    });

    [VirtualOnly("a real kernel cannot lose answers")]
    [Fact]
    public void A_Klipper_that_does_not_answer_is_flashed() =>
        Story.Of("octopus",
            new InjectedFaults
            {
                Transfers =
                [.. Enumerable.Range(1, 60).Select(index => new TransferFault(index, TransferFaultKind.Lost, TimeSpan.Zero))]
            },
                async story =>
            Assert.Equal(BoardCondition.Flashed, (await story.RecoverAsync("octopus")).Condition));

    [Fact]
    public void A_bootloader_that_does_not_start_the_firmware_is_written_again() =>
        Story.Of("octopus-in-dfu", new InjectedFaults { LeavesIgnored = 3 }, async story =>
        Assert.Equal(BoardCondition.Flashed, (await story.RecoverAsync("octopus")).Condition));

    [Fact]
    public void A_board_that_is_not_there_is_waited_for() => Story.Of("octopus", async story =>
    {
        story.Board.PowerOff();
        await story.PassAsync(TimeSpan.FromSeconds(2));
        story.Operator = _ => story.Board.PowerOn();
        Assert.Equal(BoardCondition.Running, (await story.RecoverAsync("octopus")).Condition);
    });

    [Fact]
    public void Without_an_operator_a_missing_board_is_refused() => Story.Of("octopus", async story =>
    {
        story.Board.PowerOff();
        await story.PassAsync(TimeSpan.FromSeconds(2));
        var report = await story.RecoverAsync("octopus");
        Assert.Equal(("board-not-seen", true), (report.Fault?.Code, report.Refused));
    });

    [Fact]
    public void A_printing_printer_is_left_alone() => Story.Of("octopus-in-dfu", async story =>
    {
        story.Printer.Klippy.Busy = "printing";
        Assert.Equal("printer-busy", (await story.RecoverAsync("octopus")).Fault?.Code);
        Assert.Equal(BoardState.Rom, story.Board.State);
    });
}

/// <summary>The manual way, watched.</summary>
public sealed class GuideStories
{
    private static Task<List<string>> GuideAsync(Story story, params (double After, Action<VirtualBoard> Do)[] person) =>
        GuideAsync(story, story.Known(story.Board.Name), person);

    private static async Task<List<string>> GuideAsync(
        Story story, PrinterBoard guided, params (double After, Action<VirtualBoard> Do)[] person)
    {
        var said = new List<string>();
        foreach (var (after, act) in person)
            story.Time.Schedule(TimeSpan.FromSeconds(after), () => act(story.Board));
        await new GuidedEntry(story.Hardware, story.Time, step =>
        {
            said.Add(step.Message);
            return ValueTask.CompletedTask;
        }).RunAsync(guided, CancellationToken.None);
        return said;
    }

    [Fact]
    public void A_jumper_that_was_set_is_seen_and_its_way_off_is_said() => Story.Of("octopus", async story =>
    {
        var said = await GuideAsync(
            story,
            (60, board => board.PressReset()),          // forgot the jumper
            (120, board => board.Boot0 = true),
            (121, board => board.PressReset()));
        Assert.StartsWith("(1) If there is a card", said[0], StringComparison.Ordinal);
        Assert.Contains(said, line => line.Contains("Klipper started again at 1-1.1", StringComparison.Ordinal));
        Assert.StartsWith("Jumper seen: USB DFU at 1-1.1. Take the jumper off now", said[^1], StringComparison.Ordinal);
        Assert.Contains("flash octopus --port 1-1.1", said[^1], StringComparison.Ordinal);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    private static Scenario Unlisted =>
        new("unlisted", "one board", Scenario.Find("unlisted-in-dfu").Boards[0] with { State = BoardState.Klipper });

    [Fact]
    public void A_board_in_no_catalogue_is_guided_by_its_chip_alone() => Story.Of(Unlisted, InjectedFaults.None, async story =>
    {
        var board = new PrinterBoard("mcu", Board.Unknown("mcu") with { McuName = "stm32f446xx" }) { Port = "1-1.1" };
        var said = await GuideAsync(story, board, (60, virtualBoard => virtualBoard.Boot0 = true), (61, board => board.PressReset()));
        Assert.Equal("(1) Set the BOOT0 jumper, or hold the BOOT button.", said[0]);
        Assert.StartsWith("Jumper seen: USB DFU at 1-1.1.", said[^1], StringComparison.Ordinal);
        Assert.DoesNotContain(said, line => line.Contains("id:", StringComparison.Ordinal));
    });

    [Fact]
    public void A_board_of_an_unknown_chip_is_asked_for_it() => Story.Of(Unlisted, InjectedFaults.None, async story =>
    {
        var line = Assert.Single(await GuideAsync(story, new PrinterBoard("mcu", Board.Unknown("mcu")) { Port = "1-1.1" }));
        Assert.StartsWith("(1) Which chip does mcu have? It is printed on the chip. Then answer with `ratos-flash answer mcu chip VALUE`, "
            + "where VALUE is stm32f446xx (STM32F446)", line, StringComparison.Ordinal);
    });

    [Fact]
    public void A_double_reset_into_Katapult_is_seen() => Story.Of("octopus-katapult", async story =>
        Assert.StartsWith("Seen: Katapult at 1-1.1", (await GuideAsync(story, (20, board => board.DoublePressReset())))[^1],
            StringComparison.Ordinal));

    [Fact]
    public void A_board_that_waits_already_is_said_to() => Story.Of("octopus-in-dfu", async story =>
        Assert.StartsWith("USB DFU is already at 1-1.1", Assert.Single(await GuideAsync(story)), StringComparison.Ordinal));

    [Fact]
    public void On_a_UART_the_steps_and_the_next_command_are_shown() => Story.Of("uart-rom", async story =>
        Assert.Contains("--bootloader stm32-uart", (await GuideAsync(story))[^1], StringComparison.Ordinal));
}
