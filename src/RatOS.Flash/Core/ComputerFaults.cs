namespace RatOS.Flash.Core;

/// <summary>This computer: ports, permissions, drivers.</summary>
public static class ComputerFaults
{
    public static FlashException PortLeftOff(string port, string node) => new(
        FaultKind.PortLeftOff, $"The USB port {port} was switched off and could not be switched on again.", $"Switch it on: `echo 0 | sudo tee {node}`, or restart this computer.");

    public static FlashException NoSuchPort(string port, string seen) => new(
        FaultKind.NoSuchPort, $"There is no port {port}. Seen: {seen}.", "Check the cable and the name; `ratos-flash boards` lists the ports.");

    public static FlashException NoPermission(string node, string missing) => new(
        FaultKind.NoPermission, $"No permission to open {node}.", $"{missing} Then plug the board in again or log in anew.");

    public static FlashException PortHeld(string port, string holder) => new(
        FaultKind.PortHeld, $"{port} is in use by {holder}.", "Stop that program and flash again; only one may talk to a board.");

    public static FlashException PortUnusable(string port, string why) => new(
        FaultKind.PortUnusable, $"{port} cannot be used: {why}.", "Plug the board in again; the kernel's log (`dmesg`) may say more.");

    public static FlashException PortStuck(string port, double seconds) => new(
        FaultKind.PortStuck, $"{port} took no byte for {seconds:0.#} s.", "Press the board's reset button or switch its power off and on, and flash again.");

    public static FlashException NoSuchRate(string port, int wanted, int got) => new(
        FaultKind.NoSuchRate, $"{port} cannot do {wanted} baud; the nearest it offers is {got}.", "Use another serial port or adapter, or build board and bootloader for a rate that both can do.");

    public static FlashException NoSerialDriver(string device) => new(
        FaultKind.NoSerialDriver, $"{device} has no serial port: the kernel's cdc_acm driver did not take it.", "Load it (`sudo modprobe cdc_acm`), plug the board in again and flash again.");

    public static FlashException LibUsbMissing() => new(
        FaultKind.LibusbMissing, "The library libusb-1.0.so.0 is not installed.", "Install it: sudo apt-get install libusb-1.0-0");

    public static FlashException NoDeviceEvents(string why) => new(
        FaultKind.NoDeviceEvents, $"The kernel's device announcements cannot be heard: {why}.", "Run outside of a container that hides them (it needs a netlink socket).");
}
