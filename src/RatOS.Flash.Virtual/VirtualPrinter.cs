using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>
/// A printer made of memory: boards on a bus, with Klipper beside them, in virtual time. It follows the facts and not what a flasher would like,
/// it goes wrong exactly where its <see cref="Faultiness"/> says, and it does the same every time.
/// </summary>
public sealed partial class VirtualPrinter : IHardware
{
    private readonly List<Stay> _stays = [];
    private readonly List<TaskCompletionSource<DeviceList>> _waiters = [];
    private readonly Dictionary<VirtualBoard, int> _attached = []; // counts what a board's connector went through
    private readonly ILookup<int, TransferFault> _transferFaults;
    private DeviceList _list = new(1, []);
    private bool _began;
    private int _lastNumber;
    private int _enumerations;
    private int _touches;
    private int _leaves;
    private int _deaf;

    internal VirtualPrinter(VirtualTime time, Scenario scenario, Faultiness faults, ImmutableArray<BoardSetup> boards)
    {
        (Time, Scenario, Faults) = (time, scenario, faults);
        _transferFaults = faults.Transfers.ToLookup(fault => fault.At);
        Boards = [.. boards.Select(setup => new VirtualBoard(this, setup))];
        Klippy = new VirtualKlippy(this);
        time.AddWitness(() => _waiters.Count > 0 ? $"{_waiters.Count} wait for a change of the bus" : null);
    }

    public VirtualTime Time { get; }

    public Scenario Scenario { get; }

    public Faultiness Faults { get; }

    public ImmutableArray<VirtualBoard> Boards { get; }

    public VirtualKlippy Klippy { get; }

    /// <summary>The version of Klipper on this printer's host: what a build's firmware says of itself.</summary>
    public string HostVersion => Scenario.HostVersion;

    /// <summary>Transfers so far, as <see cref="Faultiness.Transfers"/> counts them.</summary>
    public int Transfers { get; private set; }

    /// <summary>The board of a name.</summary>
    public VirtualBoard this[string name] => Boards.First(board => board.Name == name);

    /// <summary>The image that this printer's host would build for a board.</summary>
    public byte[] BuildFirmware(VirtualBoard board) => VirtualFirmware.Build(board.Chip, board.Setup.Start, HostVersion);

    /// <summary>The mains of all boards; the host has its own.</summary>
    public void PowerOff()
    {
        foreach (var board in Boards)
            board.PowerOff();
    }

    public void PowerOn()
    {
        foreach (var board in Boards)
            board.PowerOn();
    }

    /// <summary>Builds the printer of a scenario, its boards on the bus.</summary>
    /// <param name="faults">What goes wrong; null for what the scenario has of itself.</param>
    /// <exception cref="FlashException">There is no such scenario.</exception>
    public static VirtualPrinter Create(string scenario, VirtualTime time, Faultiness? faults = null) => FindScenario(scenario).Build(time, faults);

    private static Scenario FindScenario(string name) =>
        Scenario.Find(name) ?? throw RatOS.Flash.Faults.UnknownScenario(name, Scenario.All.Select(scenario => scenario.Name));

    /// <summary>From here on time passes: boards need theirs to come onto the bus, and faults strike.</summary>
    internal void Begin()
    {
        _began = true;
        Klippy.Begin();
        foreach (var cell in Faults.Worn)
            Boards.FirstOrDefault(board => board.Flash.Contains(cell.Address, 1))?.Flash.Wear(cell);
        foreach (var cut in Faults.PowerCuts)
            Time.Schedule(cut.At, () => CutPower(cut.Return));
    }

    private void CutPower(TimeSpan? back)
    {
        PowerOff();
        if (back is { } after)
            Time.Schedule(after, PowerOn);
    }

    // ---- the bus

    public DeviceList Look() => _list;

    public async Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (_list.Generation != generation)
            return _list;
        var change = new TaskCompletionSource<DeviceList>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiters.Add(change);
        using var registration = cancel.Register(() =>
        {
            _waiters.Remove(change);
            change.TrySetCanceled(cancel);
        });
        return await change.Task;
    }

    private void Changed()
    {
        _list = new DeviceList(_list.Generation + 1, [.. _stays.Select(stay => stay.Device)]);
        if (!_began)
            return;
        var waiters = _waiters.ToList();
        _waiters.Clear();
        foreach (var waiter in waiters)
            waiter.TrySetResult(_list);
    }

    /// <summary>A wired serial port, there for good.</summary>
    internal void AddWire(VirtualBoard board) =>
        List(new Stay(new Device { Port = board.Port, Number = 0, Node = $"/dev/{board.Port}" }, null, board.Uart, board));

    /// <summary>A device on the bus that is none of the printer's boards.</summary>
    internal void AddForeign(string port, UsbFunction function) => List(Enumerate(port, function, board: null));

    private void List(Stay stay)
    {
        _stays.Add(stay);
        Changed();
    }

    private Stay Enumerate(string port, UsbFunction function, VirtualBoard? board)
    {
        var node = function is not CdcAcm ? null : Enumerable.Range(0, int.MaxValue).Select(n => $"/dev/ttyACM{n}")
            .First(name => !_stays.Exists(stay => stay.Device.Node == name));
        return new Stay(
            new Device
            {
                Port = port,
                Number = ++_lastNumber,
                Usb = function.Id,
                Manufacturer = Text(0),
                Product = Text(1),
                Serial = Text(2),
                Release = function.Release,
                Node = node,
            },
            function, (function as CdcAcm)?.Wire, board);

        string? Text(int index) => function.Strings[index].Length > 0 ? function.Strings[index] : null;
    }

    /// <summary>A board's connector shows a function: it is listed when the host has enumerated it.</summary>
    internal void Attach(VirtualBoard board, UsbFunction function)
    {
        var attempt = _attached[board] = _attached.GetValueOrDefault(board) + 1;
        if (!_began)
        {
            List(Enumerate(board.Port, function, board));
            return;
        }
        var index = _enumerations++;
        var time = Faults.EnumerationTime;
        foreach (var fault in Faults.Enumerations.Where(fault => fault.At == index))
        {
            switch (fault.Kind)
            {
                case EnumerationFaultKind.Slow:
                    time = TimeSpan.FromSeconds(8);
                    break;
                case EnumerationFaultKind.OtherPort:
                    board.MoveTo("1-1.9");
                    break;
                case EnumerationFaultKind.OtherSerial:
                    function.Strings = function.Strings.SetItem(2, "12345");
                    break;
                case EnumerationFaultKind.Never:
                    return;
            }
        }
        // A host takes a new device for one only after the old one is off its list.
        var lingers = _stays.Exists(stay => stay.Board == board) ? Faults.Lingers : TimeSpan.Zero;
        Time.Schedule(time > lingers ? time : lingers + TimeSpan.FromMilliseconds(1), () =>
        {
            if (_attached[board] == attempt)
                List(Enumerate(board.Port, function, board));
        });
    }

    /// <summary>Nothing is on a board's connector any more.</summary>
    internal void Detach(VirtualBoard board)
    {
        _attached[board] = _attached.GetValueOrDefault(board) + 1;
        Klippy.Lost(board);
        if (_stays.Find(stay => stay.Board == board && !stay.HasLeft) is not { } left)
            return;
        left.HasLeft = true;
        if (Faults.Lingers > TimeSpan.Zero)
            Time.Schedule(Faults.Lingers, () => Remove(left));
        else
            Remove(left);
    }

    private void Remove(Stay stay)
    {
        if (_stays.Remove(stay))
        {
            stay.End();
            Changed();
        }
    }

    /// <summary>Whether a board is listed as what it is now.</summary>
    internal bool IsListed(VirtualBoard board) => _stays.Exists(stay => stay.Board == board && !stay.HasLeft);

    internal IEnumerable<Stay> Stays => _stays;

    // ---- opening

    public Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        var stay = Find(device);
        if (stay.Function is null)
            throw RatOS.Flash.Faults.NoSuchPort(device.ToString(), Seen());
        Take(stay, isSerial: false);
        return Task.FromResult<IUsbDevice>(new VirtualUsbDevice(this, stay));
    }

    public Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        var stay = Find(device);
        if (stay.Wire is null)
            throw RatOS.Flash.Faults.NoSuchPort(device.ToString(), Seen());
        Take(stay, isSerial: true);
        return Task.FromResult<ByteLine>(new VirtualSerialLine(this, stay, mode));
    }

    public async Task TouchAsync(Device device, int baud)
    {
        if (_stays.Find(stay => stay.Device.IsSameStay(device)) is not { } stay)
            return;
        if (stay.Wire is null)
            throw RatOS.Flash.Faults.NoSuchPort(device.ToString(), Seen());
        Take(stay, isSerial: true);
        try
        {
            if (stay.Function is not CdcAcm port || stay.HasLeft)
                return;
            port.Set(null, dtr: true, Time.Now);
            port.Set(baud, dtr: true, Time.Now);
            port.Set(null, dtr: false, Time.Now);
            await Task.Delay(4 * BusTimes.Control, Time);
        }
        finally
        {
            stay.Opener = null;
        }
    }

    private Stay Find(Device device) =>
        _stays.Find(stay => stay.Device.IsSameStay(device)) ?? throw new DeviceGoneException(device.ToString());

    private string Seen() => string.Join(", ", _stays.Select(stay => stay.Device.ToString()));

    private void Take(Stay stay, bool isSerial)
    {
        var name = stay.Device.Node ?? stay.Device.Port;
        if (Faults.NoPermission)
        {
            throw RatOS.Flash.Faults.NoPermission(name, stay.Device.Usb is { } id && !isSerial
                ? $"The udev rule for {id} is missing." : "The user is not in the group dialout.");
        }
        var holder = stay.Opener ?? (isSerial ? Faults.PortsHeldBy ?? (Klippy.Holds(stay) ? "klippy" : null) : null);
        if (holder is not null)
            throw RatOS.Flash.Faults.PortHeld(name, holder);
        stay.Opener = "RatOS.Flash itself";
    }

    // ---- faults

    /// <summary>Counts a transfer. What its fault does to the world happens here; what it does to the transfer is for the caller.</summary>
    internal TransferFault? NextTransfer(Stay stay)
    {
        var index = Transfers++;
        TransferFault? own = null;
        foreach (var fault in _transferFaults[index])
        {
            switch (fault.Kind)
            {
                case TransferFaultKind.CablePulled:
                    After(fault.After, () => PullCable(stay, fault));
                    break;
                case TransferFaultKind.PowerFails:
                    After(fault.After, () => CutPower(fault.Return));
                    break;
                case TransferFaultKind.KlipperStarts:
                    After(fault.After, Klippy.StartByOthers);
                    break;
                default:
                    own = fault;
                    break;
            }
        }
        return own;
    }

    private void PullCable(Stay stay, TransferFault fault)
    {
        if (stay.Board is not { } board)
            return;
        board.Unplug();
        if (fault.Return is { } back)
            Time.Schedule(back, () => board.Plug(fault.OtherPort));
    }

    private void After(TimeSpan delay, Action action)
    {
        if (delay > TimeSpan.Zero)
            Time.Schedule(delay, action);
        else
            action();
    }

    internal bool IgnoresTouch() => _touches++ < Faults.TouchesIgnored;

    internal bool IgnoresLeave() => _leaves++ < Faults.LeavesIgnored;

    internal bool DeafensRom() => _began && _deaf++ < Faults.RomsDeaf;
}
