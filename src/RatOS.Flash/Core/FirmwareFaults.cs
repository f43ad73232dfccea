namespace RatOS.Flash.Core;

/// <summary>Firmware files, and firmware that does not suit a board.</summary>
public static class FirmwareFaults
{
    public static FlashException NotOurs(string board, string why) => new(
        FaultKind.NotOurs, $"The firmware of {board} is not built from Klipper's sources here: {why}.", "Update it with the updater of whoever made it.");

    public static FlashException PinsUnknown(string board, string wire) => new(
        FaultKind.PinsUnknown, $"Which pins and speed {board} uses on its {wire} is not known: it did not tell, and no configuration is kept.",
        $"Say it once with `ratos-flash menuconfig {board}`, or put its firmware into the firmware folder.");

    public static FlashException FileNotOffered(string path, string why) => new(
        FaultKind.FileNotOffered, $"{path} could not be written: {why}.", "Free space, or mend the folder's rights, and ask again.");

    public static FlashException FirmwareUnreadable(string file, string why) => new(
        FaultKind.FirmwareUnreadable, $"The firmware file {file} cannot be read: {why}.", "Check the path and its permissions.");

    public static FlashException NotKlipperFirmware(string file, string why) => new(
        FaultKind.NotKlipperFirmware, $"{file} is no Klipper firmware: {why}.",
        "Give the klipper.bin (or klipper.uf2, klipper.elf) that Klipper's build made for this board.");

    public static FlashException FirmwareCutShort(string file, string why) => new(
        FaultKind.FirmwareCutShort, $"{file} is damaged or was cut short: {why}.", "Build the firmware again, or copy the file again.");

    public static FlashException FirmwareContainer(string file, string why) => new(
        FaultKind.FirmwareBadContainer, $"{file} cannot be opened: {why}.", "Build the firmware again, or give the klipper.bin of the same build.");

    public static FlashException FirmwareDfuFile(string file, string kind) => new(
        FaultKind.FirmwareDfuFile, $"{file} is a {kind}, which Klipper's build never makes; it carries addresses of its own.",
        "Give the klipper.bin that Klipper's build made for this board.");

    public static FlashException FirmwareWrongMcu(string built, string expected) => new(
        FaultKind.FirmwareWrongMcu, $"The firmware was built for {built}, but the board is a {expected}.",
        $"Build the firmware for {expected}, or choose the board it was built for.");

    public static FlashException FirmwareWrongOffset(uint resetVector, uint start, int size, string? builtFor) => new(
        FaultKind.FirmwareWrongOffset,
        $"The firmware was built for another start address{(builtFor is null ? "" : $" ({builtFor})")}: its reset vector {resetVector:x8} is not inside "
        + $"{start:x8}..{start + (uint)size:x8}, where this board would run it.",
        $"Build it with the bootloader offset of this board (application start {start:x8}).");

    /// <summary>Its vectors would pass for this start too, but file or code say where it belongs.</summary>
    public static FlashException FirmwareLinkedElsewhere(uint builtFor, uint start) => new(
        FaultKind.FirmwareWrongOffset,
        $"The firmware was built for the start address {builtFor:x8}, but this board runs its firmware from {start:x8}.",
        $"Build it with the bootloader offset of this board (application start {start:x8}).");

    public static FlashException FirmwareBadVectors(string why) => new(
        FaultKind.FirmwareBadVectors, $"The firmware's vector table is wrong: {why}.", "Build the firmware again with this board's configuration.");

    public static FlashException FirmwareTooBig(int size, uint start, uint end) => new(
        FaultKind.FirmwareTooBig,
        $"The firmware is {size} bytes; from {start:x8} on only {(end > start ? end - start : 0)} bytes of flash are there"
        + $" ({Math.Max(0, (long)start + size - end)} too many).",
        "Build it for this board, with fewer features, or see whether Klipper still supports the board.");

    public static FlashException FirmwareMissing(string board) => new(
        FaultKind.FirmwareMissing, $"There is no firmware to write to {board}.", "Give one with --firmware FILE, or put it into the firmware folder of the printer's ratos-flash folder as BOARD.bin.");

    public static FlashException StartInsideSector(uint start, uint sector, int size) => new(
        FaultKind.StartInsideSector,
        $"The application start {start:x8} lies inside the flash sector {sector:x8} of {size / 1024} KiB: erasing it would erase the bootloader's end too.",
        "This board cannot be flashed this way yet; use its vendor's way (SD card or USB stick).");
}
