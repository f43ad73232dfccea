using System.Collections.Immutable;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// The buses of this computer: sysfs says what is there, netlink when to look again, usbfs and termios carry the bytes.
/// </summary>
/// <remarks>
/// A device is listed when its driver and udev are done with it, so that it can be opened with its final permissions. A device that udev
/// does not finish within <see cref="Sysfs.Patience"/> is listed without waiting longer.
/// </remarks>
public sealed class LinuxHardware : IHardware, IDisposable
{
    /// <summary>How long after a transfer failed its device may turn out to have left: four times as late as a hub is asked.</summary>
    private static readonly TimeSpan UntilNoticed = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly ImmutableArray<string> _namedPorts;
    private readonly Sysfs _sysfs;
    private readonly Uevents _events;
    private readonly ITimer _again;
    private readonly Lock _looking = new();   // one look at a time, outside of the gate
    private readonly Lock _gate = new();
    private readonly DeviceChanges _changes = new();
    private readonly Dictionary<string, long> _firstSeen = [];   // sessions that are not ready yet
    private Dictionary<string, (int Number, SysDevice Device)> _sessions = [];
    private int _number;

    /// <param name="time">For the time-outs of serial lines.</param>
    /// <param name="namedPorts">Serial ports that the kernel does not list (pseudo terminals), by path.</param>
    /// <exception cref="FlashException">The kernel's device events cannot be received.</exception>
    public LinuxHardware(TimeProvider time, params ImmutableArray<string> namedPorts)
        : this(time, new Sysfs(), namedPorts)
    {
    }

    internal LinuxHardware(TimeProvider time, Sysfs sysfs, ImmutableArray<string> namedPorts)
    {
        (_time, _sysfs, _namedPorts) = (time, sysfs, namedPorts);
        // The system's clock, whatever the caller's: the wait is for the system.
        _again = TimeProvider.System.CreateTimer(_ => LookAgain(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _events = new Uevents(LookAgain);
        LookAgain();
    }

    /// <summary>Klipper's host process on this computer, in words; null where none runs.</summary>
    public static string? RunningKlipper() => PortOwners.Running("klippy.py");

    /// <summary>The links to serial ports below <c>/dev</c>, made by udev and others.</summary>
    public static IReadOnlyList<DeviceLink> Links(string dev = "/dev")
    {
        var links = new List<DeviceLink>();
        foreach (var folder in (string[])[dev, $"{dev}/serial/by-id", $"{dev}/serial/by-path", $"{dev}/RatOS"])
        {
            try
            {
                links.AddRange(new DirectoryInfo(folder).EnumerateFileSystemInfos().Where(entry => entry.LinkTarget is not null)
                    .Select(entry => new DeviceLink(entry.FullName, entry.LinkTarget!)));
            }
            catch (Exception none) when (none is IOException or UnauthorizedAccessException)
            {
                // No such links on this computer, or they are being replaced: the ports are found without them.
            }
        }
        return links;
    }
    /// <summary>The other process that has a device's node open, in words; null where none is seen.</summary>
    public static string? PortOwnerOf(string node) => PortOwners.Of(node);

    /// <remarks>As of the last announcement. Reading sysfs waits for a busy device, so it is not read here.</remarks>
    public DeviceList Look() => _changes.Now;

    public Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) => _changes.AfterAsync(generation, cancel);

    public Task CheckAccessAsync(Device device)
    {
        if (device is { Number: 0, Usb: { } id })
            return new UdevRules().WhyClosed(id) is { } closed ? Task.FromException(closed) : Task.CompletedTask;
        var node = device.Node ?? Current(device).UsbNode;
        return node is not null && Access.IsDenied(node)
            ? Task.FromException(Access.Denied(device.Node ?? $"{device} ({node})", node, device.Usb)) : Task.CompletedTask;
    }

    // Opening asks the device, and closing waits for it: calls that may take seconds, on a thread of their own.

    public async Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        var found = Current(device);
        var worker = new Worker($"usb {device.Port}");
        try
        {
            return await worker.RunAsync(() =>
            {
                var configuration = DescriptorBlob.Configuration(_sysfs.Descriptors(device.Port), _sysfs.ActiveConfiguration(device.Port));
                return UsbfsDevice.Open(device, found.UsbNode
                    ?? throw new ArgumentException("no USB device", nameof(device)), configuration, () =>
                    this.WaitForDisconnectAsync(device, UntilNoticed, TimeProvider.System), worker);
            });
        }
        catch (Exception fault)
        {
            worker.Dispose();
            throw fault is IOException ? new DeviceGoneException(device.ToString()) : fault;
        }
    }

    public async Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        if (!device.IsTerminal)
            Current(device);
        using var worker = new Worker($"open {device.Node}");
        return new SerialLine(device, await worker.RunAsync(() => SerialPort.Open(device, mode)), _time);
    }

    public async Task<CanPort> OpenCanAsync(Device device)
    {
        if (Current(device).Device.Can is { IsUp: false })
            throw CanFaults.CanDown(device.Port);
        using var worker = new Worker($"open {device.Port}");   // the first one loads the kernel's module
        return await worker.RunAsync(() => SocketCan.Open(device, _time));
    }

    public async Task TouchAsync(Device device, int baud)
    {
        Current(device);
        using var worker = new Worker($"touch {device.Node}");
        await worker.RunAsync(() =>
        {
            using var port = SerialPort.Open(device, SerialMode.Klipper);
            try
            {
                port.SetReady(device, true);
                port.SetMode(device, new SerialMode(baud));
                port.SetReady(device, false);
            }
            catch (Exception reset) when (reset is DeviceGoneException || (reset as FlashException)?.Kind == FaultKind.PortUnusable)
            {
                // It reset before it answered the last request, as it should. The bus shows whether it left.
            }
            return true;
        });
    }

    public async Task<bool> CyclePortAsync(string port)
    {
        if (_sysfs.PortSwitch(port) is not { } node)
            return false;
        using var worker = new Worker($"port {port}");   // the kernel takes the devices away before it answers
        if (!await worker.RunAsync(() => PortSwitch.TrySet(node, isOff: true)))
            return false;
        await Task.Delay(PortSwitch.OffTime, _time);
        return await worker.RunAsync(() => PortSwitch.TrySet(node, isOff: false)) ? true : throw ComputerFaults.PortLeftOff(port, node);
    }

    public async Task<string?> PutOnCardAsync(string path, ReadOnlyMemory<byte> file, Func<ReadOnlyMemory<byte>, bool> holds)
    {
        using var worker = new Worker("card");
        return await worker.RunAsync(() => new SdCards().Put(path, file.Span, holds));
    }

    public void Dispose()
    {
        _events.Dispose();
        _again.Dispose();
    }

    private SysDevice Current(Device device)
    {
        lock (_gate)
        {
            return _sessions.Values.FirstOrDefault(session =>
                session.Device.Device.Port == device.Port && session.Number == device.Number).Device
                ?? throw new DeviceGoneException(device.ToString());
        }
    }

    /// <summary>Reads what is there now.</summary>
    internal void LookAgain()
    {
        lock (_looking)
        {
            var found = _sysfs.Scan().Concat(NamedPorts()).ToList();
            var sessions = new Dictionary<string, (int Number, SysDevice Device)>(StringComparer.Ordinal);
            foreach (var device in found.Where(device => device.IsReady || IsOverdue(device)))
                sessions[device.Session] = (_sessions.TryGetValue(device.Session, out var same) ? same.Number : ++_number, device);
            if (sessions.Count < found.Count)
                _again.Change(Sysfs.Patience, Timeout.InfiniteTimeSpan);
            else
                _firstSeen.Clear();
            ImmutableArray<Device> devices =
                [.. sessions.Values.Select(session => session.Device.Device with { Number = session.Number })
                .OrderBy(device => device.Port, StringComparer.Ordinal)];
            // A listed device can be opened.
            lock (_gate)
                _sessions = sessions;
            if (_changes.Now is var before && (before.Generation == 0 || !devices.SequenceEqual(before.Devices)))
                _changes.Set(devices);
        }
    }

    private bool IsOverdue(SysDevice found)
    {
        if (!_firstSeen.TryGetValue(found.Session, out var since))
            _firstSeen[found.Session] = since = TimeProvider.System.GetTimestamp();
        return TimeProvider.System.GetElapsedTime(since) >= Sysfs.Patience;
    }

    private IEnumerable<SysDevice> NamedPorts() =>
        _namedPorts.Where(File.Exists)
            .Select(path => new SysDevice(new Device { Port = path, Number = 0, Node = path }, path, IsReady: true));
}

/// <summary>What sysfs keeps of a device's descriptors.</summary>
internal static class DescriptorBlob
{
    private const int DeviceLength = 18;
    private const int ConfigurationHeader = 9;
    private const byte ConfigurationType = 2;

    /// <summary>
    /// The configuration of that value, cut where the next begins; the first one where no value is known. Empty where there is none.
    /// </summary>
    public static ReadOnlyMemory<byte> Configuration(ReadOnlyMemory<byte> blob, byte? value)
    {
        var first = ReadOnlyMemory<byte>.Empty;
        for (var at = DeviceLength; at + ConfigurationHeader <= blob.Length;)
        {
            var rest = blob.Span[at..];
            var total = rest[2] | (rest[3] << 8);
            if (rest[1] != ConfigurationType || total < ConfigurationHeader)
                break;
            var configuration = blob.Slice(at, Math.Min(total, rest.Length));
            if (value is null || rest[5] == value)
                return configuration;
            first = first.IsEmpty ? configuration : first;
            at += total;
        }
        return first;
    }
}
