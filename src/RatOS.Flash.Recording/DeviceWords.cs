using System.Globalization;
using RatOS.Flash.Hardware;
using static RatOS.Flash.Recording.RecordingWords;

namespace RatOS.Flash.Recording;

/// <summary>A device as the words of <c>bus came</c>.</summary>
internal static class DeviceWords
{
    private const int Count = 12;

    public static string?[] Of(Device device) =>
    [
        device.Port, Number(device.Number), device.Usb?.ToString(), device.Can is { } can ? can.IsUp ? "up" : "down" : null,
        device.Can?.Bitrate is { } bitrate ? Number(bitrate) : null, device.Can?.UsbPort,
        device.Manufacturer, device.Product, device.Serial, Number(device.Release), device.Node, device.Driver,
        device.LacksSerialDriver ? "no-serial-driver" : null,
    ];

    /// <summary>The channel of one session of a device on the bus.</summary>
    public static string ChannelOf(Device device) => string.Create(CultureInfo.InvariantCulture, $"{Escape(device.Port)}#{device.Number}");

    /// <summary>Null for words that describe no device.</summary>
    public static Device? Read(string?[] words)
    {
        if (words.Length < Count || words[0] is not { } port || Integer(words[1]) is not { } number
            || Integer(words[9]) is not (>= 0 and <= ushort.MaxValue and var release))
            return null;
        UsbId? usb = null;
        if (words[2] is { } id)
        {
            if (id.Length != 9 || id[4] != ':'
                || !ushort.TryParse(id.AsSpan(0, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var vendor)
                || !ushort.TryParse(id.AsSpan(5), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var product))
                return null;
            usb = new UsbId(vendor, product);
        }
        return new Device
        {
            Port = port,
            Number = number,
            Usb = usb,
            Can = words[3] is { } state ? new CanLink(state == "up", Integer(words[4]), words[5]) : null,
            Manufacturer = words[6],
            Product = words[7],
            Serial = words[8],
            Release = (ushort)release,
            Node = words[10],
            Driver = words[11],
            LacksSerialDriver = words.ElementAtOrDefault(12) is not null,   // recordings of earlier versions end before it
        };
    }
}
