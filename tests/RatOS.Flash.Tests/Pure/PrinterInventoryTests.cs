using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Which MCUs a printer has, from what its configuration, its buses and Klipper say.</summary>
public sealed class PrinterInventoryTests
{
    private const string OctopusUid = "2A0037000C51383138383538", Host = "v0.13.0-730-g84104bbbd", Old = "v0.12.0-10-g1f2a9e1c";

    private static readonly Device Octopus = Klipper("1-1.1", "btt-octopus-11", "stm32f446xx", "/dev/ttyACM0");
    private static readonly Device Ebb = Klipper("1-1.2", "btt-ebb42-12-t0", "stm32g0b1xx", "/dev/ttyACM1");
    private static readonly Device Webcam = new() { Port = "1-1.7", Number = 9, Usb = new UsbId(0x046d, 0x0825), Product = "Webcam" };
    private static readonly Device Beacon = new() { Port = "1-1.5", Number = 9, Usb = new UsbId(0x04d8, 0xe72b), Manufacturer = "Beacon", Product = "Beacon RevH", Serial = "4F1A", Node = "/dev/ttyACM5" };
    private static readonly Device Can0 = new() { Port = "can0", Number = 20, Can = new CanLink(true, 1_000_000, "1-1.4") };
    private static readonly CanUuid Uuid = CanUuid.TryParse("a19f7f1b35c1")!.Value;

    private static readonly McuSection Main = new("mcu") { Serial = "/dev/RatOS/btt-octopus-11" };
    private static readonly McuSection Tool = new("mcu toolboard_t0") { Serial = "/dev/RatOS/btt-ebb42-12-t0" };
    private static readonly McuSection Pi = new("mcu rpi") { Serial = "/tmp/klipper_host_mcu" };

    private static readonly DeviceLink[] Links =
    [
        new("/dev/RatOS/btt-octopus-11", "../ttyACM0"), new("/dev/btt-octopus-11", "ttyACM0"), new("/dev/RatOS/btt-ebb42-12-t0", "/dev/ttyACM1"),
        new("/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00", "../../ttyACM0"),
        new("/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1:1.0", "../../ttyACM0"),
    ];

    private static Device Klipper(string port, string serial, string product, string? node, int number = 5) =>
        new() { Port = port, Number = number, Usb = UsbId.Klipper, Manufacturer = "Klipper", Serial = serial, Product = product, Node = node };

    private static Device Katapult(string port, string serial = OctopusUid, string product = "stm32f446xx") =>
        new() { Port = port, Number = 11, Usb = KatapultDriver.Id, Manufacturer = "katapult", Serial = serial, Product = product, Node = "/dev/ttyACM8" };

    private static Device Dfu(string port, string product = "STM32  BOOTLOADER", string serial = "203739645542") =>
        new() { Port = port, Number = 12, Usb = DfuSeDriver.Id, Serial = serial, Product = product };

    private static KlippyTold Told(params (string Section, string? Version, string? Chip)[] boards) =>
        new(Host, boards.ToDictionary(board => board.Section, board => new McuTold(board.Version, board.Chip)));

    private static PrinterInventory Of(McuSection[] sections, Device[] devices, KlippyTold? told = null, PrinterBoard[]? described = null, PowerDevice[]? power = null, DeviceLink[]? links = null, Dictionary<string, string>? ports = null) =>
        PrinterInventory.Create(sections, new DeviceList(1, [.. devices]), links ?? Links, BoardCatalogue.BuiltIn, described ?? [], told ?? KlippyTold.Nothing, power, ports);

    private static Board Kind(string id) => BoardCatalogue.BuiltIn.Find(id)!;

    private static string[] Codes(PrinterMcu mcu) => [.. mcu.Findings.Select(finding => finding.Code)];

    [Fact]
    public void A_RatOS_printer_is_known_without_a_word_of_configuration_of_ours()
    {
        var printer = Of([Main, Tool, Pi], [Octopus, Ebb, Webcam], Told(("mcu", Old, "stm32f446xx"), ("mcu toolboard_t0", Host, "stm32g0b1xx"), ("mcu rpi", Old, "linux")));
        Assert.Equal(["octopus", "toolboard_t0", "rpi"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal(["btt-octopus-11", "btt-ebb42-12", "klipper_host_mcu"], printer.Mcus.Select(mcu => mcu.Kind!.Id));
        Assert.Equal(["1-1.1", "1-1.2", "/tmp/klipper_host_mcu"], printer.Mcus.Select(mcu => mcu.Port));
        Assert.Equal([Old, Host, Old], printer.Mcus.Select(mcu => mcu.Running));
        Assert.Equal(["stm32f446xx", "stm32g0b1xx", "linux"], printer.Mcus.Select(mcu => mcu.Chip));
        Assert.All(printer.Mcus, mcu => Assert.Equal((McuOwner.Ours, Host), (mcu.Owner, mcu.Host)));
        Assert.Empty(printer.Findings);
        Assert.Equal(printer.Mcus, printer.All);
        var tool = printer.Mcus[1].Board!;
        Assert.Equal(("toolboard_t0", "btt-ebb42-12-t0", "1-1.2", false, Host), (tool.Name, tool.Serial, tool.Port, tool.OnlyByPort, tool.RunningVersion));
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
    public void A_board_is_found_by_any_name_that_people_use(string typed, string name) => Assert.Equal(name, Of([Main, Tool, Pi], [Octopus, Ebb]).Find(typed).Name);

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
        Assert.Equal(path.Contains("by-path", StringComparison.Ordinal) || path.Contains("tty", StringComparison.Ordinal), mcu.Board.OnlyByPort);
    }

    [Fact]
    public void Links_that_lead_to_each_other_end_nobody() =>
        Assert.Null(Of([Main with { Serial = "/dev/serial/by-path/a" }], [Octopus], links: [new("/dev/serial/by-path/a", "/dev/serial/by-path/b"), new("/dev/serial/by-path/b", "/dev/serial/by-path/a")]).Mcus[0].Device);

    [Fact]
    public void A_board_that_is_not_there_is_said_to_be_missing_and_keeps_its_kind()
    {
        var mcu = Of([Main], [Webcam], links: []).Mcus[0];
        Assert.Equal(("octopus", null, "/dev/RatOS/btt-octopus-11", "stm32f446xx"), (mcu.Name, mcu.Device, mcu.Port, mcu.Chip));
        var finding = Assert.Single(mcu.Findings);
        Assert.Equal((FindingSeverity.Blocker, "board-not-seen"), (finding.Severity, finding.Code));
        Assert.Contains("Webcam", finding.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_board_without_power_is_told_by_the_switch_that_is_off()
    {
        PowerDevice[] power = [new("light", true), new("psu", false)];
        var finding = Assert.Single(Of([Main], [], links: [], power: power).Mcus[0].Findings);
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
        Assert.False(FlashPlan.Create([new(mcu.Board, null)], new DeviceList(1, [Ebb, Dfu("1-1.1")]), new(RatOS.Flash.Klipper.KlippyActivity.Error)).IsBlocked);
    }

    [Fact]
    public void When_two_fit_nothing_is_guessed()
    {
        // Two bootloaders for one board, and two boards for one bootloader.
        var two = Of([Main], [Dfu("1-1.1"), Dfu("1-1.2", serial: "3")], links: []);
        Assert.Equal(["which-bootloader"], Codes(two.Mcus[0]));
        Assert.Null(two.Mcus[0].Device);
        Assert.Equal(2, two.Mcus.Count(mcu => mcu.Owner == McuOwner.Stranger));
        var spider = new McuSection("mcu second") { Serial = "/dev/RatOS/fysetc-spider" };
        var both = Of([Main, spider], [Dfu("1-1.1")], links: []);
        Assert.All(both.Mcus.Take(2), mcu => Assert.Equal(["which-bootloader"], Codes(mcu)));
        Assert.All(both.Mcus.Take(2), mcu => Assert.Null(mcu.Board!.Port));
    }

    [Fact]
    public void The_ROMs_name_and_Katapults_chip_tell_boards_apart()
    {
        var printer = Of([Main, Tool], [Dfu("1-1.1", "DFU in FS Mode"), Katapult("1-1.2")], links: []);
        Assert.Equal(["1-1.2", "1-1.1"], printer.Mcus.Select(mcu => mcu.Port));
        Assert.Equal(["board-not-seen"], Codes(Of([Main], [Katapult("1-1.2", product: "stm32g0b1xx")], links: []).Mcus[0]));
        Assert.Equal(["board-not-seen"], Codes(Of([Main], [new Device { Port = "1-1.2", Number = 3, Usb = BootselDriver.Rp2040 }], links: []).Mcus[0]));
    }

    [Fact]
    public void A_serial_that_follows_from_the_chip_proves_whose_bootloader_it_is()
    {
        var section = Main with { Serial = $"/dev/serial/by-id/usb-Klipper_stm32f446xx_{OctopusUid}-if00" };
        Device[] devices = [Katapult("1-1.2", "FFFFFFFFFFFFFFFFFFFFFFFF"), Katapult("1-1.3")];
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
        Assert.Equal("1-1.2", Of([Main with { Serial = "/dev/ttyACM0" }], [Dfu("1-1.1"), Dfu("1-1.2")], described: [described with { Name = "mcu" }], links: []).Mcus[0].Port);
    }

    [Fact]
    public void A_board_on_CAN_has_its_uuid_and_its_kind_from_who_described_it()
    {
        var section = new McuSection("mcu ebb") { CanbusUuid = "A19F7F1B35C1" };
        var unknown = Of([section], [Can0], Told(("mcu EBB", Old, "stm32g0b1xx"))).Mcus[0];
        Assert.Equal(("can0 a19f7f1b35c1", "stm32g0b1xx", Old, null), (unknown.Port, unknown.Chip, unknown.Running, unknown.Kind));
        Assert.Equal(["kind-unknown"], Codes(unknown));
        Assert.Contains("btt-ebb42-12", unknown.Findings[0].Remedy.ToString(), StringComparison.Ordinal);
        Assert.Equal((Uuid, "can0", "stm32g0b1xx"), (unknown.Board!.CanUuid, unknown.Board.CanInterface, unknown.Board.Board.McuName));

        var known = Of([section], [Can0], described: [new PrinterBoard("tool", Kind("btt-ebb42-12")) { CanUuid = Uuid }]);
        Assert.Equal(("ebb", "btt-ebb42-12"), (known.Mcus[0].Name, known.Mcus[0].Kind!.Id));
        Assert.Empty(known.Findings);
        Assert.Equal("ebb", known.Find("tool").Name);
        Assert.Equal("ebb", known.Find("a19f7f1b35c1").Name);
        Assert.Single(known.Mcus);
    }

    [Fact]
    public void A_CAN_board_whose_interface_is_gone_or_whose_uuid_is_none_is_told_so()
    {
        Assert.Equal(["can-missing", "kind-unknown"], Codes(Of([new McuSection("mcu ebb") { CanbusUuid = $"{Uuid}", CanbusInterface = "can1" }], [Can0]).Mcus[0]));
        var bad = Of([new McuSection("mcu ebb") { CanbusUuid = "$(reboot)" }], [Can0]).Mcus[0];
        Assert.Equal(["bad-uuid", "kind-unknown"], Codes(bad));
        // A bridge that went into its Katapult took the interface with it; the uuid follows from the serial.
        var bridge = Of([new McuSection("mcu") { CanbusUuid = $"{CanUuid.OfSerial(OctopusUid)}" }], [Katapult("1-1.3"), Katapult("1-1.4", "FFFFFFFFFFFFFFFFFFFFFFFF")]).Mcus[0];
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
        McuSection a = new("mcu a") { CanbusUuid = $"{Uuid}" }, b = new("mcu b") { CanbusUuid = $"{Uuid}" }, c = new("mcu c") { CanbusUuid = "b29f7f1b35c1" };
        Assert.Equal([true, true, false], Of([a, b, c], [Can0]).Mcus.Select(mcu => Codes(mcu).Contains("two-sections-one-port")));
        Assert.All(Of([Main, Main with { Name = "mcu second" }], [], links: []).Mcus, mcu => Assert.Contains("two-sections-one-port", Codes(mcu)));
    }

    [Fact]
    public void A_port_at_which_another_board_is_blocks_the_section_that_names_it()
    {
        // The link is stale, or somebody swapped the cables of a by-path configuration and described the boards.
        var stale = Of([Main], [Ebb with { Node = "/dev/ttyACM0" }]).Mcus[0];
        Assert.Equal(["port-of-another-board"], Codes(stale));
        Assert.Contains("btt-ebb42-12-t0", stale.Findings[0].Text, StringComparison.Ordinal);
        var chip = Of([Main], [Octopus], Told(("mcu", Old, "stm32f407xx"))).Mcus[0];
        Assert.Equal(["wrong-mcu"], Codes(chip));
    }

    [Theory]
    [InlineData("mcu beacon", "/dev/serial/by-id/usb-Beacon_Beacon_RevH_4F1A-if00", "beacon")]
    [InlineData("mcu probe", "/dev/beacon", "beacon")]
    [InlineData("mcu scanner", "/dev/serial/by-id/usb-Cartographer_614e_16000A000543303135313420-if00", "cartographer")]
    [InlineData("mcu idm", "/dev/serial/by-id/usb-IDM_IDM_123-if00", "idm")]
    [InlineData("mcu Cartographer", null, "cartographer")]
    public void A_probe_that_brings_its_own_updater_is_listed_and_left_alone(string section, string? serial, string maker)
    {
        var printer = Of([Main, new McuSection(section) { Serial = serial, CanbusUuid = serial is null ? $"{Uuid}" : null }], [Octopus, Can0], power: [new("psu", false)]);
        var probe = printer.Mcus[1];
        Assert.Equal((McuOwner.OwnUpdater, null), (probe.Owner, probe.Board));
        Assert.StartsWith(maker, probe.Reason, StringComparison.Ordinal);
        Assert.Equal(["octopus"], printer.All.Select(mcu => mcu.Name));
        Assert.Empty(printer.Findings);
        Assert.Equal("not-ours", Assert.Throws<FlashException>(probe.BoardToFlash).Code);
    }

    [Fact]
    public void Who_describes_a_probe_as_a_board_of_his_own_is_believed()
    {
        var section = new McuSection("mcu scanner") { CanbusUuid = $"{Uuid}" };
        var mcu = Of([section], [Can0], described: [new PrinterBoard("scanner", Kind("btt-ebb42-12"))]).Mcus[0];
        Assert.Equal((McuOwner.Ours, "btt-ebb42-12"), (mcu.Owner, mcu.BoardToFlash().Board.Id));
    }

    [Fact]
    public void An_MCU_that_a_module_of_Klipper_brings_has_no_section_and_is_not_ours()
    {
        var printer = Of([Main], [Octopus, Beacon], Told(("mcu", Old, null), ("mcu beacon", "Beacon 2.1.0", "stm32g0b1xx"), ("mcu other_probe", "v1", null)));
        Assert.Equal(["octopus", "beacon", "other_probe"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal((McuOwner.OwnUpdater, Beacon, "Beacon 2.1.0"), (printer.Mcus[1].Owner, printer.Mcus[1].Device, printer.Mcus[1].Running));
        Assert.Equal(McuOwner.OwnUpdater, printer.Mcus[2].Owner);
        Assert.Single(printer.All);
    }

    [Fact]
    public void A_probe_that_announces_Klippers_own_id_is_told_by_its_names_and_a_paper_scanner_is_none()
    {
        var carto = Klipper("1-1.6", "16000A", "614e", "/dev/ttyACM6") with { Manufacturer = "Cartographer3D" };
        var paper = new Device { Port = "1-1.8", Number = 4, Usb = new UsbId(0x04a9, 0x1909), Product = "Canon Scanner" };
        var printer = Of([Main], [Octopus, carto, paper]);
        Assert.Equal(["octopus", "cartographer"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal(McuOwner.OwnUpdater, printer.Mcus[1].Owner);
    }

    [Fact]
    public void A_Klipper_that_no_section_names_is_a_stranger_and_never_among_all()
    {
        var spare = Klipper("1-1.9", "btt-skr-3", "stm32h743xx", "/dev/ttyACM9");
        var printer = Of([Main], [Octopus, spare, Webcam, Klipper("1-1.6", "12345", "stm32f103xe", "/dev/ttyACM6")]);
        Assert.Equal(["octopus", "btt-skr-3", "12345"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal([McuOwner.Ours, McuOwner.Stranger, McuOwner.Stranger], printer.Mcus.Select(mcu => mcu.Owner));
        Assert.Equal(["octopus"], printer.All.Select(mcu => mcu.Name));
        // Asked for by its own name it can be had; one that nobody knows cannot.
        Assert.Equal("1-1.9", printer.Find("btt-skr-3").BoardToFlash().Port);
        Assert.Equal("kind-unknown", Assert.Throws<FlashException>(printer.Find("12345").BoardToFlash).Code);
    }

    [Fact]
    public void A_board_of_the_configuration_goes_before_a_stranger_of_the_same_kind()
    {
        var twin = Octopus with { Port = "1-1.9", Node = "/dev/ttyACM9", Number = 6 };
        var printer = Of([Main], [Octopus, twin]);
        Assert.Equal("1-1.1", printer.Find("btt-octopus-11").Port);
        Assert.Equal(McuOwner.Stranger, printer.Find("1-1.9").Owner);
        Assert.Equal(("1-1.1", true), (printer.Mcus[0].Board!.Port, printer.Mcus[0].Board!.OnlyByPort));
        // Without a link nobody can say which of the two it is.
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
        var printer = Of([Main], [Octopus, Ebb], described: [new PrinterBoard("spare", Kind("btt-ebb42-12")) { Port = "1-1.2", OnlyByPort = true }]);
        Assert.Equal(["octopus", "spare"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal((McuOwner.Ours, Ebb), (printer.Mcus[1].Owner, printer.Mcus[1].Device));
        Assert.Single(printer.All);
    }

    [Fact]
    public void A_bootloader_where_the_board_was_last_seen_is_its_but_not_one_of_another_chip_nor_another_boards_Klipper()
    {
        var ports = new Dictionary<string, string> { ["mcu"] = "1-1.1" };
        // Two wait: without the memory nobody could say which is whose.
        var printer = Of([Main], [Dfu("1-1.1"), Dfu("1-1.6")], Told(("mcu", Host, "stm32f446xx")), ports: ports);
        Assert.Null(printer.Mcus[0].Running);   // what Klipper told before it went there is over
        Assert.Equal(("1-1.1", "1-1.1"), (printer.Mcus[0].Device!.Port, printer.Mcus[0].Board!.Port));
        Assert.Empty(printer.Mcus[0].Findings);
        Assert.Equal(["which-bootloader"], Codes(Of([Main], [Dfu("1-1.1"), Dfu("1-1.6")]).Mcus[0]));

        Assert.Null(Of([Main], [Katapult("1-1.1", product: "stm32g0b1xx")], ports: ports).Mcus[0].Device);
        var swapped = Of([Main], [Klipper("1-1.1", "btt-ebb42-12", "stm32g0b1xx", "/dev/ttyACM3")], ports: ports).Mcus[0];
        Assert.Null(swapped.Device);
        Assert.Null(swapped.Board!.Port);
        // Where nothing is, it may come back.
        Assert.Equal("1-1.1", Of([Main], [], ports: ports).Mcus[0].Board!.Port);
    }

    [Fact]
    public void Of_two_strangers_that_are_alike_neither_is_meant_by_the_name_of_their_kind()
    {
        var printer = Of([], [Octopus, Klipper("1-1.6", "btt-octopus-11", "stm32f446xx", "/dev/ttyACM6")]);
        var fault = Assert.Throws<FlashException>(() => printer.Find("btt-octopus-11"));
        Assert.Equal("boards-alike", fault.Code);
        Assert.Contains("1-1.1, 1-1.6", fault.Cause, StringComparison.Ordinal);
        Assert.Equal("1-1.6", printer.Find("1-1.6").Port);
        Assert.Equal("1-1.1", Of([], [Octopus]).Find("btt-octopus-11").Port);
        // A board of the configuration is meant before any stranger.
        Assert.Equal("mcu", Of([Main], [Octopus, Klipper("1-1.6", "btt-octopus-11", "stm32f446xx", "/dev/ttyACM6")]).Find("btt-octopus-11").Section);
    }

    [Fact]
    public void What_the_running_board_says_of_its_wires_is_handed_on()
    {
        var told = new KlippyTold(Host, new Dictionary<string, McuTold>
        {
            ["mcu head"] = new(Old, "stm32g0b1xx") { Constants = new Dictionary<string, string> { ["CANBUS_FREQUENCY"] = "500000", ["RESERVE_PINS_CAN"] = "PB0,PB1" } },
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
        var printer = Of([Main, new McuSection("mcu octopus") { Serial = "/dev/ttyACM1" }, new McuSection("mcu OCTOPUS") { Serial = "/dev/ttyAMA0" }], [Octopus, Ebb]);
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
        Device wire = new() { Port = "ttyAMA0", Number = 3, Node = "/dev/ttyAMA0" }, adapter = new() { Port = "1-1.3", Number = 4, Usb = new UsbId(0x1a86, 0x7523), Product = "USB Serial", Node = "/dev/ttyUSB0" };
        var printer = Of(
            [new McuSection("mcu") { Serial = "/dev/ttyAMA0", Baud = "250000" }, new McuSection("mcu far") { Serial = "/dev/ttyUSB0" }], [wire, adapter], Told(("mcu", Old, "stm32f446xx")));
        Assert.Equal(["mcu", "far"], printer.Mcus.Select(mcu => mcu.Name));
        Assert.Equal(("ttyAMA0", true, "UART", "stm32f446xx"), (printer.Mcus[0].Board!.Port, printer.Mcus[0].Board!.OnlyByPort, printer.Mcus[0].Board!.Board.Comm, printer.Mcus[0].Chip));
        Assert.All(printer.Mcus, mcu => Assert.Equal(["kind-unknown"], Codes(mcu)));
        Assert.Equal("1-1.3", printer.Mcus[1].Port);
    }

    [Fact]
    public void Names_from_outside_reach_no_terminal_raw()
    {
        var printer = Of([new McuSection("mcu a\u001b[31m") { Serial = "/dev/\u001b[2J" }], [], Told(("mcu x\u0007", "v\u0007", null)), links: []);
        Assert.DoesNotContain(printer.Mcus.SelectMany(mcu => (IEnumerable<string>)[mcu.Name, mcu.Reason, mcu.Port ?? "", .. mcu.Aliases, .. mcu.Findings.Select(finding => finding.Text + finding.Remedy)]), text => text.Any(char.IsControl));
    }
}
