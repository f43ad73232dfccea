using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>
/// Calls the updater of a probe's maker. Only Beacon's can be called: Cartographer's (scripts/firmware.py) is a menu, which asks its
/// questions on a terminal. On a printer it is a program of the user's own checkout; a virtual printer has a stand-in.
/// </summary>
public abstract class ProbeUpdater
{
    private const ushort Microchip = 0x04d8;

    /// <summary>The obstacle; null without one. Changes nothing.</summary>
    /// <param name="board">The probe's name.</param>
    public abstract FlashException? Check(string board);

    /// <summary>Its command for one probe, for people.</summary>
    public abstract string CommandFor(Device probe);

    /// <summary>Runs it to its end.</summary>
    /// <param name="probe">As the bus lists it.</param>
    /// <param name="line">Called for each line of its output.</param>
    /// <param name="kill">Kills it and its children, and waits until they are gone.</param>
    /// <returns>Its exit code.</returns>
    /// <exception cref="OperationCanceledException">It was killed.</exception>
    /// <exception cref="FlashException">It could not be started.</exception>
    public abstract Task<int> RunAsync(Device probe, Action<string> line, CancellationToken kill);

    /// <summary>The updater recognises this device (update_firmware.py, check_device_is_beacon).</summary>
    public static bool IsFor(Device device) => device.Usb is { } id && (device.Manufacturer == "Beacon" || id.Vendor == Microchip)
        && device.Product?.StartsWith("Beacon Rev", StringComparison.Ordinal) == true;

    /// <summary>The firmware's version by its device descriptor, as the updater reads it: 2010 is 2.1.0.</summary>
    public static string VersionOf(Device device) =>
        $"{device.Release >> 12:x}.{(device.Release >> 4) & 0xFF:x}.{device.Release & 0xF:x}";

    /// <summary>The bootloader's USB id (suffix of the maker's firmware/rev*.dfu); null for an unknown revision.</summary>
    public static UsbId? BootloaderOf(Device device) => device.Product?.Split(' ') switch
    {
        [_, "RevH", ..] => new(Microchip, 0xbea1),
        [_, "RevD", ..] => new(Microchip, 0xbeac),
        _ => null,
    };
}
