using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Klipper and Moonraker.</summary>
public static class PrinterFaults
{
    public static FlashException PrinterBusy(string activity) => new(
        FaultKind.PrinterBusy, $"The printer is busy: {activity}.", $"Wait until it is idle, or cancel the print, then {FlashAgain}.");

    public static FlashException HeatersHot(string heaters) => new(
        FaultKind.HeatersHot, $"{heaters}. Its fans stop while Klipper is stopped.",
        $"Let it cool below 50 °C. Or, if you know that it does no harm, {AllowHot}.");

    public static FlashException UpdateRuns(string what) => new(
        FaultKind.UpdateRuns, $"Moonraker is updating {what}.", $"Wait until the update is complete, then {FlashAgain}.");

    /// <param name="process">Its name and its id.</param>
    public static FlashException OtherFlashRuns(string process) => new(
        FaultKind.OtherFlashRuns, $"Another program flashes boards or updates Klipper's sources: {process}.",
        $"Wait until it ends, then {FlashAgain}.");

    public static FlashException PrinterUnknown(string why) => new(
        FaultKind.PrinterUnknown, $"Whether the printer is idle cannot be determined: {why}.",
        $"Check that Klipper and Moonraker work. Or, if nothing is printing, {StopService("klipper")}; then {FlashAgain}.");

    public static FlashException KlipperRuns(string klipper) => new(
        FaultKind.KlipperRuns, $"{klipper} runs on this computer, and without Moonraker it is unknown whether it is printing.",
        $"{StopService("klipper")}, flash, and start it again.{OtherKlipper}");

    private static RemedyAction OtherKlipper { get; } = new(" Or add `--no-klipper` if it does not use this board.", "");

    public static FlashException KlipperWouldNotStop(string why) => new(
        FaultKind.KlipperWouldNotStop, $"Klipper could not be stopped: {why}.", $"{StopService("klipper")} and {FlashAgain}.");

    public static FlashException KlipperNotStarted(string why) => new(
        FaultKind.KlipperNotStarted, $"Klipper did not start again: {why}.", $"{StartService("klipper")}, and read klippy.log.");

    public static FlashException MoonrakerGone(string where, string why) => new(
        FaultKind.MoonrakerGone, $"Moonraker does not answer at {where}: {why}.", $"{StartMoonraker}, or read moonraker.log.");

    /// <param name="where">Its address.</param>
    /// <param name="hasKey">ratos-flash.conf has a key.</param>
    public static FlashException MoonrakerUnauthorized(string where, bool hasKey) => new(
        FaultKind.MoonrakerRefused,
        hasKey ? $"Moonraker at {where} refuses the API key of ratos-flash.conf." : $"Moonraker at {where} asks for an API key.",
        $"Set `api_key` in the section [agent] of ratos-flash.conf. Moonraker shows its key"
        + $"{By("~/moonraker/scripts/fetch-apikey.sh")}. Then {RestartService("ratos-flash")}.");

    // Without Moonraker a browser has no services menu.
    private static RemedyAction StartMoonraker { get; } = new(
        "start it (`sudo systemctl start moonraker`)", "start it in a terminal: `sudo systemctl start moonraker`");

    public static FlashException MoonrakerRefused(string method, string text) => new(
        FaultKind.MoonrakerRefused, $"Moonraker refused {method}: {text}.", $"Read moonraker.log, and {RestartService("moonraker")}.");

    public static FlashException PowerRefused(string device, string why) => new(
        FaultKind.PowerRefused, $"Moonraker did not switch its power device '{device}': {why}.",
        $"Correct `power:` of the board in ratos-flash.conf; Mainsail lists the devices of [power]. Check that '{device}' is on.");
}
