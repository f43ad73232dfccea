using System.Collections.Immutable;
using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>The one fact that a board cannot tell, as a question with its candidates. Pure.</summary>
public static class MissingFact
{
    private static readonly ImmutableArray<string> ChipsOnCan = ["stm32g0b1xx", "rp2040", "stm32f072xb", "stm32f446xx", "stm32h723xx"],
        ChipsOnUart = ["stm32f103xe", "stm32f401xc", "stm32g0b1xx", "stm32f446xx", "rp2040"],
        ChipsOnUsb = ["stm32f446xx", "rp2040", "stm32g0b1xx", "stm32h723xx", "stm32f407xx", "stm32f103xe"];

    private const int MostCards = 6;   // buttons of a prompt

    private static readonly ImmutableArray<int> Bitrates = [1_000_000, 500_000, 250_000];

    /// <summary>
    /// Chip or application start of a board that is silent or waits in a bootloader, and so could not be asked. Null where both are known,
    /// and for a chip that this product does not write.
    /// </summary>
    /// <param name="board">The board.</param>
    public static FactQuestion? Of(BoardProfile board) => board switch
    {
        { Chip: null } => new(board.Name, "chip", $"Which chip does {board.Name} have? It is printed on the chip.", [.. (
            board.Link?.Value.Link switch
            {
                BuildLink.Can => ChipsOnCan,
                BuildLink.Uart => ChipsOnUart,
                _ => ChipsOnUsb,
            }).Select(chip => new FactChoice(chip, chip[..Math.Min(chip.Length, 9)].ToUpperInvariant()))]),
        { Mcu: { IsWritten: true } mcu, ApplicationStart: null } => new(board.Name, "start",
            $"Where does Klipper begin in the flash of {board.Name}? That is its \"Bootloader offset\" in Klipper's menuconfig.",
            [.. mcu.Offsets.Select(offset => new FactChoice($"0x{mcu.FlashBase + offset:x}",
                mcu.FlashBase + offset == mcu.BootStart ? "no bootloader" : $"{offset / 1024} KiB bootloader"))]),
        _ => null,
    };

    /// <summary>The file for a card, where boards with the same pins take different ones; null where none of them is known.</summary>
    /// <param name="board">The board.</param>
    public static FactQuestion? OfCard(BoardProfile board)
    {
        var boards = board.CardCandidates.GroupBy(card => CardSetting.Of(card.File!), StringComparer.OrdinalIgnoreCase).ToList();
        return boards.Count == 0 ? null : new(
            board.Name, "card",
            $"Which file does the stock bootloader of {board.Name} install from a card? Boards with the same pins take different files.",
            [.. boards.Take(MostCards).Select(same => new FactChoice(
                same.Key, $"{PinMatch.Joined([.. same.Select(card => card.Board).Distinct()])}{Form(same.First().File!)}"))]);
    }

    /// <summary>Why there is no file for a card; null where there is one.</summary>
    /// <param name="board">The board.</param>
    /// <param name="hasReplacedStock">Another bootloader has the place of the stock one.</param>
    public static FlashException? WhyNoCard(BoardProfile board, bool hasReplacedStock) => board switch
    {
        { SdCard: not null } or { IsCardUnknown: true } when hasReplacedStock => SdCardFaults.SdCardNotRead(board.Name),
        { SdCard: not null } => null,
        { IsCardUnknown: true } => OfCard(board) is { } question ? BoardFaults.FactMissing(question)
            : SdCardFaults.SdCardFileUnknown(board.Name, CardSetting.Forms),
        _ => SdCardFaults.SdCardUnknown(board.Name),
    };

    private static string Form(CardFile file) => $"{file.Encoding switch
    {
        CardEncoding.MksRobin => ", encoded for MKS Robin",
        CardEncoding.Chitu => ", encoded for Chitu",
        CardEncoding.SRecord => ", as S-records",
        _ => "",
    }}{(file.NeedsNewName ? ", a new name each time" : "")}";

    /// <summary>The bitrate of a bridge that is alone on its bus and whose chip has no register for it: an RP2040.</summary>
    /// <param name="board">The board.</param>
    public static FactQuestion OfBridge(BoardProfile board) => new(
        board.Name, "link", $"Which CAN bitrate does {board.Name} have? All boards on its bus must have the same.",
        [.. Bitrates.Select(rate => new FactChoice($"bridge {rate}", $"{rate / 1000} kbit/s"))]);
}
