using System.Collections.Immutable;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <content>Boards on CAN, and the board that is the bridge.</content>
public sealed partial record BoardPlan
{
    /// <summary>Klippy numbers its boards from 4 on, and Katapult's flashtool takes 0x81. Neither hears the other's frames, so each has numbers of its own.</summary>
    internal const int Numbers = 60, FirstKlipperNumber = 0x44, FirstBootloaderNumber = 0x81;

    /// <summary>Its Klipper carries the CAN interface: it leaves with it, and its bootloaders are on USB.</summary>
    public bool IsCanBridge { get; private init; }

    /// <summary>0..<see cref="Numbers"/>-1, one for each board of a plan.</summary>
    internal int CanNumber { get; init; }

    internal byte KlipperNumber => (byte)(FirstKlipperNumber + CanNumber);

    internal byte BootloaderNumber => (byte)(FirstBootloaderNumber + CanNumber);

    /// <summary>Where its bootloader shows up: a bridge's at the port of the adapter that it is.</summary>
    internal string? BootloaderPort => IsCanBridge && Device?.Can is { } can ? can.UsbPort ?? Request.Board.Port : Device?.Port;

    /// <summary>Reached through this bridge alone.</summary>
    internal bool IsBehind(BoardPlan bridge) => bridge.IsCanBridge && !IsCanBridge && Device is { Can: not null } device && device.Port == bridge.Request.Board.CanInterface;

    /// <summary>
    /// A node that answered, or the interface where it should be: whether a node that has its number is there, only asking it tells. A bridge in its
    /// bootloader is on USB: at its port, or by the serial from which its uuid follows.
    /// </summary>
    private static Device? FindOnCan(PrinterBoard board, CanUuid uuid, DeviceList seen, ImmutableArray<Finding>.Builder findings)
    {
        var waiting = seen.Devices.FirstOrDefault(device => device.Usb is not null && board.Drivers.Showing(device) is { } driver
            && (device.Port == board.Port || driver.UuidOf(device) == uuid));
        if (waiting is not null)
            return waiting;
        var onBus = seen.Devices.Where(device => device.Can is not null && device.Port == board.CanInterface).ToList();
        if (onBus.Find(device => device.CanNode is null) is not { } can)
        {
            findings.Add(Finding.Blocker(CanFaults.CanMissing(board.Name, board.CanInterface, seen.Description)));
            return null;
        }
        if (can.Can is { IsUp: false })
            findings.Add(Finding.Blocker(CanFaults.CanDown(can.Port)));
        var answers = onBus.FindAll(device => device.CanNode?.Uuid == uuid);
        if (answers.Count > 1)
            findings.Add(Finding.Blocker(CanFaults.CanUuidTwice(board.Name, $"{uuid}", can.Port)));
        return answers.FirstOrDefault(can);
    }

    /// <summary>The running firmware knows for sure; before it was asked, the adapter's serial and the image tell.</summary>
    private static bool IsBridge(FlashRequest request, Device device, DeviceList seen, BoardEvidence? evidence)
    {
        if (request.Board.CanUuid is not { } uuid || device.CanNode is { InBootloader: true })
            return false;
        if (device.Can is not { } can)
            return request.Image?.Dictionary.IsCanBridge ?? true;   // its bootloader is on USB; so is that of a node that was connected by USB to rescue it
        if (evidence is not null)
            return evidence.IsCanBridge;
        var adapter = seen.Devices.FirstOrDefault(other => other.Usb == UsbId.KlipperCanBridge && other.Port == can.UsbPort);
        return adapter is not null && (CanUuid.OfSerial(adapter.Serial) == uuid || (request.Board.Serial is { } serial && adapter.Serial == serial)
            || request.Image?.Dictionary.IsCanBridge == true);
    }

    /// <summary>A build for another line, or for another bitrate, would never be heard again.</summary>
    private static void JudgeCanImage(FlashRequest request, Device device, bool isBridge, ImmutableArray<Finding>.Builder findings)
    {
        if (request.Image?.Dictionary is not { } built || request.Board.CanUuid is null)
            return;
        if (built.CanFrequency is not { } frequency || built.IsCanBridge != isBridge)
        {
            var found = built.IsCanBridge ? "as a USB-CAN bridge" : built.CanFrequency is null ? "for USB or UART" : "as a node on CAN";
            findings.Add(Finding.Blocker(CanFaults.CanOtherFirmware(request.Board.Name, found, isBridge ? "a USB-CAN bridge" : "a node on CAN")));
        }
        else if (!isBridge && device.Can?.Bitrate is { } bitrate && bitrate != frequency)
        {
            findings.Add(Finding.Blocker(CanFaults.CanFirmwareBitrate(request.Board.Name, frequency, device.Port, bitrate)));
        }
    }
}
