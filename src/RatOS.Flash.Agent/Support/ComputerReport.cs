using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Support;

/// <summary>What a bundle needs of a printer that only its own thread may ask.</summary>
/// <param name="Devices">On its buses.</param>
/// <param name="Trouble">Why the buses cannot be read; null where they can.</param>
/// <param name="Host">Klipper's version; null where it was not heard.</param>
/// <param name="Now">The time.</param>
internal sealed record PrinterView(ImmutableArray<Device> Devices, string? Trouble, string? Host, DateTimeOffset Now)
{
    public static PrinterView Of(PrinterAccess printer)
    {
        try
        {
            return new(printer.Hardware.Look().Devices, null, printer.Facts.Evidence.Host, printer.Time.GetUtcNow());
        }
        catch (FlashException fault)
        {
            return new([], fault.Message, printer.Facts.Evidence.Host, printer.Time.GetUtcNow());
        }
    }
}

/// <summary>Versions, buses, power and kernel log of this computer, as files of a bundle.</summary>
/// <param name="data">The printer's folder.</param>
/// <param name="printer">Its buses.</param>
/// <param name="view">What it showed when the bundle was requested.</param>
/// <param name="redaction">Of everything in it.</param>
/// <param name="moonraker">Moonraker's version; null where it is not up.</param>
internal sealed class ComputerReport(DataFolder data, PrinterAccess printer, PrinterView view, Redaction redaction, string? moonraker)
{
    // Attributes of devices, interfaces, hubs and host controllers (linux: Documentation/ABI/testing/sysfs-bus-usb).
    private static readonly string[] UsbFiles =
    [
        "idVendor", "idProduct", "bcdDevice", "manufacturer", "product", "serial", "speed", "version", "busnum", "devnum", "devpath",
        "bDeviceClass", "bMaxPower", "bNumInterfaces",
        "bConfigurationValue", "authorized", "removable", "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol", "interface",
        "power/runtime_status", "power/control",
    ];

    /// <summary>What could not be read, a line each; complete after <see cref="Files"/>.</summary>
    public List<string> Missing { get; } = [];

    /// <summary>The files by their names.</summary>
    public IEnumerable<(string Name, string Text)> Files()
    {
        yield return ("versions.txt", Versions());
        yield return ("usb.txt", Usb());
        yield return ("ports.txt", Ports());
        yield return ("power.txt", Power());
        var (kernel, source) = KernelLog.Read();
        if (kernel is null)
            Missing.Add($"kernel log: {source}. Run `sudo dmesg > kernel.txt` and attach that file");
        yield return ("kernel.txt", kernel is null ? $"Not read: {source}.\n" : $"From {source}:\n{redaction.Of(kernel)}");
    }

    private string Versions()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"ratos-flash  {Product.Version}");
        text.AppendLine(CultureInfo.InvariantCulture, $"kernel       {First("/proc/version").Trim()}");
        var system = First("/etc/os-release").Split('\n')
            .FirstOrDefault(line => line.StartsWith("PRETTY_NAME=", StringComparison.Ordinal));
        text.AppendLine(CultureInfo.InvariantCulture, $"system       {system}");
        text.AppendLine(
            CultureInfo.InvariantCulture, $"computer     {First("/proc/device-tree/model", "/sys/class/dmi/id/product_name")}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Klipper      {view.Host ?? KlipperCommit()}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Moonraker    {Text.Clean(moonraker ?? "not asked, or not up")}");
        text.AppendLine(CultureInfo.InvariantCulture, $"time         {view.Now:yyyy-MM-dd'T'HH:mm:ss'Z'}");
        return redaction.Of(text.ToString());
    }

    /// <summary>The commit of the checkout, read without git.</summary>
    private string KlipperCommit()
    {
        try
        {
            if (printer.KlipperSources(ConfirmedSettings.OfValid(data)) is not { } sources)
                return "no checkout here";
            var git = Path.Combine(sources, ".git");
            var head = First(Path.Combine(git, "HEAD")).Trim();
            var isBranch = head.StartsWith("ref: refs/", StringComparison.Ordinal) && !head.Contains("..", StringComparison.Ordinal);
            return isBranch ? $"{First(Path.Combine(git, head[5..])).Trim()} ({head[5..]})" : head;
        }
        catch (FlashException fault)
        {
            return fault.Cause;
        }
    }

    private string Usb()
    {
        const string Root = "/sys/bus/usb/devices";
        var text = new StringBuilder();
        try
        {
            foreach (var folder in Directory.EnumerateFileSystemEntries(Root).Order(StringComparer.Ordinal).Take(512))
            {
                text.AppendLine(Path.GetFileName(folder));
                if (Tried(() => new FileInfo(Path.Combine(folder, "driver")).LinkTarget) is { } driver)
                    text.AppendLine(CultureInfo.InvariantCulture, $"    driver={Path.GetFileName(driver)}");
                foreach (var file in UsbFiles)
                {
                    if (First(Path.Combine(folder, file)).Trim() is { Length: > 0 } value)
                        text.AppendLine(CultureInfo.InvariantCulture, $"    {file}={Text.Clean(value)}");
                }
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            text.AppendLine(fault.Message);
        }
        return redaction.Of(text.Length == 0 ? "No USB here.\n" : text.ToString());
    }

    private string Ports()
    {
        var text = new StringBuilder();
        foreach (var device in view.Devices)
        {
            var owner = device.Node is { } node ? Tried(() => LinuxHardware.PortOwnerOf(node)) : null;
            var use = $"driver {device.Driver ?? "-"}, used by {owner ?? "no process that this user can see"}";
            text.AppendLine(CultureInfo.InvariantCulture, $"{device} {device.Node ?? "-"} {device.Product ?? "-"} {use}");
        }
        if (view.Trouble is { } trouble)
            text.AppendLine(trouble);
        return redaction.Of(text.Length == 0 ? "No ports here.\n" : text.ToString());
    }

    /// <summary>Throttling and undervoltage of a Raspberry Pi, which any user can read from its kernel.</summary>
    private static string Power()
    {
        var text = new StringBuilder();
        foreach (var soc in (string[])["soc", "soc@107c000000"])
        {
            var path = $"/sys/devices/platform/{soc}/{soc}:firmware/get_throttled";
            if (uint.TryParse(First(path).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var bits))
                text.AppendLine(CultureInfo.InvariantCulture, $"throttled: 0x{bits:x}{Throttled(bits)}");
        }
        foreach (var sensor in Tried(() => Directory.GetDirectories("/sys/class/hwmon")) ?? [])
        {
            if (First(Path.Combine(sensor, "name")).Trim() == "rpi_volt"
                && First(Path.Combine(sensor, "in0_lcrit_alarm")).Trim() is { Length: > 0 } alarm)
                text.AppendLine(alarm == "0" ? "supply voltage: no alarm" : "supply voltage: TOO LOW");
        }
        return text.Length == 0 ? "This computer does not report it.\n" : text.ToString();
    }

    // Bits of the firmware's answer (Raspberry Pi documentation, vcgencmd get_throttled).
    internal static string Throttled(uint bits)
    {
        var text = new StringBuilder();
        foreach (var (bit, name) in ((int, string)[])[(0, "undervoltage now"), (1, "frequency capped now"), (2, "throttled now"),
            (3, "soft temperature limit now"),
            (16, "undervoltage has occurred"), (17, "frequency was capped"), (18, "was throttled"),
            (19, "soft temperature limit has occurred")])
        {
            if ((bits & (1u << bit)) != 0)
                text.Append(", ").Append(name);
        }
        return text.Length == 0 ? ", no problem" : text.ToString();
    }

    private static string First(params string[] paths) =>
        paths.Select(path => Tried(() => File.ReadAllText(path))).FirstOrDefault(text => text is not null)?
            .Replace("\0", "", StringComparison.Ordinal) ?? "";

    private static T? Tried<T>(Func<T> read)
        where T : class?
    {
        try
        {
            return read();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
