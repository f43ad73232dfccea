using System.Collections.Immutable;

namespace RatOS.Flash.Hardware;

/// <summary>All devices at one moment, and the number of changes until then.</summary>
public sealed record DeviceList(long Generation, ImmutableArray<Device> Devices)
{
    /// <summary>Every device with its product, in one line for people; a board with Klipper also with its serial.</summary>
    public string Description => Devices.Length == 0 ? "nothing" : string.Join(", ", Devices.Select(device =>
        $"{device.DisplayName ?? "?"}{(device is { RunsKlipper: true, Serial: { } serial } ? $" {serial}" : "")} ({device})"));
}

/// <summary>One enumeration of one device at one port.</summary>
public sealed record Device
{
    /// <summary>
    /// Where it is plugged in: a USB port path such as <c>1-1.3</c>, the name of a wired serial port such as <c>ttyAMA0</c>, or of a CAN
    /// interface such as <c>can0</c>.
    /// </summary>
    public required string Port { get; init; }

    /// <summary>
    /// The host controller of its USB bus, as udev's by-path links name it at the end: <c>5311400.usb</c>, <c>0000:01:00.0</c>. Null where
    /// it is unknown. Buses are numbered in the order in which the kernel finds their controllers, which may change.
    /// </summary>
    public string? Controller { get; init; }

    /// <summary>
    /// Number of this enumeration, unique on this computer: the same board gets another one each time it returns to the bus.
    /// </summary>
    public required int Number { get; init; }

    /// <summary>Vendor and product; null for a wired serial port and for a CAN interface.</summary>
    public UsbId? Usb { get; init; }

    /// <summary>A CAN interface; null for all others. Its adapter, if it is on USB, is another device.</summary>
    public CanLink? Can { get; init; }

    /// <summary>
    /// One node on that interface, as it answered; null for the interface itself. No bus lists nodes: only a query finds them.
    /// </summary>
    public CanNode? CanNode { get; init; }

    /// <summary>A serial port without USB: it is always there, whatever is connected to it.</summary>
    public bool IsWired => Usb is null && Can is null;

    /// <summary>The device's own strings as it sent them; null when it has none.</summary>
    public string? Manufacturer { get; init; }

    /// <inheritdoc cref="Manufacturer"/>
    public string? Product { get; init; }

    /// <inheritdoc cref="Manufacturer"/>
    public string? Serial { get; init; }

    /// <summary>The product without double spaces: old STM32 ROMs call themselves <c>STM32  BOOTLOADER</c>.</summary>
    public string? DisplayName => Product is null ? null : string.Join(' ', Product.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>bcdDevice of the device descriptor.</summary>
    public ushort Release { get; init; }

    /// <summary>The serial port's device node such as <c>/dev/ttyACM0</c>; null when the device has none (ROM DFU).</summary>
    public string? Node { get; init; }

    /// <summary>
    /// The kernel's driver of the first interface such as <c>cdc_acm</c>; null where none is bound. <c>usbfs</c>: a program has taken it.
    /// </summary>
    public string? Driver { get; init; }

    /// <summary>
    /// It describes a serial port (CDC-ACM) for which no driver has made a node: the kernel's <c>cdc_acm</c> is not loaded.
    /// </summary>
    public bool LacksSerialDriver { get; init; }

    /// <summary>
    /// Klipper over USB, by its manufacturer's text, which no build option changes; its USB id is one (Klipper src/Kconfig, USB_VENDOR_ID).
    /// Other firmware uses Klipper's id too. By the id alone where there is no text.
    /// </summary>
    public bool RunsKlipper => Usb is { } id && id != UsbId.KlipperCanBridge
        && (Manufacturer is null ? id == UsbId.Klipper : Manufacturer == "Klipper");

    /// <summary>
    /// A converter from USB to a UART: its descriptors say nothing of the board behind it, which is on a wire. By the makers of such chips:
    /// WCH, FTDI, Silicon Labs, Prolific.
    /// </summary>
    public bool IsSerialAdapter => Node is not null && Usb is { Vendor: 0x1a86 or 0x0403 or 0x10c4 or 0x067b };

    /// <summary>The port as the wire that it is, where the USB device is a converter.</summary>
    public Device AsWire => this with { Usb = null };

    /// <summary>Its own texts, for people: <c>Marlin USB Device of marlinfw.org (1d50:6029)</c>.</summary>
    public string Identity =>
        $"{Product ?? "a device"}{(Manufacturer is null || Manufacturer == Product ? "" : $" of {Manufacturer}")} ({Usb})";

    /// <summary>A terminal that a process made. No bus lists it; opening it shows whether it is there.</summary>
    public static Device Terminal(string path) => new() { Port = path, Number = 0, Node = path };

    /// <inheritdoc cref="Terminal"/>
    public bool IsTerminal => Number == 0 && IsWired && Port == Node;

    /// <summary>True when both are the same session, not merely the same board.</summary>
    public bool IsSameSession(Device other) => Port == other.Port && Number == other.Number;

    /// <summary>
    /// It is at a port that was remembered: of the same controller by the ports behind its root hub, else, where a controller is not
    /// known, by name.
    /// </summary>
    public bool IsAt(string port, string? controller) => !IsLasting(controller) || !IsLasting(Controller) ? port == Port
        : controller == Controller && Chain(port) == Chain(Port);

    /// <summary>Some controllers are numbered at each start: <c>xhci-hcd.0.auto</c>.</summary>
    private static bool IsLasting(string? controller) => controller?.EndsWith(".auto", StringComparison.Ordinal) == false;

    private static string Chain(string port) => port[(port.IndexOf('-', StringComparison.Ordinal) + 1)..];

    public override string ToString() => Usb is { } id ? $"{id} at {Port}" : CanNode is { } node ? $"{node.Uuid} on {Port}" : Node ?? Port;
}

/// <summary>One link to a port: below <c>/dev/serial</c>, <c>/dev/RatOS</c> or <c>/dev</c>.</summary>
/// <param name="Path">The whole path of the link.</param>
/// <param name="Target">What it leads to, as it stands in the link or resolved: <c>../../ttyACM0</c>, <c>/dev/ttyACM0</c>, or another
/// link.</param>
public sealed record DeviceLink(string Path, string Target);
