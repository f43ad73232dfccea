using System.Globalization;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// The devices on the buses, as sysfs and udev's database list them. The folders are parameters, so that recorded trees can be read too.
/// </summary>
internal sealed partial class Sysfs(string sys = "/sys", string udev = "/run/udev", string dev = "/dev")
{
    /// <summary>
    /// Longest wait for a driver or udev: udev takes tens of milliseconds, a driver that must be loaded a second, on a busy computer
    /// several.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(6);

    private const byte CommunicationClass = 0x02;
    private const byte HubClass = 0x09;

    /// <summary>Every device except hubs. A device that leaves while it is read is not there.</summary>
    public IEnumerable<SysDevice> Scan()
    {
        foreach (var folder in Folders($"{sys}/bus/usb/devices").Where(folder => UsbPort().IsMatch(Path.GetFileName(folder))))
        {
            if (Read(() => ReadUsb(folder)) is { } device)
                yield return device;
        }
        foreach (var device in CanInterfaces.List(sys))
            yield return device;
        foreach (var folder in Folders($"{sys}/class/tty").Where(folder => Directory.Exists($"{folder}/device")))
        {
            if (Read(() => ReadWired(folder)) is { } device)
                yield return device;
        }
    }

    /// <summary>Descriptors as the kernel read them: the device's, then every configuration's with all that follows it.</summary>
    public byte[] Descriptors(string port)
    {
        // sysfs reports a length of 64 KiB, whatever the content.
        using var file = File.OpenRead($"{sys}/bus/usb/devices/{port}/descriptors");
        using var bytes = new MemoryStream();
        file.CopyTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>bConfigurationValue of the active configuration; null while none is.</summary>
    public byte? ActiveConfiguration(string port) =>
        byte.TryParse(Text($"{sys}/bus/usb/devices/{port}", "bConfigurationValue"), NumberStyles.None, CultureInfo.InvariantCulture,
            out var value) ? value : null;

    /// <summary>
    /// The kernel's switch for a port of a hub: <c>1-1:1.0/1-1-port3/disable</c> for what is at 1-1.3, <c>1-0:1.0/usb1-port1/disable</c>
    /// for what is at 1-1. Null where there is none (kernels before 6.0), or the path is not a port.
    /// </summary>
    public string? PortSwitch(string port)
    {
        if (!UsbPort().IsMatch(port))
            return null;
        var (dot, dash) = (port.LastIndexOf('.'), port.IndexOf('-', StringComparison.Ordinal));
        var path = dot > 0
            ? $"{sys}/bus/usb/devices/{port[..dot]}:1.0/{port[..dot]}-port{port[(dot + 1)..]}/disable"
            : $"{sys}/bus/usb/devices/{port[..dash]}-0:1.0/usb{port[..dash]}-port{port[(dash + 1)..]}/disable";
        return File.Exists(path) ? path : null;
    }

    private SysDevice? ReadUsb(string folder)
    {
        if (Hex(folder, "bDeviceClass") == HubClass || Hex(folder, "idVendor") is not { } vendor
            || Hex(folder, "idProduct") is not { } product)
            return null;
        var port = Path.GetFileName(folder);
        var (bus, number) = (Decimal(folder, "busnum"), Decimal(folder, "devnum"));
        var interfaces = Folders(folder).Where(path => Path.GetFileName(path).StartsWith(port + ":", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).ToList();
        var first = interfaces.FirstOrDefault();
        var tty = interfaces.SelectMany(path => Folders($"{path}/tty")).Select(Path.GetFileName).FirstOrDefault();
        var isSerial = first is not null && Hex(first, "bInterfaceClass") == CommunicationClass;
        var driver = first is null ? null : Driver(first);
        var device = new Device
        {
            Port = port,
            Controller = Controller(port),
            Number = 0,
            Usb = new UsbId((ushort)vendor, (ushort)product),
            Manufacturer = Text(folder, "manufacturer"),
            Product = Text(folder, "product"),
            Serial = Text(folder, "serial"),
            Release = (ushort)(Hex(folder, "bcdDevice") ?? 0),
            Node = tty is null ? null : $"{dev}/{tty}",
            Driver = driver,
            LacksSerialDriver = isSerial && tty is null && (driver is null or "cdc_acm"),
        };
        // A serial port is ready when its driver has made it and udev has set its owner; a driver that must be loaded first takes its time.
        var age = SinceInitialised($"c189:{((bus - 1) * 128) + number - 1}");
        var isReady = age is not null && first is not null
            && (!isSerial || age > Patience
                || (tty is not null && SinceInitialised($"c{Text($"{sys}/class/tty/{tty}", "dev")}") is not null));
        return new SysDevice(device, $"{port} {bus}/{number}",
            isReady)
        { UsbNode = string.Create(CultureInfo.InvariantCulture, $"{dev}/bus/usb/{bus:000}/{number:000}") };
    }

    /// <summary>A UART of this computer or behind a USB adapter. CDC-ACM ports belong to their USB device.</summary>
    private SysDevice? ReadWired(string folder)
    {
        var name = Path.GetFileName(folder);
        // Type 0 of an 8250 is a port that does not exist.
        if (name.StartsWith("ttyACM", StringComparison.Ordinal) || Text(folder, "type") == "0" || Driver($"{folder}/device") is null)
            return null;
        var device = new Device { Port = name, Number = 0, Node = $"{dev}/{name}", Driver = Driver($"{folder}/device") };
        return new SysDevice(device, $"{name} {AdapterNumber(folder)}", SinceInitialised($"c{Text(folder, "dev")}") is not null);
    }

    /// <summary>An adapter that was unplugged and plugged in is a new session, though its port has the same name.</summary>
    private static string? AdapterNumber(string folder)
    {
        for (var at = new DirectoryInfo(folder)
            .ResolveLinkTarget(returnFinalTarget: true)?.FullName; at is not null; at = Path.GetDirectoryName(at))
        {
            if (Text(at, "devnum") is { } number)
                return number;
        }
        return null;
    }

    /// <summary>
    /// How long ago udev applied its rules to the node; null before: until then its owner and mode are not final. Without udev there is
    /// nothing to wait for.
    /// </summary>
    private TimeSpan? SinceInitialised(string id)
    {
        if (!File.Exists($"{udev}/control"))
            return TimeSpan.MaxValue;
        if (!File.Exists($"{udev}/data/{id}"))
            return null;
        // "I:" and microseconds of the monotonic clock.
        var line = File.ReadLines($"{udev}/data/{id}").FirstOrDefault(line => line.StartsWith("I:", StringComparison.Ordinal));
        return line is not null && long.TryParse(line.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var at)
            ? TimeProvider.System.GetElapsedTime(0) - TimeSpan.FromMicroseconds(at) : TimeSpan.Zero;
    }

    /// <summary>The folder of the root hub, <c>usb3</c>, is in that of its controller.</summary>
    private string? Controller(string port) =>
        new DirectoryInfo($"{sys}/bus/usb/devices/usb{port[..port.IndexOf('-', StringComparison.Ordinal)]}").LinkTarget is { } hub
            ? Path.GetFileName(Path.GetDirectoryName(hub)) : null;

    private static string? Driver(string folder) =>
        new DirectoryInfo($"{folder}/driver").LinkTarget is { } target ? Path.GetFileName(target) : null;

    private static IEnumerable<string> Folders(string folder) => Directory.Exists(folder) ? Directory.EnumerateDirectories(folder) : [];

    private static string? Text(string folder, string name)
    {
        var path = $"{folder}/{name}";
        return File.Exists(path) ? File.ReadAllText(path).TrimEnd('\n') : null;
    }

    private static uint? Hex(string folder, string name) =>
        uint.TryParse(Text(folder, name), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var value) ? value : null;

    private static int Decimal(string folder, string name) =>
        int.Parse(Text(folder, name) ?? "0", NumberStyles.None, CultureInfo.InvariantCulture);

    private static SysDevice? Read(Func<SysDevice?> read)
    {
        try
        {
            return read();
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;   // it left while it was read: an event follows
        }
    }

    [GeneratedRegex(@"^\d+-\d+(\.\d+)*$", RegexOptions.None | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex UsbPort();
}

/// <param name="Device">The device, still without its number.</param>
/// <param name="Session">Differs for each session at this port.</param>
/// <param name="IsReady">Its driver and udev are done with it.</param>
internal sealed record SysDevice(Device Device, string Session, bool IsReady)
{
    /// <summary>The node for USB transfers, such as <c>/dev/bus/usb/001/004</c>.</summary>
    public string? UsbNode { get; init; }
}
