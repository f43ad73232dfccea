using RatOS.Flash.Boards;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// Boards known by their pins, whose stock bootloaders want a name, a folder or a form of their own. They run Klipper on USB here, where
/// their return shows that the card was carried; most real ones are on a wire.
/// </summary>
[VirtualOnly("boards that are in no list of scenarios")]
public sealed class CardFileStories
{
    private static readonly CardFile RobinE3 =
        new("Robin_e3.bin") { Encoding = CardEncoding.MksRobin, RenamedTo = "Robin_e3.cur" };

    private static readonly CardFile ChituV6 = new("update.cbd") { Encoding = CardEncoding.Chitu };

    private static readonly CardFile EzBoard = new("firmware.bin") { Encoding = CardEncoding.SRecord, RenamedTo = "FIRMWARE.CUR" };

    private static readonly CardFile Ender5S1 = new(null) { NeedsNewName = true, Folder = "STM32F4_UPDATE" };

    private static BoardSetup Board(CardFile file) => file.Encoding switch
    {
        CardEncoding.MksRobin => Setup("STM32F103", 0x0800_5000, file, "generic-mks-robin-e3.cfg"),
        CardEncoding.Chitu => Setup("STM32F103", 0x0800_8800, file, "printer-tronxy-x5sa-v6-2019.cfg"),
        CardEncoding.SRecord => Setup("STM32F405", 0x0800_C000, file, "generic-th3d-ezboard-v2.0.cfg"),
        _ => Setup("STM32F401", 0x0801_0000, file, "printer-creality-ender5-s1-2023.cfg"),
    };

    private static BoardSetup Setup(string machine, uint start, CardFile file, string pins) =>
        new("mcu", "", KconfigChips.Find(machine), start, "1-1.1") { CardFile = file, PinsIn = pins };

    /// <summary>A card is in the computer; the simulated operator carries it to the board.</summary>
    private static void Of(BoardSetup board, Func<Story, Task> tell, InjectedFaults? faults = null) => Story.Of(
        new Scenario("card", "one board", board) { HasCard = true, Faults = faults ?? new() { OperatorAfter = TimeSpan.FromMinutes(1) } },
        InjectedFaults.None, tell);

    private static Task<FlashReport> FlashAsync(Story story, CancellationToken cancel = default)
    {
        story.Operator ??= static _ => { };
        story.Builds = board => new(new(story.Build(board.Name), "", "", "", "", IsFromCache: false, TimeSpan.Zero), null);
        return story.FlashAsync(cancel, new FlashRequest(story.Known("mcu"), null) { Job = FlashJob.SdCard });
    }

    private static IEnumerable<FlashEvent> OperatorSteps(Story story) =>
        story.Events.Where(step => step is { Phase: FlashPhase.Operator, Kind: FlashEventKind.Begin });

    public static TheoryData<string, string, string> Boards => new()
    {
        { "Robin_e3.bin", "Robin_e3.bin (encoded for MKS Robin)", "Robin_e3.cur" },
        { "update.cbd", "update.cbd (encoded for Chitu)", "update.cbd" },
        { "firmware.bin", "firmware.bin (Motorola S-records)", "FIRMWARE.CUR" },
    };

    [Theory]
    [MemberData(nameof(Boards))]
    public void Each_form_is_written_decoded_again_and_what_runs_is_proven(string name, string route, string afterwards) =>
        Of(Board(new[] { RobinE3, ChituV6, EzBoard }.Single(file => file.Name == name)), async story =>
        {
            var file = story.Board.Setup.CardFile;
            var report = await FlashAsync(story);
            Assert.True(report.Boards[0] is { Ok: true, IsBySdCard: true, Condition: BoardCondition.Flashed }, story.Transcript);
            Assert.Equal(name, story.Printer.CardPath);
            var (image, start) = (story.Build("mcu").Bytes, story.Board.ApplicationStart);
            Assert.True(CardEncoder.Holds(file.Encoding, story.Printer.Card, image.Span, start));
            Assert.Equal([afterwards], story.Board.SdCard.Keys);
            // The very same file is there for download.
            Assert.Equal(("mcu", name), (Assert.Single(story.Offered).Board, story.Offered[0].Name));
            Assert.Equal(story.Printer.Card, story.Offered[0].File);
            var pins = $"known by its pins in {story.Board.Setup.PinsIn}";
            Assert.Equal(
                $"SD card (manual): the stock bootloader, {pins}, installs {route} at the next reset", report.Boards[0].Route);
            Assert.Contains(
                $"(1) Check that this is your board. Its stock bootloader is {pins}. (2) {name} is on the card at /media/card",
                Assert.Single(OperatorSteps(story)).Message, StringComparison.Ordinal);
        });

    [Fact]
    public void The_plan_says_from_where_the_file_is_known_also_before_the_board_was_asked() => Of(Board(EzBoard), story =>
    {
        var request = new FlashRequest(story.Known("mcu"), null) { Job = FlashJob.SdCard };
        var plan = FlashPlan.Create([request], story.Hardware.Look(), story.Printer.Klippy.State).Boards[0];
        Assert.Equal((true, true), (plan.IsAskedFirst, plan.TakesCard));
        Assert.Equal("SD card (manual): the stock bootloader, known by its pins in generic-th3d-ezboard-v2.0.cfg, installs "
            + "firmware.bin (Motorola S-records) at the next reset", plan.Route);
        return Task.CompletedTask;
    });

    [Fact]
    public void A_bootloader_that_wants_a_new_name_each_time_gets_one_twice_in_a_row() => Of(Board(Ender5S1), async story =>
    {
        Assert.True((await FlashAsync(story)).Ok, story.Transcript);
        var first = story.Printer.CardPath!;
        Assert.Matches("^STM32F4_UPDATE/k[0-9a-z]{7}\\.bin$", first);
        Assert.Equal(first, story.Board.LastCardFile);
        // The same firmware again, on a card that was wiped since.
        story.Board.SdCard.Clear();
        Assert.True((await FlashAsync(story)).Ok, story.Transcript);
        Assert.NotEqual(first, story.Printer.CardPath);
        Assert.Equal(story.Printer.CardPath, story.Board.LastCardFile);
    });

    [Fact]
    public void A_file_with_the_last_name_is_passed_over_and_that_is_told() => Of(Board(Ender5S1), async story =>
    {
        const string last = "STM32F4_UPDATE/firmware.bin";
        story.Board.SdCard[last] = story.Board.BuildFirmware();
        story.Board.PressReset();
        await story.PassAsync(TimeSpan.FromMinutes(1));
        // Older firmware under the name that the board had last, then the card of this flash.
        var old = VirtualFirmware.Build(story.Board.Setup.Build, story.Board.Setup.Version);
        story.Board.Flash.Preset(story.Board.ApplicationStart, old);
        story.Board.PressReset();
        await story.PassAsync(TimeSpan.FromMinutes(1));
        var times = 0;
        story.Operator = _ =>
        {
            if (++times == 1)
                story.Board.PressReset();
            else
                story.Printer.MoveCardTo(story.Board);
        };
        Assert.True((await FlashAsync(story)).Ok, story.Transcript);
        Assert.Contains("it installed nothing from the card", OperatorSteps(story).Last().Message, StringComparison.Ordinal);
        Assert.Contains("under a name that ends in .bin and that this board has never had", OperatorSteps(story).Last().Message,
            StringComparison.Ordinal);
    }, InjectedFaults.None);

    [Theory]
    [InlineData(CardEncoding.Chitu)]
    [InlineData(CardEncoding.SRecord)]
    public void A_file_of_another_form_is_not_taken_and_that_is_told(CardEncoding encoding) =>
        Of(Board(encoding == CardEncoding.Chitu ? ChituV6 : EzBoard), async story =>
        {
            var times = 0;
            story.Operator = _ =>
            {
                // First the plain build, as if it had been copied without the form.
                if (++times == 1)
                    story.Board.SdFirmware = story.Board.BuildFirmware();
                else
                    story.Printer.MoveCardTo(story.Board);
                Assert.Equal(times == 2, story.Board.SdFirmware is not null || story.Board.State == BoardState.Starting);
                story.Board.PressReset();
            };
            Assert.True((await FlashAsync(story)).Ok, story.Transcript);
            Assert.Equal(2, times);
            var told = OperatorSteps(story).Last().Message;
            Assert.Contains($"still runs {story.Board.Setup.Version}: it installed nothing from the card.", told, StringComparison.Ordinal);
            Assert.Contains($"If it has {story.Board.Setup.CardFile.Name}, the board did not find it", told, StringComparison.Ordinal);
        }, InjectedFaults.None);

    [Fact]
    public void An_MKS_Robin_takes_any_file_of_the_name_and_a_plain_one_is_never_called_a_success() => Of(Board(RobinE3), async story =>
    {
        using var over = new CancellationTokenSource();
        story.Operator = _ =>
        {
            story.Board.SdFirmware = story.Board.BuildFirmware();
            story.Board.PressReset();
            story.Time.Schedule(TimeSpan.FromMinutes(5), over.Cancel);
        };
        var report = (await FlashAsync(story, over.Token)).Boards[0];
        Assert.Equal(BoardState.Hung, story.Board.State);
        Assert.False(report.Ok);
        Assert.Equal(BoardCondition.Unknown, report.Condition);
    }, InjectedFaults.None);

    [Fact]
    public void A_card_that_spoils_the_file_is_not_called_ready() => Of(Board(RobinE3), async story =>
    {
        story.Operator = _ =>
        {
            story.Board.SdCard["Robin_e3.bin"] = story.Offered[0].File;
            story.Board.PressReset();
        };
        Assert.True((await FlashAsync(story)).Ok, story.Transcript);
        Assert.Null(story.Printer.Card);
        Assert.Contains(story.Events, step => step is { Kind: FlashEventKind.Warning, Message: var text }
            && text.Contains("what was read back is not the firmware", StringComparison.Ordinal));
        Assert.Contains("(2) Copy mcu/Robin_e3.bin onto a card of 32 GB or less with FAT32, as Robin_e3.bin.",
            Assert.Single(OperatorSteps(story)).Message, StringComparison.Ordinal);
    }, new() { CardSpoils = true });

    [Fact]
    public void A_board_on_a_wire_gets_its_file_and_the_steps() => Of(
        Board(RobinE3) with { Port = "ttyAMA0", IsUart = true }, async story =>
        {
            var report = (await FlashAsync(story)).Boards[0];
            Assert.Equal(("sd-card-by-hand", true), (report.Fault?.Code, report.Refused));
            Assert.Contains("(2) Robin_e3.bin is on the card at /media/card", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        }, InjectedFaults.None);

    [Theory]
    [InlineData(0x0800_0000u, null)]            // nothing below it can be a bootloader
    [InlineData(0x0800_8000u, 0x0800_5000u)]    // the bootloader of those pins starts firmware elsewhere
    public void Firmware_that_the_bootloader_would_not_start_is_refused_before_a_card_is_touched(uint start, uint? needed) => Of(
        Board(RobinE3) with { ApplicationStart = start, PinsIn = null, Stage = start == 0x0800_0000 ? BootStage.None : BootStage.Katapult },
        async story =>
        {
            var pins = new BoardFacts(FactSource.KlipperConfig, "its pins") { CardFile = RobinE3 with { ApplicationStart = needed } };
            var board = story.Known("mcu") with { Facts = [pins] };
            story.Builds = known => new(new(story.Build(known.Name), "", "", "", "", IsFromCache: false, TimeSpan.Zero), null);
            var report = (await story.FlashAsync(default, new FlashRequest(board, null) { Job = FlashJob.SdCard })).Boards[0];
            Assert.Equal(("sd-card-unknown", true), (report.Fault?.Code, report.Refused));
            Assert.Null(story.Printer.Card);
        }, InjectedFaults.None);

    [Theory]
    [InlineData("robin_E3.BIN", true)]
    [InlineData("firmware.bin", false)]
    [InlineData("Robin_e3.bin.txt", false)]
    [InlineData("update/Robin_e3.bin", false)]
    public void A_virtual_bootloader_takes_its_own_name_and_place_only(string path, bool isTaken) => Of(Board(RobinE3), async story =>
    {
        story.Board.SdCard[path] = CardEncoder.Encode(
            CardEncoding.MksRobin, story.Board.BuildFirmware(), story.Board.ApplicationStart, path);
        story.Board.PressReset();
        await story.PassAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(isTaken ? VirtualPrinter.HostVersion : story.Board.Setup.Version, story.Board.RunningFirmware?.Version);
        Assert.Equal([isTaken ? "Robin_e3.cur" : path], story.Board.SdCard.Keys);
    }, InjectedFaults.None);
}
