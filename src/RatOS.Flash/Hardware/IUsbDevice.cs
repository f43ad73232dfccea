using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware;

/// <summary>An opened USB device.</summary>
public interface IUsbDevice : IAsyncDisposable
{
    Device Device { get; }

    /// <summary>
    /// The active configuration descriptor with all that follows it, exactly as it came: it may be shorter than it claims.
    /// </summary>
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

    /// <summary>
    /// One bulk transfer of a claimed interface; bit 7 of the endpoint's address says which way. Outcomes as for a control transfer.
    /// </summary>
    /// <exception cref="DeviceGoneException"/>
    ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout);

    /// <summary>Ends the halt of a bulk endpoint, and starts its data toggle over on both sides (USB 2.0, 9.4.5).</summary>
    /// <exception cref="DeviceGoneException"/>
    ValueTask<UsbTransfer> ClearHaltAsync(byte endpoint);

    /// <summary>
    /// Has the hub reset the device's port: the device starts its USB session over, if it still can. Interfaces must be claimed again.
    /// </summary>
    /// <exception cref="FlashException">It may not be reset.</exception>
    /// <exception cref="DeviceGoneException">It left, or re-enumerated.</exception>
    ValueTask ResetAsync();
}

public readonly record struct UsbSetup(byte RequestType, byte Request, ushort Value, ushort Index)
{
    public bool IsIn => (RequestType & 0x80) != 0;
}

/// <summary>
/// The outcome of a transfer. <see cref="Error"/>: the bus failed (EPROTO, EIO, overflow) while the device is still listed.
/// </summary>
public enum UsbStatus
{
    Ok,
    Stall,
    Timeout,
    Error,
}

/// <param name="Status">How the transfer ended.</param>
/// <param name="Length">Bytes that were transferred, 0..the data's length.</param>
public readonly record struct UsbTransfer(UsbStatus Status, int Length)
{
    public bool IsOk => Status == UsbStatus.Ok;
}
