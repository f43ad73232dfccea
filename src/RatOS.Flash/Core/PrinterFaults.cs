namespace RatOS.Flash.Core;

/// <summary>Klipper and Moonraker.</summary>
public static class PrinterFaults
{
    public static FlashException PowerRefused(string device, string why) => new(
        FaultKind.PowerRefused, $"Moonraker did not switch its power device '{device}': {why}.", "Correct `power:` of the board in ratos-flash.conf; Mainsail lists the devices of [power]. Check that the device is on.");

    public static FlashException PrinterBusy(string activity) => new(
        FaultKind.PrinterBusy, $"The printer is busy: {activity}.", "Wait until it is idle, or cancel the print, then flash again.");

    public static FlashException KlipperRuns(string klipper) => new(
        FaultKind.KlipperRuns, $"{klipper} runs on this computer, and whether it prints cannot be asked from here.",
        "Stop it (`sudo systemctl stop klipper`), flash, and start it again; or add --no-klipper if it has nothing to do with this board.");

    public static FlashException KlipperWouldNotStop(string why) => new(
        FaultKind.KlipperWouldNotStop, $"Klipper could not be stopped: {why}.", "Stop it by hand (`sudo systemctl stop klipper`) and flash again.");

    public static FlashException KlipperNotStarted(string why) => new(
        FaultKind.KlipperNotStarted, $"Klipper did not start again: {why}.", "Start it by hand (`sudo systemctl start klipper`) and read klippy.log.");

    public static FlashException HeatersHot(string heaters) => new(
        FaultKind.HeatersHot, $"{heaters}: their fans stop while the board is flashed.", "Let them cool below 50 °C; or, if you know that it does no harm, ask once more with HOT=1 (`--hot`).");

    public static FlashException PrinterUnknown(string why) => new(
        FaultKind.PrinterUnknown, $"Whether the printer is idle could not be found out: {why}.", "See that Klipper and Moonraker answer (Mainsail shows it), or, when nothing prints, stop Klipper (`sudo systemctl stop klipper`); then flash again.");

    public static FlashException UpdateRuns(string what) => new(
        FaultKind.UpdateRuns, $"Moonraker is updating {what}.", "Wait until the update is complete, then flash again.");

    public static FlashException MoonrakerGone(string where, string why) => new(
        FaultKind.MoonrakerGone, $"Moonraker does not answer at {where}: {why}.", "Start it (`sudo systemctl start moonraker`), or see moonraker.log.");

    public static FlashException MoonrakerRefused(string method, string text) => new(
        FaultKind.MoonrakerRefused, $"Moonraker refused {method}: {text}.", "See moonraker.log; `sudo systemctl restart moonraker` starts it afresh.");
}
