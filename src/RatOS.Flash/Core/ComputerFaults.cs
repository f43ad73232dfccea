using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>This computer: ports, permissions, drivers.</summary>
public static class ComputerFaults
{
    public static FlashException NoSuchPort(string port, string seen) => new(
        FaultKind.NoSuchPort, $"The port {port} does not exist. Seen: {seen}.",
        $"{CheckCable}, and the port's name. {ListBoards} lists the ports.");

    /// <param name="node">The device node.</param>
    /// <param name="group">Its group, whose members may open it.</param>
    /// <param name="user">Who is not one.</param>
    public static FlashException NotInGroup(string node, string group, string user) => NoPermission(
        node, $"Add the user {user} to the group {group}{By($"sudo usermod -aG {group} {user}")}.");

    /// <inheritdoc cref="NotInGroup"/>
    public static FlashException RefusedDespiteGroup(string node, string group) => NoPermission(
        node, $"The node belongs to your group {group}: check whether a container or a security module blocks it.");

    /// <param name="node">The device node.</param>
    /// <param name="rule">A line for udev.</param>
    public static FlashException NoUdevRule(string node, string rule) => NoPermission(
        node, $"Install the udev rules (99-ratos-flash.rules), or add this line to /etc/udev/rules.d/99-ratos-flash.rules: {rule}.");

    private static FlashException NoPermission(string node, Remedy missing) => new(
        FaultKind.NoPermission, $"No permission to open {node}.", $"{missing} Then {Replug}, or log out and back in.");

    private static RemedyAction Replug { get; } = AtBoard(OperatorStep.PowerCycle, "plug the board in again");

    /// <param name="board">The board as this flash calls it.</param>
    /// <param name="process">The other process; null where it is not known.</param>
    /// <param name="name">The board as the other process calls it.</param>
    public static FlashException BoardInUse(string board, int? process, string? name) => new(
        FaultKind.BoardInUse, $"Another ratos-flash{(process is null ? "" : $" (process {process})")} is flashing {name ?? board}.",
        OtherFlash);

    /// <summary>A port that another flash has open.</summary>
    public static FlashException PortHeldByFlash(string port, string holder) => new(
        FaultKind.PortHeld, $"{port} is in use by {holder}, which may be writing a board.", OtherFlash);

    private static Remedy OtherFlash =>
        $"Wait until it is done, then {FlashAgain}. Do not stop it: a board that is half written does not start.";

    public static FlashException PortHeld(string port, string holder) => new(
        FaultKind.PortHeld, $"{port} is in use by {holder}.", $"Stop that program and {FlashAgain}: only one program can talk to a board.");

    public static FlashException PortUnusable(string port, string why) => new(
        FaultKind.PortUnusable, $"{port} cannot be used: {why}.", $"{Replug}. For details, read the kernel's log{By("dmesg")}.");

    public static FlashException PortStuck(string port, double seconds) => new(
        FaultKind.PortStuck, $"{port} accepted no data for {seconds:0.#} s.",
        $"{DoubleReset}, and {FlashAgain}. If that does not help, {PowerCycle} first.");

    public static FlashException NoSuchRate(string port, int wanted, int got) => new(
        FaultKind.NoSuchRate, $"{port} cannot do {wanted} baud; the nearest rate is {got}.",
        $"Use another serial port or adapter, or build firmware and bootloader for a rate that this port supports.");

    public static FlashException NoSerialDriver(string device) => new(
        FaultKind.NoSerialDriver, $"{device} has no serial port: the kernel's cdc_acm driver is not attached.",
        $"Load the driver{By("sudo modprobe cdc_acm")}. If there is no such module, the kernel was updated since this computer started: "
        + $"restart the computer. Then {FlashAgain}.");

    public static FlashException NoDeviceEvents(string why) => new(
        FaultKind.NoDeviceEvents, $"The kernel's device events cannot be received: {why}.",
        $"Run RatOS.Flash outside of the container that blocks them (they need a netlink socket).");

    public static FlashException PortLeftOff(string port, string node) => new(
        FaultKind.PortLeftOff, $"The USB port {port} was switched off and could not be switched on again.",
        $"Switch it on{By($"echo 0 | sudo tee {node}")}, or restart this computer.");
}
