using RatOS.Flash.Core;

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

    /// <summary>
    /// Completes with the new list as soon as anything changed after <paramref name="generation"/>. Any number may wait at once.
    /// </summary>
    Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel);

    /// <summary>
    /// Checks that this user may open a listed device, or, without a number, a USB device of its ids that is yet to appear at its port.
    /// </summary>
    /// <exception cref="FlashException">No permission.</exception>
    /// <exception cref="DeviceGoneException">This enumeration of the device is over.</exception>
    Task CheckAccessAsync(Device device);

    /// <summary>Opens a USB device for control transfers, without claiming an interface yet.</summary>
    /// <exception cref="FlashException">No permission, held by another process.</exception>
    /// <exception cref="DeviceGoneException">This enumeration of the device is over.</exception>
    Task<IUsbDevice> OpenUsbAsync(Device device);

    /// <summary>
    /// Opens a serial port exclusively, raw before the first byte; one that is listed, or a <see cref="Device.Terminal"/>.
    /// </summary>
    /// <exception cref="FlashException">No permission, held by another process, no such port.</exception>
    /// <exception cref="DeviceGoneException">This enumeration of the device is over.</exception>
    Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode);

    /// <summary>Opens a CAN interface; others may have it open too.</summary>
    /// <exception cref="FlashException">The interface is down, or this computer has no CAN.</exception>
    /// <exception cref="DeviceGoneException">This session of the interface is over.</exception>
    Task<CanPort> OpenCanAsync(Device device);

    /// <summary>
    /// Opens the port, raises DTR, sets the rate, lowers DTR and closes: at 1200 baud Klipper takes it as the request for its bootloader
    /// (Klipper src/generic/usb_cdc.c). A device that leaves meanwhile is no error; only the bus shows whether it left.
    /// </summary>
    /// <exception cref="FlashException">No permission, held by another process, no such port.</exception>
    Task TouchAsync(Device device, int baud);

    /// <summary>
    /// Switches a USB port off and on again, where its hub supports that and this user may: a device that is powered by the port loses its
    /// power, any other is at least disconnected. The bus shows the effect.
    /// </summary>
    /// <param name="port">The port's path, such as <c>1-1.3</c>.</param>
    /// <returns>False: nothing was done.</returns>
    /// <exception cref="FlashException">It could not be switched on again.</exception>
    Task<bool> CyclePortAsync(string port);

    /// <summary>Writes a file onto the card that is in this computer, over one of that name, and reads it back from there.</summary>
    /// <param name="path">A plain file name, or one behind a folder's: <c>STM32F4_UPDATE/firmware.bin</c>.</param>
    /// <param name="file">All of it.</param>
    /// <param name="holds">What was read back is right. Without that the file does not get its name.</param>
    /// <returns>Where the card is mounted; null when there is none.</returns>
    /// <exception cref="FlashException">There are several, or it cannot be written, or its content would make a board's bootloader
    /// misbehave.</exception>
    Task<string?> PutOnCardAsync(string path, ReadOnlyMemory<byte> file, Func<ReadOnlyMemory<byte>, bool> holds);
}
