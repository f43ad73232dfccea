using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>CAN.</summary>
public static class CanFaults
{
    public static FlashException CanMissing(string board, string name, string seen) => new(
        FaultKind.CanMissing, $"The CAN interface {name} of {board} does not exist. Seen: {seen}.",
        $"{AtBoard(OperatorStep.CheckCable, "plug in the USB-CAN adapter or the board that is the bridge")}, and {FlashAgain}. "
        + $"If it is plugged in, {NamePort(board, "can0")}, or read the kernel's log{By("dmesg")}.");

    public static FlashException CanDown(string name) => new(
        FaultKind.CanDown, $"The CAN interface {name} is down.",
        $"Bring it up with the bitrate of your boards{By($"sudo ip link set {name} up type can bitrate 1000000")}. Then {FlashAgain}.");

    public static FlashException CanUnsupported(string why) => new(
        FaultKind.CanUnsupported, $"This computer cannot open CAN sockets: {why}.",
        $"Load the kernel's modules{By("sudo modprobe can-raw")}, or use a kernel that has them.");

    public static FlashException CanNotAcknowledged(string name, int? bitrate) => new(
        FaultKind.CanNotAcknowledged,
        $"No device on {name} acknowledges frames{(bitrate is { } rate ? $" at {rate} bit/s" : "")}: "
        + "no board has power, the bitrate differs, or the wiring is broken.",
        $"{AtBoard(OperatorStep.CheckCable, "check the boards' power, both wires and the two 120 ohm resistors")}. "
        + $"Set {name} to the bitrate that the boards were built for"
        + $"{By($"sudo ip link set {name} down && sudo ip link set {name} up type can bitrate 1000000")}.");

    public static FlashException CanBusOff(string name) => new(
        FaultKind.CanBusOff, $"{name} is bus-off: its controller counted too many errors. A wrong bitrate or wiring causes this.",
        $"{AtBoard(OperatorStep.CheckCable, "check wires and bitrate")}. Restart the interface"
        + $"{By($"sudo ip link set {name} down && sudo ip link set {name} up type can bitrate 1000000 restart-ms 100")}. "
        + $"Then {FlashAgain}.");

    public static FlashException CanNodeSilent(string board, string uuid, string name, string others) => new(
        FaultKind.CanNodeSilent, $"{board} ({uuid}) does not answer on {name}; {others}.",
        $"{CheckCable}, and its `canbus_uuid` in printer.cfg. Then {PowerCycle}, and {FlashAgain}.");

    public static FlashException CanUuidTwice(string board, string uuid, string name) => new(
        FaultKind.CanUuidTwice, $"Two boards on {name} answer as {uuid}, the uuid of {board}.",
        $"Unplug one of them, and flash them one by one.");

    public static FlashException CanWrongNode(string board, string expected, string found) => new(
        FaultKind.CanWrongNode, $"The Katapult that answers for {board} is {found}, not {expected}: it is another board.",
        $"{AtBoard(OperatorStep.PowerCycle, "switch both boards' power off and on")}, then {FlashAgain}. Nothing was written.");

    public static FlashException CanNoKatapult(string board) => new(
        FaultKind.CanNoKatapult, $"{board} is on CAN without Katapult. Only Katapult can be written to over CAN.",
        $"Connect it by USB, {AtBoard(OperatorStep.StartBootloader, "start its ROM (BOOT0 jumper or button, then reset)")}, "
        + $"and flash it there: {NamePort(board)}. If you install Katapult that way, later flashes work over CAN.");

    public static FlashException CanFirmwareBitrate(string board, int built, string name, int bitrate) => new(
        FaultKind.CanFirmwareBitrate,
        $"The firmware for {board} was built for {built} bit/s, but {name} runs at {bitrate}: the board would not be reachable.",
        $"Build it with the CAN bus speed {bitrate}, or change the bitrate of {name} and of all its boards.");

    /// <inheritdoc cref="FirmwareFaults.OtherLink"/>
    public static FlashException CanOtherFirmware(string board, string built, string now, string where, string? change)
    {
        var other = FirmwareFaults.OtherLink(board, built, now, where, change);
        return new(FaultKind.CanOtherFirmware, other.Cause, other.Remedy);
    }

    public static FlashException CanBridgeKept(string board, IEnumerable<string> behind) => new(
        FaultKind.CanBridgeKept, $"Bridge {board} not flashed: {string.Join(" and ", behind)} behind it failed.",
        $"Flash the failed board first, then the bridge.");
}
