using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>No board is a dead end: who cannot be flashed from here says exactly how it is done.</summary>
public sealed class BoardGuideTests
{
    private static Board Of(string id) => BoardCatalogue.BuiltIn.Find(id)!;

    private static BoardPlan Plan(PrinterBoard board, params Device[] devices) =>
        FlashPlan.Create([new(board, null)], new DeviceList(1, [.. devices]), new(KlippyActivity.Ready)).Boards[0];

    private static Device InKlipper(Board board) =>
        new() { Port = "1-1.1", Number = 3, Usb = UsbId.Klipper, Serial = board.UsbSerial, Product = board.McuName, Node = "/dev/ttyACM0" };

    [Theory]
    [InlineData("btt-octopus-11", FlashMethod.Engine, "klipper.bin", "firmware-btt-octopus-11.bin")]
    [InlineData("btt-octopus-pro-429", FlashMethod.EngineManual, "klipper.bin", "firmware-btt-octopus-pro-429.bin")]
    [InlineData("ldo-orbitool-o2", FlashMethod.EngineManual, "klipper.bin", "firmware-ldo-orbitool-o2.bin")]
    [InlineData("btt-sb-2209-10-rp", FlashMethod.Engine, "klipper.uf2", "firmware-btt-sb-2209-10-rp.uf2")]
    [InlineData("btt-skr-14", FlashMethod.SdCard, "klipper.bin", "firmware.bin")]
    [InlineData("prusa-einsy", FlashMethod.Avrdude, "klipper.elf.hex", "firmware-prusa-einsy.elf.hex")]
    [InlineData("prusa-buddy", FlashMethod.DfuUtil, "klipper.bin", "firmware-prusa-buddy.bin")]
    [InlineData("klipper_host_mcu", FlashMethod.Process, "klipper.elf", "klipper_mcu")]
    [InlineData("beacon", FlashMethod.OwnUpdater, null, null)]
    public void Every_kind_of_board_has_its_flash_method_and_its_file(string id, FlashMethod road, string? builds, string? file)
    {
        var guide = BoardGuide.Of(Of(id));
        Assert.Equal((road, builds, file), (guide.Method, guide.BuildsFile, guide.FileName));
    }

    [Fact]
    public void A_plan_is_possible_or_tells_the_whole_way_for_every_board_of_the_catalogue() =>
        Assert.All(BoardCatalogue.BuiltIn.Boards, board =>
    {
        var (plan, guide) = (Plan(new PrinterBoard("it", board), InKlipper(board)), BoardGuide.Of(board));
        if (guide.Method is FlashMethod.Engine or FlashMethod.EngineManual or FlashMethod.Process)
        {
            Assert.False(plan.IsBlocked);
            Assert.Equal(guide.Method == FlashMethod.Process, plan.Entry == FlashEntry.Replace);
            Assert.Equal(guide.Method == FlashMethod.EngineManual && board.ApplicationStart == board.Mcu!.FlashBase,
                plan.Entry == FlashEntry.Manual);
            return;
        }
        if (guide.Method == FlashMethod.SdCard)
        {
            Assert.Equal((false, FlashEntry.SdCard), (plan.IsBlocked, plan.Entry));
            return;
        }
        Assert.Equal("no-road", plan.Blocker!.Code);
        Assert.StartsWith("(1) ", plan.Blocker.Remedy.ToString(), StringComparison.Ordinal);
        if (guide.FileName is { } name)
            Assert.Contains(name, plan.Blocker.Remedy.ToString(), StringComparison.Ordinal);
        // It is not even sent into its bootloader.
        Assert.Equal(FlashEntry.None, plan.Entry);
    });

    [Theory]
    [InlineData("prusa-einsy", "avrdude -p atmega2560 -c wiring -P /dev/prusa-einsy -D -U flash:w:firmware-prusa-einsy.elf.hex:i")]
    [InlineData("prusa-buddy", "dfu-util -d 0483:df11 -a 0 -s 0x08020200:leave -D firmware-prusa-buddy.bin")]
    public void The_steps_are_those_of_the_very_board(string id, string words) =>
        Assert.Contains(words, Plan(new PrinterBoard("it", Of(id)), InKlipper(Of(id))).Blocker!.Remedy.ToString(),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("atmega328p", FlashMethod.Avrdude, false)]
    [InlineData("lgt8f328p", FlashMethod.Avrdude, false)]
    [InlineData("atmega32u4", FlashMethod.Avrdude, true)]
    [InlineData("at32f403", FlashMethod.Unknown, true)]   // not an AVR
    public void An_AVR_is_known_by_its_name(string chip, FlashMethod method, bool hasUsb) => Assert.Equal((method, hasUsb),
        (BoardGuide.Of(Of("prusa-einsy") with { McuName = chip }).Method, BuildTransport.HasUsb(chip)));

    [Theory]
    [InlineData("HC32F460", "0x8000")]
    [InlineData("samd21g18a", "0x2000")]
    public void A_chip_that_is_only_built_for_is_not_sent_to_a_jumper_that_it_has_not(string chip, string start)
    {
        var kind = Of("btt-octopus-11") with { McuName = chip, FlashStartEffective = start, Dfu = null };
        var fault = Plan(new PrinterBoard("it", kind), InKlipper(kind)).Blocker!;
        Assert.Equal($"it cannot be flashed by RatOS.Flash: its chip ({chip}) is not supported.", fault.Cause);
        Assert.DoesNotContain("BOOT0", fault.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Contains("klipper.bin", fault.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("as firmware.bin.")]
    [InlineData("renames it to FIRMWARE.CUR")]
    [InlineData("(1) `ratos-flash flash btt-skr-14 --sd-card` makes firmware.bin, writes it onto the card in this computer")]
    [InlineData("(2) Or manually: copy the built klipper.bin onto a card")]
    [InlineData("flash-sdcard.sh -f firmware.bin /dev/btt-skr-14 btt-skr-v1.4")]
    public void A_board_that_takes_cards_has_the_whole_way_too(string words) =>
        Assert.Contains(words, BoardGuide.Of(Of("btt-skr-14")).Remedy.ToString(), StringComparison.Ordinal);

    [Theory]
    [InlineData("btt-octopus-11", "0x8008000", true)]
    [InlineData("btt-octopus-11", "0x8000000", false)]   // without the bootloader that it is sold with
    [InlineData("btt-octopus-11", "0x8004000", false)]
    [InlineData("btt-kraken", "0x8020000", true)]
    [InlineData("ldo-leviathan-12", "0x8000000", false)]
    [InlineData("btt-ebb42-12", "0x8000000", false)]
    public void A_card_helps_only_if_its_bootloader_accepts_the_built_file(string id, string start, bool helps) =>
        Assert.Equal(helps, BoardProfile.Of(Of(id) with { FlashStartEffective = start }).SdCard is not null);

    [Fact]
    public void A_stock_bootloader_writes_chips_that_nothing_here_does()
    {
        var pins = new BoardFacts(FactSource.KlipperConfig, "its pins in x.cfg") { CardFile = new("firmware.bin") };
        var kind = Board.Unknown("it") with { McuName = "HC32F460", FlashStartEffective = "0x8000", UsbSerial = "1", Comm = "USB" };
        var board = new PrinterBoard("it", kind) { Facts = [pins] };
        var refused = Plan(board, InKlipper(kind)).Blocker!;
        Assert.Contains("`ratos-flash flash it --sd-card` makes firmware.bin", refused.Remedy.ToString(), StringComparison.Ordinal);
        var request = new FlashRequest(board, null) { Job = FlashJob.SdCard };
        var plan = FlashPlan.Create([request], new DeviceList(1, [InKlipper(kind)]), new(KlippyActivity.Ready)).Boards[0];
        Assert.Equal((false, FlashEntry.SdCard), (plan.IsBlocked, plan.Entry));
    }

    [Fact]
    public void A_process_that_cannot_be_replaced_shows_the_manual_steps()
    {
        var plan = FlashPlan.Create([new(new PrinterBoard("pi", Of("klipper_host_mcu")), null)], new DeviceList(1, []),
            new(KlippyActivity.Ready));
        Assert.False(plan.IsBlocked);
        Assert.Contains("/usr/local/bin/klipper_mcu",
            plan.WithHostMcu(
            HostMcuFaults.HostMcuUnreachable(BoardGuide.Of(Of("klipper_host_mcu")).Remedy)).Boards[0].Blocker!.Remedy.ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void An_RP2040_in_BOOTSEL_is_flashed_there_with_and_without_Katapult()
    {
        var bootsel = new Device { Port = "1-1.1", Number = 4, Usb = PicobootDriver.Rp2040, Serial = "E0C9125B0D9B", Product = "RP2 Boot" };
        foreach (var start in (string[])["0x10000100", "0x10004000"])
        {
            var board = Of("btt-sb-2209-10-rp") with { FlashStartEffective = start };
            Assert.Equal(FlashMethod.Engine, BoardGuide.Of(board).Method);
            var plan = Plan(new PrinterBoard("it", board) { Port = "1-1.1" }, bootsel);
            Assert.Equal((FlashEntry.InBootloader, "bootsel", false), (plan.Entry, plan.Bootloader?.Name, plan.IsBlocked));
        }
    }

    [Theory]
    [InlineData("rp2040", "(4) The board appears as a drive called RPI-RP2. Copy the built firmware-it.uf2")]
    [InlineData("rp2350", "(4) `picotool load -v -x klipper.elf`")]   // its ROM leaves Klipper's .uf2 alone
    public void One_on_a_UART_without_Katapult_is_updated_manually(string chip, string step)
    {
        var start = chip == "rp2040" ? "0x10000100" : "0x10000000";
        var guide = BoardGuide.Of(new Board { Id = "it", Kind = "unknown", McuName = chip, FlashStartEffective = start, Comm = "UART" });
        Assert.Equal(FlashMethod.Uf2, guide.Method);
        Assert.Contains(step, guide.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_RP2040_with_Katapult_is_flashed_by_us()
    {
        var board = Of("btt-sb-2209-10-rp") with { FlashStartEffective = "0x10004000" };
        Assert.Equal(FlashMethod.Engine, BoardGuide.Of(board).Method);
        Assert.False(Plan(new PrinterBoard("it", board), InKlipper(board)).IsBlocked);
    }

    [Fact]
    public void A_board_of_which_little_is_known_gets_the_next_step_too()
    {
        var guide = BoardGuide.Of(new Board { Id = "mystery", Kind = "unknown", McuName = "stm32f103xe", Comm = "USB" });
        Assert.Equal(FlashMethod.Unknown, guide.Method);
        Assert.Contains("ratos-flash answer mystery start", guide.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Equal(FlashMethod.SdCard,
            BoardGuide.Of(new Board { Id = "old", Kind = "unknown", McuName = "lpc1769", FlashStartEffective = "0x4000" }).Method);
    }

    [Theory]
    [InlineData(CardEncoding.MksRobin, "Robin_nano35.bin", "`ratos-flash flash mcu --sd-card` makes Robin_nano35.bin, writes it onto",
        "update_mks_robin.py klipper.bin Robin_nano35.bin`", "as Robin_nano35.bin")]
    [InlineData(CardEncoding.Chitu, "update.cbd", "`ratos-flash flash mcu --sd-card` makes update.cbd, writes it onto",
        "(3) Or manually: copy the built klipper.bin, converted by `~/klipper/scripts/update_chitu.py klipper.bin update.cbd`, onto")]
    [InlineData(CardEncoding.SRecord, "firmware.bin", "`ratos-flash flash mcu --sd-card` makes firmware.bin, writes it onto",
        "objcopy -O srec klipper.elf firmware.bin`", "as firmware.bin")]
    [InlineData(CardEncoding.None, null, "`ratos-flash flash mcu --sd-card` makes a file with a new name, writes it onto",
        "a folder called UPDATE", "a name that ends in .bin and that this board has never had")]
    public void A_board_known_by_its_pins_gets_the_file_of_its_own_card(CardEncoding encoding, string? name, params string[] words)
    {
        var card = new CardFile(name)
        {
            Encoding = encoding,
            NeedsNewName = name is null,
            Folder = name is null ? "UPDATE" : null,
        };
        var profile = new BoardProfile(
            "mcu", Board.Unknown("mcu"), new BoardFacts(FactSource.KlipperConfig, "its pins in generic-x.cfg") { CardFile = card });
        var guide = BoardGuide.Of(profile).Remedy.ToString();
        Assert.All(words, word => Assert.Contains(word, guide, StringComparison.Ordinal));
        Assert.Contains("known by its pins in generic-x.cfg", guide, StringComparison.Ordinal);
        // Its start is not known: it is asked first.
        Assert.Contains("(2) While the board runs Klipper: `ratos-flash flash mcu --sd-card`", guide, StringComparison.Ordinal);
    }
}
