using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Bootloaders: USB DFU, Katapult, the STM32 ROM on a UART.</summary>
public static class BootloaderFaults
{
    public static FlashException ReadProtected(string board) => new(
        FaultKind.ReadProtected, $"{board} is read protected (RDP level 1): its flash can be neither read nor written.",
        $"Nothing was touched. {PowerCycle}: it then starts the firmware that it has. "
        + $"Removing the protection erases the whole chip, including the vendor's bootloader; use the vendor's tool for that.");

    /// <param name="board">The board.</param>
    /// <param name="sector">Its address and size.</param>
    /// <param name="isFlashChip">The flash is a chip of its own, beside an RP2040 or RP2350.</param>
    public static FlashException WriteProtected(string board, string sector, bool isFlashChip) => new(
        FaultKind.WriteProtected, $"The flash of {board} is write protected at {sector}: erase and write leave it as it is.",
        $"{(isFlashChip ? ClearFlashChip : ClearProtection)}. Then {FlashAgain}.");

    private static Remedy ClearFlashChip => $"Clear the protection bits in the status register of its flash chip with the vendor's tool";

    private static Remedy ClearProtection =>
        $"Clear the write protection in the chip's option bytes (WRP or nWRP) with STM32CubeProgrammer, or on its UART with the command "
        + $"Write Unprotect of AN3155{By("stm32flash -u PORT")}";

    // ---- USB DFU

    public static FlashException DfuDescriptor(string why) => new(
        FaultKind.DfuDescriptor, $"The descriptors of the DFU bootloader are wrong: {why}.",
        $"{PowerCycle}, start its bootloader again, and {FlashAgain}.");

    /// <param name="doing">The step: writing 08012000.</param>
    /// <param name="status">What it reported.</param>
    /// <param name="state">The state that it reported; null when it reported none.</param>
    public static FlashException DfuRefused(string doing, string status, string? state) => new(
        FaultKind.DfuRefused, $"The DFU bootloader refused while {doing}: {status}{(state is null ? "" : $" in state {state}")}.",
        AtSamePlace);

    public static FlashException DfuStuck(string doing, double seconds) => new(
        FaultKind.DfuStuck, $"The DFU bootloader gave no result for {seconds:0.#} s while {doing}.",
        $"{PowerCycle} {AtBoard(OperatorStep.StartBootloader, "with BOOT0 set")}, and {FlashAgain}.");

    private static Remedy AtSamePlace =>
        $"{FlashAgain}. If it refuses again at the same place, the sector may be write protected. {ClearProtection}.";

    // ---- Katapult

    public static FlashException KatapultSilent(string doing) => new(
        FaultKind.KatapultSilent, $"Katapult does not answer while {doing}.",
        $"{ResetKatapult} If its ROM bootloader was started (BOOT0), {ChooseRom}.");

    /// <param name="bauds">The rates at which it was asked on a UART.</param>
    /// <param name="without">How a board without it is flashed, in sentences.</param>
    public static FlashException KatapultSilentAtAll(IEnumerable<string> bauds, Remedy without) => new(
        FaultKind.KatapultSilent, $"Katapult does not answer at {string.Join(", ", bauds)} baud.",
        $"{ResetKatapult} If its ROM bootloader was started (BOOT0), {ChooseRom}. If the board has no Katapult: {without}");

    public static FlashException KatapultWedged(string doing) => new(
        FaultKind.KatapultWedged, $"Katapult received a damaged frame while {doing} and no longer listens. Only a reset helps.",
        $"{ResetKatapult} Check the cable and the baud rate if it happens again.");

    // Without the double reset Katapult starts what is in flash, and that may be half written.
    private static Remedy ResetKatapult => $"{DoubleReset}, and {FlashAgain}.";

    private static RemedyAction ChooseRom { get; } =
        new("add `--bootloader stm32-uart`", "set `bootloader: stm32-uart` in ratos-flash.conf");

    public static FlashException KatapultProtocol(string found) => new(
        FaultKind.KatapultProtocol, $"This Katapult (or CanBoot) speaks protocol {found}; 1.0 and 1.1 are supported.",
        $"Update the board's Katapult, or {ByDfu}.");

    public static FlashException KatapultRefused(string doing, string answer) => new(
        FaultKind.KatapultRefused, $"Katapult refused while {doing}: {answer}.",
        $"{FlashAgain}. If it refuses again, {ByDfu}. If that refuses too, the sector may be write protected. {ClearProtection}.");

    private static RemedyAction ByDfu { get; } = AtBoard(OperatorStep.StartBootloader, "flash by DFU (BOOT0 jumper or button, then reset)");

    // ---- STM32 UART ROM

    public static FlashException UartRomSilent(string doing) => new(
        FaultKind.UartRomSilent, $"The STM32's ROM does not answer on its UART while {doing}.",
        $"With Klipper stopped, {AtBoard(OperatorStep.StartBootloader, "set BOOT0 and reset the board")}, then {FlashAgain}. "
        + $"If it stays silent, {AtBoard(OperatorStep.CheckCable, "check that its wires are crossed (RX to TX)")}. "
        + $"A ROM that has received bytes at another baud rate, such as Klipper's, does not answer until its next reset.");

    public static FlashException UartRomRefused(string doing, int times) => new(
        FaultKind.UartRomRefused, $"The STM32's ROM refused {Counts.Times(times)} (NACK) while {doing}.",
        $"{AtBoard(OperatorStep.CheckCable, "check the wires")} and {FlashAgain}. "
        + $"If it refuses again at the same place, its flash is worn.");

    // ---- PICOBOOT

    private static RemedyAction StartBootsel { get; } = AtBoard(OperatorStep.StartBootloader,
        "start the ROM again (hold BOOT, switch the board's power off and on, release BOOT)");

    public static FlashException BootselSilent(string doing) => new(
        FaultKind.BootselSilent, $"The RP2040's or RP2350's ROM (BOOTSEL) does not answer while {doing}.",
        $"{StartBootsel}, then {FlashAgain}. If it stays silent, {CheckCable}.");

    /// <param name="doing">The step: writing 10001000.</param>
    /// <param name="status">What it reported.</param>
    public static FlashException BootselRefused(string doing, string status) => new(
        FaultKind.BootselRefused, $"The RP2040's or RP2350's ROM (BOOTSEL) refused while {doing}: {status}.",
        $"{FlashAgain}. If it refuses again, {StartBootsel}, and {FlashAgain}.");

    /// <param name="board">The board.</param>
    /// <param name="why">As a clause: it shows no PICOBOOT interface.</param>
    public static FlashException BootselClosed(string board, string why) => new(
        FaultKind.BootselClosed, $"{board} waits in BOOTSEL, but {why}.",
        $"Nothing was written. Write its firmware with the vendor's tool{By("picotool load -v -x klipper.elf")}, "
        + $"or copy a .uf2 of its own family onto its drive.");

    /// <inheritdoc cref="NoKatapultBelow"/>
    public static FlashException NoBootloaderBelow(string board, uint start, uint begin) => new(
        FaultKind.WrongStart,
        $"The flash of {board} holds no program at {begin:x8}: no bootloader is there that would start an application at {start:x8}.",
        $"{FlashAgain}: one read may have been damaged. If it happens again, write the board's bootloader first, or build the firmware "
        + $"for {begin:x8}. Nothing was written.");

    /// <param name="board">The board.</param>
    /// <param name="start">Of its application.</param>
    /// <param name="begin">The start without a bootloader.</param>
    public static FlashException NoKatapultBelow(string board, uint start, uint begin) => new(
        FaultKind.WrongStart, $"The flash of {board} holds no Katapult that its ROM starts, so an application at {start:x8} would not run.",
        $"{FlashAgain}: one read may have been damaged. If it holds none again, copy a katapult.uf2 that is built for "
        + $"the board onto its drive, or build the firmware for {begin:x8}. Nothing was written.");
}
