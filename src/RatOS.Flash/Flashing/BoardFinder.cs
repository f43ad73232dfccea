using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>Finds a board's device on the buses, in its bootloader or running Klipper.</summary>
/// <param name="request">The board.</param>
/// <param name="seen">The buses.</param>
/// <param name="profile">Facts about the board.</param>
/// <param name="findings">Gets the reason if it is not found.</param>
internal sealed class BoardFinder(FlashRequest request, DeviceList seen, BoardProfile profile, ImmutableArray<Finding>.Builder findings)
{
    private string Name => request.Board.Name;

    public Device? Find(Mcu? mcu) => request.Board.CanUuid is { } uuid ? FindOnCan(uuid) : FindOnUsbOrWire(mcu);

    /// <summary>The running firmware is the best source; before it was asked, the adapter's serial and the image count.</summary>
    public bool IsBridge(Device device)
    {
        if (request.Board.CanUuid is not { } uuid || device.CanNode is { InBootloader: true })
            return false;
        if (device.Can is not { } can)
            // A bridge's bootloader is on USB; so is that of a node that was connected by USB to recover it.
            return request.Image?.Dictionary.IsCanBridge ?? true;
        if (profile.Evidence is { } evidence)
            return evidence.IsCanBridge;
        var adapter = seen.Devices.FirstOrDefault(other => other.Usb == UsbId.KlipperCanBridge && other.Port == can.UsbPort);
        return adapter is not null
            && (CanUuid.OfSerial(adapter.Serial) == uuid || (request.Board.Serial is { } serial && adapter.Serial == serial)
            || request.Image?.Dictionary.IsCanBridge == true);
    }

    /// <summary>
    /// By its port if that is known, else by the serial of its Klipper. A bootloader at an unknown port is never assumed to be the board,
    /// even if it is the only one.
    /// </summary>
    private Device? FindOnUsbOrWire(Mcu? mcu)
    {
        var board = request.Board;
        var wanted = board.Port is { } pinned ? $"at port {pinned}" : $"Klipper with the serial '{board.Serial}'";
        var matches = board.Port is { } port
            ? seen.Devices.Where(device => device.Port == port || device.Node == port).ToList()
            : seen.Devices.Where(RunsKlipperOfThisSerial).ToList();
        // A board may have been moved from its remembered port; its Klipper still has the same serial.
        if (matches.Count == 0 && board is { Port: not null, Serial: not null, OnlyByPort: false })
            matches = [.. seen.Devices.Where(RunsKlipperOfThisSerial)];
        switch (matches)
        {
            case [var device]:
                // An adapter's ids say nothing about the board behind it: it is a UART like any other.
                if (device is { Usb: not null, Node: not null } && !IsKlipperOrBootloader(device) && IsWire(device))
                    return device.AsWire;
                if (device.Usb is not null && !IsKlipperOrBootloader(device))
                {
                    findings.Add(Finding.Blocker(BoardFaults.ForeignFirmware(Name, $"port {device.Port}", device.Identity)));
                }
                else if (device.RunsKlipper && board.Serial is { } serial && device.Serial != serial)
                {
                    findings.Add(PlanFindings.OtherSerial(device.Port, device.Serial, serial));
                }
                return device;
            case []:
                var lost = seen.Devices.Where(device =>
                    device.Usb is not null && board.Drivers.Showing(device)?.MayHaveChip(device, mcu?.Name) == true).ToList();
                findings.Add(Finding.Blocker(lost.Count == 0
                    ? NotSeen(wanted)
                    : BoardFaults.WhichBootloader(Name, lost.Select(device => device.Port))));
                return null;
            default:
                findings.Add(Finding.Blocker(BoardFaults.BoardsAlike(Name, matches.Select(device => device.Port))));
                return null;
        }
    }

    private FlashException NotSeen(string wanted) => BoardFaults.BoardNotSeen(Name, wanted, seen.Description,
        BoardGuide.EnterInOneLine(profile), request.Earlier is not null);

    private bool RunsKlipperOfThisSerial(Device device) => device.RunsKlipper && device.Serial == request.Board.Serial;

    private bool IsWire(Device device) => device.IsSerialAdapter || request.Board.Bootloader is { IsUnlisted: true }
        || profile.Link is { Source: FactSource.Board, Value.Link: BuildLink.Uart };

    private bool IsKlipperOrBootloader(Device device) =>
        device.RunsKlipper || (device.Usb is not null && request.Board.Drivers.Showing(device) is not null);

    /// <summary>
    /// A node that answered, or the interface of its bus: a node that already has its number answers only when it is asked directly. A
    /// bridge in its bootloader is on USB: at its port, or with the serial from which its uuid follows.
    /// </summary>
    private Device? FindOnCan(CanUuid uuid)
    {
        var board = request.Board;
        var waiting = seen.Devices.FirstOrDefault(device => device.Usb is not null && board.Drivers.Showing(device) is { } driver
            && (device.Port == board.Port || driver.UuidOf(device) == uuid));
        if (waiting is not null)
            return waiting;
        var onBus = seen.Devices.Where(device => device.Can is not null && device.Port == board.CanInterface).ToList();
        if (onBus.Find(device => device.CanNode is null) is not { } can)
        {
            findings.Add(Finding.Blocker(CanFaults.CanMissing(Name, board.CanInterface, seen.Description)));
            return null;
        }
        if (can.Can is { IsUp: false })
            findings.Add(Finding.Blocker(CanFaults.CanDown(can.Port)));
        var answers = onBus.FindAll(device => device.CanNode?.Uuid == uuid);
        if (answers.Count > 1)
            findings.Add(Finding.Blocker(CanFaults.CanUuidTwice(Name, $"{uuid}", can.Port)));
        return answers.FirstOrDefault(can);
    }
}
