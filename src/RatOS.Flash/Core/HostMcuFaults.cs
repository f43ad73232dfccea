using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Klipper's own process on this computer as an MCU.</summary>
public static class HostMcuFaults
{
    public static FlashException HostMcuUnreachable(Remedy guide) => new(
        FaultKind.HostMcuUnreachable,
        "Only a root unit that Moonraker starts can replace Klipper's process on this computer, and Moonraker is not running.",
        $"Start Moonraker and {FlashAgain}. Or replace it manually: {guide}");

    /// <param name="command">Installs the unit.</param>
    public static FlashException HostMcuUnitMissing(string command) => new(
        FaultKind.HostMcuUnitMissing,
        "Klipper's process on this computer runs as root. The unit that replaces it is not installed, or Moonraker does not know it yet.",
        $"Install it once{By(command)}.");

    /// <param name="command">Renews the unit.</param>
    public static FlashException HostMcuUnitOld(string command) => new(
        FaultKind.HostMcuUnitOld, "Root's script that replaces Klipper's process comes from an older version and is not safe.",
        $"Renew it{By(command)}.");

    public static FlashException HostMcuServiceMissing(string process) => new(
        FaultKind.HostMcuNoService, $"Moonraker knows no service {process}, which starts Klipper's process on this computer.",
        $"Set it up{By(SetUp)}.");

    private const string SetUp = "sudo cp ~/klipper/scripts/klipper-mcu.service /etc/systemd/system/ && sudo systemctl enable klipper-mcu "
        + "&& sudo systemctl restart moonraker";

    public static FlashException HostMcuRefused(string why) => new(
        FaultKind.HostMcuRefused, $"The unit that replaces Klipper's process on this computer refused: {why}.",
        $"The old process still runs. Build the firmware for this computer again. "
        + $"For details, read the unit's log{By("journalctl -u 'ratos-flash-host-mcu*'")}.");

    public static FlashException HostMcuUnitSilent(double seconds) => new(
        FaultKind.HostMcuUnitSilent, $"The unit that replaces Klipper's process on this computer did not answer within {seconds:0} s.",
        $"Check the unit{By("systemctl status 'ratos-flash-host-mcu*'")}. Then {FlashAgain}.");

    public static FlashException HostMcuStaging(string folder, string why) => new(
        FaultKind.HostMcuStaging, $"The new program cannot be written to {folder}: {why}.",
        $"Free disk space, or fix the folder's ownership.");

    public static FlashException HostMcuNotUp(string board, string why, string running) => new(
        FaultKind.HostMcuNotUp, $"The new program of {board} did not start: {why}. The previous one is back and runs {running}.",
        $"Nothing to repair. Read the reason{By("journalctl -u klipper-mcu")}, fix it, and {FlashAgain}.");

    public static FlashException HostMcuLost(string board, string why, string again) => new(
        FaultKind.HostMcuLost, $"The new program of {board} did not start: {why}. The previous one could not be restored either: {again}.",
        $"Restore it{By("sudo mv /usr/local/bin/klipper_mcu.previous /usr/local/bin/klipper_mcu && sudo systemctl restart klipper-mcu")}. "
        + $"For the reason, read its log{By("journalctl -u klipper-mcu")}.");
}
