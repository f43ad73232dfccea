using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>What boards told of themselves, as it is kept on disk.</summary>
internal static class KeptIdentities
{
    private const int Most = 64;

    /// <summary>With one more, which takes the place of what was known of the same board. The oldest are dropped.</summary>
    public static ImmutableArray<BoardIdentity> With(this ImmutableArray<BoardIdentity> known, BoardIdentity identity) =>
        [identity, .. known.Where(older => !identity.Replaces(older)).Take(Most - 1)];

    public static JsonIdentity Write(BoardIdentity identity)
    {
        var (evidence, chip) = (identity.Evidence, identity.Evidence.Chip);
        var at = identity.At.ToString("O", CultureInfo.InvariantCulture);
        return new(at, identity.Serial, identity.Uuid?.ToString(), identity.Port, evidence.Version, evidence.Mcu, evidence.IsCanBridge,
            evidence.Constants, [.. evidence.LeavesOut], chip is null ? null : new(
                chip.Uid is { } uid ? Convert.ToHexString(uid.Span) : null, chip.FlashKib, chip.IdCode, chip.ApplicationStart,
                chip.StackEnd, chip.Katapult, chip.ClockReference, chip.CanBitrate, chip.SerialPins, chip.FlashChip, chip.IsRemapped));
    }

    /// <summary>Null for one that is damaged.</summary>
    public static BoardIdentity? Read(JsonIdentity? kept)
    {
        if (kept is not { Version: not null, Chip: not null }
            || !DateTimeOffset.TryParse(kept.At, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            || (kept.Registers?.Uid is { } uid && (uid.Length != 24 || !uid.All(char.IsAsciiHexDigit))))
            return null;
        var registers = kept.Registers;
        return new(new BoardEvidence(kept.Version, kept.Chip, registers is null ? null : new ChipEvidence
        {
            Uid = registers.Uid is null ? null : Convert.FromHexString(registers.Uid),
            FlashKib = registers.FlashKib,
            IdCode = registers.IdCode,
            ApplicationStart = (uint?)registers.ApplicationStart,
            StackEnd = (uint?)registers.StackEnd,
            Katapult = registers.Katapult,
            ClockReference = registers.ClockReference,
            CanBitrate = registers.CanBitrate,
            SerialPins = registers.SerialPins,
            FlashChip = registers.FlashChip,
            IsRemapped = registers.IsRemapped,
        })
        {
            IsCanBridge = kept.IsCanBridge,
            Constants = kept.Constants ?? ImmutableDictionary<string, string>.Empty,
            LeavesOut = [.. kept.LeavesOut?.OfType<string>() ?? []],
        }, at)
        {
            Serial = kept.Serial,
            Uuid = kept.Uuid is null ? null : CanUuid.TryParse(kept.Uuid),
            Port = kept.Port,
        };
    }
}
