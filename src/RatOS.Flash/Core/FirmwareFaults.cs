using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Firmware files, and firmware that does not suit a board.</summary>
public static class FirmwareFaults
{
    public static FlashException FirmwareUnreadable(string file, string why) => new(
        FaultKind.FirmwareUnreadable, $"The firmware file {file} cannot be read: {why}.", $"Check the path and its permissions.");

    public static FlashException NotKlipperFirmware(string file, string why) => new(
        FaultKind.NotKlipperFirmware, $"{file} is not Klipper firmware: {why}.",
        $"Use the klipper.bin, klipper.uf2 or klipper.elf that Klipper's build made for this board.");

    public static FlashException FirmwareCutShort(string file, string why) => new(
        FaultKind.FirmwareCutShort, $"{file} is damaged or truncated: {why}.", $"Build the firmware again, or copy the file again.");

    public static FlashException FirmwareContainer(string file, string why) => new(
        FaultKind.FirmwareBadContainer, $"{file} cannot be opened: {why}.",
        $"Build the firmware again, or use the klipper.bin of the same build.");

    public static FlashException FirmwareDfuFile(string file, string kind) => new(
        FaultKind.FirmwareDfuFile, $"{file} is a {kind}, a format that contains addresses. Klipper's build never makes one.",
        $"Use the klipper.bin that Klipper's build made for this board.");

    public static FlashException FirmwareDiffers(string file, string expected, string found) => new(
        FaultKind.FirmwareDiffers, $"{file} is another file than expected: its sha256 is {found}, not {expected}.",
        $"Copy the file again, or correct the expected sha256.");

    /// <param name="link">The link that it is built for.</param>
    public static FlashException FirmwareUnconfirmed(string board, string file, string version, string link, string sha256) => new(
        FaultKind.FirmwareUnconfirmed,
        $"{file} was not built here and has never run on {board}. It is {version} for {link}, sha256 {sha256}.",
        $"Check where the file came from. Then {ConfirmFirmware}.");

    public static FlashException FirmwareWrongMcu(string built, string expected) => new(
        FaultKind.FirmwareWrongMcu, $"The firmware was built for {built}, but the board is a {expected}.",
        $"Build the firmware for {expected}, or choose the board it was built for.");

    public static FlashException FirmwareWrongOffset(uint resetVector, uint start, int size, string? builtFor) => new(
        FaultKind.FirmwareWrongOffset,
        $"The firmware was built for another start address{(builtFor is null ? "" : $" ({builtFor})")}: "
        + $"its reset vector {resetVector:x8} is outside of {start:x8}..{start + (uint)size:x8}, where this board would run it.",
        BuildForOffset(start));

    /// <summary>Its vectors would suit this start too, but file or code name another one.</summary>
    public static FlashException FirmwareLinkedElsewhere(uint builtFor, uint start) => new(
        FaultKind.FirmwareWrongOffset,
        $"The firmware was built for the start address {builtFor:x8}, but this board runs firmware from {start:x8}.",
        BuildForOffset(start));

    private static Remedy BuildForOffset(uint start) =>
        $"Build it with the bootloader offset of this board (application start {start:x8}).";

    public static FlashException FirmwareBadVectors(string why) => new(
        FaultKind.FirmwareBadVectors, $"The firmware's vector table is wrong: {why}.",
        $"Build the firmware again with this board's configuration.");

    public static FlashException FirmwareStrangeCode(string why) => new(
        FaultKind.FirmwareStrangeCode, $"The firmware's start-up code is not that of Klipper's build: {why}.",
        $"Use the klipper.bin that Klipper's build made, not a file that was encoded for an SD card, patched or compressed.");

    /// <param name="board">The board.</param>
    /// <param name="built">The firmware's link.</param>
    /// <param name="now">The board's link.</param>
    /// <param name="where">The evidence for it, behind "according to".</param>
    /// <param name="change">The change that would be meant; null where none can be followed.</param>
    public static FlashException OtherLink(string board, string built, string now, string where, string? change) => new(
        FaultKind.FirmwareOtherLink,
        $"The firmware for {board} communicates over {built}, but the board is on {now} (according to {where}): it would not be reachable.",
        $"Build it for {now} (\"Communication interface\" in `make menuconfig`)."
        + $"{(change is null ? (Remedy)"" : $" Or, if the board is to move, {ChangeLink(change)}.")}");

    /// <param name="board">The board.</param>
    /// <param name="built">The firmware's baud.</param>
    /// <param name="host">The baud of printer.cfg.</param>
    public static FlashException OtherBaud(string board, int built, int host) => new(
        FaultKind.FirmwareOtherLink,
        $"The firmware for {board} communicates at {built} baud, but Klipper opens its port at {host} baud (`baud:` in printer.cfg): it "
        + "would not be reachable.",
        $"Build it for {host} baud (\"Baud rate for serial port\" in `make menuconfig`). Or first set `baud: {built}` in the board's "
        + $"section of printer.cfg, and restart Klipper.");

    public static FlashException OtherChange(string board, string change, string built, string now) => new(
        FaultKind.FirmwareOtherLink,
        $"The request moves {board} by {change}, but the board is on {now} and its new firmware communicates over {built}.",
        $"Name the change that the firmware makes, or build the firmware for it.");

    /// <summary>A node's uuid follows from its chip's unique id.</summary>
    public static FlashException NewPlaceUnknown(string board, string change) => new(
        FaultKind.FirmwareOtherLink,
        $"The request moves {board} by {change}, but its chip's unique id is unknown, so it could not be found on its new bus.",
        $"Flash it while it runs Klipper or Katapult: both report the id. Nothing was written.");

    public static FlashException FirmwareTooBig(int size, uint start, uint end) => new(
        FaultKind.FirmwareTooBig,
        $"The firmware has {Counts.Of(size, "byte")}. From {start:x8} on, flash has {Counts.Of(end > start ? end - start : 0, "byte")}:"
        + $" {Counts.Of(Math.Max(0, (long)start + size - end), "byte")} too few.",
        $"Build it for this board, with fewer features, or check whether Klipper still supports the board.");

    public static FlashException FirmwareMissing(string board) => new(
        FaultKind.FirmwareMissing, $"No firmware for {board} was found.", $"{GiveFirmware(board)}.");

    public static FlashException StartInsideSector(uint start, uint sector, int size) => new(
        FaultKind.StartInsideSector,
        $"The application start {start:x8} is inside the flash sector {sector:x8} of {size / 1024} KiB: "
        + "erasing it would also erase the end of the bootloader.",
        $"Flash this board with its vendor's method (SD card or USB drive).");

    public static FlashException PinsUnknown(string board, string wire) => new(
        FaultKind.PinsUnknown,
        $"The pins and the speed of {board} on its {wire} are unknown: the board did not report them, and no configuration of it is saved.",
        $"Choose them once{By($"ratos-flash menuconfig {board}")}. "
        + $"Or copy a firmware file to printer_data/ratos-flash/firmware as {board}.bin.");

    public static FlashException NotOurs(string board, string why) => new(
        FaultKind.NotOurs, $"The firmware of {board} is not built from these Klipper sources: {why}.",
        $"Update the board with its vendor's updater.");

    /// <param name="board">A probe.</param>
    /// <param name="options">Those that the request has and the updater does not, as nouns.</param>
    public static FlashException NotForUpdater(string board, IEnumerable<string> options) => new(
        FaultKind.BadOption, $"The maker's updater of {board} finds the probe and its firmware itself. It has no option for: "
        + $"{string.Join(", ", options)}.",
        $"Name only the probe: {CallUpdater(board)}.");

    public static FlashException FileNotOffered(string path, string why) => new(
        FaultKind.FileNotOffered, $"{path} cannot be written: {why}.", $"Free disk space, or fix the folder's ownership, and try again.");
}
