using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>The place of a board when its write began.</summary>
/// <param name="Port">Of its bootloader: a USB port path, a serial port, a CAN interface.</param>
/// <param name="Uid">The chip's unique id, in hex; null where it was not asked.</param>
public sealed record BoardPlace(string Port, string? Uid)
{
    /// <inheritdoc cref="Device.Controller"/>
    public string? Controller { get; init; }
}

/// <summary>An earlier flash of a board that did not end with a board that runs.</summary>
/// <param name="Condition">Of the board at its end.</param>
/// <param name="Place">Of the board.</param>
/// <param name="NamedPort">The port or link by which the user named the board; null where they did not.</param>
public sealed record EarlierFlash(BoardCondition Condition, BoardPlace Place, string? NamedPort)
{
    /// <summary>
    /// The bootloader in which the board still waits: by the serial that follows from its unique id, else by its port. Null where none
    /// does.
    /// </summary>
    public Device? Find(PrinterBoard board, DeviceList seen)
    {
        var waiting = seen.Devices.Where(device => device.Usb is not null
            && board.Drivers.Showing(device)?.MayHaveChip(device, board.Profile.Chip?.Value) == true).ToList();
        var chip = Place.Uid is { } uid ? new ChipEvidence { Uid = Convert.FromHexString(uid) } : ChipEvidence.None;
        return waiting.Find(device => board.Drivers.Showing(device)!.SerialOf(chip) is { } serial
                && string.Equals(serial, device.Serial, StringComparison.OrdinalIgnoreCase))
            ?? waiting.Find(device => device.IsAt(Place.Port, Place.Controller));
    }
}
