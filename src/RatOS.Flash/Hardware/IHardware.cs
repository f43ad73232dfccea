using System.Collections.Immutable;

namespace RatOS.Flash.Hardware;

/// <summary>
/// What the engine can see and touch of a computer's buses. Two implementations exist: Linux and the virtual printer.
/// </summary>
/// <remarks>
/// The generation number closes the gap between a look and a wait: a change after <see cref="DeviceList.Generation"/> n
/// completes every <see cref="WaitForChangeAsync"/> that was given n, also when it happened before the call.
/// So a board that leaves the bus and returns within a microsecond is still seen to have left.
/// </remarks>
public interface IHardware
{
    /// <summary>Everything on the buses right now.</summary>
    DeviceList Look();

    /// <summary>Completes with the new list as soon as anything changed after <paramref name="generation"/>. Any number may wait at once.</summary>
    Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel);

    /// <summary>Opens a USB device for control transfers, without claiming an interface yet.</summary>
    /// <exception cref="FlashException">No permission, held by another process.</exception>
    /// <exception cref="DeviceGoneException">This enumeration of the device is over.</exception>
    Task<IUsbDevice> OpenUsbAsync(Device device);

    /// <summary>Opens a serial port exclusively, raw before the first byte; one that is listed, or a <see cref="Device.Terminal"/>.</summary>
    /// <exception cref="FlashException">No permission, held by another process, no such port.</exception>
    /// <exception cref="DeviceGoneException">This enumeration of the device is over.</exception>
    Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode);

    /// <summary>Opens a CAN interface; others may have it open too.</summary>
    /// <exception cref="FlashException">The interface is down, or this computer has no CAN.</exception>
    /// <exception cref="DeviceGoneException">This stay of the interface is over.</exception>
    Task<CanPort> OpenCanAsync(Device device);

    /// <summary>
    /// Opens the port, raises DTR, sets the rate, lowers DTR and closes: at 1200 baud Klipper takes it as the request for its bootloader
    /// (facts: Klipper, generic/usb_cdc.c). A device that leaves meanwhile is no error; whether it left is seen on the bus alone.
    /// </summary>
    /// <exception cref="FlashException">No permission, held by another process, no such port.</exception>
    Task TouchAsync(Device device, int baud);

    /// <summary>
    /// Switches a USB port off, and on again a moment later, where its hub can do that and its user may: what lives from the port alone was without power then, anything else was at
    /// least unplugged. What comes of it is seen on the bus.
    /// </summary>
    /// <param name="port">The port's path, such as <c>1-1.3</c>.</param>
    /// <returns>False: nothing was done.</returns>
    /// <exception cref="FlashException">It could not be switched on again.</exception>
    Task<bool> CyclePortAsync(string port);

    /// <summary>Writes a file onto the card that is in this computer, over one of that name, and reads it back from there.</summary>
    /// <param name="name">A plain file name.</param>
    /// <param name="file">All of it.</param>
    /// <returns>Where the card is mounted; null when there is none.</returns>
    /// <exception cref="FlashException">There are several, or it cannot be written, or a board's bootloader would not do well with it.</exception>
    Task<string?> PutOnCardAsync(string name, ReadOnlyMemory<byte> file);
}

/// <summary>All devices at one moment, and the number of changes until then.</summary>
public sealed record DeviceList(long Generation, ImmutableArray<Device> Devices);

/// <summary>One enumeration of one device at one port.</summary>
public sealed record Device
{
    /// <summary>Where it is plugged in: a USB port path such as <c>1-1.3</c>, the name of a wired serial port such as <c>ttyAMA0</c>, or of a CAN interface such as <c>can0</c>.</summary>
    public required string Port { get; init; }

    /// <summary>Number of this enumeration, unique on this computer: the same board gets another one each time it returns to the bus.</summary>
    public required int Number { get; init; }

    /// <summary>Vendor and product; null for a wired serial port and for a CAN interface.</summary>
    public UsbId? Usb { get; init; }

    /// <summary>A CAN interface; null for all others. Its adapter, if it is on USB, is another device.</summary>
    public CanLink? Can { get; init; }

    /// <summary>One node on that interface, as it answered; null for the interface itself. No bus lists nodes: this is found out by asking.</summary>
    public CanNode? CanNode { get; init; }

    /// <summary>A serial port without USB: it is always there, whoever is at its end.</summary>
    public bool IsWired => Usb is null && Can is null;

    /// <summary>The device's own strings as it sent them; null when it has none.</summary>
    public string? Manufacturer { get; init; }

    /// <inheritdoc cref="Manufacturer"/>
    public string? Product { get; init; }

    /// <inheritdoc cref="Manufacturer"/>
    public string? Serial { get; init; }

    /// <summary>bcdDevice of the device descriptor.</summary>
    public ushort Release { get; init; }

    /// <summary>The serial port's device node such as <c>/dev/ttyACM0</c>; null when the device has none (ROM DFU).</summary>
    public string? Node { get; init; }

    /// <summary>The kernel's driver of the first interface such as <c>cdc_acm</c>; null where none is bound. <c>usbfs</c>: a program has taken it.</summary>
    public string? Driver { get; init; }

    /// <summary>A terminal that some process made, which no bus lists: whether it is there is seen when it is opened.</summary>
    public static Device Terminal(string path) => new() { Port = path, Number = 0, Node = path };

    /// <inheritdoc cref="Terminal"/>
    public bool IsTerminal => Number == 0 && IsWired && Port == Node;

    /// <summary>True when both are the same stay on the bus, not merely the same board.</summary>
    public bool IsSameStay(Device other) => Port == other.Port && Number == other.Number;

    public override string ToString() => Usb is { } id ? $"{id} at {Port}" : CanNode is { } node ? $"{node.Uuid} on {Port}" : Node ?? Port;
}

/// <summary>USB vendor and product id. Who is who: facts, "Who is at the port".</summary>
public readonly record struct UsbId(ushort Vendor, ushort Product)
{
    public static readonly UsbId Klipper = new(0x1d50, 0x614e);
    public static readonly UsbId KlipperCanBridge = new(0x1d50, 0x606f);
    public static readonly UsbId Katapult = new(0x1d50, 0x6177);
    public static readonly UsbId StmDfu = new(0x0483, 0xdf11);
    public static readonly UsbId Rp2040Boot = new(0x2e8a, 0x0003);
    public static readonly UsbId Rp2350Boot = new(0x2e8a, 0x000f);
    public static readonly UsbId GigaDeviceDfu = new(0x28e9, 0x0189);

    public override string ToString() => $"{Vendor:x4}:{Product:x4}";
}

/// <summary>Line settings of a serial port. Always 8 data bits, 1 stop bit, no flow control.</summary>
public sealed record SerialMode(int Baud, bool EvenParity = false)
{
    /// <summary>Klipper and Katapult on UART, and the rate that USB ports ignore.</summary>
    public static readonly SerialMode Klipper = new(250_000);
}

/// <summary>
/// A serial port as a line of bytes. One write is one frame and goes out whole, never cut short by a cancel:
/// half a frame wedges Katapult for good (facts: "The wedge").
/// </summary>
public abstract class ByteLine : IAsyncDisposable
{
    /// <summary>The stay on the bus this line belongs to.</summary>
    public abstract Device Device { get; }

    /// <exception cref="DeviceGoneException">The device left the bus.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> frame);

    /// <summary>Waits for bytes: 1..<paramref name="buffer"/> of them, or 0 when none came in time.</summary>
    /// <exception cref="DeviceGoneException">The device left the bus, and every byte that came before was read.</exception>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout);

    public abstract ValueTask DisposeAsync();
}

/// <summary>An opened USB device.</summary>
public interface IUsbDevice : IAsyncDisposable
{
    Device Device { get; }

    /// <summary>The active configuration descriptor with all that follows it, exactly as it came: it may be shorter than it claims.</summary>
    ReadOnlyMemory<byte> Configuration { get; }

    /// <summary>Claims an interface (detaching a kernel driver) and selects its alternate setting.</summary>
    /// <exception cref="FlashException">Held by another process.</exception>
    /// <exception cref="DeviceGoneException"/>
    ValueTask ClaimAsync(byte interfaceNumber, byte alternate);

    /// <summary>
    /// One control transfer; <paramref name="data"/> is sent or filled, by bit 7 of the request type. At most 4096 bytes.
    /// A stall and a time-out are answers, not exceptions: what they mean depends on the request.
    /// </summary>
    /// <exception cref="DeviceGoneException"/>
    ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout);

    /// <summary>One bulk transfer of a claimed interface; bit 7 of the endpoint's address says which way. Outcomes as for a control transfer.</summary>
    /// <exception cref="DeviceGoneException"/>
    ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout);

    /// <summary>Has the hub reset the device's port: the device answers anew from its beginning on, if it still can. Interfaces have to be claimed again.</summary>
    /// <exception cref="FlashException">It may not be reset.</exception>
    /// <exception cref="DeviceGoneException">It left, or came back as another stay.</exception>
    ValueTask ResetAsync();
}

public readonly record struct UsbSetup(byte RequestType, byte Request, ushort Value, ushort Index)
{
    public bool IsIn => (RequestType & 0x80) != 0;
}

/// <summary>What came of a transfer. <see cref="Error"/>: the bus failed (EPROTO, EIO, overflow) while the device is still listed.</summary>
public enum UsbStatus
{
    Ok,
    Stall,
    Timeout,
    Error,
}

/// <param name="Status">How the transfer ended.</param>
/// <param name="Length">Bytes that really went over, 0..the data's length.</param>
public readonly record struct UsbTransfer(UsbStatus Status, int Length)
{
    public bool IsOk => Status == UsbStatus.Ok;
}

/// <summary>One link to a port: below <c>/dev/serial</c>, <c>/dev/RatOS</c> or <c>/dev</c>.</summary>
/// <param name="Path">The whole path of the link.</param>
/// <param name="Target">What it leads to, as it stands in the link or resolved: <c>../../ttyACM0</c>, <c>/dev/ttyACM0</c>, or another link.</param>
public sealed record DeviceLink(string Path, string Target);
