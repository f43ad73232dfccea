using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Notes and warnings of a plan.</summary>
public static class PlanFindings
{
    public static Finding Needless(string board, string reason) => new(
        FindingSeverity.Note, FaultKind.Needless, reason, $"Nothing to do. {NameBoard(board)}.");

    /// <param name="board">A probe that its maker's updater updates.</param>
    /// <param name="command">The updater's command.</param>
    public static Finding OwnUpdater(string board, string command) => new(
        FindingSeverity.Note, FaultKind.OwnUpdater, $"Its maker's updater can be called: `{command}`.",
        $"To call it, {CallUpdater(board)}.");

    public static Finding SameVersion(string version) => new(
        FindingSeverity.Note, FaultKind.SameVersion, $"The board already runs {version}.", $"Flashing it again is harmless.");

    public static Finding OtherSerial(string port, string? found, string expected) => new(
        FindingSeverity.Warning, FaultKind.OtherSerial, $"The board at {port} has the serial '{found}', not '{expected}'.",
        $"Check that this is the right board. Firmware that reports another serial changes the `serial:` that printer.cfg needs.");

    /// <param name="board">The board.</param>
    /// <param name="section">Its section in printer.cfg.</param>
    public static Finding BoardAway(string board, string section) => new(
        FindingSeverity.Note, FaultKind.BoardAway,
        $"{board} is not connected, and may be: [{section}] has `is_non_critical`. It is left out of all boards.",
        $"To flash it, connect it and {NameBoard(board)}.");

    /// <param name="board">The board.</param>
    /// <param name="running">The baud of its firmware.</param>
    /// <param name="host">The baud of printer.cfg.</param>
    public static Finding BaudDiffers(string board, int running, int host) => new(
        FindingSeverity.Warning, FaultKind.BaudDiffers,
        $"The firmware of {board} runs at {running} baud, but `baud:` in printer.cfg is {host}: Klipper cannot reach the board.",
        $"Set `baud: {running}` in the board's section of printer.cfg, or flash firmware for {host} baud.");

    /// <param name="board">The board.</param>
    /// <param name="built">Of the new firmware; empty for none.</param>
    /// <param name="running">Of the running firmware; empty for none.</param>
    public static Finding InitialPinsDiffer(string board, string built, string running) => new(
        FindingSeverity.Warning, FaultKind.InitialPinsDiffer,
        $"At its start the firmware for {board} sets {Pins(built)}, the running one {Pins(running)}.",
        $"Flash it if you meant that. Else build it with \"GPIO pins to set at micro-controller startup\" as it is now.");

    private static string Pins(string pins) => pins.Length == 0 ? "no pins" : $"the pins {pins}";

    /// <param name="board">The board.</param>
    /// <param name="isCrystal">The new firmware needs the crystal; the running one does not.</param>
    public static Finding ClockDiffers(string board, bool isCrystal) => new(
        FindingSeverity.Warning, FaultKind.ClockDiffers,
        $"The firmware for {board} is built for {(isCrystal ? "a crystal" : "the internal clock")}, the running one for "
        + $"{(isCrystal ? "the internal clock" : "a crystal")}.",
        $"Check \"Clock Reference\" in `make menuconfig`: with a crystal that it does not have, a board does not start.");

    public static Finding Answered(string board, string fact, string value) => new(
        FindingSeverity.Note, FaultKind.Answered, $"{fact} of {board} is your answer: {value}.",
        $"Nothing to do if it is right. {Terminal($"ratos-flash answer {board} {fact} none")} forgets it.");

    public static Finding AskedFirst(string board) => new(
        FindingSeverity.Note, FaultKind.AskedFirst,
        $"{board} has not told yet how its firmware is built. Klipper stops to ask it: about 10 s until it is ready again, heaters off, "
        + "position lost.",
        $"Nothing to do: it is asked once, before its firmware is built.");

    // ---- before the write

    public static Finding SdSlotEmpty() => new(
        FindingSeverity.Note, FaultKind.SdSlotEmpty,
        "A card in the board's SD slot can keep the bootloader from appearing, or install an old file.",
        $"Take any card out of the slot.");

    public static Finding Boot0Jumper() => new(
        FindingSeverity.Note, FaultKind.Boot0Jumper, "The flash ends with a reset. With BOOT0 still set, the board starts its ROM again.",
        $"Remove the jumper now. The ROM keeps waiting: BOOT0 is read only at a reset.");

    public static Finding NoSafeOrder() => new(
        FindingSeverity.Note, FaultKind.NoSafeOrder,
        "The firmware occupies one flash sector. After a power cut during the write, the board needs a double reset.",
        $"Keep the power on during the write.");

    // ---- RatOS's definitions

    public static Finding NoBuildConfiguration(string board) => new(
        FindingSeverity.Note, FaultKind.NoBuildConfiguration, $"{board} has no firmware.config, so RatOS's definition cannot be built.",
        $"{GiveFirmware(board)}. Or make a configuration with Klipper's `make menuconfig`.");

    public static Finding ObsoleteConfiguration(string board) => new(
        FindingSeverity.Warning, FaultKind.ObsoleteConfiguration,
        $"The firmware.config of {board} is for an older Klipper, in which the RP2040 had another name. "
        + "This Klipper would build for an AVR.",
        $"Make a configuration with Klipper's `make menuconfig`, or update RatOS.");

    /// <param name="board">The id of its kind.</param>
    /// <param name="difference">What differs from what is known of the board.</param>
    public static Finding RatosCorrected(string board, string difference) => new(
        FindingSeverity.Note, FaultKind.RatosCorrected, $"RatOS's definition of {board} has {difference}, which is known to be wrong.",
        $"Nothing to do: the known value is used.");

    public static Finding RatosConfigCorrected(string board) => new(
        FindingSeverity.Note, FaultKind.RatosCorrected,
        $"RatOS's firmware.config of {board} is for an older Klipper. This Klipper would build for another chip.",
        $"Nothing to do: another configuration is used.");

    /// <inheritdoc cref="RatosCorrected"/>
    public static Finding RatosDiffers(string board, string difference) => new(
        FindingSeverity.Note, FaultKind.RatosDiffers, $"RatOS's definition of {board} has {difference}.",
        $"RatOS's definition is used. If the difference is unintended, restore RatOS's configuration.");

    /// <param name="board">Its name on this printer.</param>
    /// <param name="start">Where its firmware begins, and by whom that is known.</param>
    /// <param name="where">The source of the start.</param>
    /// <param name="theirs">Where firmware of RatOS's firmware.config begins.</param>
    /// <param name="folder">The folder of RatOS's definition.</param>
    public static Finding RatosOtherStart(string board, uint start, string where, uint theirs, string folder) => new(
        FindingSeverity.Warning, FaultKind.RatosOtherStart,
        $"The application of {board} begins at {start:x8} (by {where}), but RatOS's firmware.config is for {theirs:x8}. "
        + "RatOS flashes this board in every update of Klipper: that overwrites its bootloader or leaves firmware that does not start.",
        $"Add `\"disableAutoFlash\": true` to config/RatOS/boards/{folder}/board-definition.json. An update of RatOS may remove the line: "
        + $"check for this warning afterwards.");
}
