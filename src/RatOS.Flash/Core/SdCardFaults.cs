namespace RatOS.Flash.Core;

/// <summary>Firmware on a card.</summary>
public static class SdCardFaults
{
    public static FlashException SdCardUnknown(string board) => new(
        FaultKind.SdCardUnknown, $"No bootloader of {board} is known that takes firmware for its application start from a card.",
        "Flash it without --sd-card.");

    public static FlashException SdCardNotRead(string board) => new(
        FaultKind.SdCardNotRead, $"Katapult is in {board} instead of its maker's bootloader, and reads no cards.", "Flash it without --sd-card.");

    public static FlashException SdCardByHand(string board, string steps) => new(
        FaultKind.SdCardByHand, $"The firmware of {board} is to go into it on a card, and that only a person can do.", steps);

    public static FlashException SdCardNotTaken(string board, string version, string renamedTo, string steps) => new(
        FaultKind.SdCardNotTaken, $"{board} was reset, and runs {version} still: it took nothing from the card.",
        $"Look what is on the card. A file called {renamedTo}: it was taken, and what runs was built for another board. A firmware.bin: it was not seen; format the card anew as FAT32 "
        + $"(a small one, with clusters of 4 KiB), and see that nothing else is on it. Then: {steps}");

    public static FlashException SdCardUnusable(string card, string why, string remedy) => new(
        FaultKind.SdCardUnusable, $"The firmware was not put onto {card}: {why}.", remedy);
}
