namespace RatOS.Flash.Core;

/// <content>Firmware on a card.</content>
public static partial class Faults
{
    public static FlashException SdCardUnknown(string board) => new(
        "sd-card-unknown", $"No bootloader of {board} is known that takes firmware for its application start from a card.",
        "Flash it without --sd-card.");

    public static FlashException SdCardNotRead(string board) => new(
        "sd-card-not-read", $"Katapult is in {board} instead of its maker's bootloader, and reads no cards.", "Flash it without --sd-card.");

    public static FlashException SdCardByHand(string board, string steps) => new(
        "sd-card-by-hand", $"The firmware of {board} is to go into it on a card, and that only a person can do.", steps);

    public static FlashException SdCardNotTaken(string board, string version, string renamedTo, string steps) => new(
        "sd-card-not-taken", $"{board} was reset, and runs {version} still: it took nothing from the card.",
        $"Look what is on the card. A file called {renamedTo}: it was taken, and what runs was built for another board. A firmware.bin: it was not seen; format the card anew as FAT32 "
        + $"(a small one, with clusters of 4 KiB), and see that nothing else is on it. Then: {steps}");

    public static FlashException FileNotOffered(string path, string why) => new(
        "file-not-offered", $"{path} could not be written: {why}.", "Free space, or mend the folder's rights, and ask again.");

    public static FlashException SdCardUnusable(string card, string why, string remedy) => new(
        "sd-card-unusable", $"The firmware was not put onto {card}: {why}.", remedy);
}
