using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>What an inventory is made from. Parameters as of <see cref="PrinterInventory.Create"/>.</summary>
internal sealed record InventorySources(
    IReadOnlyList<McuSection> Sections, DeviceList Seen, IReadOnlyList<DeviceLink> Links, BoardCatalogue Catalogue,
    IReadOnlyList<PrinterBoard> Described, KlippyEvidence Klippy)
{
    /// <summary>
    /// Probes and scanners with their makers' firmware and updater. They have Klipper's own USB id, or an <c>[mcu]</c> section.
    /// </summary>
    private static readonly string[] OwnUpdaters = ["beacon", "cartographer", "scanner", "idm"];

    public required IReadOnlyList<PowerDevice> Power { get; init; }

    public required IReadOnlyDictionary<string, (string Port, string? Controller)> Ports { get; init; }

    public PrinterPins Pins { get; init; } = PrinterPins.None;

    public required IReadOnlyList<BoardIdentity> Identities { get; init; }

    /// <summary>The port node behind a path, through its links.</summary>
    public string Resolve(string path)
    {
        // More steps than any real link has: then it is a circle.
        for (var steps = 0; steps < 8 && Links.FirstOrDefault(link => link.Path == path) is { } found; steps++)
        {
            path = found.Target.StartsWith("/dev/", StringComparison.Ordinal)
                ? found.Target : "/dev/" + found.Target[(found.Target.LastIndexOf('/') + 1)..];
        }
        return path;
    }

    /// <summary>A path for the <c>serial:</c> of a board with Klipper: udev's link by its serial, which exists or will.</summary>
    public string LinkTo(Device device)
    {
        const string ById = "/dev/serial/by-id/";
        return Links.FirstOrDefault(link => link.Path.StartsWith(ById, StringComparison.Ordinal) && Resolve(link.Path) == device.Node)?.Path
            ?? $"{ById}usb-Klipper_{PathEvidence.Udev(device.Product)}_{PathEvidence.Udev(device.Serial)}-if00";
    }

    /// <summary>
    /// The controller of a USB device, whole or its end: by sysfs, or by the by-path link of any port on the same bus. Null where neither
    /// tells.
    /// </summary>
    public string? ControllerOf(Device device) => device.Controller ?? Links.Where(link => IsOnBusOf(device, Resolve(link.Path)))
        .Select(link => PathEvidence.Of(link.Path).Controller).FirstOrDefault(controller => controller is not null);

    private bool IsOnBusOf(Device device, string node) =>
        Seen.Devices.Any(other => other is { Usb: not null } && other.Node == node && BusOf(other) == BusOf(device));

    private static string BusOf(Device device) => device.Port.Split('-')[0];

    /// <summary>The kind of a board that runs Klipper, by the serial that it announces.</summary>
    public Board? KindOf(Device? device) => device is { RunsKlipper: true } ? Catalogue.FindBySerial(device.Serial) : null;

    /// <summary>The maker whose updater updates this device; null for all others.</summary>
    public string? OwnUpdaterOf(Device device)
    {
        var probe = device.Usb is { } id
            ? Catalogue.Boards.FirstOrDefault(board => board.Kind == "probe" && board.UdevUsbId == id.ToString()) : null;
        // A paper scanner is none of them: it has no serial port.
        return ProbeUpdater.IsFor(device) ? "beacon"
            : probe?.ShortName ?? (device.Node is null ? null : MakerIn(device.Manufacturer) ?? MakerIn(device.Product));
    }

    /// <summary>The maker of probes that a text names; null for none. One is spelled Cartographer3D.</summary>
    public static string? MakerIn(string? text) => text is null ? null : OwnUpdaters.FirstOrDefault(maker =>
        text.Split([' ', '-', '_', '.', '3'], StringSplitOptions.RemoveEmptyEntries).Any(part => IsSame(part, maker)));

    public static bool IsBootloader(Device device) => device.Usb is not null && Drivers.All.Showing(device) is not null;

    public static bool IsSame(string? one, string? other) =>
        one is not null && string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
}
