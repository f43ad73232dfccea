namespace RatOS.Flash.Core;

/// <summary>The virtual printer.</summary>
public static class VirtualFaults
{
    public static FlashException UnknownScenario(string name) => new(
        FaultKind.UnknownScenario, $"There is no virtual printer called '{name}'.", "`ratos-flash virtual --list` shows them.");

    public static FlashException NoPty(string why) => new(
        FaultKind.NoPty, $"The virtual printer's pseudo terminals cannot be made: {why}.", "Name a folder of your own that can be written, with nothing in it that is called like a board.");

    public static FlashException VirtualFolder(string folder, string why) => new(
        FaultKind.VirtualFolder, $"The virtual printer in {folder} cannot be used: {why}", "Put it back to its beginning with `ratos-flash virtual --reset`, or name another --folder.");

    public static FlashException UsbIpPort(int port, string why) => new(
        FaultKind.UsbipPort, $"The virtual printer cannot be served on TCP port {port}: {why}.", "Name another port with --usbip, or stop the program that has this one.");

    public static FlashException MoonrakerSocket(string where, string why) => new(
        FaultKind.MoonrakerSocket, $"The virtual Moonraker cannot listen at {where}: {why}.", "Name another place for it, or stop the program that has this one.");

    public static FlashException VhciMissing(string folder) => new(
        FaultKind.VhciMissing, $"This computer has no virtual USB host controller: {folder} is not there.",
        "Load it with `sudo modprobe vhci-hcd` and start again, or leave --attach out.");

    public static FlashException VhciNeedsRoot() => new(
        FaultKind.VhciNeedsRoot, "Only root may attach devices to the virtual USB host controller.", "Start it with sudo, or leave --attach out and use `sudo usbip attach`.");

    public static FlashException VhciBusy(string port, double seconds, string status) => new(
        FaultKind.VhciBusy, $"The virtual USB host controller has no free port for {port}, or did not free it within {seconds:0.#} s. Its status: {status}.",
        "See `usbip port`, detach what is left over with `sudo usbip detach -p PORT`, and start again.");

    public static FlashException VhciRefused(string port, string why) => new(
        FaultKind.VhciRefused, $"The virtual USB host controller did not take the device at {port}: {why}.", "Read `dmesg`; `sudo rmmod vhci-hcd && sudo modprobe vhci-hcd` starts it afresh.");
}
