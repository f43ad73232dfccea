using System.Text.Json;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The link of a Klipper build, as the constants of its dictionary show it.</summary>
/// <param name="Kind">The interface.</param>
/// <param name="Pins">Pins that it reserves, RX before TX; null for an RP2040's USB and UART, which reserve none by name.</param>
/// <param name="Rate">Baud of a UART, bit/s of a CAN node; null for USB and for a bridge, which does not name it.</param>
public sealed record FirmwareLink(FirmwareLinkKind Kind, string? Pins = null, int? Rate = null)
{
    public static FirmwareLink Usb { get; } = new(FirmwareLinkKind.Usb, "PA11,PA12");

    public static FirmwareLink Uart { get; } = new(FirmwareLinkKind.Uart, "PA10,PA9", 250_000);

    public static FirmwareLink Can { get; } = new(FirmwareLinkKind.Can, "PB8,PB9", VirtualCanBus.Bitrate);

    public static FirmwareLink CanBridge { get; } = new(FirmwareLinkKind.CanBridge, "PB8,PB9");

    /// <summary>USB on a chip's only pins for it, or on PA11 and PA12.</summary>
    public static FirmwareLink UsbOf(VirtualChip chip) => new(FirmwareLinkKind.Usb, UsbPinsOf(chip));

    /// <param name="config">The constants.</param>
    public static FirmwareLink Of(JsonElement config)
    {
        if (Number("SERIAL_BAUD") is { } baud)
            return new(FirmwareLinkKind.Uart, Text("RESERVE_PINS_serial"), baud);
        if (Number("CANBUS_BRIDGE") is 1)
            return new(FirmwareLinkKind.CanBridge, Text("RESERVE_PINS_CAN"));
        return Number("CANBUS_FREQUENCY") is { } bitrate ? new(FirmwareLinkKind.Can, Text("RESERVE_PINS_CAN"), bitrate)
            : new(FirmwareLinkKind.Usb, Text("RESERVE_PINS_USB") ?? Text("RESERVE_PINS_USB1"));

        int? Number(string name) => config.TryGetProperty(name, out var value) && value.TryGetInt32(out var number) ? number : null;
        string? Text(string name) => config.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    /// <summary>
    /// The constants of a build: a number or a text by name. Chips without names for their USB or UART pins have no constant for them.
    /// </summary>
    internal IEnumerable<(string Name, object Value)> Constants(VirtualChip chip)
    {
        if (Kind is FirmwareLinkKind.Can or FirmwareLinkKind.CanBridge)
            yield return ("RESERVE_PINS_CAN", CanPinsOn(chip)!);
        if (Kind == FirmwareLinkKind.CanBridge)
            yield return ("CANBUS_BRIDGE", 1);
        if (Kind == FirmwareLinkKind.Can)
            yield return ("CANBUS_FREQUENCY", Rate!.Value);
        var usb = Kind == FirmwareLinkKind.CanBridge || (Kind == FirmwareLinkKind.Usb && !chip.IsStm32) ? UsbPinsOf(chip) : Pins;
        if ((Kind is FirmwareLinkKind.Usb or FirmwareLinkKind.CanBridge) && usb is not null)
            yield return (usb == "PB14,PB15" ? "RESERVE_PINS_USB1" : "RESERVE_PINS_USB", usb);
        if (Kind == FirmwareLinkKind.Uart && !chip.IsRp)
            yield return ("RESERVE_PINS_serial", Pins!);
        if (Kind == FirmwareLinkKind.Uart)
            yield return ("SERIAL_BAUD", Rate!.Value);
        if (Kind != FirmwareLinkKind.Usb)
            yield return ("RECEIVE_WINDOW", 192);
    }

    /// <summary>The pins of a CAN link; on an RP2040 the usual ones, where no gpios are named.</summary>
    internal string? CanPinsOn(VirtualChip chip) =>
        chip.IsRp && Pins?.StartsWith("gpio", StringComparison.Ordinal) != true ? "gpio4,gpio5" : Pins;

    /// <summary>RESERVE_PINS_USB of each family's USB driver; null where it names none.</summary>
    private static string? UsbPinsOf(VirtualChip chip) => chip.Family switch
    {
        VirtualFamily.Lpc176x => "P0.30,P0.29,P2.9",
        VirtualFamily.Samd21 or VirtualFamily.Samd51 => "PA24,PA25",
        VirtualFamily.Sam4 => "PB10,PB11",
        _ when chip.IsStm32 => "PA11,PA12",
        _ => null,
    };
}

public enum FirmwareLinkKind
{
    Usb,
    Uart,
    Can,

    /// <summary>USB to CAN, itself a node.</summary>
    CanBridge,
}
