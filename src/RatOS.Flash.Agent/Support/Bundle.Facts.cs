using System.Globalization;
using System.IO.Compression;
using System.Text;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Support;

/// <content>What this computer says of itself.</content>
internal sealed partial class Bundle
{
    // Of a device and of its interfaces; what a hub and the host controller say counts too.
    private static readonly string[] UsbFiles =
    [
        "idVendor", "idProduct", "bcdDevice", "manufacturer", "product", "serial", "speed", "version", "busnum", "devnum", "devpath", "bDeviceClass", "bMaxPower", "bNumInterfaces",
        "bConfigurationValue", "authorized", "removable", "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol", "interface", "power/runtime_status", "power/control",
    ];

    private void AddFacts(ZipArchive zip)
    {
        Add(zip, "versions.txt", Versions());
        Add(zip, "usb.txt", Usb());
        Add(zip, "ports.txt", Ports());
        Add(zip, "power.txt", Power());
        var (kernel, source) = KernelLog.Read();
        if (kernel is null)
            _missing.Add($"kernel log: {source}. `sudo dmesg > kernel.txt` makes it; send it along");
        Add(zip, "kernel.txt", kernel is null ? $"Not read: {source}.\n" : $"From {source}:\n{_redaction.Of(kernel)}");
    }

    private string Versions()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"ratos-flash  {Product.Version}");
        text.AppendLine(CultureInfo.InvariantCulture, $"kernel       {First("/proc/version").Trim()}");
        text.AppendLine(CultureInfo.InvariantCulture, $"system       {First("/etc/os-release").Split('\n').FirstOrDefault(line => line.StartsWith("PRETTY_NAME=", StringComparison.Ordinal))}");
        text.AppendLine(CultureInfo.InvariantCulture, $"computer     {First("/proc/device-tree/model", "/sys/class/dmi/id/product_name")}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Klipper      {printer.Facts.Told.Host ?? KlipperCommit()}");
        text.AppendLine(CultureInfo.InvariantCulture, $"Moonraker    {Text.Clean(Moonraker ?? "not asked, or not up")}");
        text.AppendLine(CultureInfo.InvariantCulture, $"time         {printer.Time.GetUtcNow():yyyy-MM-dd'T'HH:mm:ss'Z'}");
        return _redaction.Of(text.ToString());
    }

    /// <summary>As its checkout says, without running anything.</summary>
    private string KlipperCommit()
    {
        try
        {
            if (printer.KlipperSources(AgentSettings.Read(data.Settings)) is not { } sources)
                return "no sources here";
            var git = Path.Combine(sources, ".git");
            var head = First(Path.Combine(git, "HEAD")).Trim();
            return head.StartsWith("ref: refs/", StringComparison.Ordinal) && !head.Contains("..", StringComparison.Ordinal) ? $"{First(Path.Combine(git, head[5..])).Trim()} ({head[5..]})" : head;
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
                if (Looked(() => new FileInfo(Path.Combine(folder, "driver")).LinkTarget) is { } driver)
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
        return _redaction.Of(text.Length == 0 ? "No USB here.\n" : text.ToString());
    }

    private string Ports()
    {
        var text = new StringBuilder();
        try
        {
            foreach (var device in printer.Hardware.Look().Devices)
            {
                var owner = device.Node is { } node ? Looked(() => LinuxHardware.PortOwnerOf(node)) : null;
                text.AppendLine(CultureInfo.InvariantCulture, $"{device} {device.Node ?? "-"} {device.Product ?? "-"} driver {device.Driver ?? "-"} held by {owner ?? "nobody that this user sees"}");
            }
        }
        catch (FlashException fault)
        {
            text.AppendLine(fault.Message);
        }
        return _redaction.Of(text.Length == 0 ? "No ports here.\n" : text.ToString());
    }

    /// <summary>A Raspberry Pi's firmware tells the kernel of throttling and undervoltage, and that tells everybody.</summary>
    private static string Power()
    {
        var text = new StringBuilder();
        foreach (var path in (string[])["/sys/devices/platform/soc/soc:firmware/get_throttled", "/sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"])
        {
            if (uint.TryParse(First(path).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var bits))
                text.AppendLine(CultureInfo.InvariantCulture, $"throttled: 0x{bits:x}{Throttled(bits)}");
        }
        foreach (var sensor in Looked(() => Directory.GetDirectories("/sys/class/hwmon")) ?? [])
        {
            if (First(Path.Combine(sensor, "name")).Trim() == "rpi_volt" && First(Path.Combine(sensor, "in0_lcrit_alarm")).Trim() is { Length: > 0 } alarm)
                text.AppendLine(alarm == "0" ? "supply voltage: no alarm" : "supply voltage: TOO LOW");
        }
        return text.Length == 0 ? "This computer does not tell.\n" : text.ToString();
    }

    internal static string Throttled(uint bits)
    {
        var told = new StringBuilder();
        foreach (var (bit, name) in ((int, string)[])[(0, "undervoltage now"), (1, "frequency capped now"), (2, "throttled now"), (3, "soft temperature limit now"),
            (16, "undervoltage has occurred"), (17, "frequency was capped"), (18, "was throttled"), (19, "soft temperature limit has occurred")])
        {
            if ((bits & (1u << bit)) != 0)
                told.Append(", ").Append(name);
        }
        return told.Length == 0 ? ", all well" : told.ToString();
    }

    private static string First(params string[] paths) => paths.Select(path => Looked(() => File.ReadAllText(path))).FirstOrDefault(text => text is not null)?.Replace("\0", "", StringComparison.Ordinal) ?? "";

    private static T? Looked<T>(Func<T> look)
        where T : class?
    {
        try
        {
            return look();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
