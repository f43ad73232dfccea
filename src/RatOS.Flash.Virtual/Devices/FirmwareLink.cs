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

    /// <param name="config">The constants.</param>
    public static FirmwareLink Of(JsonElement config)
    {
        if (Number("SERIAL_BAUD") is { } baud)
            return new(FirmwareLinkKind.Uart, Text("RESERVE_PINS_serial"), baud);
        if (Number("CANBUS_BRIDGE") is 1)
            return new(FirmwareLinkKind.CanBridge, Text("RESERVE_PINS_CAN"));
        return Number("CANBUS_FREQUENCY") is { } bitrate ? new(FirmwareLinkKind.Can, Text("RESERVE_PINS_CAN"), bitrate)
            : new(FirmwareLinkKind.Usb, Text("RESERVE_PINS_USB"));

        int? Number(string name) => config.TryGetProperty(name, out var value) && value.TryGetInt32(out var number) ? number : null;
        string? Text(string name) => config.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    /// <summary>Writes the constants, in the order of their names from <c>CANBUS_</c> on.</summary>
    internal void WriteCan(Utf8JsonWriter json)
    {
        if (Kind == FirmwareLinkKind.CanBridge)
            json.WriteNumber("CANBUS_BRIDGE", 1);
        if (Kind == FirmwareLinkKind.Can)
            json.WriteNumber("CANBUS_FREQUENCY", Rate!.Value);
    }

    /// <summary>Writes the constants, in the order of their names from <c>RESERVE_PINS_</c> on.</summary>
    internal void WritePins(Utf8JsonWriter json, VirtualChip chip)
    {
        var isRp = chip.Name.StartsWith("rp2", StringComparison.Ordinal);
        if (Kind is FirmwareLinkKind.Can or FirmwareLinkKind.CanBridge)
            json.WriteString("RESERVE_PINS_CAN", isRp ? "gpio4,gpio5" : Pins);
        if (Kind is FirmwareLinkKind.Usb or FirmwareLinkKind.CanBridge && !isRp)
            json.WriteString("RESERVE_PINS_USB", Kind == FirmwareLinkKind.Usb ? Pins : Usb.Pins);
        if (Kind == FirmwareLinkKind.Uart && !isRp)
            json.WriteString("RESERVE_PINS_serial", Pins);
        if (Kind == FirmwareLinkKind.Uart)
            json.WriteNumber("SERIAL_BAUD", Rate!.Value);
    }
}

public enum FirmwareLinkKind
{
    Usb,
    Uart,
    Can,

    /// <summary>USB to CAN, itself a node.</summary>
    CanBridge,
}
