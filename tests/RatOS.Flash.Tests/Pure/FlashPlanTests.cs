using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

public sealed class FlashPlanTests
{
    private static readonly KlippyState Ready = new(KlippyActivity.Ready);
    private static readonly Device OctopusInKlipper = Usb("1-1.1", UsbId.Klipper, "btt-octopus-11", "stm32f446xx");
    private static readonly Device AnyDfu = Usb("1-1.1", DfuSeDriver.Id, "203739645542", "STM32  BOOTLOADER");

    private static Device Usb(string port, UsbId id, string? serial, string? product, int number = 5) =>
        new()
        {
            Port = port,
            Number = number,
            Usb = id,
            Serial = serial,
            Product = product,
            Node = id == DfuSeDriver.Id ? null : "/dev/ttyACM0"
        };

    private static PrinterBoard Octopus => new("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);

    private static FirmwareImage Image(VirtualChip chip, uint start, int size = 44_468) =>
        FirmwareImage.Parse(VirtualFirmware.Build(chip, start, "v0.13.0-730-g84104bbbd", size), "klipper.bin");

    private static BoardPlan Plan(PrinterBoard board, FirmwareImage? image, BoardEvidence? evidence, params Device[] devices) =>
        FlashPlan.Create(
        [new FlashRequest(board, image)], new DeviceList(1, [.. devices]), Ready,
        evidence is null ? null : new Dictionary<string, BoardEvidence> { [board.Name] = evidence }).Boards[0];

    private static string? Blocker(BoardPlan plan) =>
        plan.Findings.FirstOrDefault(finding => finding.Severity == FindingSeverity.Blocker)?.Code;

    [Fact]
    public void A_board_that_runs_Klipper_is_touched_and_either_bootloader_is_possible_until_it_was_asked()
    {
        var plan = Plan(Octopus, Image(VirtualChip.F446, 0x0800_8000), null, OctopusInKlipper);
        Assert.False(plan.IsBlocked);
        Assert.Equal((FlashEntry.Touch, (BootloaderDriver?)null, OctopusInKlipper), (plan.Entry, plan.Bootloader, plan.Device));
    }

    [Fact]
    public void What_was_found_out_before_is_part_of_the_plan_and_that_the_board_is_missing_only_while_it_is()
    {
        Finding claimed = new(FindingSeverity.Blocker, FaultKind.TwoSectionsOnePort, "Two sections.", $"Correct them."),
            off = new(FindingSeverity.Blocker, FaultKind.NoPower, "It has no power.", $"Switch it on.");
        var request = new FlashRequest(Octopus, Image(VirtualChip.F446, 0x0800_8000)) { Findings = [off, claimed] };
        BoardPlan With(params Device[] devices) => FlashPlan.Create([request], new DeviceList(1, [.. devices]), Ready).Boards[0];
        Assert.Equal(["two-sections-one-port"],
            With(OctopusInKlipper).Findings.Where(finding => finding.Severity == FindingSeverity.Blocker).Select(finding => finding.Code));
        Assert.Equal("no-power", Blocker(With()));
    }

    [Fact]
    public void A_board_that_is_left_out_blocks_nothing_and_nothing_blocks_it()
    {
        var request = new FlashRequest(Octopus, null) { SkipReason = "It runs what would be built." };
        var plan = FlashPlan.Create([request], new DeviceList(1, []), new(KlippyActivity.Busy, "printing"));
        Assert.False(plan.IsBlocked);
        Assert.Equal(["needless"], plan.Boards[0].Findings.Select(finding => finding.Code));
        Assert.True(FlashPlan.Create([request, new FlashRequest(Octopus with { Name = "other", Serial = "x" }, null)],
                new DeviceList(1, []), Ready).IsBlocked);
    }

    [Theory]
    [InlineData(true, "katapult")]
    [InlineData(false, "dfu-se")]
    public void The_content_of_the_boot_area_decides_the_flash_method(bool katapult, string expected)
    {
        var evidence =
            new BoardEvidence("v0.12.0", "stm32f446xx", new ChipEvidence { Katapult = katapult, IdCode = 0x421, FlashKib = 512 });
        var plan = Plan(Octopus, Image(VirtualChip.F446, 0x0800_8000), evidence, OctopusInKlipper);
        Assert.Equal((FlashEntry.Touch, expected), (plan.Entry, plan.Bootloader?.Name));
        Assert.False(plan.IsBlocked);
    }

    [Fact]
    public void A_bootloader_at_the_boards_own_port_is_taken()
    {
        var plan = Plan(Octopus with { Port = "1-1.1" }, Image(VirtualChip.F446, 0x0800_8000), null, AnyDfu);
        Assert.Equal((FlashEntry.InBootloader, "dfu-se", false), (plan.Entry, plan.Bootloader?.Name, plan.IsBlocked));
    }

    [Fact]
    public void A_bootloader_somewhere_is_never_taken_for_the_board_because_it_is_the_only_one() =>
        Assert.Equal("which-bootloader", Blocker(Plan(Octopus, Image(VirtualChip.F446, 0x0800_8000), null, AnyDfu)));

    [Fact]
    public void Two_boards_of_one_serial_are_distinguished_only_by_port()
    {
        var other = OctopusInKlipper with { Port = "1-1.2", Number = 6 };
        Assert.Equal("boards-alike", Blocker(Plan(Octopus, null, null, OctopusInKlipper, other)));
        Assert.Equal(other, Plan(Octopus with { Port = "1-1.2" }, null, null, OctopusInKlipper, other).Device);
    }

    [Fact]
    public void A_board_that_moved_to_another_port_is_found_by_its_name_unless_only_the_port_tells()
    {
        Assert.Equal(OctopusInKlipper, Plan(Octopus with { Port = "1-1.4" }, null, null, OctopusInKlipper).Device);
        Assert.Equal("board-not-seen", Blocker(Plan(Octopus with { Port = "1-1.4", OnlyByPort = true }, null, null, OctopusInKlipper)));
    }

    [Theory]
    [InlineData("ttyAMA0", "stm32-uart", FlashEntry.InBootloader, null)]
    [InlineData("ttyAMA0", "katapult", FlashEntry.UartRequest, null)]
    [InlineData("ttyAMA0", null, FlashEntry.UartRequest, null)]
    [InlineData("ttyAMA0", "dfu-se", FlashEntry.UartRequest, "other-bootloader")]
    [InlineData("1-1.1", "stm32-uart", FlashEntry.Touch, "other-bootloader")]
    [InlineData("1-1.1", "katapult", FlashEntry.Touch, null)]
    [InlineData("1-1.1", "dfu-se", FlashEntry.Touch, null)]
    [InlineData("1-1.2", "katapult", FlashEntry.InBootloader, "other-bootloader")]   // DFU waits there
    [InlineData("1-1.3", "stm32-uart", FlashEntry.InBootloader, null)]                // an adapter is a wire
    [InlineData("1-1.3", null, FlashEntry.UartRequest, null)]
    public void A_bootloader_that_was_named_counts_where_nothing_can_be_seen_and_must_not_contradict_what_is(
        string port, string? named, FlashEntry entry, string? code)
    {
        Device[] devices =
        [
            OctopusInKlipper, AnyDfu with { Port = "1-1.2" },
            new() { Port = "1-1.3", Number = 7, Usb = new UsbId(0x1a86, 0x7523), Product = "USB Serial", Node = "/dev/ttyUSB0" },
            new() { Port = "ttyAMA0", Number = 8, Node = "/dev/ttyAMA0" },
        ];
        var link = port is "ttyAMA0" or "1-1.3" ? FirmwareLink.Uart : FirmwareLink.Usb;
        var image = FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0", link: link), "klipper.bin");
        var plan = Plan(Octopus with { Port = port, OnlyByPort = true, Bootloader = Drivers.Find(named) }, image, null, devices);
        Assert.Equal((entry, code), (plan.Entry, Blocker(plan)));
        if (code is null && named is not null)
            Assert.Equal(named, plan.Bootloader?.Name);
    }

    [Fact]
    public void Only_an_STM32_has_the_ROM_that_was_named()
    {
        var kind = BoardCatalogue.BuiltIn.Find("btt-sb-2209-10-rp")! with { FlashStartEffective = "0x10004000" };
        var board = new PrinterBoard("sb2209", kind) { Port = "ttyAMA0", Bootloader = Drivers.Find("stm32-uart") };
        Assert.Equal("other-bootloader",
            Blocker(Plan(board, null, null, new Device { Port = "ttyAMA0", Number = 8, Node = "/dev/ttyAMA0" })));
    }

    [Fact]
    public void Two_names_for_one_device_are_refused()
    {
        var plan = FlashPlan.Create(
            [new(Octopus, null), new(Octopus with { Name = "spare" }, null)], new DeviceList(1, [OctopusInKlipper]), Ready);
        Assert.True(plan.IsBlocked);
        Assert.Equal("same-port", Assert.Single(plan.Findings).Code);
    }

    [Fact]
    public void A_missing_board_is_a_blocker_that_lists_the_devices_on_the_bus()
    {
        var plan = Plan(Octopus, null, null, Usb("1-1.7", new UsbId(0x046d, 0x0825), null, "Webcam"));
        Assert.Equal("board-not-seen", Blocker(plan));
        Assert.Contains("Webcam", plan.Findings[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stranger_at_the_named_port_is_not_flashed() =>
        Assert.Equal("foreign-firmware",
            Blocker(Plan(Octopus with { Port = "1-1.7" }, null, null, Usb("1-1.7", new UsbId(0x046d, 0x0825), null, "Webcam"))));

    [Fact]
    public void A_printing_printer_blocks_everything()
    {
        var plan = FlashPlan.Create([new(Octopus, null)], new DeviceList(1, [OctopusInKlipper]),
            new(KlippyActivity.Busy, "printing benchy.gcode"));
        Assert.True(plan.IsBlocked);
        Assert.Equal("printer-busy", Assert.Single(plan.Findings).Code);
    }

    [Fact]
    public void Firmware_for_another_chip_another_start_or_too_big_by_one_word_blocks()
    {
        Assert.Equal("firmware-wrong-mcu", Blocker(Plan(Octopus, Image(VirtualChip.F407, 0x0800_8000), null, OctopusInKlipper)));
        Assert.Equal("firmware-wrong-offset", Blocker(Plan(Octopus, Image(VirtualChip.F446, 0x0800_0000, 20_000), null, OctopusInKlipper)));
        var evidence = new BoardEvidence("v0.12.0", "stm32f446xx", new ChipEvidence { FlashKib = 64 });
        Assert.Null(Blocker(Plan(Octopus, Image(VirtualChip.F446, 0x0800_8000, 32 * 1024), evidence, OctopusInKlipper)));
        Assert.Equal("firmware-too-big",
            Blocker(Plan(Octopus, Image(VirtualChip.F446, 0x0800_8000, (32 * 1024) + 4), evidence, OctopusInKlipper)));
    }

    [Fact]
    public void A_chip_that_says_it_is_another_one_blocks_and_a_chip_that_says_nothing_does_not()
    {
        var image = Image(VirtualChip.F446, 0x0800_8000);
        Assert.Equal("wrong-mcu", Blocker(Plan(Octopus, image, new("v0.12.0", "stm32f407xx", null), OctopusInKlipper)));
        Assert.Equal("wrong-mcu",
            Blocker(Plan(Octopus, image, new("v0.12.0", "stm32f446xx", new ChipEvidence { IdCode = 0x413 }), OctopusInKlipper)));
        Assert.Null(Blocker(Plan(Octopus, image, new("v0.12.0", "stm32f446xx", new ChipEvidence()), OctopusInKlipper)));
    }

    [Fact]
    public void An_F429_without_Katapult_needs_a_person_and_says_what_to_do()
    {
        var board = new PrinterBoard("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-pro-429")!);
        var device = Usb("1-1.1", UsbId.Klipper, "btt-octopus-pro-429", "stm32f429xx");
        var plan = Plan(board, null, new("v0.12.0", "stm32f429xx", new ChipEvidence { Katapult = false }), device);
        Assert.Equal(FlashEntry.Manual, plan.Entry);
        var finding = plan.Findings.Single(finding => finding.Code == "needs-bootloader-by-hand");
        Assert.Contains("BOOT0", finding.Remedy.ToString(), StringComparison.Ordinal);
        Assert.False(plan.IsBlocked);
    }

    [Fact]
    public void A_clones_bootloader_is_refused_with_the_reason()
    {
        var clone = Usb("1-1.1", GigaDeviceDriver.Id, "4BSH", "GD32 DFU");
        Assert.Equal("clone-refused", Blocker(Plan(Octopus with { Port = "1-1.1" }, null, null, clone)));
    }

    /// <summary>Klipper on an RP2040 starts Katapult where that is below, else the ROM; it says which before it is asked to.</summary>
    [Theory]
    [InlineData("0x10000100", null, "bootsel")]
    [InlineData("0x10004000", null, null)]
    [InlineData("0x10004000", true, "katapult")]
    [InlineData("0x10004000", false, "bootsel")]
    public void The_bootloader_of_an_RP2040_follows_from_its_start_and_its_boot_area(string start, bool? katapult, string? bootloader)
    {
        var rp = new PrinterBoard("sb2209", BoardCatalogue.BuiltIn.Find("btt-sb-2209-10-rp")! with { FlashStartEffective = start });
        var evidence = katapult is null ? null : new BoardEvidence("v0.12.0", "rp2040", new ChipEvidence { Katapult = katapult });
        var plan = Plan(rp, null, evidence, Usb("1-1.1", UsbId.Klipper, "btt-sb-2209-10-rp", "rp2040"));
        Assert.Equal((FlashEntry.Touch, bootloader), (plan.Entry, plan.Bootloader?.Name));
    }

    [Theory]
    [InlineData("prusa-einsy")]
    [InlineData("beacon")]
    public void Boards_without_a_flash_method_report_it(string id) =>
        Assert.Equal("no-road", Blocker(Plan(new PrinterBoard("board", BoardCatalogue.BuiltIn.Find(id)!), null, null, OctopusInKlipper)));

    [Fact]
    public void The_catalogue_is_whole_and_every_supported_chip_is_known()
    {
        Assert.Equal(50, BoardCatalogue.BuiltIn.Boards.Length);
        Assert.All(BoardCatalogue.BuiltIn.Boards.Where(board => board.McuName?.StartsWith("stm32", StringComparison.Ordinal) == true),
            board =>
        {
            Assert.NotNull(board.Mcu);
            Assert.Contains(board.ApplicationStart!.Value - board.Mcu!.FlashBase, board.Mcu.Offsets);
        });
        Assert.All(BoardCatalogue.BuiltIn.Boards.SelectMany(board => board.Dfu?.Steps ?? []), step =>
            Assert.NotEqual(step, BoardCatalogue.BuiltIn.StepText(step)));
    }

    /// <summary>The chips' data exist twice, on purpose: a wrong number in one shows here.</summary>
    [Fact]
    public void The_engine_and_the_virtual_printer_agree_about_every_chip() => Assert.All(VirtualChip.All, chip =>
    {
        var mcu = Mcu.Find(chip.Name)!;
        Assert.Equal((chip.FlashBase, chip.RamEnd), (mcu.FlashBase, mcu.RamEnd));
        Assert.Equal(chip.Sectors.Select(sector => sector.Size), mcu.AllSectors().Take(chip.Sectors.Length).Select(sector => sector.Size));
        if (!mcu.IsStm32)
            return;
        Assert.Equal((chip.UidAddress, chip.FlashSizeAddress, chip.IdCodeAddress),
            (mcu.UidAddress, mcu.FlashSizeAddress, mcu.IdCodeAddress));
        Assert.True(chip.IdCode == 0 || mcu.IdCodes.Contains((int)(chip.IdCode & 0xFFF)));
        Assert.Equal(chip.EmptyCheck, mcu.EmptyCheck);
        Assert.Equal(0, mcu.WriteUnit % chip.ProgramUnit);
    });
}
