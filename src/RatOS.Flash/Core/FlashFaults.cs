using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>One flash: into the bootloader, the write, the way back, the proof.</summary>
public static class FlashFaults
{
    // ---- before the first erase

    public static FlashException Cancelled() => new(
        FaultKind.Cancelled, "You cancelled the flash before anything was erased.", $"Nothing to repair. Start it again at any time.");

    public static FlashException ConsentMissing() => new(
        FaultKind.ConsentMissing, "The plan has warnings, and you have not confirmed them.", $"Read them. Then {FlashAnyway}.");

    public static FlashException NeedsBootloaderByHand(string board, string why, Remedy steps) => new(
        FaultKind.NeedsBootloaderByHand, $"{board} cannot start its bootloader without help: {why}.",
        $"Do this, then {FlashAgain}: {steps}");

    /// <param name="board">The board.</param>
    /// <param name="asked">How often it was asked for its bootloader.</param>
    /// <param name="seconds">After so long a request counts as ignored.</param>
    /// <param name="startsOnDoubleReset">As for <see cref="DeviceLost"/>.</param>
    public static FlashException TouchIgnored(string board, int asked, double seconds, bool startsOnDoubleReset) => new(
        FaultKind.TouchIgnored,
        $"{board} was asked {Counts.Times(asked)} for its bootloader and stayed in Klipper. "
        + $"No request had an effect within {seconds:0.#} s.",
        $"{PowerCycle}, and {FlashAgain}. If that does not help, {RemedyAction.StartBootloader(startsOnDoubleReset)}.");

    /// <param name="board">The board.</param>
    /// <param name="asked">How often it was asked for its bootloader.</param>
    /// <param name="cameBack">How often it left the bus and came back as Klipper.</param>
    /// <param name="ignored">How often nothing happened.</param>
    /// <param name="hasCardSlot">A card in its slot is known to cause this.</param>
    /// <param name="startsOnDoubleReset">As for <see cref="DeviceLost"/>.</param>
    public static FlashException CameBackAsKlipper(string board, int asked, int cameBack, int ignored, bool hasCardSlot,
        bool startsOnDoubleReset)
    {
        var outcome = ignored == 0 ? "It re-enumerated as Klipper each time."
            : $"It re-enumerated as Klipper {Counts.Times(cameBack)} and ignored the request {Counts.Times(ignored)}.";
        return new(
            FaultKind.CameBackAsKlipper,
            $"{board} was asked {Counts.Times(asked)} for its bootloader and stayed in Klipper. {outcome}{Card(hasCardSlot)}",
            $"Take any SD card out of the board, {PowerCycle}, and {FlashAgain}. If that does not help, "
            + $"{RemedyAction.StartBootloader(startsOnDoubleReset)}.");
    }

    /// <param name="board">The board.</param>
    /// <param name="port">Where it was.</param>
    /// <param name="seconds">How long it was awaited.</param>
    /// <param name="elsewhere">Bootloaders that appeared at other ports meanwhile, and the first one's port; null without one.</param>
    /// <param name="elsewherePort"><inheritdoc cref="BootloaderNotSeen" path="/param[@name='elsewhere']"/></param>
    /// <param name="hasCardSlot">A card in its slot is known to cause this.</param>
    /// <param name="startsOnDoubleReset">As for <see cref="DeviceLost"/>.</param>
    public static FlashException BootloaderNotSeen(
        string board, string port, double seconds, string? elsewhere, string? elsewherePort, bool hasCardSlot,
        bool startsOnDoubleReset)
    {
        Remedy again = $"{PowerCycle}, and {FlashAgain}. If that does not help, {RemedyAction.StartBootloader(startsOnDoubleReset)} first. "
            + $"The flash continues from any state of the board.";
        return new(
            FaultKind.BootloaderNotSeen,
            $"{board} left the bus, and no bootloader appeared at port {port} within {seconds:0.#} s."
            + (elsewhere is null ? "" : $" {elsewhere} appeared meanwhile.") + Card(hasCardSlot),
            elsewherePort is null ? again : $"{again} If the device at {elsewherePort} is the board, {NamePort(board, elsewherePort)}.");
    }

    private static string Card(bool hasSlot) => hasSlot ? " A card in the board's SD slot is known to cause this." : "";

    public static FlashException NotSeenAgain(string board, string port, double seconds) => new(
        FaultKind.NotSeenAgain, $"{board} left the bus and did not return to port {port} within {seconds:0.#} s.",
        $"{PowerCycle}, and {FlashAgain}.");

    // ---- writing

    public static FlashException VerifyFailed(uint address, int differing, int attempts) => new(
        FaultKind.VerifyFailed,
        $"The read-back differs from the firmware after {Counts.Of(attempts, "attempt")}: "
        + $"{Counts.Of(differing, "byte")}, the first at {address:x8}.",
        $"{FlashAgain}. If it fails again at the same address, the chip's flash is worn, or its power is unstable: {CheckCable}.");

    /// <param name="board">The board.</param>
    /// <param name="doing">The step, as a clause: it was being written.</param>
    /// <param name="seconds">How long it was awaited.</param>
    /// <param name="startsOnDoubleReset">Its bootloader does; a chip may have no other one that can be written to.</param>
    public static FlashException DeviceLost(string board, string doing, double seconds, bool startsOnDoubleReset) => new(
        FaultKind.DeviceLost, $"{board} left the bus while {doing} and did not return within {seconds:0.#} s.",
        Reconnect(startsOnDoubleReset));

    /// <summary>It came back each time, but one.</summary>
    /// <param name="board">The board.</param>
    /// <param name="times">How often it left.</param>
    /// <param name="startsOnDoubleReset">As for <see cref="DeviceLost"/>.</param>
    public static FlashException DeviceLostRepeatedly(string board, int times, bool startsOnDoubleReset) => new(
        FaultKind.DeviceLost, $"{board} left the bus {Counts.Times(times)} while it was being flashed.", Reconnect(startsOnDoubleReset));

    private static Remedy Reconnect(bool startsOnDoubleReset) =>
        $"{CheckCable}, then {FlashAgain}. If it does not appear, {RemedyAction.StartBootloader(startsOnDoubleReset)} first.";

    // ---- the new firmware

    public static FlashException DidNotLeave(string board, int times) => new(
        FaultKind.DidNotLeave,
        $"{board} was asked {Counts.Times(times)} to start its firmware and stayed in its bootloader. The read-back matched the firmware.",
        $"{RemoveBoot0}, and {PowerCycle}.");

    public static FlashException NotBack(string board, double seconds, bool startsOnDoubleReset) => new(
        FaultKind.NotBack, $"{board} left its bootloader and did not return within {seconds:0.#} s. The read-back matched the firmware.",
        $"{PowerCycle}. If it does not return, the firmware does not fit the board (crystal, offset, USB pins): "
        + $"{RemedyAction.StartBootloader(startsOnDoubleReset)} and flash the right firmware.");

    public static FlashException NotBackAfterReset(string board, double seconds, bool startsOnDoubleReset) => new(
        FaultKind.NotBackAfterReset, $"{board} ran the new firmware. After a reset it did not appear within {seconds:0.#} s.",
        $"{PowerCycle}. If it does not return, its bootloader does not start this firmware: check the offset that it is built for, "
        + $"{RemedyAction.StartBootloader(startsOnDoubleReset)} and flash the right firmware.");

    public static FlashException BootloaderAfterReset(string board, string bootloader) => new(
        FaultKind.BootloaderAfterReset,
        $"{board} runs the new firmware, but a reset started its bootloader ({bootloader}) instead. "
        + "Its BOOT0 jumper is probably still set.",
        $"{RemoveBoot0}, and press reset. The board runs until its next reset.");

    public static FlashException OtherFirmwareRuns(string board, string expected, string running) => new(
        FaultKind.OtherFirmwareRuns, $"{board} runs {running}, not the firmware that was written ({expected}).",
        $"{FlashAgain}. If it happens again, send a bundle with a bug report.");

    public static FlashException AskedInBootloader(string board, string device) => new(
        FaultKind.AskedInBootloader, $"{board} waits in its bootloader ({device}), which knows nothing of the firmware's build.",
        $"{RemedyAction.Terminal($"ratos-flash recover {board}")}, then ask again.");

    /// <param name="board">The board.</param>
    /// <param name="doing">The step, as a clause: it is being reset.</param>
    public static FlashException KlipperSilent(string board, string doing) => new(
        FaultKind.KlipperSilent, $"The firmware of {board} does not answer while {doing}.",
        $"{RemoveBoot0}, {PowerCycle}, and {FlashAgain}. If you flash by its ROM on a UART, first {SetBoot0}.");

    private static RemedyAction SetBoot0 { get; } = AtBoard(OperatorStep.StartBootloader, "set BOOT0 and reset the board");

    public static FlashException KlipperDictionary(string why) => new(
        FaultKind.KlipperDictionary, $"The board's data dictionary cannot be read: {why}.", $"{PowerCycle}, and {FlashAgain}.");

    public static FlashException ResetUnknown(string board) => new(
        FaultKind.NoResetCommand, $"The firmware of {board} has no reset command, so a start through its bootloader cannot be tested.",
        $"{PowerCycle} once, and check that it returns.");

    public static FlashException KlipperRefusesFirmware(string board, string version, string why) => new(
        FaultKind.KlipperRefusesFirmware, $"{board} runs {version}, but Klipper, which was ready before, does not work with it: {why}.",
        $"Put the previous firmware back ({RollBack(board)}), "
        + $"or flash firmware that is built from this Klipper with the right configuration.");

    // ---- rollback

    public static FlashException NothingToRollBack(string board, string? folder) => new(
        FaultKind.NothingToRollBack, $"No earlier firmware of {board} is kept{(folder is null ? "" : $" in {folder}")}.",
        $"Flash it with other firmware: {GiveFirmware(board)}. Each firmware that is flashed from now on is kept.");

    /// <summary>The remedy of any fault after the old firmware was put back.</summary>
    public static Remedy RemedyAfterRollBack(string version) =>
        $"{version} runs again, and the printer can be used. "
        + $"Check that the new firmware is built for this board and from this Klipper before you flash it again.";

    // ---- this program

    public static FlashException Interrupted(string phase) => new(
        FaultKind.Interrupted, $"RatOS.Flash stopped during the flash (phase {phase}).",
        $"{FlashAgain}. {ListBoards} shows the current state of the board.");

    public static FlashException Internal(Exception bug) => new(
        FaultKind.InternalError, $"Internal error (a bug in RatOS.Flash): {bug.GetType().Name}: {bug.Message}",
        $"Send a bundle with a bug report{By("ratos-flash bundle")}. Meanwhile {FlashAgain}.");
}
