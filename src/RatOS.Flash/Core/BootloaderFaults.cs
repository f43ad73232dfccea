namespace RatOS.Flash.Core;

/// <summary>Bootloaders: USB DFU, Katapult, the STM32 ROM on a UART.</summary>
public static class BootloaderFaults
{
    public static FlashException ReadProtected(string board) => new(
        FaultKind.ReadProtected, $"{board} is read protected (RDP level 1): its flash can be neither read nor written.",
        "Nothing was touched: switch its power off and on, and it runs its old firmware. Removing the protection erases the whole chip, its vendor's bootloader included; do that with the vendor's tool if you must.");

    public static FlashException DfuDescriptor(string why) => new(
        FaultKind.DfuDescriptor, $"The DFU bootloader describes itself wrongly: {why}.", "Power the board off and on, start its bootloader again and retry.");

    public static FlashException DfuRefused(string doing, string status, string state) => new(
        FaultKind.DfuRefused, $"The DFU bootloader refused while {doing}: {status} in state {state}.",
        "Flash again; if it refuses again at the same place, the sector may be write protected: use the vendor's tool.");

    public static FlashException DfuStuck(string doing, double seconds) => new(
        FaultKind.DfuStuck, $"The DFU bootloader gave no result for {seconds:0.#} s while {doing}.", "Power the board off and on with BOOT0 set, and flash again.");

    public static FlashException KatapultSilent(string doing) => new(
        FaultKind.KatapultSilent, $"Katapult does not answer while {doing}.",
        "Press the board's reset button twice quickly (or switch its power off and on), and flash again. A ROM that waits on a wire (BOOT0) needs --bootloader stm32-uart.");

    public static FlashException KatapultWedged(string doing) => new(
        FaultKind.KatapultWedged, $"Katapult got a damaged frame while {doing} and no longer listens; only a reset cures that.",
        "Press the board's reset button twice quickly (or switch its power off and on), and flash again. Check cable and baud rate if it happens again.");

    public static FlashException KatapultProtocol(string found) => new(
        FaultKind.KatapultProtocol, $"This Katapult (or CanBoot) speaks protocol {found}; 1.0 and 1.1 are understood.",
        "Update the board's Katapult, or flash by DFU (BOOT0 jumper or button, then reset).");

    public static FlashException KatapultRefused(string doing, string answer) => new(
        FaultKind.KatapultRefused, $"Katapult refused while {doing}: {answer}.", "Flash again; if it refuses again, flash by DFU (BOOT0 jumper or button, then reset).");

    public static FlashException UartRomSilent(string doing) => new(
        FaultKind.UartRomSilent, $"The STM32's ROM does not answer on its UART while {doing}.",
        "With Klipper stopped, set BOOT0 and reset the board, then flash again; if it stays silent, check that its wires are crossed (RX to TX). "
        + "A ROM that heard another speed first, Klipper's for one, is deaf until its next reset.");

    public static FlashException UartRomRefused(string doing, int times) => new(
        FaultKind.UartRomRefused, $"The STM32's ROM refused {times} times (NACK) while {doing}.",
        "Check the wires and flash again; if it refuses again at the same place, the sector may be write protected: use the vendor's tool.");
}
