using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Firmware on an SD card.</summary>
public static class SdCardFaults
{
    public static FlashException SdCardUnknown(string board) => new(
        FaultKind.SdCardUnknown, $"No known bootloader of {board} installs firmware for its application start from a card.",
        $"{WithoutCard}.");

    /// <summary>No source says which file its bootloader takes.</summary>
    /// <param name="board">The board.</param>
    /// <param name="forms">The possible answers.</param>
    public static FlashException SdCardFileUnknown(string board, string forms) => new(
        FaultKind.SdCardUnknown, $"It is not known which file {board}'s stock bootloader installs from a card.",
        $"{WithoutCard}. If you know the file, answer{By($"ratos-flash answer {board} card \"FILE\"")} ({forms}).");

    public static FlashException SdCardNotRead(string board) => new(
        FaultKind.SdCardNotRead, $"{board} has Katapult instead of its stock bootloader, and Katapult does not read cards.",
        $"{WithoutCard}.");

    public static FlashException SdCardByHand(string board, Remedy steps) => new(
        FaultKind.SdCardByHand, $"{board} must be updated from an SD card manually.", steps);

    /// <param name="board">The board.</param>
    /// <param name="version">What it runs.</param>
    /// <param name="file">The file that its bootloader takes.</param>
    /// <param name="renamedTo">Its name after the installation; null where that is not known, or it keeps its name.</param>
    /// <param name="steps">The way with a card.</param>
    public static FlashException SdCardNotTaken(string board, string version, string file, string? renamedTo, Remedy steps) => new(
        FaultKind.SdCardNotTaken, $"{board} was reset and still runs {version}: it installed nothing from the card.",
        $"Check the card. If {(renamedTo is null ? "the file has another name now" : $"it has a file {renamedTo}")}, the board installed "
        + $"it, but it was built for another board. If it has {file}, the board did not find it: format the card as FAT32 (32 GB or less, "
        + $"clusters of 4 KiB) and copy only this file onto it. Then: {steps}");

    // ---- the card in this computer

    public static FlashException SdCardUnwritable(string card, string why) => Unusable(
        card, why,
        $"Check that the card is writable (write-protect slider, free space, `mount -o uid=`), or use another one, and try again.");

    public static FlashException SdCardSeveral(IEnumerable<string> places) => Unusable(
        "a card", $"there are several ({string.Join(", ", places)})",
        $"Remove the others and try again. Or download the file and copy it manually.");

    public static FlashException SdCardNotFat(string card, string fileSystem) => Unusable(
        card, $"it is {fileSystem}, and a board's bootloader reads only FAT", $"Format it as FAT32 and try again, or use another card.");

    public static FlashException SdCardNotMounted(string disk) => Unusable(
        disk, "it is in this computer but not mounted",
        $"Mount it{By($"udisksctl mount -b {disk}")}, and try again. Or download the file and copy it manually.");

    public static FlashException SdCardWritesAlways(string card) => Unusable(
        card, "its admin.txt makes the board's bootloader install the file again at each reset",
        $"Delete admin.txt from the card, and try again.");

    private static FlashException Unusable(string card, string why, Remedy remedy) => new(
        FaultKind.SdCardUnusable, $"The firmware was not copied to {card}: {why}.", remedy);
}
