namespace RatOS.Flash.Core;

/// <summary>Klipper's own process on this computer as an MCU.</summary>
public static class HostMcuFaults
{
    public static FlashException HostMcuUnreachable(string guide) => new(
        FaultKind.HostMcuUnreachable, "The process that is an MCU is replaced by a unit of root's, which Moonraker starts, and Moonraker is not there.", $"Start Moonraker and flash again; or by hand: {guide}");

    /// <param name="command">Installs the unit.</param>
    public static FlashException HostMcuUnitMissing(string command) => new(
        FaultKind.HostMcuUnitMissing, "The process that is an MCU runs as root, and the unit that may replace its program is not installed, or Moonraker does not know it yet.",
        $"Install it, once: `{command}`");

    public static FlashException HostMcuServiceMissing(string process) => new(
        FaultKind.HostMcuNoService, $"Moonraker knows no service {process}, by which Klipper's process on this computer is started.",
        "Set it up: `sudo cp ~/klipper/scripts/klipper-mcu.service /etc/systemd/system/ && sudo systemctl enable klipper-mcu && sudo systemctl restart moonraker`");

    public static FlashException HostMcuRefused(string why) => new(
        FaultKind.HostMcuRefused, $"The unit that replaces Klipper's process on this computer refused: {why}.", "The old one still runs. Build the firmware for this computer again; `journalctl -u 'ratos-flash-host-mcu*'` says the same.");

    public static FlashException HostMcuUnitSilent(double seconds) => new(
        FaultKind.HostMcuUnitSilent, $"The unit that replaces Klipper's process on this computer gave no answer for {seconds:0} s.", "See `systemctl status 'ratos-flash-host-mcu*'`, and flash again.");

    public static FlashException HostMcuStaging(string folder, string why) => new(
        FaultKind.HostMcuStaging, $"The program cannot be laid ready in {folder}: {why}.", "Make room on the disk, or see whose folder it is.");

    public static FlashException HostMcuNotUp(string board, string why, string running) => new(
        FaultKind.HostMcuNotUp, $"The new program of {board} did not come up: {why}. The previous one is back and runs {running}.",
        "`journalctl -u klipper-mcu` says what it met. Nothing to repair: flash again when that is mended.");

    public static FlashException HostMcuLost(string board, string why, string again) => new(
        FaultKind.HostMcuLost, $"The new program of {board} did not come up: {why}. Nor could the previous one be brought back: {again}.",
        "`sudo mv /usr/local/bin/klipper_mcu.previous /usr/local/bin/klipper_mcu && sudo systemctl restart klipper-mcu`; `journalctl -u klipper-mcu` says what it met.");
}
