using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Service;

/// <summary>Boards whose firmware is not of Klipper's version.</summary>
/// <param name="Host">Klipper's version.</param>
/// <param name="Boards">What they run, by their section: <c>mcu</c> or <c>mcu NAME</c>.</param>
/// <param name="IsRequired">Klipper refuses them (<c>MCU Protocol error</c>).</param>
internal sealed record FlashNeed(string Host, IReadOnlyDictionary<string, string> Boards, bool IsRequired)
{
    /// <summary>Null where every board that answered runs Klipper's version.</summary>
    public static FlashNeed? Of(McuFacts facts)
    {
        var (complaint, host) = (ProtocolError.Parse(facts.State, facts.Message), facts.Evidence.Host ?? "?");
        var boards = new Dictionary<string, string>(complaint?.Outdated ?? new Dictionary<string, string>(), StringComparer.Ordinal);
        foreach (var (name, mcu) in facts.Evidence.Boards)
        {
            if (mcu.Version is { } version && KlipperVersion.Parse(version).Core != KlipperVersion.Parse(host).Core)
                boards.TryAdd(name, Text.Clean(version));
        }
        return boards.Count == 0 ? null : new(host, boards, complaint is not null);
    }

    /// <summary>
    /// Without boards that are up to date, unless the policy is to flash every board: most updates change files of the host alone.
    /// Null when no board is left.
    /// </summary>
    /// <param name="needs">By section; boards of other makers are missing.</param>
    /// <param name="policy">Of the settings.</param>
    public FlashNeed? Of(IReadOnlyDictionary<string, FirmwareNeed> needs, FlashPolicy policy)
    {
        var boards = Boards.Where(board => needs.TryGetValue(board.Key, out var need)
            && (policy == FlashPolicy.Always || need.Level != NeedLevel.Needless))
            .ToDictionary(StringComparer.Ordinal);
        return boards.Count == 0 ? null : this with { Boards = boards };
    }

    /// <summary>Two needs with the same signature are announced once.</summary>
    public string Signature
    {
        get
        {
            var boards = Boards.OrderBy(board => board.Key, StringComparer.Ordinal).Select(board => $"{board.Key} {board.Value}");
            return $"{Host}: {string.Join(", ", boards)}{(IsRequired ? " !" : "")}";
        }
    }

    /// <summary>For the announcement, in one line.</summary>
    public string Words
    {
        get
        {
            var isOne = Boards.Count == 1;
            var what = IsRequired ? $"{(isOne ? "needs" : "need")} new firmware before Klipper can work" : "could have new firmware";
            var which = string.Join(", ", Boards.Select(board => $"{board.Key} runs {board.Value}"));
            return $"{(isOne ? "1 board" : $"{Boards.Count} boards")} {what}: {which}; Klipper is {Host}.";
        }
    }
}
