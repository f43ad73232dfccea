namespace RatOS.Flash.Core;

/// <summary>CAN.</summary>
public static class CanFaults
{
    public static FlashException CanMissing(string board, string name, string seen) => new(
        FaultKind.CanMissing, $"There is no CAN interface {name}, on which {board} should be. Seen: {seen}.",
        "Plug the USB-CAN adapter (or the board that is the bridge) in, and flash again; if it is in, give its interface with --port, or look into `dmesg`.");

    public static FlashException CanDown(string name) => new(
        FaultKind.CanDown, $"The CAN interface {name} is down.", $"Bring it up: `sudo ip link set {name} up type can bitrate 1000000` (with the bitrate of your boards); then flash again.");

    public static FlashException CanUnsupported(string why) => new(
        FaultKind.CanUnsupported, $"This computer cannot open CAN sockets: {why}.", "Load the kernel's modules (`sudo modprobe can-raw`), or use a kernel that has them.");

    public static FlashException CanNotAcknowledged(string name, int? bitrate) => new(
        FaultKind.CanNotAcknowledged,
        $"Nobody on {name} acknowledges a frame{(bitrate is { } rate ? $" at {rate} bit/s" : "")}: no board has power, the boards use another bitrate, or the wiring is broken.",
        $"Check the boards' power, both wires and the two 120 ohm resistors; give {name} the bitrate that the boards were built for: `sudo ip link set {name} down`, then `sudo ip link set {name} up type can bitrate 1000000`.");

    public static FlashException CanBusOff(string name) => new(
        FaultKind.CanBusOff, $"{name} is bus-off: its controller met too many errors and takes no part any more. A wrong bitrate or wiring does that.",
        $"Check wires and bitrate, then start it again: `sudo ip link set {name} down`, `sudo ip link set {name} up type can bitrate 1000000 restart-ms 100`; then flash again.");

    public static FlashException CanNodeSilent(string board, string uuid, string name, string others) => new(
        FaultKind.CanNodeSilent, $"{board} ({uuid}) does not answer on {name}; {others}.",
        "Check its power, its cable and the uuid in printer.cfg (`canbus_uuid`); switch its power off and on, and flash again.");

    public static FlashException CanUuidTwice(string board, string uuid, string name) => new(
        FaultKind.CanUuidTwice, $"Two boards on {name} answer as {uuid}, the uuid of {board}.", "Unplug one of them, and flash them one by one.");

    public static FlashException CanWrongNode(string board, string expected, string found) => new(
        FaultKind.CanWrongNode, $"The Katapult that answers at the number of {board} is {found}, not {expected}: it is another board.",
        "Switch both boards' power off and on, then flash again; nothing was written.");

    public static FlashException CanNoKatapult(string board) => new(
        FaultKind.CanNoKatapult, $"{board} is on CAN and has no Katapult below its firmware; nothing else can be written to over CAN.",
        "Connect it by USB, start its ROM (BOOT0 jumper or button, then reset), and flash it with --port; or put Katapult into it that way, so that the next time CAN will do.");

    public static FlashException CanFirmwareBitrate(string board, int built, string name, int bitrate) => new(
        FaultKind.CanFirmwareBitrate, $"The firmware for {board} was built for {built} bit/s, but {name} runs at {bitrate}: it would never be heard again.",
        $"Build it with the CAN bus speed {bitrate}, or change the bitrate of {name} and of all its boards.");

    public static FlashException CanOtherFirmware(string board, string built, string needed) => new(
        FaultKind.CanOtherFirmware, $"The firmware for {board} was built {built}, but the board is {needed}.", $"Build it for a board that is {needed} (Communication interface in `make menuconfig`).");

    public static FlashException CanBridgeKept(string board, IEnumerable<string> behind) => new(
        FaultKind.CanBridgeKept, $"{board} was left as it is: {string.Join(" and ", behind)}, reached through it alone, did not come out well.",
        "Flash that board first; then this one.");
}
