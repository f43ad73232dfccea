using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A printer in memory: boards, buses and Klipper on virtual time. It behaves as documents, sources and recordings say, injects
/// faults, and repeats exactly.
/// </summary>
public sealed class VirtualPrinter : IHardware
{
    /// <summary>Version of Klipper on this computer: that of a new build.</summary>
    public const string HostVersion = "v0.13.0-730-g84104bbbd";

    /// <summary>Its whole commit.</summary>
    public const string HostCommit = "84104bbbd7625d28b4eaaad83f4562972460ecd9";

    /// <summary>Model of a full-speed USB bus: overhead and bytes of a control transfer, and of a bulk transfer.</summary>
    public static readonly TimeSpan ControlOverhead = TimeSpan.FromMicroseconds(200);

    /// <inheritdoc cref="ControlOverhead"/>
    public static readonly TimeSpan ControlByte = TimeSpan.FromMicroseconds(1.6);

    /// <inheritdoc cref="ControlOverhead"/>
    public static readonly TimeSpan BulkOverhead = TimeSpan.FromMicroseconds(50);

    /// <inheritdoc cref="ControlOverhead"/>
    public static readonly TimeSpan BulkByte = TimeSpan.FromMicroseconds(1);

    private const string KlipperOwner = "Klipper (klippy.py, process 612)";
    private static readonly TimeSpan OpenTime = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan OffTime = TimeSpan.FromSeconds(3);

    private VirtualPrinter(Scenario scenario, VirtualTime time, InjectedFaults faults)
    {
        (Scenario, Time, Faults) = (scenario, time, faults);
        (Klippy, Bus, CanInterfaces, Injector) = (new(this), new(this), new(this), new(this));
        foreach (var device in scenario.OtherDevices)
            Bus.Add(device, null);
        Probe = scenario.OtherDevices.FirstOrDefault(ProbeUpdater.IsFor) is { } probe ? new(this, probe) : null;
        Can = CreateCan();
        Boards = [.. scenario.Boards.Select(setup => new VirtualBoard(this, setup))];
        Bus.Update();
    }

    public static ImmutableArray<Scenario> Scenarios => Scenario.All;

    public Scenario Scenario { get; }

    public ImmutableArray<VirtualBoard> Boards { get; }

    public VirtualKlippy Klippy { get; }

    public VirtualTime Time { get; }

    public InjectedFaults Faults { get; private set; }

    /// <summary>The CAN bus; null in a printer without CAN.</summary>
    public VirtualCanBus? Can { get; }

    /// <summary>
    /// False: transfers take no time, because a real bus carries them already. True unless a benchmark measures what that bus alone takes.
    /// </summary>
    public bool HasBusTime { get; set; } = true;

    /// <summary>Transfers so far: what <see cref="TransferFault.Index"/> counts.</summary>
    public int Transfers => Injector.Transfers;

    /// <summary>The file on the card in this computer, and its path there; null before there was one.</summary>
    public byte[]? Card { get; private set; }

    /// <inheritdoc cref="Card"/>
    public string? CardPath { get; private set; }

    /// <summary>The unit that may replace the process that is an MCU; null where there is none.</summary>
    public HostMcu? HostMcu => Process?.Unit;

    /// <summary>Its probe, which its maker's updater updates; null where it has none.</summary>
    public VirtualProbe? Probe { get; }

    /// <summary>The printer's boards as its configuration names them; the port is where each was last seen.</summary>
    public IReadOnlyList<PrinterBoard> PrinterBoards => [.. Boards.Select(board => new PrinterBoard(board.Name, board.Board)
    {
        Serial = board.Serial,
        Port = board.Setup.IsCan ? board.Setup.RescuePort : Bus.PortOf(board),
        OnlyByPort = Boards.Count(other => other.Serial == board.Serial) > 1,
        CanUuid = board.Setup.Link == McuLink.Can ? CanUuid.Read(board.CanUuidBytes) : null,
        RunningVersion = board.RunningFirmware?.Version,
        Facts =
        [
            .. board.Setup.IsUart
                ? (BoardFacts[])[new(FactSource.KlipperConfig, "printer.cfg") { HostBaud = board.Setup.HostBaud }] : [],
            // Klipper's configurations say no new names.
            .. board.Setup.PinsIn is { } file
                ? (BoardFacts[])[new(FactSource.KlipperConfig, $"its pins in {file}")
                {
                    CardFile = board.Setup.CardCandidates.IsEmpty
                        ? board.Setup.CardFile with { RenamedTo = null, ApplicationStart = board.ApplicationStart } : null,
                    CardCandidates = board.Setup.CardCandidates,
                }] : [],
        ],
    })];

    internal VirtualBus Bus { get; }

    internal CanInterfaces CanInterfaces { get; }

    internal FaultInjector Injector { get; }

    internal VirtualHostProcess? Process => Boards.Select(board => board.Process).FirstOrDefault(process => process is not null);

    /// <summary>The sessions that another computer can import: boards on USB. Other devices are only listed.</summary>
    internal IEnumerable<DeviceSession> Exported => Bus.Sessions.Where(session => session.Function is not null);

    /// <summary>A printer at the beginning of a scenario, with Klipper running.</summary>
    /// <exception cref="FlashException">No such scenario.</exception>
    public static VirtualPrinter Create(string scenario, VirtualTime time, InjectedFaults? faults = null) =>
        Create(Scenario.Find(scenario), time, faults);

    /// <inheritdoc cref="Create(string, VirtualTime, InjectedFaults?)"/>
    public static VirtualPrinter Create(Scenario scenario, VirtualTime time, InjectedFaults? faults = null)
    {
        var printer = new VirtualPrinter(scenario, time, faults is null || faults == InjectedFaults.None ? scenario.Faults : faults);
        foreach (var board in printer.Boards)
            board.Begin(board.Setup.State);
        printer.Settle();
        return printer;
    }

    /// <summary>The printer as <see cref="Save"/> left it in a folder, or at its beginning when there is none.</summary>
    /// <exception cref="FlashException">No such scenario, or the folder is damaged.</exception>
    public static VirtualPrinter Load(string folder, string scenario, VirtualTime time, InjectedFaults? faults = null)
    {
        if (VirtualStore.Load(folder) is not { } states)
            return Create(scenario, time, faults);
        var found = Scenario.Find(scenario);
        var printer = new VirtualPrinter(found, time, faults is null || faults == InjectedFaults.None ? found.Faults : faults);
        foreach (var board in printer.Boards)
            VirtualStore.Restore(folder, states, board);
        printer.Settle();
        return printer;
    }

    public void Save(string folder) => VirtualStore.Save(folder, this);

    /// <summary>Deletes what <see cref="Save"/> left in a folder, and no file of others.</summary>
    /// <exception cref="FlashException">The folder holds other files and no virtual printer.</exception>
    public static void Delete(string folder) => VirtualStore.Delete(folder);

    // ---- IHardware

    public DeviceList Look() => Bus.Look();

    public Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) => Bus.WaitForChangeAsync(generation, cancel);

    public Task CheckAccessAsync(Device device) => Denied(device) is { } denied ? Task.FromException(denied) : Task.CompletedTask;

    public async Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        await Task.Delay(OpenTime, Time);
        return new VirtualUsb(this, Take(device));
    }

    public async Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        await Task.Delay(OpenTime, Time);
        return new VirtualLine(this, Take(device), mode);
    }

    public async Task<CanPort> OpenCanAsync(Device device)
    {
        await Task.Delay(OpenTime, Time);
        var session = Find(device, session => session.Device.Can is not null && !session.IsOver);
        if (!session.Device.Can!.IsUp)
            throw CanFaults.CanDown(device.Port);
        return new VirtualCanPort(this, session, Can!);
    }

    public async Task TouchAsync(Device device, int baud)
    {
        await Task.Delay(OpenTime, Time);
        var session = Take(device);
        session.IsHeld = false;
        if (session.Function is CdcAcm)
            Injector.Count(session.Board!);
        Touch(session.Board, baud);
    }

    /// <summary>Power-cycles a port whose hub can switch it. Boards with a supply of their own are only unplugged.</summary>
    public async Task<bool> CyclePortAsync(string port)
    {
        if (!Scenario.SwitchedPorts.Contains(port))
            return false;
        var boards = Boards.Where(board => board.Port == port).ToList();
        boards.ForEach(board => board.Unplug());
        await Task.Delay(OffTime, Time);
        boards.ForEach(board => board.Plug());
        return true;
    }

    /// <summary>
    /// A card in this computer, in scenarios that have one. The simulated operator then moves it to the first board and presses reset.
    /// </summary>
    public Task<string?> PutOnCardAsync(string path, ReadOnlyMemory<byte> file, Func<ReadOnlyMemory<byte>, bool> holds)
    {
        if (!Scenario.HasCard)
            return Task.FromResult<string?>(null);
        var written = file.ToArray();
        if (Faults.CardSpoils)
            written[written.Length / 2] ^= 1;
        if (!holds(written))
            throw SdCardFaults.SdCardUnwritable("/media/card", "what was read back is not the firmware");
        (CardPath, Card) = (path, written);
        if (Faults.OperatorAfter is { } after)
            Time.Schedule(after, () => MoveCardTo(Boards[0]));
        return Task.FromResult<string?>("/media/card");
    }

    // ---- what an operator or Moonraker does

    /// <summary>Switches boards' supplies. Boards that are powered by USB are not affected.</summary>
    public void SetPower(IEnumerable<string> boards, bool isOn)
    {
        foreach (var board in Boards.Where(board => boards.Contains(board.Name) && !board.Setup.IsBusPowered))
        {
            if (isOn)
                board.PowerOn();
            else
                board.PowerOff();
        }
    }

    /// <summary>Brings the CAN interface up, or down.</summary>
    public void SetCanUp(bool isUp) => CanInterfaces.SetUp(isUp);

    /// <summary>Unplugs the CAN adapter; the nodes keep their state.</summary>
    public void UnplugCanAdapter() => CanInterfaces.Unplug();

    public void PlugCanAdapter() => CanInterfaces.Add(null, Scenario.CanAdapterPort, isUp: true);

    /// <summary>Ends all faults of printer and computer; their effects on boards stay.</summary>
    public void Heal()
    {
        Faults = InjectedFaults.None;
        Injector.Heal();
        Bus.Heal();
        foreach (var board in Boards)
            board.Heal();
        Can?.GoOff(TimeSpan.Zero);
        CanInterfaces.Heal();
    }

    // ---- for buses and servers

    internal TimeSpan ControlTime(int bytes) => HasBusTime ? ControlOverhead + (ControlByte * bytes) : TimeSpan.Zero;

    internal TimeSpan BulkTime(int bytes) => HasBusTime ? BulkOverhead + (BulkByte * bytes) : TimeSpan.Zero;

    /// <summary>A program has opened the board's USB serial port, set the rate, and closed it.</summary>
    internal void Touch(VirtualBoard? board, int baud)
    {
        if (board?.Function is not CdcAcm port)
            return;
        // Opening raises DTR; then the rate is set, then DTR falls.
        byte[] coding = [(byte)baud, (byte)(baud >> 8), (byte)(baud >> 16), (byte)(baud >> 24), 0, 0, 8];
        port.Control(new UsbSetup(0x21, 0x22, 1, 0), [], Time.Now);
        port.Control(new UsbSetup(0x21, 0x20, 0, 0), coding, Time.Now);
        port.Control(new UsbSetup(0x21, 0x22, 0, 0), [], Time.Now);
    }

    /// <summary>Counts a CAN frame as a transfer to its node, and returns its fault; null for none.</summary>
    internal TransferFault? NextCanFrame(CanFrame frame) => Injector.Next(
        Boards.FirstOrDefault(board => board.CanNode is { } node && node.AssignedId == frame.Id)
        ?? Boards.First(board => board.Setup is { IsCan: true } or { IsCanBridge: true } or { HasCanWires: true }));

    /// <summary>
    /// The computer sees the board as what it is now. A wired port is always listed, and a CAN node counts where the host reaches it.
    /// </summary>
    internal bool IsListed(VirtualBoard board) => board.Setup switch
    {
        { IsProcess: true } => true,
        _ when board.RunningFirmware is { Link.Kind: FirmwareLinkKind.Can or FirmwareLinkKind.CanBridge } => CanInterfaces.Reaches(board),
        { Link: McuLink.Can } => CanInterfaces.Reaches(board),
        var setup => Bus.Sessions.Any(session => session.Board == board && !session.Device.LacksSerialDriver
            && (session.Function is not null || setup.IsUart)),
    };

    private FlashException? Denied(Device device)
    {
        if (Faults.NoPermission)
            return ComputerFaults.NotInGroup(device.Node ?? $"{device}", device.Node is null ? "plugdev" : "dialout", "pi");
        if (Faults.HasNoRomRule && device.Usb is ({ Vendor: 0x0483 or 0x2e8a } or { Vendor: 0x04d8, Product: 0xbea1 }) and { } rom)
        {
            return ComputerFaults.NoUdevRule(
                $"{device}", $"SUBSYSTEM==\"usb\", ATTR{{idVendor}}==\"{rom.Vendor:x4}\", MODE=\"0660\", GROUP=\"plugdev\"");
        }
        var session = Bus.Sessions.FirstOrDefault(session => session.Device.IsSameSession(device));
        return session is not null && Time.Now < session.Since + Faults.PermissionDelay
            ? ComputerFaults.NoUdevRule(device.Node ?? $"{device}", "KERNEL==\"ttyACM*\", MODE=\"0660\", GROUP=\"dialout\"") : null;
    }

    private DeviceSession Take(Device device)
    {
        if (device.IsTerminal)
            return TakeTerminal(device);
        if (Denied(device) is { } denied)
            throw denied;
        var session = Find(device, session => session.Function is not null || device.IsWired);
        if (device.LacksSerialDriver)
            throw ComputerFaults.NoSerialDriver($"{device}");
        var node = device.Node ?? device.Port;
        if (session.Function?.IsRom != true && Klippy.IsRunning && session.Board is not null)
            throw ComputerFaults.PortHeld(node, KlipperOwner);
        if (session.Function?.IsRom != true && Faults.PortsHeldBy is { } holder && Time.Now < Faults.PortsHeldUntil)
            throw ComputerFaults.PortHeld(node, holder);
        if (session.IsHeld)
            throw ComputerFaults.PortHeld(node, "ratos-flash itself");
        session.IsHeld = true;
        return session;
    }

    /// <summary>A process's terminal is not listed; it exists while the process runs.</summary>
    private DeviceSession TakeTerminal(Device device)
    {
        if (Process is not { IsRunning: true } process || process.Terminal != device.Port)
            throw new DeviceGoneException(device.ToString());
        return Klippy.IsRunning
            ? throw ComputerFaults.PortHeld(device.Port, KlipperOwner)
            : new DeviceSession(device, process.Board, null);
    }

    private DeviceSession Find(Device device, Predicate<DeviceSession> isUsable) =>
        Bus.Sessions.FirstOrDefault(session => session.Device.IsSameSession(device) && isUsable(session))
        ?? throw new DeviceGoneException(device.ToString());

    /// <summary>The operator puts the card into a board's slot, and presses reset.</summary>
    public void MoveCardTo(VirtualBoard board)
    {
        board.SdCard[CardPath!] = Card!;
        board.PressReset();
    }

    private VirtualCanBus? CreateCan()
    {
        if (!Scenario.Boards.Any(board => board.IsCan || board.IsCanBridge || board.HasCanWires))
            return null;
        if (Scenario.CanAdapterPort is not null)
            PlugCanAdapter();
        return new VirtualCanBus(Time, Scenario.CanBitrate) { HostBitrate = Faults.CanBitrate ?? Scenario.CanBitrate };
    }

    /// <summary>The beginning: everything that is on its way has arrived.</summary>
    private void Settle()
    {
        foreach (var board in Boards)
            Bus.Settle(board);
        Bus.Settled();
        Klippy.SettleNow();
    }
}
