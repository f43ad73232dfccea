using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Service;

/// <summary>Boards whose firmware is not of Klipper's version, and boards that wait in their bootloader.</summary>
/// <param name="Host">Klipper's version.</param>
/// <param name="Boards">What they run, by their section: <c>mcu</c> or <c>mcu NAME</c>.</param>
/// <param name="IsRequired">Klipper refuses them (<c>MCU Protocol error</c>).</param>
internal sealed record FlashNeed(string Host, IReadOnlyDictionary<string, string> Boards, bool IsRequired)
{
    /// <summary>
    /// Boards that wait in their bootloader while Klipper misses them, by their section: their name, and where they wait. Another program
    /// left them there, such as RatOS's hook.
    /// </summary>
    public IReadOnlyDictionary<string, (string Name, string Place)> Waiting { get; init; } =
        new Dictionary<string, (string Name, string Place)>();

    /// <summary>Only that Klipper misses them is known; the others did not answer.</summary>
    public bool IsWaitingAlone => Boards.Count == 0;

    /// <summary>Null where every board that answered runs Klipper's version, and none waits.</summary>
    public static FlashNeed? Of(McuFacts facts, IReadOnlyDictionary<string, (string Name, string Place)>? waiting = null)
    {
        waiting ??= new Dictionary<string, (string Name, string Place)>();
        var (complaint, host) = (ProtocolError.Parse(facts.State, facts.Message), facts.Evidence.Host ?? "?");
        var boards = new Dictionary<string, string>(complaint?.Outdated ?? new Dictionary<string, string>(), StringComparer.Ordinal);
        foreach (var (name, mcu) in facts.Evidence.Boards.Where(board => !waiting.ContainsKey(board.Key)))
        {
            if (mcu.Version is { } version && KlipperVersion.Parse(version).Core != KlipperVersion.Parse(host).Core)
                boards.TryAdd(name, Text.Clean(version));
        }
        return boards.Count == 0 && waiting.Count == 0 ? null
            : new(host, boards, complaint is not null || waiting.Count > 0) { Waiting = waiting };
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
        return boards.Count == 0 && Waiting.Count == 0 ? null : this with { Boards = boards };
    }

    /// <summary>Two needs with the same signature are announced once.</summary>
    public string Signature
    {
        get
        {
            var boards = Boards.OrderBy(board => board.Key, StringComparer.Ordinal).Select(board => $"{board.Key} {board.Value}");
            var waiting = Waiting.OrderBy(board => board.Key, StringComparer.Ordinal)
                .Select(board => $"{board.Key} in {board.Value.Place}");
            return $"{Host}: {string.Join(", ", [.. boards, .. waiting])}{(IsRequired ? " !" : "")}";
        }
    }

    /// <summary>For the announcement, in one line.</summary>
    public string Words
    {
        get
        {
            var (count, isOne) = (Boards.Count + Waiting.Count, Boards.Count + Waiting.Count == 1);
            var what = IsRequired ? $"{(isOne ? "needs" : "need")} new firmware before Klipper can work" : "could have new firmware";
            string[] which =
            [
                .. Boards.Select(board => $"{board.Key} runs {board.Value}"),
                .. Waiting.Select(board => $"{board.Key} waits in {board.Value.Place}"),
            ];
            return $"{(isOne ? "1 board" : $"{count} boards")} {what}: {string.Join(", ", which)}; Klipper is {Host}.";
        }
    }
}
