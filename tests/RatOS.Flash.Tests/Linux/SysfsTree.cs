namespace RatOS.Flash.Tests.Linux;

/// <summary>Folders as sysfs and udev have them, in a folder of the test's own.</summary>
internal sealed class SysfsTree : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("sysfs").FullName;

    public string Sys => $"{_root}/sys";

    public string Udev => $"{_root}/udev";

    public string Dev => $"{_root}/dev";

    /// <summary>udev runs here: what it has not finished is not ready.</summary>
    public SysfsTree WithUdev()
    {
        Write($"{Udev}/control", "");
        return this;
    }

    /// <summary>A USB device as the kernel shows it; a serial port if it has a tty.</summary>
    public void Plug(string port, string id, int number, string? serial = null, string? tty = null, byte interfaceClass = 0x02,
        string? driver = "cdc_acm", string product = "stm32f446xx", byte deviceClass = 0)
    {
        var folder = $"{Sys}/bus/usb/devices/{port}";
        var (vendor, code) = (id.Split(':')[0], id.Split(':')[1]);
        foreach (var (name, value) in new (string, string?)[]
        {
            ("idVendor", vendor), ("idProduct", code), ("bcdDevice", "0200"), ("busnum", port.Split('-')[0]), ("devnum", $"{number}"),
                ("serial", serial), ("product", product),
            ("bDeviceClass", $"{deviceClass:x2}"), ("bConfigurationValue", "1"),
        })
        {
            if (value is not null)
                Write($"{folder}/{name}", value + "\n");
        }
        Write($"{folder}/{port}:1.0/bInterfaceClass", $"{interfaceClass:x2}\n");
        if (driver is not null)
            Link($"{folder}/{port}:1.0/driver", $"../../../drivers/{driver}");
        if (tty is null)
            return;
        Write($"{folder}/{port}:1.0/tty/{tty}/dev", $"166:{tty[^1]}\n");
        Write($"{Sys}/class/tty/{tty}/dev", $"166:{tty[^1]}\n");
        Directory.CreateDirectory($"{Sys}/class/tty/{tty}/device");
    }

    public void Unplug(string port)
    {
        foreach (var tty in Directory.EnumerateDirectories($"{Sys}/bus/usb/devices/{port}/{port}:1.0")
            .Where(folder => folder.EndsWith("/tty", StringComparison.Ordinal)).SelectMany(Directory.EnumerateDirectories))
            Directory.Delete($"{Sys}/class/tty/{Path.GetFileName(tty)}", recursive: true);
        Directory.Delete($"{Sys}/bus/usb/devices/{port}", recursive: true);
    }

    /// <summary>udev has finished a node, just now or when the computer started.</summary>
    public void Finish(string id, bool longAgo = false) =>
        Write($"{Udev}/data/{id}", $"S:some/link\nI:{(longAgo ? 1 : TimeProvider.System.GetElapsedTime(0).Ticks / 10)}\nE:ID_VENDOR=x\n");

    public void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    public static void Link(string path, string target) => File.CreateSymbolicLink(path, target);

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
