using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Tests.Corpus;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Virtual boards that are made from what they are, of chips that the catalogue's boards do not have.</summary>
[VirtualOnly("boards that are in no list of scenarios")]
public sealed class AnyChipStories
{
    private static readonly FirmwareLink Can500 = new(FirmwareLinkKind.Can, "PB0,PB1", 500_000);

    private static readonly Device Adapter = new() { Port = "1-1.5", Number = 0, Usb = UsbId.KlipperCanBridge, Serial = "0033" };

    public static TheoryData<string, uint, string, string> Boards => new()
    {
        { "STM32F401", 0x0800_8000, "1-1.1", "usb" },
        { "STM32F103", 0x0800_2000, "1-1.1", "usb" },
        { "STM32F042", 0x0800_1000, "can0", "can" },
        { "STM32G0B1", 0x0800_2000, "can0", "can" },
        { "STM32G431", 0x0800_2000, "can0", "can" },
        { "STM32H743", 0x0802_0000, "1-1.1", "usb" },
        { "STM32F405", 0x0800_8000, "ttyAMA0", "uart" },
        { "RP2040", 0x1000_4000, "1-1.1", "usb" },
    };

    [Fact]
    public void An_LPC_whose_boot_area_holds_Katapult_is_flashed_by_it()
    {
        var truth = new BoardTruth { Machine = "LPC1768", Start = 0x4000, Bootloader = BootStage.Katapult };
        var (fault, wrong, isBuilt) = new CorpusBoard(truth, "1-1.1").Flash();
        Assert.Equal((null, true), (fault?.Cause, isBuilt));
        Assert.Empty(wrong);
    }

    [Theory]
    [MemberData(nameof(Boards))]
    public void A_board_in_no_catalogue_is_flashed_by_Katapult_when_its_facts_are_known(
        string machine, uint start, string port, string link)
    {
        var truth = new BoardTruth
        {
            Machine = machine,
            Start = start,
            Bootloader = BootStage.Katapult,
            Link = link switch { "can" => Can500, "uart" => new(FirmwareLinkKind.Uart, "PA3,PA2", 115_200), _ => null },
        };
        var scenario = new Scenario("any chip", "one board", truth.At("mcu", port))
        {
            CanBitrate = 500_000,
            CanAdapterPort = link == "can" ? "1-1.5" : null,
            OtherDevices = link == "can" ? [Adapter] : [],
        };
        Story.Of(scenario, InjectedFaults.None, async story =>
        {
            var known = story.Known("mcu");
            known = known with { Board = known.Board with { McuName = truth.Chip.Name, FlashStartEffective = $"0x{start:x}" } };
            var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(known, story.Build("mcu")))).Boards.Single();
            Assert.True(report.Fault is null, $"{report.Fault?.Code}: {report.Fault?.Cause}");
            Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
            Assert.True(story.Board.IsBootAreaIntact);
        });
    }
}
