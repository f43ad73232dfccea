namespace RatOS.Flash.Core;

/// <summary>Every fault that a user can meet: stable code, the cause with its numbers, and what to do now.</summary>
public static partial class Faults
{
    private const string Jumper = "start its bootloader by hand (BOOT0 jumper or button, then reset)";

    private static string ByHand(bool hasKatapult) => hasKatapult ? "start its Katapult by hand (press its reset button twice quickly)" : Jumper;

    // ---- firmware files

    public static FlashException FirmwareUnreadable(string file, string why) => new(
        "firmware-unreadable", $"The firmware file {file} cannot be read: {why}.", "Check the path and its permissions.");

    public static FlashException NotKlipperFirmware(string file, string why) => new(
        "not-klipper-firmware", $"{file} is no Klipper firmware: {why}.",
        "Give the klipper.bin (or klipper.uf2, klipper.elf) that Klipper's build made for this board.");

    public static FlashException FirmwareCutShort(string file, string why) => new(
        "firmware-cut-short", $"{file} is damaged or was cut short: {why}.", "Build the firmware again, or copy the file again.");

    public static FlashException FirmwareContainer(string file, string why) => new(
        "firmware-bad-container", $"{file} cannot be opened: {why}.", "Build the firmware again, or give the klipper.bin of the same build.");

    public static FlashException FirmwareDfuFile(string file, string kind) => new(
        "firmware-dfu-file", $"{file} is a {kind}, which Klipper's build never makes; it carries addresses of its own.",
        "Give the klipper.bin that Klipper's build made for this board.");

    public static FlashException FirmwareWrongMcu(string built, string expected) => new(
        "firmware-wrong-mcu", $"The firmware was built for {built}, but the board is a {expected}.",
        $"Build the firmware for {expected}, or choose the board it was built for.");

    public static FlashException FirmwareWrongOffset(uint resetVector, uint start, int size, string? builtFor) => new(
        "firmware-wrong-offset",
        $"The firmware was built for another start address{(builtFor is null ? "" : $" ({builtFor})")}: its reset vector {resetVector:x8} is not inside "
        + $"{start:x8}..{start + (uint)size:x8}, where this board would run it.",
        $"Build it with the bootloader offset of this board (application start {start:x8}).");

    /// <summary>Its vectors would pass for this start too, but file or code say where it belongs.</summary>
    public static FlashException FirmwareLinkedElsewhere(uint builtFor, uint start) => new(
        "firmware-wrong-offset",
        $"The firmware was built for the start address {builtFor:x8}, but this board runs its firmware from {start:x8}.",
        $"Build it with the bootloader offset of this board (application start {start:x8}).");

    public static FlashException FirmwareBadVectors(string why) => new(
        "firmware-bad-vectors", $"The firmware's vector table is wrong: {why}.", "Build the firmware again with this board's configuration.");

    public static FlashException FirmwareTooBig(int size, uint start, uint end) => new(
        "firmware-too-big",
        $"The firmware is {size} bytes; from {start:x8} on only {(end > start ? end - start : 0)} bytes of flash are there"
        + $" ({Math.Max(0, (long)start + size - end)} too many).",
        "Build it for this board, with fewer features, or see whether Klipper still supports the board.");

    public static FlashException FirmwareMissing(string board) => new(
        "firmware-missing", $"There is no firmware to write to {board}.", "Give one with --firmware FILE, or put it into the firmware folder of the printer's ratos-flash folder as BOARD.bin.");

    public static FlashException StartInsideSector(uint start, uint sector, int size) => new(
        "start-inside-sector",
        $"The application start {start:x8} lies inside the flash sector {sector:x8} of {size / 1024} KiB: erasing it would erase the bootloader's end too.",
        "This board cannot be flashed this way yet; use its vendor's way (SD card or USB stick).");

    // ---- which board

    public static FlashException UnknownBoard(string name, IReadOnlyCollection<string> nearest, IReadOnlyCollection<string> all) => new(
        "unknown-board",
        $"This printer has no board called '{name}'." + (nearest.Count > 0 ? $" Did you mean {string.Join(" or ", nearest)}?" : ""),
        all.Count > 0 ? $"Its boards are: {string.Join(", ", all)}. `ratos-flash boards` shows them." : "`ratos-flash boards` shows what is connected.");

    public static FlashException NoBoards() => new(
        "no-boards", "No board of this printer is known.", "Connect one that runs Klipper, or name its kind and its port; `ratos-flash boards` shows what is connected.");

    public static FlashException BoardNotSeen(string board, string wanted, string seen) => new(
        "board-not-seen", $"{board} is not connected: nothing on the bus is {wanted}. Seen: {seen}.",
        "Check its power and its USB cable; `ratos-flash boards` shows what is connected.");

    public static FlashException BoardsAlike(string board, IEnumerable<string> ports) => new(
        "boards-alike", $"More than one device could be {board}: {string.Join(", ", ports)}.",
        "Say which one with --port PORT (the USB port path, as listed), or unplug the other.");

    public static FlashException WhichBootloader(string board, IEnumerable<string> ports) => new(
        "which-bootloader",
        $"{board} does not run Klipper, and a bootloader waits at {string.Join(", ", ports)}; whether it is this board cannot be seen from here.",
        "If it is, say so with --port PORT.");

    public static FlashException OtherBootloader(string board, string asked, string found) => new(
        "other-bootloader", $"{board} cannot be flashed by {asked}: {found}.", "Leave --bootloader out, or name the bootloader that the board has.");

    public static FlashException SamePort(string port, IEnumerable<string> boards) => new(
        "same-port", $"{string.Join(" and ", boards)} are the same device, at port {port}.", "Flash it under one name, or give each its own --port.");

    public static FlashException NoRoad(string board, string why, string guide) => new(
        "no-road", $"{board} cannot be flashed from here: {why}.", guide);

    public static FlashException NeedsBootloaderByHand(string board, string why, string steps) => new(
        "needs-bootloader-by-hand", $"{board} cannot start its bootloader by itself: {why}.", $"Do this, then flash again: {steps}");

    public static FlashException PrinterBusy(string activity) => new(
        "printer-busy", $"The printer is busy: {activity}.", "Wait until it is idle, or cancel the print, then flash again.");

    public static FlashException Cancelled() => new(
        "cancelled", "You cancelled the flash before anything was erased.", "Nothing to repair; start it again whenever you like.");

    public static FlashException ConsentMissing() => new(
        "consent-missing", "The plan has warnings, and nobody agreed to go on.", "Read them; to flash all the same, add --yes.");

    public static FlashException BadOption(string why, string remedy) => new("bad-option", $"The options do not go together: {why}.", remedy);

    // ---- the computer

    public static FlashException NoSuchPort(string port, string seen) => new(
        "no-such-port", $"There is no port {port}. Seen: {seen}.", "Check the cable and the name; `ratos-flash boards` lists the ports.");

    public static FlashException NoPermission(string node, string missing) => new(
        "no-permission", $"No permission to open {node}.", $"{missing} Then plug the board in again or log in anew.");

    public static FlashException PortHeld(string port, string holder) => new(
        "port-held", $"{port} is in use by {holder}.", "Stop that program and flash again; only one may talk to a board.");

    public static FlashException PortUnusable(string port, string why) => new(
        "port-unusable", $"{port} cannot be used: {why}.", "Plug the board in again; the kernel's log (`dmesg`) may say more.");

    public static FlashException PortStuck(string port, double seconds) => new(
        "port-stuck", $"{port} took no byte for {seconds:0.#} s.", "Press the board's reset button or switch its power off and on, and flash again.");

    public static FlashException NoSuchRate(string port, int wanted, int got) => new(
        "no-such-rate", $"{port} cannot do {wanted} baud; the nearest it offers is {got}.", "Use another serial port or adapter, or build board and bootloader for a rate that both can do.");

    public static FlashException NoSerialDriver(string device) => new(
        "no-serial-driver", $"{device} has no serial port: the kernel's cdc_acm driver did not take it.", "Load it (`sudo modprobe cdc_acm`), plug the board in again and flash again.");

    public static FlashException LibUsbMissing() => new(
        "libusb-missing", "The library libusb-1.0.so.0 is not installed.", "Install it: sudo apt-get install libusb-1.0-0");

    public static FlashException NoDeviceEvents(string why) => new(
        "no-device-events", $"The kernel's device announcements cannot be heard: {why}.", "Run outside of a container that hides them (it needs a netlink socket).");

    public static FlashException KlipperRuns(string klipper) => new(
        "klipper-runs", $"{klipper} runs on this computer, and whether it prints cannot be asked from here.",
        "Stop it (`sudo systemctl stop klipper`), flash, and start it again; or add --no-klipper if it has nothing to do with this board.");

    public static FlashException KlipperWouldNotStop(string why) => new(
        "klipper-would-not-stop", $"Klipper could not be stopped: {why}.", "Stop it by hand (`sudo systemctl stop klipper`) and flash again.");

    public static FlashException KlipperNotStarted(string why) => new(
        "klipper-not-started", $"Klipper did not start again: {why}.", "Start it by hand (`sudo systemctl start klipper`) and read klippy.log.");

    public static FlashException HeatersHot(string heaters) => new(
        "heaters-hot", $"{heaters}: their fans stop while the board is flashed.", "Let them cool below 50 °C; or, if you know that it does no harm, ask once more with HOT=1 (`--hot`).");

    public static FlashException PrinterUnknown(string why) => new(
        "printer-unknown", $"Whether the printer is idle could not be found out: {why}.", "See that Klipper and Moonraker answer (Mainsail shows it), or, when nothing prints, stop Klipper (`sudo systemctl stop klipper`); then flash again.");

    public static FlashException UpdateRuns(string what) => new(
        "update-runs", $"Moonraker is updating {what}.", "Wait until the update is complete, then flash again.");

    // ---- Moonraker and the agent

    public static FlashException MoonrakerGone(string where, string why) => new(
        "moonraker-gone", $"Moonraker does not answer at {where}: {why}.", "Start it (`sudo systemctl start moonraker`), or see moonraker.log.");

    public static FlashException MoonrakerRefused(string method, string text) => new(
        "moonraker-refused", $"Moonraker refused {method}: {text}.", "See moonraker.log; `sudo systemctl restart moonraker` starts it afresh.");

    public static FlashException NoSocket(string path, string why) => new(
        "no-socket", $"The agent's socket {path} cannot be made: {why}.", "See whose folder it is: the agent runs as Moonraker's user.");

    public static FlashException NoAgent(string folder) => new(
        "no-agent", $"No agent runs for the printer in {folder}.", "Start it (`sudo systemctl start ratos-flash`), or name another printer's folder with --data.");

    public static FlashException AgentGone(string why) => new(
        "agent-gone", $"The agent is gone: {why}.", "See `systemctl status ratos-flash`. It goes on with what it had begun as soon as it is back; `ratos-flash status` tells.");

    public static FlashException AgentElsewhere(string who) => new(
        "already-running", $"Another ratos-flash works on this printer ({who}).", "Wait for it, or ask the running agent (`ratos-flash status`).");

    public static FlashException Interrupted(string phase) => new(
        "interrupted", $"RatOS.Flash itself was ended in the middle of the flash (phase {phase}).", "Flash the board again; `ratos-flash boards` shows what it is now.");

    public static FlashException JournalUnwritable(string folder, string why) => new(
        "journal-unwritable", $"The journal in {folder} cannot be written: {why} Without it nobody could go on after a power cut.", "Make room on the disk, or see whose folder it is.");

    public static FlashException QueueFull(int jobs) => new(
        "queue-full", $"{jobs} flashes wait already.", "Wait for them, or cancel them with `ratos-flash cancel`.");

    public static FlashException UnknownJob(string id) => new(
        "unknown-job", $"There is no job '{id}'.", "`ratos-flash history` lists them.");

    public static FlashException BadRequest(string why) => new("bad-request", $"The request makes no sense: {why}.", "Correct it; the README lists what each request takes.");

    public static FlashException BadSettings(string file, int line, string why) => new(
        "bad-settings", $"{file}, line {line}: {why}.", "Correct that line; the file that came with RatOS.Flash shows what is possible.");

    public static FlashException ShuttingDown() => new(
        "shutting-down", "The agent is being stopped.", "Ask again when it is back; `systemctl status ratos-flash` tells.");

    // ---- the way into the bootloader

    public static FlashException TouchIgnored(string board, double seconds, int times) => new(
        "touch-ignored", $"{board} never left the bus: it was asked {times} times for its bootloader, and {seconds:0.#} s later Klipper's firmware was still there.",
        $"Switch the board's power off and on and flash again, or {Jumper}.");

    public static FlashException BootloaderNotSeen(string board, string port, double seconds, string hint) => new(
        "bootloader-not-seen", $"{board} left the bus, but nothing appeared at port {port} (or elsewhere) for {seconds:0.#} s.{hint}",
        $"Switch the board's power off and on, or {Jumper}; then flash again: it goes on from whatever state the board is in.");

    public static FlashException NotSeenAgain(string board, string port, double seconds) => new(
        "not-seen-again", $"{board} left the bus and did not come back to port {port} within {seconds:0.#} s.", "Switch the board's power off and on, and flash again.");

    public static FlashException CameBackAsKlipper(string board, int times, string hint) => new(
        "came-back-as-klipper", $"{board} was asked for its bootloader {times} times and came back as Klipper each time.{hint}",
        $"Take any SD card out of the board, switch its power off and on and flash again, or {Jumper}.");

    // ---- CAN

    public static FlashException CanMissing(string board, string name, string seen) => new(
        "can-missing", $"There is no CAN interface {name}, on which {board} should be. Seen: {seen}.",
        "Plug the USB-CAN adapter (or the board that is the bridge) in, and flash again; if it is in, give its interface with --port, or look into `dmesg`.");

    public static FlashException CanDown(string name) => new(
        "can-down", $"The CAN interface {name} is down.", $"Bring it up: `sudo ip link set {name} up type can bitrate 1000000` (with the bitrate of your boards); then flash again.");

    public static FlashException CanUnsupported(string why) => new(
        "can-unsupported", $"This computer cannot open CAN sockets: {why}.", "Load the kernel's modules (`sudo modprobe can-raw`), or use a kernel that has them.");

    public static FlashException CanNotAcknowledged(string name, int? bitrate) => new(
        "can-not-acknowledged",
        $"Nobody on {name} acknowledges a frame{(bitrate is { } rate ? $" at {rate} bit/s" : "")}: no board has power, the boards use another bitrate, or the wiring is broken.",
        $"Check the boards' power, both wires and the two 120 ohm resistors; give {name} the bitrate that the boards were built for: `sudo ip link set {name} down`, then `sudo ip link set {name} up type can bitrate 1000000`.");

    public static FlashException CanBusOff(string name) => new(
        "can-bus-off", $"{name} is bus-off: its controller met too many errors and takes no part any more. A wrong bitrate or wiring does that.",
        $"Check wires and bitrate, then start it again: `sudo ip link set {name} down`, `sudo ip link set {name} up type can bitrate 1000000 restart-ms 100`; then flash again.");

    public static FlashException CanNodeSilent(string board, string uuid, string name, string others) => new(
        "can-node-silent", $"{board} ({uuid}) does not answer on {name}; {others}.",
        "Check its power, its cable and the uuid in printer.cfg (`canbus_uuid`); switch its power off and on, and flash again.");

    public static FlashException CanUuidTwice(string board, string uuid, string name) => new(
        "can-uuid-twice", $"Two boards on {name} answer as {uuid}, the uuid of {board}.", "Unplug one of them, and flash them one by one.");

    public static FlashException CanWrongNode(string board, string expected, string found) => new(
        "can-wrong-node", $"The Katapult that answers at the number of {board} is {found}, not {expected}: it is another board.",
        "Switch both boards' power off and on, then flash again; nothing was written.");

    public static FlashException CanNoKatapult(string board) => new(
        "can-no-katapult", $"{board} is on CAN and has no Katapult below its firmware; nothing else can be written to over CAN.",
        "Connect it by USB, start its ROM (BOOT0 jumper or button, then reset), and flash it with --port; or put Katapult into it that way, so that the next time CAN will do.");

    public static FlashException CanFirmwareBitrate(string board, int built, string name, int bitrate) => new(
        "can-firmware-bitrate", $"The firmware for {board} was built for {built} bit/s, but {name} runs at {bitrate}: it would never be heard again.",
        $"Build it with the CAN bus speed {bitrate}, or change the bitrate of {name} and of all its boards.");

    public static FlashException CanOtherFirmware(string board, string built, string needed) => new(
        "can-other-firmware", $"The firmware for {board} was built {built}, but the board is {needed}.", $"Build it for a board that is {needed} (Communication interface in `make menuconfig`).");

    public static FlashException CanBridgeKept(string board, IEnumerable<string> behind) => new(
        "can-bridge-kept", $"{board} was left as it is: {string.Join(" and ", behind)}, reached through it alone, did not come out well.",
        "Flash that board first; then this one.");

    // ---- identity

    public static FlashException WrongMcu(string board, string expected, string found) => new(
        "wrong-mcu", $"{board} should be a {expected}, but the device says {found}.",
        "Check which board is plugged in where, and the board's name; nothing was written.");

    public static FlashException WrongBoard(string board, string expected, string found) => new(
        "wrong-board", $"The bootloader that appeared has the serial {found}, but {board} must show {expected}: it is another board.",
        "Take the other board out of its bootloader (power off and on), then flash again; nothing was written.");

    public static FlashException WrongStart(string board, uint expected, uint found) => new(
        "wrong-start", $"The bootloader of {board} starts applications at {found:x8}, but the board is declared with {expected:x8}.",
        $"Build the firmware for {found:x8} and correct the board's declaration; nothing was written.");

    public static FlashException CloneRefused(string what) => new(
        "clone-refused", $"{what} is a GD32's bootloader, which behaves differently from an STM32's.", "Flash this board its vendor's way.");

    public static FlashException ReadProtected(string board) => new(
        "read-protected", $"{board} is read protected (RDP level 1): its flash can be neither read nor written.",
        "Nothing was touched: switch its power off and on, and it runs its old firmware. Removing the protection erases the whole chip, its vendor's bootloader included; do that with the vendor's tool if you must.");

    // ---- USB DFU

    public static FlashException DfuDescriptor(string why) => new(
        "dfu-descriptor", $"The DFU bootloader describes itself wrongly: {why}.", "Power the board off and on, start its bootloader again and retry.");

    public static FlashException DfuRefused(string doing, string status, string state) => new(
        "dfu-refused", $"The DFU bootloader refused while {doing}: {status} in state {state}.",
        "Flash again; if it refuses again at the same place, the sector may be write protected: use the vendor's tool.");

    public static FlashException DfuStuck(string doing, double seconds) => new(
        "dfu-stuck", $"The DFU bootloader gave no result for {seconds:0.#} s while {doing}.", "Power the board off and on with BOOT0 set, and flash again.");

    // ---- Katapult

    public static FlashException KatapultSilent(string doing) => new(
        "katapult-silent", $"Katapult does not answer while {doing}.",
        "Press the board's reset button twice quickly (or switch its power off and on), and flash again. A ROM that waits on a wire (BOOT0) needs --bootloader stm32-uart.");

    public static FlashException KatapultWedged(string doing) => new(
        "katapult-wedged", $"Katapult got a damaged frame while {doing} and no longer listens; only a reset cures that.",
        "Press the board's reset button twice quickly (or switch its power off and on), and flash again. Check cable and baud rate if it happens again.");

    public static FlashException KatapultProtocol(string found) => new(
        "katapult-protocol", $"This Katapult (or CanBoot) speaks protocol {found}; 1.0 and 1.1 are understood.",
        "Update the board's Katapult, or flash by DFU (BOOT0 jumper or button, then reset).");

    public static FlashException KatapultRefused(string doing, string answer) => new(
        "katapult-refused", $"Katapult refused while {doing}: {answer}.", "Flash again; if it refuses again, flash by DFU (BOOT0 jumper or button, then reset).");

    // ---- STM32 UART ROM

    public static FlashException UartRomSilent(string doing) => new(
        "uart-rom-silent", $"The STM32's ROM does not answer on its UART while {doing}.",
        "With Klipper stopped, set BOOT0 and reset the board, then flash again; if it stays silent, check that its wires are crossed (RX to TX). "
        + "A ROM that heard another speed first, Klipper's for one, is deaf until its next reset.");

    public static FlashException UartRomRefused(string doing, int times) => new(
        "uart-rom-refused", $"The STM32's ROM refused {times} times (NACK) while {doing}.",
        "Check the wires and flash again; if it refuses again at the same place, the sector may be write protected: use the vendor's tool.");

    // ---- writing

    public static FlashException VerifyFailed(uint address, int differing, int attempts) => new(
        "verify-failed", $"What was read back differs from the firmware: {differing} bytes, the first at {address:x8}, after {attempts} tries.",
        "Flash again; if it fails again at the same address the chip's flash is worn or its power is bad.");

    /// <param name="hasKatapult">It was met there; an RP2040 has no other bootloader that could be written to.</param>
    public static FlashException DeviceLost(string board, string doing, double seconds, bool hasKatapult) => new(
        "device-lost", $"{board} left the bus while {doing} and did not return within {seconds:0.#} s.",
        $"Check its cable and power; then flash again: if it does not show up, {ByHand(hasKatapult)} first.");

    // ---- afterwards

    public static FlashException DidNotLeave(string board, int times) => new(
        "did-not-leave", $"{board} was told {times} times to start its firmware, but stays in its bootloader. The firmware was read back equal.",
        "Take the BOOT0 jumper off if it is on, and switch the board's power off and on once.");

    public static FlashException NotBack(string board, double seconds, bool hasKatapult) => new(
        "not-back", $"{board} left its bootloader, but did not come back within {seconds:0.#} s. The firmware was read back equal.",
        "Switch its power off and on. If it stays away, the firmware does not suit the board (crystal, offset, USB pins): " + ByHand(hasKatapult) + " and flash the right one.");

    public static FlashException NotBackAfterReset(string board, double seconds, string now, bool hasKatapult) => new(
        "not-back-after-reset", $"{board} ran the new firmware, but after a reset {now} for {seconds:0.#} s.",
        "Switch its power off and on. If it stays away, its bootloader does not start this firmware: check the offset it is built for, " + ByHand(hasKatapult) + " and flash the right one.");

    public static FlashException BootloaderAfterReset(string board, string bootloader) => new(
        "bootloader-after-reset", $"{board} runs the new firmware, but a reset brings it back into its bootloader ({bootloader}): its BOOT0 jumper is still on.",
        "Take the jumper off and press reset, so that it starts by itself from now on. Until its next reset it runs.");

    public static FlashException OtherFirmwareRuns(string board, string expected, string running) => new(
        "other-firmware-runs", $"{board} runs {running}, not the firmware that was written ({expected}).", "Flash again; keep the report if it happens again.");

    public static FlashException OtherBoardAnswers(string board, string expected, string found) => new(
        "other-board-answers", $"The board that answers at the port of {board} has the unique id {found}; the one that was flashed has {expected}.",
        "Put the cables back as they were and flash again.");

    public static FlashException KlipperSilent(string board, string doing) => new(
        "klipper-silent", $"The firmware of {board} does not answer while {doing}.",
        "Take the BOOT0 jumper off if it is on, switch the board's power off and on, and flash again. If it is written by its ROM on a wire, set BOOT0 and reset it before that.");

    public static FlashException KlipperDictionary(string why) => new(
        "klipper-dictionary", $"The board's data dictionary cannot be read: {why}.", "Switch the board's power off and on, and flash again.");

    public static FlashException ResetUnknown(string board) => new(
        "no-reset-command", $"The firmware of {board} has no reset command, so its way through the bootloader cannot be proven.",
        "Switch its power off and on once and see that it comes back.");

    // ---- ourselves

    public static FlashException Internal(Exception bug) => new(
        "internal-error", $"RatOS.Flash made a mistake: {bug.GetType().Name}: {bug.Message}", "Please report it with the log file; flash again meanwhile.");
}
