using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Probes that their maker's updater updates.</summary>
public static class ProbeFaults
{
    /// <param name="board">The probe.</param>
    /// <param name="places">Where it was looked for.</param>
    public static FlashException ProbeUpdaterMissing(string board, IEnumerable<string> places) => new(
        FaultKind.ProbeUpdaterMissing, $"The maker's updater for {board} is not on this computer: no {string.Join(", no ", places)}.",
        $"Install the maker's module{By("git clone https://github.com/beacon3d/beacon_klipper ~/beacon_klipper && "
            + "~/beacon_klipper/install.sh")}. Then {FlashAgain}.");

    /// <summary>The updater's place follows from the Klipper checkout.</summary>
    public static FlashException ProbeUpdaterUnknown(string board) => new(
        FaultKind.ProbeUpdaterMissing, $"The maker's updater for {board} is looked for beside the Klipper checkout, and none is known.",
        $"Set `klipper_path` in ratos-flash.conf and confirm it{By("ratos-flash confirm")}. Then {FlashAgain}.");

    /// <param name="board">The probe.</param>
    /// <param name="program">The program that is missing.</param>
    /// <param name="remedy">Installs it.</param>
    public static FlashException ProbeProgramMissing(string board, string program, string remedy) => new(
        FaultKind.ProbeUpdaterMissing, $"The maker's updater for {board} needs {program}, which is not on this computer.",
        $"Install it{By(remedy)}. Then {FlashAgain}.");

    public static FlashException ProbeUpdaterNotStarted(string board, string why) => new(
        FaultKind.ProbeUpdaterMissing, $"The maker's updater for {board} could not be started: {why}.",
        $"Check the permissions of the maker's folder. Then {FlashAgain}.");

    /// <param name="board">The probe.</param>
    /// <param name="exit">The updater's exit code.</param>
    /// <param name="last">Its last line.</param>
    /// <param name="seen">What the bus shows of the probe now, a sentence.</param>
    /// <param name="command">The updater's command.</param>
    public static FlashException ProbeUpdateFailed(string board, string exit, string last, string seen, string command) => new(
        FaultKind.ProbeUpdateFailed, $"The maker's updater for {board} ended with exit code {exit}: {last}. {seen}",
        $"{FlashAgain}. If it fails again, stop Klipper and run the updater{By(command)}.");

    /// <param name="board">The probe.</param>
    /// <param name="seconds">The limit.</param>
    /// <param name="end">How it was ended, a clause.</param>
    /// <param name="last">Its last line.</param>
    /// <param name="seen">What the bus shows of the probe now, a sentence.</param>
    public static FlashException ProbeUpdateEndless(string board, double seconds, string end, string last, string seen) => new(
        FaultKind.ProbeUpdateEndless, $"The maker's updater for {board} did not end within {seconds:0} s, and {end}: {last}. {seen}",
        $"{AtBoard(OperatorStep.PowerCycle, "unplug the probe and plug it in again")}. Then {FlashAgain}.");

    /// <param name="board">The probe.</param>
    /// <param name="seconds">The limit.</param>
    /// <param name="seen">What the bus shows of the probe now, a sentence.</param>
    public static FlashException ProbeNotBack(string board, double seconds, string seen) => new(
        FaultKind.ProbeNotBack,
        $"The maker's updater for {board} reports success, but the probe did not return to the bus within {seconds:0} s. {seen}",
        $"{AtBoard(OperatorStep.PowerCycle, "unplug the probe and plug it in again")}. If it still does not appear, {FlashAgain}.");
}
