using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Firmware must speak over the link that the board has.</summary>
public sealed class LinkPlanTests
{
    private static readonly CanUuid Uuid = CanUuid.OfChip("HOSTPEER-001"u8);

    private static readonly Device OnUsb = new()
    {
        Port = "1-1.1",
        Number = 5,
        Usb = UsbId.Klipper,
        Serial = "btt-octopus-11",
        Product = "stm32f446xx",
        Node = "/dev/ttyACM0",
    };

    private static readonly Device Waiting = OnUsb with { Usb = KatapultDriver.Id, Serial = "2A0037000C51383138383538" };
    private static readonly Device OnWire = new() { Port = "ttyAMA0", Number = 6, Node = "/dev/ttyAMA0" };
    private static readonly Device Can0 = new() { Port = "can0", Number = 7, Can = new CanLink(true, 1_000_000, null) };
    private static readonly Device Bridge = Can0 with { Can = new CanLink(true, 1_000_000, "1-1.1") };

    private static readonly Device Adapter =
        new() { Port = "1-1.1", Number = 8, Usb = UsbId.KlipperCanBridge, Serial = Convert.ToHexString("HOSTPEER-001"u8) };

    private static FirmwareLink Link(string name) => name switch
    {
        "usb" => FirmwareLink.Usb,
        "usb-pb14" => FirmwareLink.Usb with { Pins = null },
        "uart" => FirmwareLink.Uart,
        "uart-115200" => FirmwareLink.Uart with { Rate = 115_200 },
        "uart-usart2" => FirmwareLink.Uart with { Pins = "PA3,PA2" },
        "can" => FirmwareLink.Can,
        "can-500000" => FirmwareLink.Can with { Rate = 500_000 },
        "can-pb0" => FirmwareLink.Can with { Pins = "PB0,PB1" },
        _ => FirmwareLink.CanBridge,
    };

    private static FirmwareImage Image(string link) =>
        FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0", link: Link(link)), "klipper.bin");

    private static PrinterBoard Octopus(string place, params (string, string)[] told)
    {
        var board = new PrinterBoard("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!)
        {
            Facts = told.Length == 0 ? [] : [BoardFacts.OfFirmware("stm32f446xx", told.ToDictionary(one => one.Item1, one => one.Item2))],
        };
        return place switch
        {
            "can" or "bridge" => board with { CanUuid = Uuid, Port = null },
            "uart" => board with { Port = "ttyAMA0" },
            _ => board with { Port = "1-1.1" },
        };
    }

    private static BoardPlan Plan(PrinterBoard board, FirmwareImage? image, LinkChange? change, params Device[] devices) =>
        FlashPlan.Create([new FlashRequest(board, image) { LinkChange = change }], new DeviceList(1, [.. devices]),
            new(KlippyActivity.Stopped)).Boards[0];

    private static Device[] At(string place) => place switch
    {
        "usb" => [OnUsb],
        "katapult" => [Waiting],
        "uart" => [OnWire],
        "can" => [Can0],
        _ => [Bridge, Adapter],
    };

    [Theory]
    [InlineData("usb", "usb", null)]
    [InlineData("usb", "uart", "firmware-other-link")]
    [InlineData("usb", "can", "firmware-other-link")]
    [InlineData("usb", "bridge", "firmware-other-link")]
    [InlineData("katapult", "usb", null)]
    [InlineData("katapult", "uart", "firmware-other-link")]
    [InlineData("katapult", "can", "firmware-other-link")]
    [InlineData("uart", "uart", null)]
    [InlineData("uart", "usb", "firmware-other-link")]
    [InlineData("uart", "can", "firmware-other-link")]
    [InlineData("can", "can", null)]
    [InlineData("can", "can-500000", "can-firmware-bitrate")]
    [InlineData("can", "usb", "can-other-firmware")]
    [InlineData("can", "uart", "can-other-firmware")]
    [InlineData("can", "bridge", "can-other-firmware")]
    [InlineData("bridge", "bridge", null)]
    [InlineData("bridge", "can", "can-other-firmware")]
    [InlineData("bridge", "usb", "can-other-firmware")]
    public void Firmware_for_another_link_than_the_boards_is_refused(string place, string link, string? code) =>
        Assert.Equal(code, Plan(Octopus(place), Image(link), null, At(place)).Blocker?.Code);

    [Theory]
    [InlineData("uart", "uart-115200", "firmware-other-link", "RESERVE_PINS_serial=PA10,PA9", "SERIAL_BAUD=250000")]
    [InlineData("uart", "uart-usart2", "firmware-other-link", "RESERVE_PINS_serial=PA10,PA9", "SERIAL_BAUD=250000")]
    [InlineData("uart", "uart-115200", null, "RESERVE_PINS_serial=PA10,PA9", "SERIAL_BAUD=115200")]
    [InlineData("uart", "uart-115200", null)]
    [InlineData("can", "can-pb0", "can-other-firmware", "RESERVE_PINS_CAN=PB8,PB9", "CANBUS_FREQUENCY=1000000")]
    [InlineData("can", "can-pb0", null, "RESERVE_PINS_CAN=PB0,PB1", "CANBUS_FREQUENCY=1000000")]
    [InlineData("usb", "usb", "firmware-other-link", "RESERVE_PINS_USB1=PB14,PB15")]
    [InlineData("usb", "usb", null, "RESERVE_PINS_USB=PA11,PA12")]
    [InlineData("katapult", "uart", null, "RESERVE_PINS_serial=PA10,PA9", "SERIAL_BAUD=250000")]   // Katapult's own link says nothing
    public void Pins_and_rate_of_the_running_firmware_count_as_well(string place, string link, string? code, params string[] constants)
    {
        var told = constants.Select(constant => constant.Split('=')).Select(pair => (pair[0], pair[1])).ToArray();
        Assert.Equal(code, Plan(Octopus(place, told), Image(link), null, At(place)).Blocker?.Code);
    }

    [Fact]
    public void The_refusal_names_both_links_their_source_and_the_change_that_may_be_meant()
    {
        var refusal = Plan(Octopus("usb"), Image("can"), null, OnUsb).Blocker!;
        Assert.Equal("The firmware for octopus communicates over CAN at 1000000 bit/s on PB8_PB9, but the board is on USB "
            + "(according to its port 1-1.1): it would not be reachable.", refusal.Cause);
        Assert.Contains("--change-link usb:can", refusal.Remedy.ToString(), StringComparison.Ordinal);
        // This change cannot be followed.
        Assert.DoesNotContain("--change-link", $"{Plan(Octopus("usb"), Image("uart"), null, OnUsb).Blocker!.Remedy}",
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("usb", "can", "usb:can", null)]
    [InlineData("usb", "bridge", "usb:bridge", null)]
    [InlineData("usb", "bridge", "usb:can", "firmware-other-link")]
    [InlineData("usb", "usb", "usb:can", "firmware-other-link")]
    [InlineData("usb", "can-500000", "usb:can", "can-firmware-bitrate")]
    [InlineData("can", "usb", "can:usb", null)]
    [InlineData("can", "usb", "bridge:usb", "firmware-other-link")]
    [InlineData("bridge", "usb", "bridge:usb", null)]
    public void A_change_of_link_is_let_through_where_it_is_the_very_one_that_was_named(
        string place, string link, string change, string? code)
    {
        Device[] seen = place == "usb" ? [OnUsb, Can0] : At(place);
        Assert.Equal(code, Plan(Octopus(place), Image(link), LinkChange.Known[change], seen).Blocker?.Code);
    }

    [Fact]
    public void A_move_to_CAN_needs_an_interface_that_is_up()
    {
        var change = LinkChange.Known["usb:can"];
        Assert.Equal("can-missing", Plan(Octopus("usb"), Image("can"), change, OnUsb).Blocker?.Code);
        Assert.Equal("can-down",
            Plan(Octopus("usb"), Image("can"), change, OnUsb, Can0 with { Can = new CanLink(false, null, null) }).Blocker?.Code);
    }

    [Fact]
    public void A_named_change_of_link_overrides_neither_chip_nor_start()
    {
        var (change, other) = (LinkChange.Known["usb:can"], Link("can"));
        var chip = FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F407, 0x0800_8000, "v1", link: other), "klipper.bin");
        var start = FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_0000, "v1", link: other), "klipper.bin");
        Assert.Equal("firmware-wrong-mcu", Plan(Octopus("usb"), chip, change, OnUsb, Can0).Blocker?.Code);
        Assert.Equal("firmware-wrong-offset", Plan(Octopus("usb"), start, change, OnUsb, Can0).Blocker?.Code);
    }

    /// <summary>The running firmware is asked after the first plan; its answer counts before what Klipper reported.</summary>
    [Fact]
    public void The_answer_of_the_board_decides()
    {
        var evidence = new BoardEvidence("v0.12.0", "stm32f446xx", null)
        {
            Constants = new Dictionary<string, string> { ["RESERVE_PINS_USB1"] = "PB14,PB15", ["MCU"] = "stm32f446xx" },
        };
        var plan = FlashPlan.Create([new FlashRequest(Octopus("usb"), Image("usb"))], new DeviceList(1, [OnUsb]),
            new(KlippyActivity.Stopped), new Dictionary<string, BoardEvidence> { ["octopus"] = evidence }).Boards[0];
        Assert.Equal("firmware-other-link", plan.Blocker?.Code);
    }

    [Fact]
    public void A_build_for_another_link_than_the_boards_is_refused_before_it_is_built()
    {
        var chosen = BoardFacts.OfConfig(new Dictionary<string, string> { ["CANSERIAL"] = "y", ["CANBUS_FREQUENCY"] = "1000000" });
        Assert.Equal("firmware-other-link", Plan(Octopus("usb") with { Facts = [chosen] }, null, null, OnUsb).Blocker?.Code);
        Assert.Null(Plan(Octopus("usb") with { Facts = [chosen] }, null, LinkChange.Known["usb:can"], OnUsb, Can0).Blocker);
    }
}
