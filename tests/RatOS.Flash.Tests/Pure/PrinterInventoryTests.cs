using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using static RatOS.Flash.Tests.Pure.InventoryStage;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Which MCUs a printer has, from what its configuration, its buses and Klipper say.</summary>
public sealed class PrinterInventoryTests
{
    [Fact]
    public void A_RatOS_printer_is_known_without_a_configuration_of_RatOS_Flash()
    {
        var printer = Of([Main, Tool, Pi], [Octopus, Ebb, Webcam],
            Told(("mcu", Old, "stm32f446xx"), ("mcu toolboard_t0", Host, "stm32g0b1xx"), ("mcu rpi", Old, "linux")));
        Assert.Equal(["octopus", "toolboard_t0", "rpi"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal(["btt-octopus-11", "btt-ebb42-12", "klipper_host_mcu"], printer.Mcus.Select(mcu => mcu.Kind!.Id));
        Assert.Equal(["1-1.1", "1-1.2", "/tmp/klipper_host_mcu"], printer.Mcus.Select(mcu => mcu.Port));
        Assert.Equal([Old, Host, Old], printer.Mcus.Select(mcu => mcu.Running));
        Assert.Equal(["stm32f446xx", "stm32g0b1xx", "linux"], printer.Mcus.Select(mcu => mcu.Chip));
        Assert.All(printer.Mcus, mcu => Assert.Equal((McuOwner.Ours, Host), (mcu.Owner, mcu.Host)));
        Assert.Empty(printer.Findings);
        Assert.Equal(printer.Mcus, printer.All);
        var tool = printer.Mcus[1].Board!;
        Assert.Equal(("toolboard_t0", "btt-ebb42-12-t0", "1-1.2", false, Host),
            (tool.Name, tool.Serial, tool.Port, tool.OnlyByPort, tool.RunningVersion));
    }

    /// <summary>Where the list shows it, the flash looks for it as well.</summary>
    [Theory]
    [InlineData("/tmp/klipper_host_mcu")]
    [InlineData("/run/klipper/host")]
    public void The_terminal_of_a_process_is_where_the_configuration_has_it(string serial)
    {
        var printer = Of([Main, Pi with { Serial = serial }], [Octopus], Told(("mcu", Old, "stm32f446xx"), ("mcu rpi", Old, "linux")));
        var pi = printer.Find("rpi");
        Assert.Equal((serial, serial), (pi.Port, HostMcu.TerminalOf(pi.Board!).Node));
        var request = new FlashRequest(pi.Board!, null);
        var plan = FlashPlan.Create([request], new DeviceList(1, []), new(Klipper.KlippyActivity.Ready)).Boards[0];
        Assert.Equal((FlashEntry.Replace, null), (plan.Entry, plan.Blocker?.Code));
    }

    [Theory]
    [InlineData("octopus", "octopus")]
    [InlineData("OCTOPUS", "octopus")]
    [InlineData("mcu", "octopus")]
    [InlineData("btt-octopus-11", "octopus")]
    [InlineData("toolboard_t0", "toolboard_t0")]
    [InlineData("mcu toolboard_t0", "toolboard_t0")]
    [InlineData("MCU Toolboard_T0", "toolboard_t0")]
    [InlineData("ebb42", "toolboard_t0")]
    [InlineData("btt-ebb42-12", "toolboard_t0")]
    [InlineData("btt-ebb42-12-t0", "toolboard_t0")]
    [InlineData("t0", "toolboard_t0")]
    [InlineData("pi", "rpi")]
    [InlineData("rpi", "rpi")]
    [InlineData("host", "rpi")]
    [InlineData(" octopus ", "octopus")]
    public void A_board_is_found_by_any_name_that_people_use(string typed, string name) =>
        Assert.Equal(name, Of([Main, Tool, Pi], [Octopus, Ebb]).Find(typed).Name);

    [Fact]
    public void An_unknown_name_gets_suggestions_and_an_ambiguous_one_the_boards_that_bear_it()
    {
        var printer = Of([Main, Tool, Tool with { Name = "mcu toolboard_t1", Serial = "/dev/RatOS/btt-ebb42-12-t1" }], [Octopus, Ebb]);
        var unknown = Assert.Throws<FlashException>(() => printer.Find("octupos\n"));
        Assert.Equal("unknown-board", unknown.Code);
        Assert.Contains("Did you mean octopus", unknown.Cause, StringComparison.Ordinal);
        var ambiguous = Assert.Throws<FlashException>(() => printer.Find("EBB42"));
        Assert.Equal("ambiguous-board", ambiguous.Code);
        Assert.Contains("toolboard_t0, toolboard_t1", ambiguous.Cause, StringComparison.Ordinal);
        Assert.Equal("toolboard_t1", printer.Find("t1").Name);
    }

    [Theory]
    [InlineData("/dev/RatOS/btt-octopus-11", true)]
    [InlineData("/dev/btt-octopus-11", true)]
    [InlineData("/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00", true)]
    [InlineData("/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1:1.0", true)]
    [InlineData("/dev/ttyACM0", true)]
    [InlineData("/dev/RatOS/btt-octopus-11", false)]
    [InlineData("/dev/btt-octopus-11", false)]
    [InlineData("/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00", false)]
    [InlineData("/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1:1.0", false)]
    public void Every_way_to_write_a_port_leads_to_the_board_with_its_link_or_by_its_words_alone(string path, bool hasLinks)
    {
        var mcu = Of([Main with { Serial = path }], [Octopus, Ebb], links: hasLinks ? Links : []).Mcus[0];
        Assert.Equal((Octopus, "octopus", "btt-octopus-11"), (mcu.Device, mcu.Name, mcu.Board!.Serial));
        // Who named the port means whatever is there.
        Assert.Equal(path.Contains("by-path", StringComparison.Ordinal) || path.Contains("tty", StringComparison.Ordinal),
            mcu.Board.OnlyByPort);
    }

    [Fact]
    public void Links_that_lead_to_each_other_end_the_search() =>
        Assert.Null(Of([Main with { Serial = "/dev/serial/by-path/a" }], [Octopus],
            links: [new("/dev/serial/by-path/a", "/dev/serial/by-path/b"),
                new("/dev/serial/by-path/b", "/dev/serial/by-path/a")]).Mcus[0].Device);

    [Fact]
    public void A_board_that_is_not_there_is_said_to_be_missing_and_keeps_its_kind()
    {
        var mcu = Of([Main], [Webcam], links: []).Mcus[0];
        Assert.Equal(("octopus", null, "/dev/RatOS/btt-octopus-11", "stm32f446xx"), (mcu.Name, mcu.Device, mcu.Port, mcu.Chip));
        var finding = Assert.Single(mcu.Findings);
        Assert.Equal((FindingSeverity.Blocker, "board-not-seen"), (finding.Severity, finding.Code));
        Assert.Contains("Webcam", finding.Text, StringComparison.Ordinal);
    }

    /// <summary>A section of ratos-flash.conf with nothing but a power device: the kind is detected as without it.</summary>
    [Theory]
    [InlineData("mcu")]
    [InlineData("octopus")]
    public void A_board_that_is_described_without_a_kind_keeps_the_kind_that_is_detected(string name)
    {
        PrinterBoard[] described = [new(name, Board.Unknown(name)) { Power = "psu" }];
        var mcus = Of([Main, Pi], [Octopus], described: described).Mcus;
        Assert.Equal(["btt-octopus-11", "klipper_host_mcu"], mcus.Select(mcu => mcu.Kind?.Id));
        Assert.Contains("described in ratos-flash.conf", mcus[0].Reason, StringComparison.Ordinal);
        Assert.Equal("stm32f446xx", mcus[0].Board!.Profile.Chip!.Value);
    }

    [Fact]
    public void A_board_without_power_is_reported_with_the_power_device_that_is_off()
    {
        PowerDevice[] power = [new("light", false), new("psu", false)];
        PrinterBoard[] described = [new("mcu", Kind("btt-octopus-11")) { Power = "psu" }];
        var finding = Assert.Single(Of([Main], [], links: [], power: power, described: described).Mcus[0].Findings);
        Assert.Equal("no-power", finding.Code);
        Assert.Contains("'psu'", finding.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("light", finding.Text, StringComparison.Ordinal);
        // A board that is there has power, whatever is off.
        Assert.Empty(Of([Main], [Octopus], power: power).Findings);
    }

    [Fact]
    public void The_only_bootloader_that_can_be_a_missing_boards_is_its_and_said_to_be_assumed()
    {
        var mcu = Of([Main, Tool], [Ebb, Dfu("1-1.1")], links: []).Mcus[0];
        Assert.Equal(("1-1.1", "1-1.1"), (mcu.Port, mcu.Board!.Port));
        Assert.Equal((FindingSeverity.Warning, "bootloader-assumed"), (mcu.Findings[0].Severity, Assert.Single(Codes(mcu))));
        // The plan takes it from there.
        Assert.False(FlashPlan.Create([new(mcu.Board, null)], new DeviceList(1, [Ebb, Dfu("1-1.1")]),
                new(RatOS.Flash.Klipper.KlippyActivity.Error)).IsBlocked);
    }

    [Fact]
    public void When_two_fit_nothing_is_guessed()
    {
        // Two bootloaders for one board, and two boards for one bootloader.
        var two = Of([Main], [Dfu("1-1.1"), Dfu("1-1.2", serial: "3")], links: []);
        Assert.Equal(["which-bootloader"], Codes(two.Mcus[0]));
        Assert.Null(two.Mcus[0].Device);
        Assert.Equal(2, two.Mcus.Count(mcu => mcu.Owner == McuOwner.Foreign));
        var spider = new McuSection("mcu second") { Serial = "/dev/RatOS/fysetc-spider" };
        var both = Of([Main, spider], [Dfu("1-1.1")], links: []);
        Assert.All(both.Mcus.Take(2), mcu => Assert.Equal(["which-bootloader"], Codes(mcu)));
        Assert.All(both.Mcus.Take(2), mcu => Assert.Null(mcu.Board!.Port));
    }

    [Fact]
    public void The_ROMs_name_and_Katapults_chip_tell_boards_apart()
    {
        var printer = Of([Main, Tool], [Dfu("1-1.1", "DFU in FS Mode"), InKatapult("1-1.2")], links: []);
        Assert.Equal(["1-1.2", "1-1.1"], printer.Mcus.Select(mcu => mcu.Port));
        Assert.Equal(["board-not-seen"], Codes(Of([Main], [InKatapult("1-1.2", product: "stm32g0b1xx")], links: []).Mcus[0]));
        Assert.Equal(["board-not-seen"],
            Codes(Of([Main], [new Device { Port = "1-1.2", Number = 3, Usb = PicobootDriver.Rp2040 }], links: []).Mcus[0]));
    }

    [Fact]
    public void A_serial_that_follows_from_the_chip_proves_whose_bootloader_it_is()
    {
        var section = Main with { Serial = $"/dev/serial/by-id/usb-Klipper_stm32f446xx_{OctopusUid}-if00" };
        Device[] devices = [InKatapult("1-1.2", "FFFFFFFFFFFFFFFFFFFFFFFF"), InKatapult("1-1.3")];
        var mcu = Of([section], devices, links: []).Mcus[0];
        Assert.Equal("1-1.3", mcu.Port);
        Assert.DoesNotContain("bootloader-assumed", Codes(mcu));
        var rom = new DfuSeDriver().SerialOf(new RatOS.Flash.Klipper.ChipEvidence { Uid = Convert.FromHexString(OctopusUid) })!;
        Assert.Equal("1-1.5", Of([section], [Dfu("1-1.4"), Dfu("1-1.5", serial: rom)], links: []).Mcus[0].Port);
    }

    [Fact]
    public void A_board_known_by_its_port_is_looked_for_there_alone()
    {
        var section = Main with { Serial = "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1:1.0" };
        var there = Of([section], [Dfu("1-1.1"), Dfu("1-1.2")], links: []).Mcus[0];
        Assert.Equal(("1-1.1", true), (there.Port, there.Board!.OnlyByPort));
        Assert.Equal(["board-not-seen", "kind-unknown"], Codes(Of([section], [Dfu("1-1.2")], links: []).Mcus[0]));
        var described = new PrinterBoard("mine", Kind("btt-octopus-11")) { Port = "1-1.2", OnlyByPort = true };
        Assert.Equal("1-1.2", Of([Main with { Serial = "/dev/ttyACM0" }], [Dfu("1-1.1"), Dfu("1-1.2")],
                described: [described with { Name = "mcu" }], links: []).Mcus[0].Port);
    }

    [Fact]
    public void A_board_on_CAN_has_its_uuid_and_its_kind_from_its_description()
    {
        var section = new McuSection("mcu ebb") { CanbusUuid = "A19F7F1B35C1" };
        var unknown = Of([section], [Can0], Told(("mcu EBB", Old, "stm32g0b1xx"))).Mcus[0];
        Assert.Equal(("can0 a19f7f1b35c1", "stm32g0b1xx", Old, null), (unknown.Port, unknown.Chip, unknown.Running, unknown.Kind));
        Assert.Equal(["kind-unknown"], Codes(unknown));
        Assert.Equal("ebb is a stm32g0b1xx of no known kind.", unknown.Findings[0].Text);
        Assert.Equal((Uuid, "can0", "stm32g0b1xx"), (unknown.Board!.CanUuid, unknown.Board.CanInterface, unknown.Board.Board.McuName));

        var known = Of([section], [Can0], described: [new PrinterBoard("tool", Kind("btt-ebb42-12")) { CanUuid = Uuid }]);
        Assert.Equal(("ebb", "btt-ebb42-12"), (known.Mcus[0].Name, known.Mcus[0].Kind!.Id));
        Assert.Empty(known.Findings);
        Assert.Equal("ebb", known.Find("tool").Name);
        Assert.Equal("ebb", known.Find("a19f7f1b35c1").Name);
        Assert.Single(known.Mcus);
    }

    /// <summary>A bridge's own firmware has no constant for the rate of its bus.</summary>
    [Theory]
    [InlineData("can0", 500_000)]
    [InlineData("can1", null)]
    public void A_bridge_has_the_bitrate_of_another_board_on_its_bus(string other, int? rate)
    {
        var bridge = new McuEvidence(Old, "rp2040")
        {
            Constants = new Dictionary<string, string> { ["MCU"] = "rp2040", ["CANBUS_BRIDGE"] = "1" },
        };
        var node = new McuEvidence(Old, "stm32g0b1xx")
        {
            Constants = new Dictionary<string, string> { ["MCU"] = "stm32g0b1xx", ["CANBUS_FREQUENCY"] = "500000" },
        };
        var printer = Of(
            [
                new McuSection("mcu") { CanbusUuid = "0123456789ab" },
                new McuSection("mcu ebb") { CanbusUuid = $"{Uuid}", CanbusInterface = other },
            ],
            [Can0], new KlippyEvidence(Old, new Dictionary<string, McuEvidence> { ["mcu"] = bridge, ["mcu ebb"] = node }));
        var link = printer.Mcus[0].Board!.Profile.Link!.Value;
        Assert.Equal((BuildLink.UsbCanBridge, rate), (link.Link, link.Rate));
    }

    [Fact]
    public void A_CAN_board_with_a_missing_interface_or_an_invalid_uuid_is_reported()
    {
        Assert.Equal(["can-missing", "kind-unknown"],
            Codes(Of([new McuSection("mcu ebb") { CanbusUuid = $"{Uuid}", CanbusInterface = "can1" }], [Can0]).Mcus[0]));
        var bad = Of([new McuSection("mcu ebb") { CanbusUuid = "$(reboot)" }], [Can0]).Mcus[0];
        Assert.Equal(["bad-uuid", "kind-unknown"], Codes(bad));
        // A bridge that went into its Katapult took the interface with it; the uuid follows from the serial.
        var bridge = Of([new McuSection("mcu") { CanbusUuid = $"{CanUuid.OfSerial(OctopusUid)}" }],
            [InKatapult("1-1.3"), InKatapult("1-1.4", "FFFFFFFFFFFFFFFFFFFFFFFF")]).Mcus[0];
        Assert.Equal("1-1.3", bridge.Port);
    }

    [Theory]
    [InlineData("/dev/ttyACM0", "/dev/ttyACM0")]
    [InlineData("/dev/RatOS/btt-octopus-11", "/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00")]
    public void Two_sections_that_claim_one_port_are_both_refused(string one, string other)
    {
        var printer = Of([Main with { Serial = one }, new McuSection("mcu second") { Serial = other }, Tool], [Octopus, Ebb]);
        Assert.Equal(["two-sections-one-port"], Codes(printer.Mcus[0]));
        Assert.Equal(Codes(printer.Mcus[0]), Codes(printer.Mcus[1]));
        Assert.Contains("[mcu] and [mcu second]", Assert.Single(printer.Findings).Text, StringComparison.Ordinal);
        Assert.Empty(printer.Mcus[2].Findings);
    }

    [Fact]
    public void Two_sections_with_one_uuid_or_one_absent_port_are_seen_too_and_one_interface_is_no_port()
    {
        McuSection a = new("mcu a") { CanbusUuid = $"{Uuid}" }, b = new("mcu b") { CanbusUuid = $"{Uuid}" },
            c = new("mcu c") { CanbusUuid = "b29f7f1b35c1" };
        Assert.Equal([true, true, false], Of([a, b, c], [Can0]).Mcus.Select(mcu => Codes(mcu).Contains("two-sections-one-port")));
        Assert.All(Of([Main, Main with { Name = "mcu second" }], [], links: []).Mcus, mcu =>
            Assert.Contains("two-sections-one-port", Codes(mcu)));
    }

    [Fact]
    public void A_port_at_which_another_board_is_blocks_the_section_that_names_it()
    {
        // The link is stale, or the cables of described boards in a by-path configuration were swapped.
        var stale = Of([Main], [Ebb with { Node = "/dev/ttyACM0" }]).Mcus[0];
        Assert.Equal(["port-of-another-board"], Codes(stale));
        Assert.Contains("btt-ebb42-12-t0", stale.Findings[0].Text, StringComparison.Ordinal);
        var chip = Of([Main], [Octopus], Told(("mcu", Old, "stm32f407xx"))).Mcus[0];
        Assert.Equal(["wrong-mcu"], Codes(chip));
    }
}
