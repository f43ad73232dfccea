using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A printer made of memory: boards, buses and Klipper, on virtual time. Faithful to the facts, merciless with faults, and the same again each time.
/// </summary>
public sealed partial class VirtualPrinter : IHardware
{
    /// <summary>The bus as modelled: full-speed USB, one control transfer's overhead and its bytes, one bulk transfer's and its bytes.</summary>
    public static readonly TimeSpan ControlOverhead = TimeSpan.FromMicroseconds(200);

    /// <inheritdoc cref="ControlOverhead"/>
    public static readonly TimeSpan ControlByte = TimeSpan.FromMicroseconds(1.6);

    /// <inheritdoc cref="ControlOverhead"/>
    public static readonly TimeSpan BulkOverhead = TimeSpan.FromMicroseconds(50);

    /// <inheritdoc cref="ControlOverhead"/>
    public static readonly TimeSpan BulkByte = TimeSpan.FromMicroseconds(1);

    /// <summary>From the pull-up on D+ until the computer lists the device: debounce, resets, descriptors.</summary>
    private static readonly TimeSpan Enumeration = TimeSpan.FromMilliseconds(300);

    private readonly List<Present> _present = [];
    private readonly DeviceChanges _changes = new();
    private readonly Dictionary<VirtualBoard, object> _arriving = [];
    private readonly Dictionary<VirtualBoard, string> _lastPort = [];
    private ImmutableDictionary<int, TransferFault> _transferFaults;
    private readonly bool _goesElsewhere;
    private string? _nextPort;
    private int _number;
    private int _transfers;
    private bool _returnsLate;
    private Action? _owed;   // faults that missed the flash's work and wait for the next transfer

    private VirtualPrinter(Scenario scenario, VirtualTime time, Faultiness faults)
    {
        (Scenario, Time, Faults) = (scenario, time, faults);
        _transferFaults = faults.Transfers.GroupBy(fault => fault.Index).ToImmutableDictionary(group => group.Key, group => group.First());
        (_nextPort, _goesElsewhere) = (faults.ReturnsAt, faults.ReturnsAt is not null);
        Klippy = new VirtualKlippy(this);
        foreach (var stranger in scenario.Strangers)
            _present.Add(new Present(stranger with { Number = ++_number }, null, null));
        Can = CreateCan();
        Boards = [.. scenario.Boards.Select(setup => new VirtualBoard(this, setup))];
        Changed();
    }

    /// <summary>One device that is listed; of a board that has left but lingers the function is null.</summary>
    internal sealed class Present(Device device, VirtualBoard? board, UsbFunction? function)
    {
        private readonly List<Action> _gone = [];

        public Device Device { get; set; } = device;

        public VirtualBoard? Board { get; } = board;

        public UsbFunction? Function { get; set; } = function;

        public bool IsHeld { get; set; }

        /// <summary>This stay is over, though it may linger in the list.</summary>
        public bool IsOver { get; private set; }

        /// <summary>Has somebody told when this stay is over.</summary>
        public void WhenGone(Action gone) => _gone.Add(gone);

        /// <inheritdoc cref="WhenGone"/>
        public void Forget(Action gone) => _gone.Remove(gone);

        /// <summary>The device is no longer there, though it may linger in the list.</summary>
        public void End()
        {
            (Function, IsOver) = (null, true);
            foreach (var gone in _gone.ToList())
                gone();
        }
    }

    public static ImmutableArray<Scenario> Scenarios => Scenario.All;

    public Scenario Scenario { get; }

    public ImmutableArray<VirtualBoard> Boards { get; private init; }

    public VirtualKlippy Klippy { get; }

    public VirtualTime Time { get; }

    public Faultiness Faults { get; private set; }

    /// <summary>Version of Klipper on this computer: what a build would make.</summary>
    public const string HostVersion = "v0.13.0-730-g84104bbbd";

    /// <summary>False: transfers take no time of the virtual bus, where a real one already carries them. True unless it is measured what that alone takes.</summary>
    public bool HasBusTime { get; set; } = true;

    internal TimeSpan ControlTime(int bytes) => HasBusTime ? ControlOverhead + (ControlByte * bytes) : TimeSpan.Zero;

    internal TimeSpan BulkTime(int bytes) => HasBusTime ? BulkOverhead + (BulkByte * bytes) : TimeSpan.Zero;

    /// <summary>Transfers so far: what <see cref="TransferFault.Index"/> counts.</summary>
    public int Transfers => _transfers;

    /// <summary>Called with each of them: whether it is a control transfer to a bootloader.</summary>
    internal Action<bool>? OnTransfer { get; set; }

    /// <summary>The printer's boards as its configuration names them; the port is where each was last seen.</summary>
    public IReadOnlyList<PrinterBoard> PrinterBoards => [.. Boards.Select(board => new PrinterBoard(board.Name, board.Board)
    {
        Serial = board.Setup.Serial,
        Port = board.Setup.IsCan ? board.Setup.RescuePort : _lastPort.GetValueOrDefault(board, board.Setup.Port),
        OnlyByPort = Boards.Count(other => other.Setup.Serial == board.Setup.Serial) > 1,
        CanUuid = board.Setup.Link == McuLink.Can ? CanUuid.Read(board.CanUuidBytes) : null,
        RunningVersion = board.RunningFirmware?.Version,
    })];

    /// <summary>A printer at its story's beginning, with Klipper running.</summary>
    /// <exception cref="FlashException">No such scenario.</exception>
    public static VirtualPrinter Create(string scenario, VirtualTime time, Faultiness? faults = null) => Create(Scenario.Find(scenario), time, faults);

    /// <inheritdoc cref="Create(string, VirtualTime, Faultiness?)"/>
    public static VirtualPrinter Create(Scenario scenario, VirtualTime time, Faultiness? faults = null)
    {
        var printer = new VirtualPrinter(scenario, time, faults is null || faults == Faultiness.None ? scenario.Faults : faults);
        foreach (var board in printer.Boards)
            board.Begin(board.Setup.State);
        printer.Settle();
        return printer;
    }

    /// <summary>The printer as <see cref="Save"/> left it in a folder, or at its beginning when there is none.</summary>
    /// <exception cref="FlashException">No such scenario, or the folder is damaged.</exception>
    public static VirtualPrinter Load(string folder, string scenario, VirtualTime time, Faultiness? faults = null)
    {
        if (VirtualStore.Load(folder) is not { } states)
            return Create(scenario, time, faults);
        var found = Scenario.Find(scenario);
        var printer = new VirtualPrinter(found, time, faults is null || faults == Faultiness.None ? found.Faults : faults);
        foreach (var board in printer.Boards)
            VirtualStore.Restore(folder, states, board);
        printer.Settle();
        return printer;
    }

    public void Save(string folder) => VirtualStore.Save(folder, this);

    // ---- IHardware

    public DeviceList Look() => _changes.Now;

    public Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) => _changes.AfterAsync(generation, cancel);

    public async Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(1), Time);
        return new VirtualUsb(this, Take(device));
    }

    public async Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(1), Time);
        return new VirtualLine(this, Take(device), mode);
    }

    public async Task TouchAsync(Device device, int baud)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(1), Time);
        var present = Take(device);
        present.IsHeld = false;
        if (present.Function is CdcAcm)
            Count(present.Board!);
        Touch(present.Board, baud);
    }

    /// <summary>A program has opened the board's USB serial port, set the rate, and closed it.</summary>
    internal void Touch(VirtualBoard? board, int baud)
    {
        if (board?.Function is not CdcAcm port)
            return;
        // Open raises DTR; then the rate, then DTR falls.
        byte[] coding = [(byte)baud, (byte)(baud >> 8), (byte)(baud >> 16), (byte)(baud >> 24), 0, 0, 8];
        port.Control(new UsbSetup(0x21, 0x22, 1, 0), [], Time.Now);
        port.Control(new UsbSetup(0x21, 0x20, 0, 0), coding, Time.Now);
        port.Control(new UsbSetup(0x21, 0x22, 0, 0), [], Time.Now);
    }

    private Present Take(Device device)
    {
        if (device.IsTerminal)
            return TakeTerminal(device);
        if (Faults.NoPermission)
        {
            throw ComputerFaults.NoPermission(
                device.Node ?? $"{device}", "Add the udev rule for this id (99-ratos-flash.rules) and put the user into the groups plugdev and dialout.");
        }
        var present = _present.FirstOrDefault(candidate => candidate.Device.IsSameStay(device) && (candidate.Function is not null || device.IsWired))
            ?? throw new DeviceGoneException(device.ToString());
        if (present.Function is not RomDfu && Klippy.IsRunning && present.Board is not null)
            throw ComputerFaults.PortHeld(device.Node ?? device.Port, "Klipper (klippy.py, process 612)");
        if (Faults.PortsHeldBy is { } holder && Time.Now < Faults.PortsHeldUntil && present.Function is not RomDfu)
            throw ComputerFaults.PortHeld(device.Node ?? device.Port, holder);
        if (present.IsHeld)
            throw ComputerFaults.PortHeld(device.Node ?? device.Port, "ratos-flash itself");
        present.IsHeld = true;
        return present;
    }

    // ---- the bus

    internal void Attach(VirtualBoard board, UsbFunction function)
    {
        if (_arriving.Remove(board, out var before))
            VirtualTime.Unschedule(before);
        var delay = Enumeration + (_returnsLate ? Faults.ReturnsAfter : TimeSpan.Zero);
        _arriving[board] = Time.Schedule(delay, () =>
        {
            _arriving.Remove(board);
            if (_goesElsewhere && _returnsLate && _nextPort is { } elsewhere)
            {
                _nextPort = null;
                board.Unplug();
                board.Plug(elsewhere);
                return;
            }
            _lastPort[board] = board.Port!;
            _present.Add(new Present(DeviceOf(board, function), board, function));
            Changed();
            AddCanInterfaceOf(board, function);
        });
    }

    internal void Detach(VirtualBoard board, TimeSpan lingers)
    {
        if (_arriving.Remove(board, out var arriving))
            VirtualTime.Unschedule(arriving);
        _returnsLate |= Time.Now > TimeSpan.Zero;
        Klippy.Lost(board);
        foreach (var present in _present.Where(candidate => candidate.Board == board && !candidate.Device.IsWired && !candidate.IsOver).ToList())
        {
            present.End();
            if (lingers == TimeSpan.Zero)
                Remove(present);
            else
                Time.Schedule(lingers, () => Remove(present));
        }
    }

    /// <summary>Counts a transfer, and tells what goes wrong with it.</summary>
    internal TransferFault? NextTransfer(VirtualBoard board)
    {
        Count(board);
        StrikeOwed();
        HangIfDue(board);
        if (!_transferFaults.TryGetValue(_transfers, out var fault))
            return null;
        switch (fault.Kind)
        {
            case TransferFaultKind.Unplug:
                Strike(fault, board, board.Unplug, () => board.Plug());
                break;
            case TransferFaultKind.PowerCut:
                Strike(fault, board, board.PowerOff, board.PowerOn);
                break;
            case TransferFaultKind.ForeignKlipper:
                Klippy.StartedBySomebody();
                break;
        }
        return fault;
    }

    private void Count(VirtualBoard board)
    {
        _transfers++;
        OnTransfer?.Invoke(board.Function is RomDfu);
    }

    private Device DeviceOf(VirtualBoard board, UsbFunction function) => new()
    {
        Port = board.Setup.RescuePort ?? board.Port!,
        Number = ++_number,
        Usb = function.Id,
        Manufacturer = function.Manufacturer,
        Product = function.Product,
        Serial = function.Serial,
        Release = function.Release,
        Node = function is CdcAcm ? FreeNode() : null,
    };

    /// <summary>As a kernel numbers them: the lowest that is free, so a board that returns may get another.</summary>
    private string FreeNode() => Enumerable.Range(0, int.MaxValue).Select(number => $"/dev/ttyACM{number}")
        .First(node => !_present.Exists(present => present.Device.Node == node));

    private void Remove(Present present)
    {
        _present.Remove(present);
        Changed();
    }

    private void Changed() => _changes.Set([.. _present.Select(present => present.Device).OrderBy(device => device.Port, StringComparer.Ordinal)]);

    /// <summary>The story begins when everything that was on its way is there.</summary>
    private void Settle()
    {
        foreach (var board in Boards)
        {
            if (board.Setup.IsUart)
                _present.Add(new Present(new Device { Port = board.Setup.Port, Number = ++_number, Node = $"/dev/{board.Setup.Port}" }, board, null));
            board.SettleNow();
            if (_arriving.Remove(board, out var arriving))
            {
                VirtualTime.Unschedule(arriving);
                _lastPort[board] = board.Port!;
                _present.Add(new Present(DeviceOf(board, board.Function!), board, board.Function));
                AddCanInterfaceOf(board, board.Function!);
            }
        }
        _returnsLate = false;
        Changed();
        Klippy.SettleNow();
    }

    /// <summary>What another computer can import: each board that is on USB now. Strangers are only listed, and have no function.</summary>
    internal IEnumerable<Present> Exported => _present.Where(present => present.Function is not null);

    /// <summary>The computer lists the board as what it is now; a wired port is always there, and a node where the bus reaches it.</summary>
    internal bool IsListed(VirtualBoard board) => board.Setup.IsProcess || (board.Setup.Link == McuLink.Can ? IsCanReached(board) : _present.Exists(present => present.Board == board && (present.Function is not null || board.Setup.IsUart)));
}
