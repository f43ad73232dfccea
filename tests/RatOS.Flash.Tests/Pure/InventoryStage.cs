using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Devices, sections and links of a printer, for inventories.</summary>
internal static class InventoryStage
{
    public const string OctopusUid = "2A0037000C51383138383538", Host = "v0.13.0-730-g84104bbbd", Old = "v0.12.0-10-g1f2a9e1c";

    public static readonly Device Octopus = InKlipper("1-1.1", "btt-octopus-11", "stm32f446xx", "/dev/ttyACM0");
    public static readonly Device Ebb = InKlipper("1-1.2", "btt-ebb42-12-t0", "stm32g0b1xx", "/dev/ttyACM1");
    public static readonly Device Webcam = new() { Port = "1-1.7", Number = 9, Usb = new UsbId(0x046d, 0x0825), Product = "Webcam" };
    public static readonly Device Beacon =
        new()
        {
            Port = "1-1.5",
            Number = 9,
            Usb = new UsbId(0x04d8, 0xe72b),
            Manufacturer = "Beacon",
            Product = "Beacon RevH",
            Serial = "4F1A",
            Node = "/dev/ttyACM5"
        };
    public static readonly Device Can0 = new() { Port = "can0", Number = 20, Can = new CanLink(true, 1_000_000, "1-1.4") };
    public static readonly CanUuid Uuid = CanUuid.TryParse("a19f7f1b35c1")!.Value;

    public static readonly McuSection Main = new("mcu") { Serial = "/dev/RatOS/btt-octopus-11" };
    public static readonly McuSection Tool = new("mcu toolboard_t0") { Serial = "/dev/RatOS/btt-ebb42-12-t0" };
    public static readonly McuSection Pi = new("mcu rpi") { Serial = "/tmp/klipper_host_mcu" };

    public static readonly DeviceLink[] Links =
    [
        new("/dev/RatOS/btt-octopus-11", "../ttyACM0"), new("/dev/btt-octopus-11", "ttyACM0"),
            new("/dev/RatOS/btt-ebb42-12-t0", "/dev/ttyACM1"),
        new("/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00", "../../ttyACM0"),
        new("/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1:1.0", "../../ttyACM0"),
    ];

    public static Device InKlipper(string port, string serial, string product, string? node, int number = 5) =>
        new()
        {
            Port = port,
            Number = number,
            Usb = UsbId.Klipper,
            Manufacturer = "Klipper",
            Serial = serial,
            Product = product,
            Node = node
        };

    public static Device InKatapult(string port, string serial = OctopusUid, string product = "stm32f446xx") =>
        new()
        {
            Port = port,
            Number = 11,
            Usb = KatapultDriver.Id,
            Manufacturer = "katapult",
            Serial = serial,
            Product = product,
            Node = "/dev/ttyACM8"
        };

    public static Device Dfu(string port, string product = "STM32  BOOTLOADER", string serial = "203739645542") =>
        new() { Port = port, Number = 12, Usb = DfuSeDriver.Id, Serial = serial, Product = product };

    public static KlippyEvidence Told(params (string Section, string? Version, string? Chip)[] boards) =>
        new(Host, boards.ToDictionary(board => board.Section, board => new McuEvidence(board.Version, board.Chip)));

    public static PrinterInventory Of(McuSection[] sections, Device[] devices, KlippyEvidence? told = null,
        PrinterBoard[]? described = null,
        PowerDevice[]? power = null, DeviceLink[]? links = null, Dictionary<string, (string Port, string? Controller)>? ports = null) =>
        PrinterInventory.Create(sections, new DeviceList(1, [.. devices]), links ?? Links, BoardCatalogue.BuiltIn, described ?? [],
            told ?? KlippyEvidence.None, power, ports);

    public static Board Kind(string id) => BoardCatalogue.BuiltIn.Find(id)!;

    public static string[] Codes(PrinterMcu mcu) => [.. mcu.Findings.Select(finding => finding.Code)];
}
