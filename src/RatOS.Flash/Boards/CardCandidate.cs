using RatOS.Flash.Chips;

namespace RatOS.Flash.Boards;

/// <summary>The file for a card by one description of a board that has the same pins.</summary>
/// <param name="File">The file; null where the description names none.</param>
/// <param name="Board">What people call that board.</param>
/// <param name="Chip">Its chip by the beginning of Klipper's name; null for any.</param>
/// <param name="Offset">Bytes below the application; null where it does not say them.</param>
public sealed record CardCandidate(CardFile? File, string Board, string? Chip, int? Offset)
{
    /// <summary>It is about a board with this chip.</summary>
    internal bool IsFor(string? chip) => Chip is null || chip is null || ConfigHead.IsSame(Chip, chip);

    /// <summary>The file with the start that firmware in it must have.</summary>
    internal CardFile? FileOn(Mcu? mcu) => File is not null && mcu is not null
        ? File with { ApplicationStart = mcu.FlashBase + (uint?)Offset } : File;
}
