using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>The virtual printer.</summary>
public static class VirtualFaults
{
    public static FlashException UnknownScenario(string name) => new(
        FaultKind.UnknownScenario, $"No virtual printer is called '{name}'.",
        $"{Terminal("ratos-flash virtual --list")} lists them.");

    public static FlashException NoPty(string why) => new(
        FaultKind.NoPty, $"The virtual printer's pseudo terminals cannot be created: {why}.",
        $"Use a writable folder that has no file named after a board.");

    public static FlashException VirtualFolder(string folder, string why) => new(
        FaultKind.VirtualFolder, $"The virtual printer in {folder} cannot be used: {why}",
        $"Reset it{By("ratos-flash virtual --reset")}, or use another folder{By("ratos-flash virtual --folder DIR")}.");

    public static FlashException FolderOfOthers(string folder) => new(
        FaultKind.VirtualFolder, $"{folder} holds other files and no virtual printer. Nothing was deleted.",
        $"Name the folder of a virtual printer{By("ratos-flash virtual --reset --folder DIR")}.");

    public static FlashException UsbIpPort(int port, string why) => new(
        FaultKind.UsbipPort, $"The virtual printer cannot be served on TCP port {port}: {why}.",
        $"Use another port{By("ratos-flash virtual --usbip PORT")}, or stop the program that uses this one.");

    public static FlashException MoonrakerSocket(string where, string why) => new(
        FaultKind.MoonrakerSocket, $"The virtual Moonraker cannot listen at {where}: {why}.",
        $"Use another address, or stop the program that uses this one.");

    public static FlashException VhciMissing(string folder) => new(
        FaultKind.VhciMissing, $"This computer has no virtual USB host controller: {folder} does not exist.",
        $"Load its driver{By("sudo modprobe vhci-hcd")}. Then start again.{WithoutAttach}");

    private static RemedyAction WithoutAttach { get; } = new(" Or leave `--attach` out.", "");

    public static FlashException VhciNeedsRoot() => new(
        FaultKind.VhciNeedsRoot, "Only root may attach devices to the virtual USB host controller.",
        $"Start it with sudo, or attach the devices yourself{By("sudo usbip attach")}.{WithoutAttach}");

    public static FlashException VhciBusy(string port, double seconds, string status) => new(
        FaultKind.VhciBusy,
        $"The virtual USB host controller has no free port for {port}, or did not free it within {seconds:0.#} s. Its status: {status}.",
        $"List its ports{By("usbip port")}, detach old devices{By("sudo usbip detach -p PORT")}, and start again.");

    public static FlashException VhciRefused(string port, string why) => new(
        FaultKind.VhciRefused, $"The virtual USB host controller refused the device at {port}: {why}.",
        $"Read the kernel's log{By("dmesg")}. Restart the controller{By("sudo rmmod vhci-hcd && sudo modprobe vhci-hcd")}.");
}
