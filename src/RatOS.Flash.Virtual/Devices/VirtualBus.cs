using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The devices that the printer's computer lists: USB with its enumeration, and ports without it.</summary>
internal sealed class VirtualBus(VirtualPrinter printer)
{
    /// <summary>From the pull-up on D+ until the computer lists the device: debounce, resets, descriptors.</summary>
    private static readonly TimeSpan Enumeration = TimeSpan.FromMilliseconds(300);

    private readonly List<DeviceSession> _sessions = [];
    private readonly DeviceChanges _changes = new();
    private readonly Dictionary<VirtualBoard, object> _arriving = [];
    private readonly Dictionary<VirtualBoard, string> _lastPort = [];
    private string? _nextPort = printer.Faults.ReturnsAt;
    private int _number;

    /// <summary>Every session that is listed, also of devices that have left and linger.</summary>
    public IReadOnlyList<DeviceSession> Sessions => _sessions;

    /// <summary>A board has left since the beginning: what is enumerated from now on comes back.</summary>
    public bool HasReturns { get; private set; }

    public DeviceList Look() => _changes.Now;

    public Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) => _changes.AfterAsync(generation, cancel);

    /// <summary>The port at which a board was last listed.</summary>
    public string PortOf(VirtualBoard board) => _lastPort.GetValueOrDefault(board, board.Setup.Port);

    /// <summary>Lists a device, with a number of its own.</summary>
    public DeviceSession Add(Device device, VirtualBoard? board, UsbFunction? function = null)
    {
        var session = new DeviceSession(device with { Number = ++_number }, board, function) { Since = printer.Time.Now };
        _sessions.Add(session);
        return session;
    }

    public void Remove(DeviceSession session)
    {
        _sessions.Remove(session);
        Update();
    }

    /// <summary>Publishes the list after a change.</summary>
    public void Update() =>
        _changes.Set([.. _sessions.Select(session => session.Device).OrderBy(device => device.Port, StringComparer.Ordinal)]);

    /// <summary>A board pulls up D+: it is listed after the enumeration.</summary>
    public void Attach(VirtualBoard board, UsbFunction function)
    {
        if (_arriving.Remove(board, out var before))
            VirtualTime.Unschedule(before);
        var delay = Enumeration + (HasReturns ? printer.Faults.ReturnsAfter : TimeSpan.Zero);
        _arriving[board] = printer.Time.Schedule(delay, () =>
        {
            _arriving.Remove(board);
            if (HasReturns && _nextPort is { } elsewhere)
            {
                _nextPort = null;
                board.Unplug();
                board.Plug(elsewhere);
                return;
            }
            Arrive(board, function);
        });
    }

    /// <summary>A board leaves USB.</summary>
    public void Detach(VirtualBoard board)
    {
        if (_arriving.Remove(board, out var arriving))
            VirtualTime.Unschedule(arriving);
        HasReturns |= printer.Time.Now > TimeSpan.Zero;
        printer.Klippy.Lost(board);
        foreach (var session in _sessions.Where(session => session.Board == board && !session.Device.IsWired && !session.IsOver).ToList())
        {
            session.End();
            if (printer.Faults.Lingers == TimeSpan.Zero)
                Remove(session);
            else
                printer.Time.Schedule(printer.Faults.Lingers, () => Remove(session));
        }
    }

    /// <summary>Lists at once what is about to arrive: the printer's beginning.</summary>
    public void Settle(VirtualBoard board)
    {
        if (board.Setup.IsUart)
            Add(new Device { Port = board.Setup.Port, Number = 0, Node = $"/dev/{board.Setup.Port}" }, board);
        board.SettleNow();
        if (_arriving.Remove(board, out var arriving))
        {
            VirtualTime.Unschedule(arriving);
            Arrive(board, board.Function!);
        }
    }

    /// <summary>The beginning is over.</summary>
    public void Settled()
    {
        HasReturns = false;
        Update();
    }

    /// <summary>Ends the faults that are still to come.</summary>
    public void Heal() => _nextPort = null;

    private void Arrive(VirtualBoard board, UsbFunction function)
    {
        _lastPort[board] = board.Port!;
        Add(
            new Device
            {
                Port = board.Setup.RescuePort ?? board.Port!,
                Number = 0,
                Usb = function.Id,
                Manufacturer = function.Manufacturer,
                Product = function.Product,
                Serial = function.Serial,
                Release = function.Release,
                Node = function is CdcAcm && !printer.Faults.HasNoSerialDriver ? FreeNode() : null,
                LacksSerialDriver = function is CdcAcm && printer.Faults.HasNoSerialDriver,
            },
            board, function);
        Update();
        printer.CanInterfaces.AddOf(board, function);
    }

    /// <summary>As the kernel numbers them: the lowest that is free, so a board that returns may get another.</summary>
    private string FreeNode() => Enumerable.Range(0, int.MaxValue).Select(number => $"/dev/ttyACM{number}")
        .First(node => !_sessions.Exists(session => session.Device.Node == node));
}
