using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;
using Xunit.v3;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// The virtual printer's boards behind a real kernel: attached to it by USB/IP, and reached through sysfs, udev, usbfs and cdc_acm. It
/// gives the kernel's ports the names they have on the virtual printer, so that a story is the same text on both.
/// </summary>
/// <remarks>In the guest of tests/usb-rig, where <c>RATOS_FLASH_RIG=1</c>.</remarks>
internal sealed class Rig : IHardware, IAsyncDisposable
{
    /// <summary>
    /// Stories are told faster; the kernel's own work takes as long as it takes, in software emulation ten times as long, so not much
    /// faster.
    /// </summary>
    private const double Pace = 2;

    /// <summary>No story takes so long; one that hangs shall not take the others with it.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    /// <summary>The compiler's work is not the story's: one flash in memory, before the first clock runs.</summary>
    private static readonly Lazy<bool> WarmUp = new(() =>
    {
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create("voron", time);
            var requests = printer.PrinterBoards.Zip(printer.Boards, (known, board) =>
                new FlashRequest(known, FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin"))).ToList();
            await new Flasher(printer, printer.Klippy, time, new FlashServices(), static _ => ValueTask.CompletedTask)
                .FlashAsync(requests, CancellationToken.None);
        });
        return true;
    });

    private readonly VirtualPrinter _printer;
    private readonly UsbIpServer _server;
    private readonly VhciAttacher _attacher;
    private readonly LinuxHardware _hardware;
    private readonly CancellationTokenSource _over = new();
    private readonly Task _attaching;
    private readonly Dictionary<string, string> _names = [];   // of the kernel's ports

    private Rig(VirtualPrinter printer)
    {
        _printer = printer;
        _server = UsbIpServer.Start(printer, 0, static _ => { });
        _attacher = new VhciAttacher(printer, _server.Port, static _ => { });
        _hardware = new LinuxHardware(printer.Time);
        _attaching = _attacher.RunAsync(_over.Token);
    }

    public static bool IsHere { get; } = Environment.GetEnvironmentVariable("RATOS_FLASH_RIG") == "1";

    public static void Run(string scenario, InjectedFaults faults, Func<VirtualPrinter, Rig, Task> tell)
    {
        Assert.True(WarmUp.Value);
        var time = new VirtualTime { IsLive = true, Pace = Pace };
        time.Run(async () =>
        {
            var printer = VirtualPrinter.Create(scenario, time, faults);
            await using var rig = new Rig(printer);
            await rig.CatchUpAsync();
            await tell(printer, rig).WaitAsync(Limit, time);
            return true;
        });
    }

    /// <summary>The node of a board's serial port in this computer.</summary>
    public string NodeOf(string port) => Look().Devices.Single(device => device.Port == port).Node!;

    /// <summary>Where the kernel has a virtual port's device.</summary>
    public string KernelPortOf(string port) => _names.Single(pair => pair.Value == port).Key;

    public DeviceList Look() => Named(_hardware.Look());

    public async Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) =>
        Named(await _hardware.WaitForChangeAsync(generation, cancel));

    public Task CheckAccessAsync(Device device) => _hardware.CheckAccessAsync(device.Number == 0 ? device : Real(device));

    public Task<IUsbDevice> OpenUsbAsync(Device device) => _hardware.OpenUsbAsync(Real(device));

    public Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode) => _hardware.OpenSerialAsync(Real(device), mode);

    public Task<CanPort> OpenCanAsync(Device device) => _hardware.OpenCanAsync(device);

    public Task TouchAsync(Device device, int baud) => _hardware.TouchAsync(Real(device), baud);

    /// <summary>No hub of this kernel can do it; the boards live from the virtual printer's.</summary>
    public Task<bool> CyclePortAsync(string port) => _printer.CyclePortAsync(port);

    public Task<string?> PutOnCardAsync(string path, ReadOnlyMemory<byte> file, Func<ReadOnlyMemory<byte>, bool> holds) =>
        _printer.PutOnCardAsync(path, file, holds);

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        await _attaching.ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        _attacher.Detach();
        await _server.DisposeAsync();
        // The next story's boards take the same ports: this one's must have left them.
        await _hardware.WaitForAsync(seen => Named(seen).Devices.Length == 0 ? seen : null, TimeSpan.FromSeconds(120), _printer.Time,
            CancellationToken.None);
        _hardware.Dispose();
        _over.Dispose();
        if (_attaching.IsFaulted)
            throw _attaching.Exception;
    }

    /// <summary>Waits until the kernel lists just what the virtual printer has on USB.</summary>
    public async Task CatchUpAsync()
    {
        var seen = await _hardware.WaitForAsync(list => Known(Named(list)).SetEquals(Expected()) ? list : null, TimeSpan.FromSeconds(120),
            _printer.Time, CancellationToken.None);
        Assert.True(seen is not null,
            $"the kernel never listed {string.Join(", ", Expected())}, but {string.Join(", ", _hardware.Look().Devices)}");
    }

    private HashSet<(string, UsbId?)> Expected() => Known(_printer.Look() with
    {
        Devices = [.. _printer.Look().Devices.Where(device =>
                device.Usb is not null && _printer.Scenario.OtherDevices.All(stranger => stranger.Port != device.Port))],
    });

    private static HashSet<(string, UsbId?)> Known(DeviceList list) => [.. list.Devices.Select(device => (device.Port, device.Usb))];

    private DeviceList Named(DeviceList list)
    {
        foreach (var port in _attacher.Ports.Keys.Where(port => !_names.ContainsValue(port)).ToList())
        {
            if (_attacher.KernelPort(port) is { } kernel)
                _names[kernel] = port;
        }
        return list with
        {
            Devices =
            [.. list.Devices.Where(device => _names.ContainsKey(device.Port))
                .Select(device => device with { Port = _names[device.Port] })]
        };
    }

    private Device Real(Device device) => device with { Port = KernelPortOf(device.Port) };
}

/// <summary>A story that only the virtual bus can tell.</summary>
/// <param name="why">What a real kernel does otherwise.</param>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class)]
internal sealed class VirtualOnlyAttribute(string why) : Attribute, ITraitAttribute
{
    public string Why => why;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("Runs", "virtual-only")];
}
