using System.Globalization;
using System.Text.Json;
using RatOS.Flash.Boards;
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
    private sealed record Case(PrinterInventory Inventory, DeviceList Seen, Dictionary<string, BoardFacts> Configs)
    {
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

    /// <param name="name">The file's name.</param>
    /// <param name="power">The power device that the user assigned to the main board.</param>
    /// <param name="controller">The USB controller of all devices; null where it is not known.</param>
    private static Case Read(string name, string? power = null, string? controller = null)
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
        });
        var told = Properties(root, "told").ToDictionary(board => board.Name, board => new McuEvidence(
            Word(board.Value, "version"), Word(board.Value, "chip"))
        {
            Constants = Properties(board.Value, "constants").ToDictionary(one => one.Name, one => one.Value.GetString()!),
        });
        var described = Items(root, "described").Select(board =>
            new PrinterBoard(Word(board, "name")!, BoardCatalogue.BuiltIn.Find(Word(board, "id")!)!)).ToList();
        if (power is not null)
            described.Add(new PrinterBoard("mcu", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!) { Power = power });
        var configs = Properties(root, "configs").ToDictionary(config => config.Name, config => BoardFacts.OfConfig(
            config.Value.GetString()!.Split('\n').Select(line => line.Replace("CONFIG_", "", StringComparison.Ordinal).Split('='))
                .Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => pair[1].Trim('"'))));
        return new(PrinterInventory.Create(
            [.. sections], seen, [.. Properties(root, "links").Select(link => new DeviceLink(link.Name, link.Value.GetString()!))],
            BoardCatalogue.BuiltIn, described, new KlippyEvidence(Word(root, "host"), told),
            [.. Properties(root, "power").Select(device => new PowerDevice(device.Name, device.Value.GetBoolean()))]), seen, configs);
    }

    private static string? Word(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static JsonElement.ArrayEnumerator Items(JsonElement item, string name) =>
        item.TryGetProperty(name, out var list) ? list.EnumerateArray() : default;

    private static JsonElement.ObjectEnumerator Properties(JsonElement item, string name) =>
        item.TryGetProperty(name, out var members) ? members.EnumerateObject() : default;

    private static ushort Hex(string text) => ushort.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
