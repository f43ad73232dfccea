using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using static RatOS.Flash.Tests.Pure.InventoryStage;

namespace RatOS.Flash.Tests.Pure;

/// <summary>MCUs beside the boards of the configuration: probes, strangers, and boards that the settings describe.</summary>
public sealed class ForeignDeviceTests
{
    [Theory]
    [InlineData("mcu beacon", "/dev/serial/by-id/usb-Beacon_Beacon_RevH_4F1A-if00", "beacon")]
    [InlineData("mcu probe", "/dev/beacon", "beacon")]
    [InlineData("mcu scanner", "/dev/serial/by-id/usb-Cartographer_614e_16000A000543303135313420-if00", "cartographer")]
    [InlineData("mcu idm", "/dev/serial/by-id/usb-IDM_IDM_123-if00", "idm")]
    [InlineData("mcu Cartographer", null, "cartographer")]
    public void A_probe_that_brings_its_own_updater_is_listed_and_left_alone(string section, string? serial, string maker)
    {
        var printer = Of([Main, new McuSection(section) { Serial = serial, CanbusUuid = serial is null ? $"{Uuid}" : null }],
            [Octopus, Can0], power: [new("psu", false)]);
        var probe = printer.Mcus[1];
        Assert.Equal((McuOwner.OwnUpdater, null), (probe.Owner, probe.Board));
        Assert.StartsWith(maker, probe.Reason, StringComparison.Ordinal);
        Assert.Equal(["octopus"], printer.All.Select(mcu => mcu.Name));
        Assert.Empty(printer.Findings);
        Assert.Equal("not-ours", Assert.Throws<FlashException>(probe.BoardToFlash).Code);
    }

    [Fact]
    public void A_probe_that_you_describe_as_your_board_is_accepted()
    {
        var section = new McuSection("mcu scanner") { CanbusUuid = $"{Uuid}" };
        var mcu = Of([section], [Can0], described: [new PrinterBoard("scanner", Kind("btt-ebb42-12"))]).Mcus[0];
        Assert.Equal((McuOwner.Ours, "btt-ebb42-12"), (mcu.Owner, mcu.BoardToFlash().Board.Id));
    }

    [Fact]
    public void An_MCU_that_a_module_of_Klipper_brings_has_no_section_and_is_not_ours()
    {
        var printer = Of([Main], [Octopus, Beacon],
            Told(("mcu", Old, null), ("mcu beacon", "Beacon 2.1.0", "stm32g0b1xx"), ("mcu other_probe", "v1", null)));
        Assert.Equal(["octopus", "beacon", "other_probe"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal((McuOwner.OwnUpdater, Beacon, "Beacon 2.1.0"),
            (printer.Mcus[1].Owner, printer.Mcus[1].Device, printer.Mcus[1].Running));
        Assert.Equal(McuOwner.OwnUpdater, printer.Mcus[2].Owner);
        Assert.Single(printer.All);
    }

    [Fact]
    public void A_probe_with_Klippers_own_id_is_recognised_by_its_names_and_a_paper_scanner_is_not_one()
    {
        var carto = InKlipper("1-1.6", "16000A", "614e", "/dev/ttyACM6") with { Manufacturer = "Cartographer3D" };
        var paper = new Device { Port = "1-1.8", Number = 4, Usb = new UsbId(0x04a9, 0x1909), Product = "Canon Scanner" };
        var printer = Of([Main], [Octopus, carto, paper]);
        Assert.Equal(["octopus", "cartographer"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal(McuOwner.OwnUpdater, printer.Mcus[1].Owner);
    }

    [Fact]
    public void A_Klipper_that_no_section_names_is_a_stranger_and_never_among_all()
    {
        var spare = InKlipper("1-1.9", "btt-skr-3", "stm32h743xx", "/dev/ttyACM9");
        var printer = Of([Main], [Octopus, spare, Webcam, InKlipper("1-1.6", "12345", "stm32f103xe", "/dev/ttyACM6")]);
        Assert.Equal(["octopus", "btt-skr-3", "12345"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal([McuOwner.Ours, McuOwner.Foreign, McuOwner.Foreign], printer.Mcus.Select(mcu => mcu.Owner));
        Assert.Equal(["octopus"], printer.All.Select(mcu => mcu.Name));
        // Its own name selects it; an unknown name selects nothing.
        Assert.Equal("1-1.9", printer.Find("btt-skr-3").BoardToFlash().Port);
        Assert.Equal("kind-unknown", Assert.Throws<FlashException>(printer.Find("12345").BoardToFlash).Code);
    }

    [Fact]
    public void A_board_of_the_configuration_goes_before_a_stranger_of_the_same_kind()
    {
        var twin = Octopus with { Port = "1-1.9", Node = "/dev/ttyACM9", Number = 6 };
        var printer = Of([Main], [Octopus, twin]);
        Assert.Equal("1-1.1", printer.Find("btt-octopus-11").Port);
        Assert.Equal(McuOwner.Foreign, printer.Find("1-1.9").Owner);
        Assert.Equal(("1-1.1", true), (printer.Mcus[0].Board!.Port, printer.Mcus[0].Board!.OnlyByPort));
        // Without a link it could be either of the two.
        Assert.Equal("boards-alike", Of([Main], [Octopus, twin], links: []).Mcus[0].Findings[0].Code);
    }

    [Fact]
    public void Without_the_configuration_boards_are_listed_but_not_taken_for_this_printers()
    {
        var printer = Of([], [Octopus, Ebb, Beacon], Told(("mcu", Old, null)));
        Assert.Equal(["btt-octopus-11", "btt-ebb42-12", "beacon"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Empty(printer.All);
        Assert.Equal("1-1.2", printer.Find("ebb42").BoardToFlash().Port);
    }

    [Fact]
    public void A_described_board_without_a_section_is_ours_but_not_among_all()
    {
        var printer =
            Of([Main], [Octopus, Ebb], described: [new PrinterBoard("spare", Kind("btt-ebb42-12")) { Port = "1-1.2", OnlyByPort = true }]);
        Assert.Equal(["octopus", "spare"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal((McuOwner.Ours, Ebb), (printer.Mcus[1].Owner, printer.Mcus[1].Device));
        Assert.Single(printer.All);
    }

    [Fact]
    public void A_bootloader_where_the_board_was_last_seen_is_its_but_not_one_of_another_chip_nor_another_boards_Klipper()
    {
        var ports = new Dictionary<string, (string Port, string? Controller)> { ["mcu"] = ("1-1.1", null) };
        // Two boards wait: only the memory tells which is which.
        var printer = Of([Main], [Dfu("1-1.1"), Dfu("1-1.6")], Told(("mcu", Host, "stm32f446xx")), ports: ports);
        Assert.Null(printer.Mcus[0].Running);   // what Klipper told before it went there is over
        Assert.Equal(("1-1.1", "1-1.1"), (printer.Mcus[0].Device!.Port, printer.Mcus[0].Board!.Port));
        Assert.Empty(printer.Mcus[0].Findings);
        Assert.Equal(["which-bootloader"], Codes(Of([Main], [Dfu("1-1.1"), Dfu("1-1.6")]).Mcus[0]));

        Assert.Null(Of([Main], [InKatapult("1-1.1", product: "stm32g0b1xx")], ports: ports).Mcus[0].Device);
        var swapped = Of([Main], [InKlipper("1-1.1", "btt-ebb42-12", "stm32g0b1xx", "/dev/ttyACM3")], ports: ports).Mcus[0];
        Assert.Null(swapped.Device);
        Assert.Null(swapped.Board!.Port);
        // Where nothing is, it may come back.
        Assert.Equal("1-1.1", Of([Main], [], ports: ports).Mcus[0].Board!.Port);
    }

    /// <summary>Buses are numbered as the kernel finds their controllers, in another order at each start.</summary>
    [Fact]
    public void The_port_where_a_board_was_last_seen_is_one_of_its_controller()
    {
        const string Own = "0000:01:00.0", Other = "xhci-hcd.0";
        var ports = new Dictionary<string, (string Port, string? Controller)> { ["mcu"] = ("1-1.1", Own) };
        var (own, other) = (Dfu("3-1.1") with { Controller = Own }, Dfu("1-1.1") with { Controller = Other });
        Assert.Equal("3-1.1", Of([Main], [other, own], ports: ports).Mcus[0].Device?.Port);
        Assert.Equal(["which-bootloader"], Codes(Of([Main], [other, other with { Port = "1-1.6" }], ports: ports).Mcus[0]));
    }

    [Fact]
    public void Of_two_strangers_that_are_alike_neither_is_meant_by_the_name_of_their_kind()
    {
        var printer = Of([], [Octopus, InKlipper("1-1.6", "btt-octopus-11", "stm32f446xx", "/dev/ttyACM6")]);
        var fault = Assert.Throws<FlashException>(() => printer.Find("btt-octopus-11"));
        Assert.Equal("boards-alike", fault.Code);
        Assert.Contains("1-1.1, 1-1.6", fault.Cause, StringComparison.Ordinal);
        Assert.Equal("1-1.6", printer.Find("1-1.6").Port);
        Assert.Equal("1-1.1", Of([], [Octopus]).Find("btt-octopus-11").Port);
        // A board of the configuration is meant before any stranger.
        Assert.Equal("mcu", Of([Main], [Octopus, InKlipper("1-1.6", "btt-octopus-11", "stm32f446xx", "/dev/ttyACM6")])
            .Find("btt-octopus-11").Section);
    }

    [Fact]
    public void What_the_running_board_says_of_its_wires_is_handed_on()
    {
        var told = new KlippyEvidence(Host, new Dictionary<string, McuEvidence>
        {
            ["mcu head"] =
                new(Old, "stm32g0b1xx")
                {
                    Constants =
                    new Dictionary<string, string> { ["CANBUS_FREQUENCY"] = "500000", ["RESERVE_PINS_CAN"] = "PB0,PB1" }
                },
        });
        var head = Of([new McuSection("mcu head") { CanbusUuid = $"{Uuid}" }], [Can0], told).Mcus[0];
        Assert.Equal(new BuildTransport(BuildLink.Can, "PB0_PB1", 500_000), head.Board!.RunningLink);
    }

    [Fact]
    public void A_description_of_the_only_board_of_its_kind_is_that_board_and_keeps_what_it_says()
    {
        var mine = new PrinterBoard("brain", Kind("btt-octopus-11")) { Bootloader = Drivers.Find("katapult") };
        var printer = Of([Main], [Octopus], described: [mine]);
        Assert.Equal("katapult", Assert.Single(printer.Mcus).Board!.Bootloader?.Name);
        Assert.Equal("brain", printer.Find("octopus").Name);
    }

    [Fact]
    public void A_name_that_is_taken_gives_way_to_the_section_and_is_noted()
    {
        var printer =
            Of([Main, new McuSection("mcu octopus") { Serial = "/dev/ttyACM1" }, new McuSection("mcu OCTOPUS") { Serial = "/dev/ttyAMA0" }],
                [Octopus, Ebb]);
        Assert.Equal(["mcu", "octopus", "mcu OCTOPUS"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal("name-taken", printer.Mcus[0].Findings[0].Code);
        Assert.Equal(printer.Mcus.Length, printer.Mcus.Select(mcu => mcu.Board!.Name).Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.Equal("1-1.2", printer.Find("octopus").Port);
        // Two strangers of one kind have names of their own too.
        var twins = Of([], [Octopus, Octopus with { Port = "1-1.9", Node = "/dev/ttyACM9" }]);
        Assert.Equal(["btt-octopus-11", "btt-octopus-11 (2)"], twins.Mcus.Select(mcu => mcu.Board!.Name));
    }

    [Fact]
    public void A_board_on_a_wire_is_known_by_its_port_and_its_chip()
    {
        Device wire = new() { Port = "ttyAMA0", Number = 3, Node = "/dev/ttyAMA0" },
            adapter = new() { Port = "1-1.3", Number = 4, Usb = new UsbId(0x1a86, 0x7523), Product = "USB Serial", Node = "/dev/ttyUSB0" };
        var printer = Of(
            [new McuSection("mcu") { Serial = "/dev/ttyAMA0", Baud = "250000" }, new McuSection("mcu far") { Serial = "/dev/ttyUSB0" }],
            [wire, adapter], Told(("mcu", Old, "stm32f446xx")));
        Assert.Equal(["mcu", "far"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal(("ttyAMA0", true, "UART", "stm32f446xx"),
            (printer.Mcus[0].Board!.Port, printer.Mcus[0].Board!.OnlyByPort, printer.Mcus[0].Board!.Board.Comm, printer.Mcus[0].Chip));
        Assert.All(printer.Mcus, mcu => Assert.Equal(["kind-unknown"], Codes(mcu)));
        Assert.Equal("1-1.3", printer.Mcus[1].Port);
    }

    [Fact]
    public void Names_from_outside_reach_no_terminal_raw()
    {
        var printer = Of([new McuSection("mcu a\u001b[31m") { Serial = "/dev/\u001b[2J" }], [],
            Told(("mcu x\u0007", "v\u0007", null)), links: []);
        Assert.DoesNotContain(printer.Mcus.SelectMany(mcu => (IEnumerable<string>)[mcu.Name, mcu.Reason, mcu.Port ?? "", .. mcu.Aliases,
                .. mcu.Findings.Select(finding => finding.Text + finding.Remedy)]), text => text.Any(char.IsControl));
    }
}
