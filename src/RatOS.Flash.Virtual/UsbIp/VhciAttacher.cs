using System.Net;
using System.Net.Sockets;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.UsbIp;

/// <summary>
/// Plugs the served boards into this computer's own kernel: each at a port of its virtual host controller, again for each session
/// (kernel: drivers/usb/usbip/vhci_sysfs.c). It works as <c>usbip attach</c>.
/// </summary>
public sealed class VhciAttacher
{
    /// <summary>The first controller's folder in sysfs.</summary>
    public const string Controller = "/sys/devices/platform/vhci_hcd.0";

    private const int Free = 4, Used = 6;   // VDEV_ST_NULL, VDEV_ST_USED (linux/usbip.h)
    private static readonly TimeSpan FreePollInterval = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan FreeLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan OffBus = TimeSpan.FromMilliseconds(100);

    private readonly VirtualPrinter _printer;
    private readonly int _tcpPort;
    private readonly Action<UsbIpEvent> _tell;
    private readonly string _folder;
    private readonly Dictionary<string, int> _ports = new(StringComparer.Ordinal);

    /// <param name="printer">The printer of the boards.</param>
    /// <param name="tcpPort">The port of its <see cref="UsbIpServer"/>.</param>
    /// <param name="tell">Called for each attached board.</param>
    /// <exception cref="FlashException">The kernel has no such controller, or the process is not root.</exception>
    public VhciAttacher(VirtualPrinter printer, int tcpPort, Action<UsbIpEvent> tell)
        : this(printer, tcpPort, tell, Controller)
    {
        if (!Directory.Exists(Controller))
            throw VirtualFaults.VhciMissing(Controller);
        if (!Environment.IsPrivilegedProcess)
            throw VirtualFaults.VhciNeedsRoot();
    }

    internal VhciAttacher(VirtualPrinter printer, int tcpPort, Action<UsbIpEvent> tell, string folder) =>
        (_printer, _tcpPort, _tell, _folder) = (printer, tcpPort, tell, folder);

    /// <summary>The controller's port (0..7) of each virtual port; it never changes.</summary>
    public IReadOnlyDictionary<string, int> Ports => _ports;

    /// <summary>The kernel's port of the device at a virtual port, such as <c>3-1</c>; null while there is none.</summary>
    public string? KernelPort(string port) => _ports.TryGetValue(port, out var number)
        && Status().FirstOrDefault(row => row.Port == number) is { State: Used } row ? row.Name : null;

    /// <summary>Attaches the boards that are on the bus and those that arrive. Called on the time's thread.</summary>
    /// <exception cref="FlashException">The controller refused a device.</exception>
    /// <exception cref="OperationCanceledException">The only regular end.</exception>
    public async Task RunAsync(CancellationToken cancel)
    {
        var (known, work) = (new HashSet<DeviceSession>(), new List<Task>());
        var change = Task.FromResult(_printer.Look());
        while (true)
        {
            await Task.WhenAny([change, .. work]);
            foreach (var done in work.FindAll(task => task.IsCompleted))
            {
                work.Remove(done);
                await done;
            }
            if (!change.IsCompleted)
                continue;
            var seen = await change;
            known.IntersectWith(_printer.Exported);
            work.AddRange(_printer.Exported.Where(known.Add).ToList().ConvertAll(session => AttachAsync(session, cancel)));
            change = _printer.WaitForChangeAsync(seen.Generation, cancel);
        }
    }

    /// <summary>Unplugs everything that was attached.</summary>
    public void Detach()
    {
        foreach (var number in _ports.Values)
        {
            try
            {
                Write("detach", $"{number}");
            }
            catch (IOException)
            {
                // No device is attached there.
            }
        }
    }

    private async Task AttachAsync(DeviceSession session, CancellationToken cancel)
    {
        var port = session.Device.Port;
        var returns = _ports.ContainsKey(port);
        var number = await FreePortAsync(port, cancel);
        // A reset under way in the kernel would keep the previous device.
        if (returns)
            await Task.Delay(OffBus, TimeProvider.System, cancel);
        if (session.Function is null)
            return;   // it left again; its next session is attached
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        // The kernel holds its own reference to the connection.
        session.WhenOver(socket.Dispose);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, _tcpPort), cancel);
            await using var stream = new NetworkStream(socket, ownsSocket: false);
            await stream.WriteAsync(UsbIpWire.Import(port), cancel);
            var reply = new byte[UsbIpWire.RequestLength + UsbIpWire.DeviceLength];
            await stream.ReadExactlyAsync(reply, cancel);
            Write("attach", $"{number} {socket.Handle} {UsbIpWire.DeviceId(session.Device)} {UsbIpWire.FullSpeed}");
            _tell(UsbIpEvent.Of(UsbIpEventKind.Attached, session, $"is attached to port {number} of this computer's vhci_hcd"));
        }
        catch (Exception end) when (end is EndOfStreamException || session.Function is null)
        {
            // It has just left, or another client has it; the server reports that.
            socket.Dispose();
        }
        catch (Exception fault) when (fault is IOException or SocketException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw VirtualFaults.VhciRefused(port, fault.Message);
        }
    }

    /// <summary>
    /// Waits until the virtual port's own port is free; one without gets the first free one. sysfs has no notification, so it polls.
    /// </summary>
    private async Task<int> FreePortAsync(string port, CancellationToken cancel)
    {
        var begin = TimeProvider.System.GetTimestamp();
        while (true)
        {
            // A full-speed device belongs to the hub of USB 2.
            var free = Status().Where(row => row is { Hub: "hs", State: Free }).Select(row => row.Port).ToList();
            if (!_ports.ContainsKey(port) && free.Except(_ports.Values).ToList() is [var first, ..])
                _ports[port] = first;
            if (_ports.TryGetValue(port, out var number) && free.Contains(number) && !IsListed(number))
                return number;
            if (TimeProvider.System.GetElapsedTime(begin) > FreeLimit)
                throw VirtualFaults.VhciBusy(
                    port, FreeLimit.TotalSeconds,
                    string.Join(", ", Status().Where(row => row.Hub == "hs").Select(row => $"{row.Port}: {row.State:000}")));
            await Task.Delay(FreePollInterval, TimeProvider.System, cancel);
        }
    }

    /// <exception cref="FlashException">The controller is gone.</exception>
    private List<(string Hub, int Port, int State, string Name)> Status()
    {
        try
        {
            return ParseStatus(File.ReadAllLines(Path.Combine(_folder, "status")));
        }
        catch (IOException)
        {
            throw VirtualFaults.VhciMissing(_folder);
        }
    }

    /// <summary>
    /// The port may be free before the kernel's hub thread has removed its old device from the list: a new device would be taken for the
    /// old one.
    /// </summary>
    private bool IsListed(int number) => Directory.EnumerateDirectories(_folder, "usb*")
        .Any(bus => Directory.Exists(Path.Combine(bus, $"{Path.GetFileName(bus)[3..]}-{number + 1}")));

    /// <summary>The lines "hub port sta spd dev sockfd local_busid"; others, such as the first, are ignored.</summary>
    private static List<(string Hub, int Port, int State, string Name)> ParseStatus(string[] lines)
    {
        var rows = new List<(string, int, int, string)>();
        foreach (var line in lines)
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var hub, var port, var state, _, _, _, var name]
                && int.TryParse(port, out var number) && int.TryParse(state, out var status))
            {
                rows.Add((hub, number, status, name));
            }
        }
        return rows;
    }

    // One write is one command to sysfs: the file is neither created nor truncated.
    private void Write(string attribute, string value)
    {
        using var file = File.OpenHandle(Path.Combine(_folder, attribute), FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(file, Encoding.ASCII.GetBytes(value), 0);
    }
}
