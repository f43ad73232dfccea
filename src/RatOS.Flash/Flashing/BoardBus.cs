using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>A board on its bus: which sessions are its own, when one ends and the next begins, and how it is opened.</summary>
internal sealed class BoardBus(
    IHardware hardware, BoardPorts ports, TimeProvider time, BoardPlan plan, EarlyPolling polling)
{
    // A board leaves the bus within milliseconds, but some hubs report it seconds later.
    public static readonly TimeSpan DisconnectLimit = TimeSpan.FromSeconds(10);

    // The stock bootloader of an Octopus takes 1.4 s and a card mount before anything appears, a slow hub or a cold ROM 8 s and more.
    public static readonly TimeSpan ReturnLimit = TimeSpan.FromSeconds(25);

    // A cable that was pulled during a write: time for the operator to plug it in again.
    public static readonly TimeSpan CableLimit = TimeSpan.FromSeconds(60);

    private readonly HashSet<(string Port, int Number)> _known = [];

    /// <summary>The last known port: a bootloader that was found by its serial may have appeared at another one.</summary>
    private string _port = plan.BootloaderPort ?? plan.Device!.Port;

    private BoardPlan _plan = plan;   // another one after a change of link
    private readonly WireBoard _wire = new(ports, time, plan);
    private CanBoard _node = new(hardware, ports, time, plan);
    private CanUuid? _nextUuid;      // after a change of link
    private bool _isAnywhereOnUsb;   // it was on CAN: no port of it is known

    private ChipEvidence? Chip => _plan.Evidence?.Chip;

    public BoardPlace Place => new(_port, Chip?.Uid is { } uid ? Convert.ToHexString(uid.Span) : null)
    {
        Controller = hardware.Look().Devices.FirstOrDefault(device => device.Port == _port)?.Controller,
    };

    /// <summary>Remembers all sessions on the bus: the board that returns must be a new one.</summary>
    public void Remember()
    {
        foreach (var device in hardware.Look().Devices)
            _known.Add((device.Port, device.Number));
    }

    /// <summary>True as soon as this session is over. A wired port never leaves.</summary>
    public async Task<bool> WaitForDisconnectAsync(Device device)
    {
        if (IsNode(device))
            return await FindNodeAsync(device, DisconnectLimit, isLost: false, CancellationToken.None) is not null;
        if (device.Can is not null && _plan.Request.Board.CanUuid is null)
            return true;   // a node that is on USB from now on
        if (device.IsWired)
        {
            // The only wait for a fixed time: a UART announces no reset. Katapult resets 100 ms after its answer, and a Klipper frame
            // before that would wedge it (Katapult src/command.c).
            await Task.Delay(TimeSpan.FromMilliseconds(500), time);
            return true;
        }
        return await hardware.WaitForDisconnectAsync(device, DisconnectLimit, time);
    }

    /// <summary>A listed device is really there if its port can be opened, or is in use by another program.</summary>
    public async Task<bool> IsThereAsync(Device device)
    {
        try
        {
            if (device.Can is not null)
                return await _node.IsThereAsync(device);
            await using var line = await ports.OpenSerialAsync(device, SerialMode.Klipper);
            return true;
        }
        catch (FlashException held) when (held.Kind != FaultKind.CanNodeSilent && !held.Kind.IsCanTrouble)
        {
            return true;
        }
        catch (DeviceGoneException)
        {
            return false;
        }
    }

    /// <summary>
    /// The board's next session: at any port by the serials that follow from its unique id, else by its port. Null if it does not return.
    /// A Klipper with the same serial at another port does not count: it could be an equal board of the same printer.
    /// </summary>
    public async Task<Device?> WaitForReturnAsync(Device left, TimeSpan limit, CancellationToken cancel = default)
    {
        if (left.IsWired)
            return left;
        if (IsNode(left))
            return await FindNodeAsync(left, limit, isLost: true, cancel);
        _known.Add((left.Port, left.Number));
        if (_plan.Request.Board.CanUuid is not null && !_plan.IsCanBridge)
            return await FindNodeAsync(left, limit, isLost: false, cancel);
        var back = await hardware.WaitForAsync(
            seen => seen.Devices.FirstOrDefault(device => IsNew(device) && IsOurs(device)), limit, time, cancel);
        if (back?.Can is not null)
            return back with { CanNode = new CanNode(_node.Uuid, InBootloader: false) };
        if (back is null && hardware.Look().Devices.FirstOrDefault(IsBridgeInterface) is { Can.IsUp: false } down)
            throw CanFaults.CanDown(down.Port);
        _port = back?.Port ?? _port;
        return back;
    }

    /// <summary>As <see cref="Remember"/>; true when this board is there and runs Klipper.</summary>
    public bool RemembersKlipper()
    {
        Remember();
        return FindKlipper(_plan.Device!) is not null;
    }

    /// <summary>The board if it runs Klipper now. A node with a number is not listed: it is assumed to be where it was.</summary>
    public Device? FindKlipper(Device last) =>
        IsNode(last) ? last : AsNode(hardware.Look().Devices.FirstOrDefault(device => !IsBootloader(device) && IsOurs(device)));

    /// <summary>
    /// A session of this board that began after <see cref="Remember"/>, in its bootloader or running Klipper as requested; null if there
    /// is none.
    /// </summary>
    public Device? FindReturned(DeviceList seen, bool inBootloader, bool asKlipper) => AsNode(seen.Devices.FirstOrDefault(device =>
        IsNew(device) && IsOurs(device) && (IsBootloader(device) ? inBootloader : asKlipper)));

    /// <summary>From here on the board is at the port of this session.</summary>
    public void Follow(Device back) => _port = back.Can is null ? back.Port : _port;

    /// <summary>
    /// The board's bootloader, if it is in one now. On a UART, and for a node with a number, only an answer shows that.
    /// </summary>
    public Device? FindBootloader() =>
        _plan.Device is { IsWired: true } wired ? wired : IsNode(_plan.Device!) ? _node.InBootloader()
        : hardware.Look().Devices.FirstOrDefault(device => IsBootloader(device) && IsOurs(device));

    /// <summary>Names the bootloaders that appeared at other ports since <see cref="Remember"/>.</summary>
    public FlashException BootloaderNotSeen(Device klipper)
    {
        var elsewhere = hardware.Look().Devices.Where(device => IsNew(device) && IsBootloader(device) && device.Port != _port).ToList();
        var names = elsewhere.Count > 0 ? string.Join(", ", elsewhere) : null;
        return FlashFaults.BootloaderNotSeen(
            _plan.Name, klipper.Port, ReturnLimit.TotalSeconds, names, elsewhere.FirstOrDefault()?.Port, _plan.Profile.NeedsEmptySlot,
            StartsOnDoubleReset);
    }

    /// <summary>Requests the bootloader from the running Klipper. The bus shows whether the board leaves.</summary>
    public Task TouchAsync(Device device) => device.Can is not null ? _node.RequestBootloaderAsync(device) : ports.TouchAsync(device);

    /// <summary>A client that knows the running board's dictionary, over whatever link and at whatever rate the board has.</summary>
    /// <exception cref="FlashException">No answer.</exception>
    /// <exception cref="DeviceGoneException"/>
    public async Task<KlipperClient> IdentifyAsync(Device running, CancellationToken cancel = default) => running.IsWired
        ? await _wire.IdentifyAsync(running, cancel)
        : await IdentifyAsync(
            running.Can is not null ? await _node.OpenLineAsync(running, inBootloader: false)
            : await ports.OpenSerialAsync(running, SerialMode.Klipper), _plan.Name, time, cancel);

    /// <summary>The client owns the line. If the board does not answer, the line is closed here.</summary>
    internal static async Task<KlipperClient> IdentifyAsync(ByteLine line, string board, TimeProvider time, CancellationToken cancel)
    {
        var client = await KlipperClient.ConnectAsync(line, board, time, CancellationToken.None);
        try
        {
            await client.IdentifyAsync(cancel);
            return client;
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>Lets the running firmware reset the board.</summary>
    public async Task ResetAsync(Device running, FlashPhase phase, BoardLog notes)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                await using var client = await IdentifyAsync(running);
                if (!await client.ResetAsync())
                    throw FlashFaults.ResetUnknown(_plan.Name);
                return;
            }
            catch (FlashException silent) when (silent.Kind == FaultKind.KlipperSilent && tries < BoardFlash.Tries)
            {
                await notes.WarnAsync(phase, $"{silent.Cause} Asking again.");
            }
            catch (DeviceGoneException)
            {
                return;   // it resets without an answer
            }
        }
    }

    /// <summary>Waits for a cable to be reconnected.</summary>
    /// <param name="left">The session that ended.</param>
    /// <param name="doing">What it interrupted, for the fault.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="FlashException">It was not reconnected.</exception>
    public async Task<Device> ReconnectAsync(Device left, string doing, CancellationToken cancel) =>
        await WaitForReturnAsync(left, CableLimit, cancel)
            ?? throw FlashFaults.DeviceLost(_plan.Name, doing, CableLimit.TotalSeconds, StartsOnDoubleReset);

    /// <summary>The bootloader that was opened last starts on a double reset: the operator steps depend on it.</summary>
    public bool StartsOnDoubleReset { get; private set; } = plan.Bootloader?.StartsOnDoubleReset == true;

    public async Task<Bootloader> OpenBootloaderAsync(Device device)
    {
        var bootloader = await OpenAsync(device);
        StartsOnDoubleReset = DriverOf(device).StartsOnDoubleReset;
        return bootloader;
    }

    private async Task<Bootloader> OpenAsync(Device device)
    {
        var driver = DriverOf(device);
        var target = TargetOf(device);
        if (driver.Mode is not { } mode)
        {
            var usb = await ports.OpenUsbAsync(device);
            return await OwnAsync(usb, () => driver.OpenAsync(usb, target));
        }
        if (device.IsWired)
            return await _wire.OpenAsync(device, driver, target);
        var line = device.Can is not null ? await _node.OpenLineAsync(device, inBootloader: true)
            : await ports.OpenSerialAsync(device, mode);
        return await OwnAsync(line, () => driver.OpenAsync(line, target));
    }

    /// <summary>Requests the bootloader from Klipper on a UART, unless the bootloader answers already. True if it was requested.</summary>
    public Task<bool> RequestOnWireAsync(Device device) => _wire.RequestAsync(device, DriverOf(device), TargetOf(device));

    private BootloaderTarget TargetOf(Device device)
    {
        var profile = _plan.Profile;
        return new(_plan.Name, profile.Mcu!, profile.ApplicationStart!.Value, profile.FlashEnd!.Value, polling,
            time)
        { Node = device.Can is null ? null : _node.Uuid };
    }

    /// <summary>
    /// The ROM's serial follows from the chip's unique id. Some ROMs show a meaningless one, so at the board's own port it is only a note.
    /// </summary>
    /// <exception cref="FlashException">Another serial at another port: another board.</exception>
    public string? CheckSerial(Device device)
    {
        var driver = DriverOf(device);
        if (_plan.LinkChange is { To: not BuildLink.Usb } change)
            _nextUuid = driver.UuidOf(device) ?? _plan.ChipUuid ?? throw FirmwareFaults.NewPlaceUnknown(_plan.Name, $"{change}");
        if (_plan.Request.Board.CanUuid is { } uuid && device.Usb is not null && driver.UuidOf(device) is { } found && found != uuid)
            throw BoardFaults.WrongBoard(_plan.Name, $"the CAN uuid {uuid}", $"{device.Serial} (CAN uuid {found})");
        if (device.Usb is null || Chip is not { } chip || driver.SerialOf(chip) is not { } expected
            || string.Equals(device.Serial, expected, StringComparison.OrdinalIgnoreCase))
            return null;
        if (device.Port != _port)
            throw BoardFaults.WrongBoard(_plan.Name, expected, device.Serial ?? "none");
        return $"{driver.Title} at {device.Port} shows the serial {device.Serial ?? "none"}, not {expected} as its chip id would give.";
    }

    /// <summary>
    /// The new firmware is in the board: from now on the board is looked for on that firmware's link. Returns what the user changes in
    /// printer.cfg; null for a board whose link stays.
    /// </summary>
    public string? ChangeLink()
    {
        _wire.HasNewFirmware();
        if (_plan.LinkChange is not { } change)
            return null;
        _isAnywhereOnUsb = change is { From: BuildLink.Can, To: BuildLink.Usb };
        _plan = _plan.AfterLinkChange(_nextUuid, _port);
        _node = new(hardware, ports, time, _plan);
        return LinkChange.NoteOf(_nextUuid);
    }

    public Task<bool> CyclePortAsync() => hardware.CyclePortAsync(_port);

    public async Task ResetUsbAsync(Device device)
    {
        await using var usb = await hardware.OpenUsbAsync(device);
        await usb.ResetAsync();
    }

    public bool IsBootloader(Device device) => _plan.IsBootloader(device);

    public string BootloaderName(Device device) => DriverOf(device).Title;

    /// <summary>The user named a bootloader on a UART, where only an answer shows it.</summary>
    public bool WaitsUnseen => _plan is { Device.Usb: null, Bootloader.IsUnlisted: true };

    /// <summary>Where only an answer shows the bootloader, it is asked before Klipper is.</summary>
    public async Task<bool> IsInBootloaderAsync(Device device) =>
        WaitsUnseen ? await _wire.AnswersAsync(device, DriverOf(device), TargetOf(device)) : IsBootloader(device);

    /// <summary>The bootloader of a device; on a UART the planned one, or the first one that can be there.</summary>
    public BootloaderDriver DriverOf(Device device) => _plan.Request.Board.Drivers.Showing(device) ?? _plan.Bootloader
        ?? _plan.Request.Board.Drivers.First(driver =>
            driver.IsReachedOver(device.Can is not null ? BuildLink.Can : device.IsWired ? BuildLink.Uart : BuildLink.Usb));

    /// <inheritdoc cref="CanBoard.IsNode"/>
    public bool IsNode(Device device) => _node.IsNode(device);

    private Task<Device?> FindNodeAsync(Device left, TimeSpan limit, bool isLost, CancellationToken cancel) => _node.FindAsync(
        limit, isLost,
        seen => left.Usb is null ? null : seen.Devices.FirstOrDefault(device => device.Usb is not null && IsNew(device) && IsOurs(device)),
        cancel);

    /// <summary>The interface of this bridge, once it is back.</summary>
    private bool IsBridgeInterface(Device device) =>
        _plan.Request.Board.CanUuid is not null && device.Can is { } can && can.UsbPort == _port;

    // A bridge that runs Klipper is both an interface on USB and a node on its bus.
    private Device? AsNode(Device? device) =>
        device?.Can is null ? device : device with { CanNode = new CanNode(_node.Uuid, InBootloader: false) };

    private bool IsNew(Device device) => !_known.Contains((device.Port, device.Number));

    private bool IsOurs(Device device)
    {
        if (IsBridgeInterface(device))
            return device.Can is { IsUp: true };
        var driver = device.Usb is null ? null : _plan.Request.Board.Drivers.Showing(device);
        if (driver is null && !device.RunsKlipper)
            return false;
        return device.Port == _port || (driver is null && _isAnywhereOnUsb)
            || (Chip is { } chip && driver?.SerialOf(chip) is { } serial
            && string.Equals(device.Serial, serial, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>The bootloader owns its transport. If it cannot be opened, the transport is disposed here.</summary>
    private static async Task<Bootloader> OwnAsync(IAsyncDisposable transport, Func<Task<Bootloader>> open)
    {
        try
        {
            return await open();
        }
        catch
        {
            await transport.DisposeAsync();
            throw;
        }
    }
}
