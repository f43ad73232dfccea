using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The roads of boards on CAN.</summary>
public sealed class CanPlanTests
{
    private static readonly CanUuid Uuid = CanUuid.OfChip("HOSTPEER-001"u8);
    private static readonly Device Can0 = new() { Port = "can0", Number = 3, Can = new CanLink(true, 1_000_000, "1-1.1") };
    private static readonly Device Adapter =
        new() { Port = "1-1.1", Number = 2, Usb = UsbId.KlipperCanBridge, Serial = Convert.ToHexString("HOSTPEER-001"u8) };

    private static PrinterBoard Ebb(CanUuid? uuid = null) =>
        new("ebb42", BoardCatalogue.BuiltIn.Find("btt-ebb42-12")! with { FlashStartEffective = "0x8002000" }) { CanUuid = uuid ?? Uuid };

    private static PrinterBoard Octopus => new("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!) { CanUuid = Uuid };

    private static FirmwareImage Image(FirmwareLink link) =>
        FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, "v0.13.0", link: link), "klipper.bin");

    private static BoardPlan Plan(PrinterBoard board, FirmwareImage? image, BoardEvidence? evidence, params Device[] devices) =>
        FlashPlan.Create(
        [new FlashRequest(board, image)], new DeviceList(1, [.. devices]), new KlippyState(KlippyActivity.Stopped),
        evidence is null ? null : new Dictionary<string, BoardEvidence> { [board.Name] = evidence }).Boards[0];

    [Fact]
    public void A_node_goes_by_a_request_to_Katapult_and_one_that_answers_from_there_waits()
    {
        var plan = Plan(Ebb(), Image(FirmwareLink.Can), null, Can0);
        Assert.Equal((FlashEntry.CanRequest, "katapult", false, false),
            (plan.Entry, plan.Bootloader?.Name, plan.IsCanBridge, plan.IsBlocked));
        Assert.Equal("Klipper on CAN -> Katapult on CAN -> write", plan.Route);
        var waits = Plan(Ebb(), Image(FirmwareLink.Can), null, Can0, Can0 with { CanNode = new(Uuid, InBootloader: true) });
        Assert.Equal((FlashEntry.InBootloader, "katapult"), (waits.Entry, waits.Bootloader?.Name));
        Assert.Equal(FlashEntry.CanRequest, Plan(Ebb(), null, null, Can0, Can0 with { CanNode = new(Uuid, InBootloader: false) }).Entry);
    }

    /// <summary>As in README: the catalogue's entry is for a board on USB, without a bootloader.</summary>
    [Fact]
    public void A_kind_without_bootloader_is_flashed_by_the_Katapult_that_its_firmware_is_for()
    {
        var board = new PrinterBoard("btt-ebb42-12", BoardCatalogue.BuiltIn.Find("btt-ebb42-12")!) { CanUuid = Uuid };
        var image = Image(FirmwareLink.Can);
        var asked = Plan(board, image, null, Can0);
        Assert.Equal((null, FlashEntry.CanRequest), (asked.Blocker?.Code, asked.Entry));
        var waits = Plan(board, image, null, Can0, Can0 with { CanNode = new(Uuid, InBootloader: true) });
        Assert.Equal((null, FlashEntry.InBootloader, 0x0800_2000u),
            (waits.Blocker?.Code, waits.Entry, waits.Profile.ApplicationStart!.Value));
        // The board's own word ends it.
        var without = new BoardEvidence("v0.12.0", "stm32g0b1xx", new ChipEvidence { Katapult = false });
        Assert.Equal("can-no-katapult", Plan(board, image, without, Can0).Blocker?.Code);
        var bytes = VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_0000, "v0.13.0", link: FirmwareLink.Can);
        Assert.Equal("can-no-katapult", Plan(board, FirmwareImage.Parse(bytes, "klipper.bin"), null, Can0).Blocker?.Code);
    }

    [Fact]
    public void A_bridge_is_known_by_its_adapters_serial_by_its_image_or_by_its_own_word()
    {
        Assert.True(Plan(Octopus, null, null, Can0, Adapter).IsCanBridge);
        Assert.True(Plan(Octopus, null, null, Can0, Adapter with { Serial = "btt-octopus-11" }).IsCanBridge);
        Assert.False(Plan(Octopus, null, null, Can0, Adapter with { Serial = "0033002E4D4D5015" }).IsCanBridge);
        Assert.True(Plan(Ebb(), Image(FirmwareLink.CanBridge), null, Can0, Adapter with { Serial = "whatever" }).IsCanBridge);
        Assert.False(Plan(Octopus, null, new BoardEvidence("v0.12.0", "stm32f446xx", null), Can0, Adapter).IsCanBridge);
        Assert.True(Plan(Octopus, null, new BoardEvidence("v0.12.0", "stm32f446xx", null) { IsCanBridge = true }, Can0).IsCanBridge);
    }

    [Theory]
    [InlineData(true, "katapult")]
    [InlineData(false, "dfu-se")]
    public void A_bridges_bootloader_is_on_USB_and_its_boot_area_tells_which(bool katapult, string expected)
    {
        var evidence =
            new BoardEvidence("v0.12.0", "stm32f446xx", new ChipEvidence { Katapult = katapult, IdCode = 0x421 }) { IsCanBridge = true };
        var plan = Plan(Octopus, null, evidence, Can0, Adapter);
        Assert.Equal((FlashEntry.CanRequest, expected, "1-1.1"), (plan.Entry, plan.Bootloader?.Name, plan.BootloaderPort));
    }

    [Fact]
    public void Two_boards_of_one_bus_are_two_and_have_two_numbers_whatever_their_uuids()
    {
        // Numbers are folded out of uuids: these two fold to the same.
        var (first, second) = (CanUuid.Read([7, 0, 0, 0, 0, 0]), CanUuid.Read([67, 0, 0, 0, 0, 0]));
        Assert.Equal(first.Fold(BoardPlan.Numbers), second.Fold(BoardPlan.Numbers));
        var plan = FlashPlan.Create([new(Ebb(first), null), new(Ebb(second) with { Name = "ebb42-2" }, null)], new DeviceList(1, [Can0]),
            new KlippyState(KlippyActivity.Ready));
        Assert.False(plan.IsBlocked);
        Assert.Equal(4, plan.Boards.SelectMany(board => new[] { board.KlipperNumber, board.BootloaderNumber }).Distinct().Count());
        Assert.Equal("same-port", Assert.Single(FlashPlan.Create(
            [new(Ebb(first), null), new(Ebb(first) with { Name = "ebb42-2" }, null)], new DeviceList(1, [Can0]),
            new KlippyState(KlippyActivity.Ready)).Findings).Code);
    }

    [Fact]
    public void Katapults_and_Klippers_numbers_never_meet_nor_do_klippys()
    {
        Assert.True(BoardPlan.FirstKlipperNumber + BoardPlan.Numbers <= BoardPlan.FirstBootloaderNumber);
        Assert.True(BoardPlan.FirstBootloaderNumber + BoardPlan.Numbers <= byte.MaxValue);
        Assert.True(CanLine.FromNode((byte)(BoardPlan.FirstBootloaderNumber + BoardPlan.Numbers)) < CanAdmin.ToNodes);
    }

    [Theory]
    [InlineData("can-down", true, 0)]
    [InlineData("can-missing", false, 0)]
    [InlineData("can-uuid-twice", true, 2)]
    public void Obstacles_of_a_board_on_CAN_are_reported(string code, bool isThere, int answers)
    {
        var can = answers == 0 ? Can0 with { Can = Can0.Can! with { IsUp = false } } : Can0;
        Device[] seen = isThere
            ? [can, .. Enumerable.Repeat(can with { CanNode = new CanNode(Uuid, InBootloader: true) }, answers)] : [Adapter];
        Assert.Equal(code, Plan(Ebb(), null, null, seen).Blocker?.Code);
    }

    [Fact]
    public void A_build_for_another_line_or_bitrate_is_refused()
    {
        Assert.Equal("can-other-firmware", Plan(Ebb(), Image(FirmwareLink.Usb), null, Can0).Blocker?.Code);
        Assert.Equal("can-other-firmware",
            Plan(Ebb(), Image(FirmwareLink.CanBridge), new BoardEvidence("v0.12.0", "stm32g0b1xx", null), Can0).Blocker?.Code);
        Assert.Equal("can-firmware-bitrate",
            Plan(Ebb(), Image(FirmwareLink.Can), null, Can0 with { Can = new CanLink(true, 500_000, null) }).Blocker?.Code);
        Assert.Null(Plan(Ebb(), Image(FirmwareLink.Can), null, Can0 with { Can = new CanLink(true, null, null) }).Blocker);
    }

    [Fact]
    public void A_board_without_Katapult_in_its_boot_area_cannot_be_flashed_over_CAN() =>
        Assert.Equal("can-no-katapult",
            Plan(Ebb(), null, new BoardEvidence("v0.12.0", "stm32g0b1xx", new ChipEvidence { Katapult = false }), Can0).Blocker?.Code);

    [Fact]
    public void A_bridge_in_Katapult_is_known_by_the_serial_from_which_its_uuid_follows()
    {
        var waiting =
            new Device
            {
                Port = "1-1.4",
                Number = 9,
                Usb = KatapultDriver.Id,
                Serial = Convert.ToHexString("HOSTPEER-001"u8),
                Product = "stm32f446xx"
            };
        var plan = Plan(Octopus, null, null, waiting);
        Assert.Equal((FlashEntry.InBootloader, "katapult", waiting), (plan.Entry, plan.Bootloader?.Name, plan.Device));
        Assert.Equal("can-missing",
            Plan(Octopus, null, null, waiting with { Serial = Convert.ToHexString("HOSTPEER-002"u8) }).Blocker?.Code);
    }
}
