namespace RatOS.Flash.Core;

/// <summary>One flash: into the bootloader, the write, the way back, the proof.</summary>
public static class FlashFaults
{
    private const string Jumper = "start its bootloader by hand (BOOT0 jumper or button, then reset)";

    private static string ByHand(bool hasKatapult) => hasKatapult ? "start its Katapult by hand (press its reset button twice quickly)" : Jumper;

    public static FlashException NothingToRollBack(string board, string folder) => new(
        FaultKind.NothingToRollBack, $"No other firmware that {board} has run is kept in {folder}.", "Flash it: name a file with --firmware, or let it be built. What is flashed from now on is kept.");

    public static FlashException KlipperRefusesFirmware(string board, string version, string why) => new(
        FaultKind.KlipperRefusesFirmware, $"{board} runs {version}, but Klipper, which was ready before, does not work with it: {why}.",
        $"Put the firmware before back (`ratos-flash rollback {board}`), or flash one that is built from this Klipper's sources with the right configuration.");

    /// <summary>What is left to do when the old firmware runs again, whatever the fault was.</summary>
    public static string RemedyAfterRollBack(string version) =>
        $"{version} runs again: the printer can be used. See that the new firmware is built for this board and from this Klipper's sources before it is flashed again.";

    public static FlashException NeedsBootloaderByHand(string board, string why, string steps) => new(
        FaultKind.NeedsBootloaderByHand, $"{board} cannot start its bootloader by itself: {why}.", $"Do this, then flash again: {steps}");

    public static FlashException Cancelled() => new(
        FaultKind.Cancelled, "You cancelled the flash before anything was erased.", "Nothing to repair; start it again whenever you like.");

    public static FlashException ConsentMissing() => new(
        FaultKind.ConsentMissing, "The plan has warnings, and nobody agreed to go on.", "Read them; to flash all the same, add --yes.");

    public static FlashException Interrupted(string phase) => new(
        FaultKind.Interrupted, $"RatOS.Flash itself was ended in the middle of the flash (phase {phase}).", "Flash the board again; `ratos-flash boards` shows what it is now.");

    public static FlashException TouchIgnored(string board, double seconds, int times) => new(
        FaultKind.TouchIgnored, $"{board} never left the bus: it was asked {times} times for its bootloader, and {seconds:0.#} s later Klipper's firmware was still there.",
        $"Switch the board's power off and on and flash again, or {Jumper}.");

    public static FlashException BootloaderNotSeen(string board, string port, double seconds, string hint) => new(
        FaultKind.BootloaderNotSeen, $"{board} left the bus, but nothing appeared at port {port} (or elsewhere) for {seconds:0.#} s.{hint}",
        $"Switch the board's power off and on, or {Jumper}; then flash again: it goes on from whatever state the board is in.");

    public static FlashException NotSeenAgain(string board, string port, double seconds) => new(
        FaultKind.NotSeenAgain, $"{board} left the bus and did not come back to port {port} within {seconds:0.#} s.", "Switch the board's power off and on, and flash again.");

    public static FlashException CameBackAsKlipper(string board, int times, string hint) => new(
        FaultKind.CameBackAsKlipper, $"{board} was asked for its bootloader {times} times and came back as Klipper each time.{hint}",
        $"Take any SD card out of the board, switch its power off and on and flash again, or {Jumper}.");

    public static FlashException VerifyFailed(uint address, int differing, int attempts) => new(
        FaultKind.VerifyFailed, $"What was read back differs from the firmware: {differing} bytes, the first at {address:x8}, after {attempts} tries.",
        "Flash again; if it fails again at the same address the chip's flash is worn or its power is bad.");

    /// <param name="hasKatapult">It was met there; an RP2040 has no other bootloader that could be written to.</param>
    public static FlashException DeviceLost(string board, string doing, double seconds, bool hasKatapult) => new(
        FaultKind.DeviceLost, $"{board} left the bus while {doing} and did not return within {seconds:0.#} s.",
        $"Check its cable and power; then flash again: if it does not show up, {ByHand(hasKatapult)} first.");

    public static FlashException DidNotLeave(string board, int times) => new(
        FaultKind.DidNotLeave, $"{board} was told {times} times to start its firmware, but stays in its bootloader. The firmware was read back equal.",
        "Take the BOOT0 jumper off if it is on, and switch the board's power off and on once.");

    public static FlashException NotBack(string board, double seconds, bool hasKatapult) => new(
        FaultKind.NotBack, $"{board} left its bootloader, but did not come back within {seconds:0.#} s. The firmware was read back equal.",
        "Switch its power off and on. If it stays away, the firmware does not suit the board (crystal, offset, USB pins): " + ByHand(hasKatapult) + " and flash the right one.");

    public static FlashException NotBackAfterReset(string board, double seconds, string now, bool hasKatapult) => new(
        FaultKind.NotBackAfterReset, $"{board} ran the new firmware, but after a reset {now} for {seconds:0.#} s.",
        "Switch its power off and on. If it stays away, its bootloader does not start this firmware: check the offset it is built for, " + ByHand(hasKatapult) + " and flash the right one.");

    public static FlashException BootloaderAfterReset(string board, string bootloader) => new(
        FaultKind.BootloaderAfterReset, $"{board} runs the new firmware, but a reset brings it back into its bootloader ({bootloader}): its BOOT0 jumper is still on.",
        "Take the jumper off and press reset, so that it starts by itself from now on. Until its next reset it runs.");

    public static FlashException OtherFirmwareRuns(string board, string expected, string running) => new(
        FaultKind.OtherFirmwareRuns, $"{board} runs {running}, not the firmware that was written ({expected}).", "Flash again; keep the report if it happens again.");

    public static FlashException KlipperSilent(string board, string doing) => new(
        FaultKind.KlipperSilent, $"The firmware of {board} does not answer while {doing}.",
        "Take the BOOT0 jumper off if it is on, switch the board's power off and on, and flash again. If it is written by its ROM on a wire, set BOOT0 and reset it before that.");

    public static FlashException KlipperDictionary(string why) => new(
        FaultKind.KlipperDictionary, $"The board's data dictionary cannot be read: {why}.", "Switch the board's power off and on, and flash again.");

    public static FlashException ResetUnknown(string board) => new(
        FaultKind.NoResetCommand, $"The firmware of {board} has no reset command, so its way through the bootloader cannot be proven.",
        "Switch its power off and on once and see that it comes back.");

    public static FlashException Internal(Exception bug) => new(
        FaultKind.InternalError, $"RatOS.Flash made a mistake: {bug.GetType().Name}: {bug.Message}", "Please report it with the log file; flash again meanwhile.");
}
