using System.Globalization;
using System.Text.Json;
using RatOS.Flash.Boards;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// Reduced printers from the field, <c>Recordings/cases</c>: sections, buses, links and Klipper's report, with the right answers.
/// </summary>
public sealed class FieldCaseTests
{
    /// <param name="Inventory">The printer.</param>
    /// <param name="Seen">Its buses.</param>
    /// <param name="Configs">By board: its kept build options.</param>
    /// <param name="State">Klipper's state and its message.</param>
    private sealed record Case(
        PrinterInventory Inventory, DeviceList Seen, Dictionary<string, BoardFacts> Configs, (string? State, string? Message) State)
    {
        public FirmwareNeed NeedOf(string section) => FirmwareNeed.Of(new NeedEvidence
        {
            Section = section,
            Running = Of(section).Running,
            Host = Of(section).Host,
            State = State.State,
            Message = State.Message,
        });

        public PrinterMcu Of(string section) => Inventory.Mcus.Single(mcu => mcu.Section == section);

        public BoardPlan Plan(string section)
        {
            var board = Of(section).Board!;
            if (Configs.GetValueOrDefault(board.Name) is { } chosen)
                board = board with { Facts = [chosen, .. board.Facts] };
            return FlashPlan.Create([new FlashRequest(board, null) { Findings = Of(section).Findings }], Seen, new(KlippyActivity.Ready))
                .Boards[0];
        }
    }

    [Fact]
    public void Other_firmware_with_Klippers_protocol_and_id_is_listed_and_left_alone()
    {
        var adxl = Read("c11_anchor").Of("mcu adxl");
        Assert.Equal((McuOwner.OwnUpdater, "it runs Rampon of Anchor (1d50:614e), which is not Klipper's firmware"),
            (adxl.Owner, adxl.Reason));
        Assert.Equal("not-ours", Assert.Throws<Core.FlashException>(() => adxl.BoardToFlash()).Kind.Code);
        Assert.DoesNotContain(Read("c11_anchor").Inventory.All, mcu => mcu.Section == "mcu adxl");
    }

    [Fact]
    public void A_converter_with_a_port_of_its_own_is_a_wire()
    {
        var printer = Read("c15_ch343_acm");
        var (mcu, plan) = (printer.Of("mcu"), printer.Plan("mcu"));
        Assert.Equal((McuOwner.Ours, true, "1-1.2"), (mcu.Owner, mcu.Device?.IsWired, mcu.Port));
        Assert.Equal((true, FlashEntry.UartRequest), (plan.Device?.IsWired, plan.Entry));
        Assert.DoesNotContain(plan.Findings, finding => finding.Code == "board-not-seen");
    }

    [Fact]
    public void Other_firmware_is_named_as_what_it_is()
    {
        var printer = Read("c16_other_firmware_at_port");
        Assert.Contains("it runs Marlin USB Device of marlinfw.org (1d50:6029)", printer.Of("mcu b").Reason, StringComparison.Ordinal);
        Assert.Contains("it runs Duet of Duet3D (1d50:60ec)", printer.Of("mcu c").Reason, StringComparison.Ordinal);
        // The same board by its serial, with other firmware.
        var found = Assert.Single(printer.Of("mcu").Findings, finding => finding.Code == "foreign-firmware");
        Assert.Contains("RepRapFirmware (1d50:60ec)", found.Text, StringComparison.Ordinal);
        Assert.Contains("port 1-1", found.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_named_port_with_another_device_is_never_called_empty()
    {
        var printer = Read("c16_other_firmware_at_port");
        var board = new PrinterBoard("skr", BoardCatalogue.BuiltIn.Find("btt-skr-3")!) { Port = "1-2", OnlyByPort = true };
        var plan = FlashPlan.Create([new FlashRequest(board, null)], printer.Seen, new(KlippyActivity.Ready)).Boards[0];
        Assert.Equal("foreign-firmware", plan.Blocker?.Code);
        Assert.Contains("Marlin USB Device of marlinfw.org (1d50:6029)", plan.Blocker!.Cause, StringComparison.Ordinal);
        Assert.Contains("port 1-2", plan.Blocker.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Klipper_with_a_USB_id_of_its_own_is_Klipper()
    {
        var printer = Read("c29_own_usb_id");
        Assert.Equal("1-1.2", printer.Of("mcu").Device?.Port);
        Assert.Equal((FlashEntry.Touch, (string?)null), (printer.Plan("mcu").Entry, printer.Plan("mcu").Blocker?.Code));
    }

    /// <summary>Its ROM leaves the .uf2 of Klipper's build alone, which carries the RP2040's family.</summary>
    [Fact]
    public void An_RP2350_in_BOOTSEL_is_flashed_there_and_sent_no_uf2()
    {
        var printer = Read("c38_rp2350_bootsel");
        Assert.Contains(printer.Of("mcu").Findings, finding => finding.Code == "bootloader-assumed");
        var plan = printer.Plan("mcu");
        Assert.Equal((FlashEntry.InBootloader, "bootsel", (string?)null), (plan.Entry, plan.Bootloader?.Name, plan.Blocker?.Code));
    }

    [Fact]
    public void Power_devices_of_lights_and_fans_are_no_boards_supply()
    {
        Assert.Equal("board-not-seen", Read("c20_power_lights_off").Plan("mcu").Blocker?.Code);
        Assert.Equal("no-power", Read("c20_power_lights_off", power: "enclosure_leds").Plan("mcu").Blocker?.Code);
        Assert.Equal("board-not-seen", Read("c20_power_lights_off", power: "printer_psu").Plan("mcu").Blocker?.Code);
    }

    /// <summary>A computer whose USB controllers have one port each: the chain alone is the same for both boards.</summary>
    [Fact]
    public void A_port_is_a_chain_at_its_own_controller()
    {
        var printer = Read("c07_bypath_two_controllers");
        Assert.Null(printer.Of("mcu").Device);
        Assert.Equal(["board-not-seen"], printer.Of("mcu").Findings.Select(finding => finding.Code));
        Assert.Equal("3-1", printer.Of("mcu tool").Device?.Port);
        Assert.Empty(printer.Of("mcu tool").Findings);
    }

    [Theory]
    [InlineData("5311400.usb", "mcu", "mcu tool")]
    [InlineData("5200000.usb", "mcu tool", "mcu")]
    [InlineData(null, null, "mcu")]   // nothing tells which one it is
    public void A_bootloader_is_the_board_of_its_controller(string? controller, string? its, string missing)
    {
        var printer = Read("c07b_bypath_dfu_other_controller", controller: controller);
        Assert.Null(printer.Of(missing).Device);
        Assert.DoesNotContain(printer.Inventory.Findings, finding => finding.Code == "two-sections-one-port");
        if (its is not null)
            Assert.Equal("3-1", printer.Of(its).Device?.Port);
    }

    [Theory]
    [InlineData("c28_same_serial_bypath", "mcu", "5-1")]
    [InlineData("c28_same_serial_bypath", "mcu extra_mcu", "6-1")]
    [InlineData("c22_acm_numbers", "mcu", "5-1")]
    [InlineData("c22_acm_numbers", "mcu extra_mcu", "6-1")]
    public void Boards_on_two_controllers_are_each_where_their_links_lead(string name, string section, string port) =>
        Assert.Equal(port, Read(name).Of(section).Device?.Port);

    // ---- Kalico, old texts, versions

    [Fact]
    public void An_absent_board_that_may_be_absent_is_left_out_of_all_with_a_note()
    {
        var printer = Read("c13_non_critical");
        var adxl = printer.Of("mcu adxl");
        Assert.Equal(["mcu"], printer.Inventory.All.Select(mcu => mcu.Section));
        var note = Assert.Single(adxl.Findings, finding => finding.Code == "board-away");
        Assert.Equal(Core.FindingSeverity.Note, note.Severity);
        Assert.Contains("[mcu adxl] has `is_non_critical`", note.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(adxl.Findings, finding => finding.Severity == Core.FindingSeverity.Blocker);
        Assert.True(printer.Plan("mcu adxl").IsBlocked);
    }

    [Fact]
    public void Kalico_counts_years_in_its_versions()
    {
        Assert.Equal(NeedLevel.Unknown, Read("c13_non_critical").NeedOf("mcu").Level);
        Assert.True(KlipperVersion.Parse("v2026.07.00-1-gaaaaaaaa").IsNewerThan(KlipperVersion.Parse("v2026.06.00-9-gbbbbbbbb")));
        Assert.False(KlipperVersion.Parse("v2026.07.00-1-gaaaaaaaa").IsNewerThan(KlipperVersion.Parse("v0.13.0-9-gbbbbbbbb")));
    }

    [Fact]
    public void A_complaint_in_the_words_before_v0_12_is_understood()
    {
        var printer = Read("c17_old_text");
        Assert.Equal(NeedLevel.Required, printer.NeedOf("mcu rpi").Level);
        Assert.Contains("Command format mismatch: config", printer.NeedOf("mcu rpi").Reason, StringComparison.Ordinal);
        Assert.Equal(NeedLevel.Needless, printer.NeedOf("mcu").Level);
        var error = ProtocolError.Parse(printer.State.State, printer.State.Message)!;
        Assert.Equal(("v0.10.0-113-gd4aee4f5", "mcu rpi"), (error.Host, error.Section));
        Assert.Equal([("mcu rpi", "v0.9.1-763-g3a497d04")], error.Outdated.Select(one => (one.Key, one.Value)));
        Assert.Null(ProtocolError.Parse("error", "mcu 'rpi': Unable to connect\nOnce the underlying issue is corrected"));
    }

    [Fact]
    public void A_complaint_of_Kalico_is_understood()
    {
        var error = ProtocolError.Parse("error",
            "MCU Protocol error\n\nYour Kalico version is: v2026.07.00-1-gaaaaaaaa\nMCU(s) which should be updated:\n"
            + "mcu: Current version v2026.06.00-1-gbbbbbbbb\nUp-to-date MCU(s):\n<none>\n\nmcu 'mcu': Unknown command: x")!;
        Assert.Equal(("v2026.07.00-1-gaaaaaaaa", "mcu"), (error.Host, error.Section));
    }

    [Fact]
    public void Boards_newer_than_Klipper_need_a_newer_Klipper_first()
    {
        var printer = Read("c34_afc_two_lights");
        var need = printer.NeedOf("mcu eddy");
        Assert.Equal(NeedLevel.Required, need.Level);
        Assert.Contains("v0.12.0-206-g3078912f, newer than Klipper (v0.12.0-166-g957475421): update Klipper first", need.Reason,
            StringComparison.Ordinal);
        // The complaint names the other one. That this one is newer is known all the same.
        Assert.Equal(NeedLevel.Unknown, printer.NeedOf("mcu").Level);
        Assert.Contains("update Klipper first", printer.NeedOf("mcu").Reason, StringComparison.Ordinal);
        Assert.DoesNotContain("update Klipper first", Read("c19_k1_gd32").NeedOf("mcu leveling_mcu").Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Klipper_of_modified_sources_says_what_it_misses()
    {
        Assert.Equal(NeedLevel.Required, Read("c35_version_quirks").NeedOf("mcu").Level);
        var quiet = FirmwareNeed.Of(new NeedEvidence
        {
            Section = "mcu",
            Running = "v0.12.0-470-gf511e201f",
            Host = "v0.12.0-470-gf511e201f-dirty",
            State = "ready",
        });
        Assert.Equal(NeedLevel.Unknown, quiet.Level);
        Assert.Contains("modified locally", quiet.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lost_connection_is_no_complaint_about_firmware() =>
        Assert.Equal(NeedLevel.Needless, Read("c36_lost_comm").NeedOf("mcu EBBCan").Level);

    // ---- guides

    [Theory]
    [InlineData("mcu", "avrdude -p atmega2560 -c wiring -P /dev/serial/by-id/usb-Prusa_Research__prusa3d.com__Original_Prusa_i3_MK3_"
        + "CZPX0000X004XK00000-if00 -D")]
    [InlineData("mcu arduino", "avrdude -p atmega328p -c arduino -P /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0 -D")]
    public void An_AVR_is_on_a_UART_whatever_the_converter_and_its_guide_has_its_port(string section, string words)
    {
        var printer = Read("c12_prusa");
        Assert.Equal((true, "UART"), (printer.Of(section).Device?.IsWired, printer.Of(section).Board?.Board.Comm));
        Assert.Contains(words, $"{printer.Plan(section).Blocker?.Remedy}", StringComparison.Ordinal);
    }

    [Fact]
    public void A_chip_whose_ROM_has_no_USB_DFU_is_not_sent_there()
    {
        var printer = Read("c41_f103_by_hand");
        var board = printer.Of("mcu").Board! with { Facts = [printer.Configs["mcu"], .. printer.Of("mcu").Board!.Facts] };
        var guide = BoardGuide.Of(board.Profile).Remedy.ToString();
        Assert.Contains("has no USB DFU", guide, StringComparison.Ordinal);
        Assert.Contains("`st-flash --reset write klipper.bin 0x08007000`", guide, StringComparison.Ordinal);
        Assert.Contains("--bootloader stm32-uart", guide, StringComparison.Ordinal);
        Assert.DoesNotContain("jumper", guide, StringComparison.Ordinal);
    }

    [Fact]
    public void A_card_has_the_boards_own_file_name_folder_and_form()
    {
        var printer = Read("c41_f103_by_hand");
        var board = printer.Of("mcu").Board!;
        Assert.Contains("`~/klipper/scripts/update_mks_robin.py klipper.bin Robin_nano35.bin`",
            Guide(new("Robin_nano35.bin") { Encoding = CardEncoding.MksRobin }), StringComparison.Ordinal);
        Assert.Contains("in a folder called STM32F4_UPDATE", Guide(new("firmware.bin") { Folder = "STM32F4_UPDATE" }),
            StringComparison.Ordinal);
        Assert.Contains("that this board has never had", Guide(new(null) { NeedsNewName = true }), StringComparison.Ordinal);

        string Guide(CardFile file) => BoardGuide.Of((board with
        {
            Facts = [printer.Configs["mcu"], new(FactSource.KlipperConfig, "its pins") { CardFile = file }, .. board.Facts],
        }).Profile).Remedy.ToString();
    }

    /// <summary>The maker's fork alone has this chip: no description of the board helps.</summary>
    [Theory]
    [InlineData("mcu", "gd32f303xb")]
    [InlineData("mcu leveling_mcu", "gd32e230x8")]
    public void A_chip_that_only_a_fork_of_Klipper_has_is_refused_with_what_helps(string section, string chip)
    {
        var blocker = Read("c19_k1_gd32").Plan(section).Blocker!;
        Assert.Equal("no-road", blocker.Code);
        Assert.Contains($"Klipper's own sources have no {chip}", $"{blocker.Remedy}", StringComparison.Ordinal);
        Assert.DoesNotContain("ratos-flash.conf", $"{blocker.Remedy}", StringComparison.Ordinal);
    }

    [Fact]
    public void A_board_on_a_wire_without_Katapult_has_its_card_as_the_way()
    {
        var printer = Read("c14_ch340_creality");
        var board = printer.Of("mcu").Board!;
        var card = new BoardFacts(FactSource.KlipperConfig, "its pins") { CardFile = new(null) { NeedsNewName = true } };
        board = board with { Facts = [printer.Configs["mcu"], card, .. board.Facts] };
        var request = new FlashRequest(board, null);
        var plan = FlashPlan.Create([request], printer.Seen, new(KlippyActivity.Ready)).Boards[0];
        Assert.Equal((FlashEntry.UartRequest, 115_200), (plan.Entry, plan.Profile.HostBaud?.Value));
        Assert.Contains("that this board has never had", string.Join(' ', BoardGuide.WithoutKatapult(plan.Profile)),
            StringComparison.Ordinal);
        var byCard = FlashPlan.Create([request with { Job = FlashJob.SdCard }], printer.Seen, new(KlippyActivity.Ready)).Boards[0];
        Assert.Equal((FlashEntry.SdCard, false), (byCard.Entry, byCard.IsBlocked));
        Assert.Contains("stock bootloader, known by its pins, installs a file with a new name", byCard.Route, StringComparison.Ordinal);
    }

    // ---- what the user knows

    [Fact]
    public void A_chip_that_the_user_names_is_a_statement_that_the_board_can_contradict()
    {
        var told = new BoardFacts(FactSource.User, "ratos-flash.conf") { Chip = "stm32h743xx" };
        var refusal = Read("c21_stale_serial_two_h723", facts: ("mcu", told)).Of("mcu").Findings
            .Single(finding => finding.Code == "wrong-mcu");
        Assert.Contains("should be a stm32h743xx", refusal.Text, StringComparison.Ordinal);
        var right = Read("c21_stale_serial_two_h723", facts: ("mcu", told with { Chip = "stm32h723xx", ApplicationStart = 0x0802_0000 }));
        Assert.DoesNotContain(right.Of("mcu").Findings, finding => finding.Code == "wrong-mcu");
        Assert.Equal((0x0802_0000u, FactSource.User),
            (right.Of("mcu").Board!.Profile.ApplicationStart!.Value, right.Of("mcu").Board!.Profile.ApplicationStart!.Source));
    }

    // ---- a board under another serial

    [Fact]
    public void A_board_of_the_absent_ones_chip_that_no_section_names_is_named_with_its_serial()
    {
        var printer = Read("c21_stale_serial_two_h723");
        var blocker = printer.Plan("mcu AFC").Blocker!;
        Assert.Equal("board-not-seen", blocker.Code);
        Assert.Contains("a stm32h723xx with serial 3A000D000000000000000000 at 1-1.2 is named by no section of printer.cfg", blocker.Cause,
            StringComparison.Ordinal);
        Assert.Contains("set `serial: /dev/serial/by-id/usb-Klipper_stm32h723xx_3A000D000000000000000000-if00` in [mcu AFC]",
            $"{blocker.Remedy}", StringComparison.Ordinal);
        Assert.Contains("Seen: stm32h723xx 390039000000000000000000 (1d50:614e at 1-1.1)", blocker.Cause, StringComparison.Ordinal);
        Assert.Null(printer.Plan("mcu").Blocker);
    }

    [Fact]
    public void A_board_that_a_section_or_a_description_names_is_not_taken_for_the_absent_one()
    {
        var blocker = Read("c21_stale_serial_two_h723", describe: ("spare", "1-1.2")).Of("mcu AFC").Findings
            .Single(finding => finding.Code == "board-not-seen");
        Assert.DoesNotContain("named by no section", blocker.Text, StringComparison.Ordinal);
    }

    /// <param name="name">The file's name.</param>
    /// <param name="facts">Facts that the user wrote of a board, in the place of all descriptions.</param>
    /// <param name="describe">A board that the user described: its name and its port.</param>
    /// <param name="power">The power device that the user assigned to the main board.</param>
    /// <param name="controller">The USB controller of all devices; null where it is not known.</param>
    private static Case Read(string name, string? power = null, string? controller = null, (string Name, string Port)? describe = null,
        (string Name, BoardFacts Facts)? facts = null)
    {
        var options = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip };
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine("Recordings", "cases", name + ".json")), options);
        var root = json.RootElement;
        var number = 0;
        var seen = new DeviceList(1, [.. Items(root, "devices").Select(device => new Device
        {
            Port = Word(device, "port")!,
            Number = ++number,
            Controller = controller,
            Usb = Word(device, "usb")?.Split(':') is [var vendor, var product] ? new(Hex(vendor), Hex(product)) : null,
            Manufacturer = Word(device, "maker"),
            Product = Word(device, "product"),
            Serial = Word(device, "serial"),
            Node = Word(device, "node"),
            Can = device.TryGetProperty("can", out _) ? new CanLink(true, 1_000_000, null) : null,
        })]);
        var sections = Items(root, "sections").Select(section => new McuSection(Word(section, "name")!)
        {
            Serial = Word(section, "serial"),
            Baud = Word(section, "baud"),
            CanbusUuid = Word(section, "canbus_uuid"),
            CanbusInterface = Word(section, "canbus_interface"),
            RestartMethod = Word(section, "restart_method"),
            IsNonCritical = section.TryGetProperty("is_non_critical", out _),
        });
        var reported = Properties(root, "told").ToDictionary(board => board.Name, board => new McuEvidence(
            Word(board.Value, "version"), Word(board.Value, "chip"))
        {
            Constants = Properties(board.Value, "constants").ToDictionary(one => one.Name, one => one.Value.GetString()!),
        });
        var described = Items(root, "described").Select(board =>
            new PrinterBoard(Word(board, "name")!, BoardCatalogue.BuiltIn.Find(Word(board, "id")!)!)).ToList();
        if (power is not null)
            described.Add(new PrinterBoard("mcu", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!) { Power = power });
        if (facts is { } told)
            described = [new PrinterBoard(told.Name, Board.Unknown(told.Name)) { Facts = [told.Facts] }];
        if (describe is { } spare)
            described.Add(new PrinterBoard(spare.Name, BoardCatalogue.BuiltIn.Find("btt-skr-3")!) { Port = spare.Port, OnlyByPort = true });
        var configs = Properties(root, "configs").ToDictionary(config => config.Name, config => BoardFacts.OfConfig(
            config.Value.GetString()!.Split('\n').Select(line => line.Replace("CONFIG_", "", StringComparison.Ordinal).Split('='))
                .Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => pair[1].Trim('"'))));
        return new(PrinterInventory.Create(
            [.. sections], seen, [.. Properties(root, "links").Select(link => new DeviceLink(link.Name, link.Value.GetString()!))],
            BoardCatalogue.BuiltIn, described, new KlippyEvidence(Word(root, "host"), reported),
            [.. Properties(root, "power").Select(device => new PowerDevice(device.Name, device.Value.GetBoolean()))]), seen, configs,
            (Word(root, "state"), Word(root, "message")));
    }

    private static string? Word(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static JsonElement.ArrayEnumerator Items(JsonElement item, string name) =>
        item.TryGetProperty(name, out var list) ? list.EnumerateArray() : default;

    private static JsonElement.ObjectEnumerator Properties(JsonElement item, string name) =>
        item.TryGetProperty(name, out var members) ? members.EnumerateObject() : default;

    private static ushort Hex(string text) => ushort.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
