using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Service;

/// <summary>Boards that do not run what Klipper runs.</summary>
/// <param name="Host">Klipper's version.</param>
/// <param name="Boards">By the name of their section, <c>mcu</c> or <c>mcu NAME</c>: what they run.</param>
/// <param name="IsRequired">Klipper cannot work with them (its own words: MCU Protocol error).</param>
internal sealed record FlashNeed(string Host, IReadOnlyDictionary<string, string> Boards, bool IsRequired)
{
    /// <summary>Null when every board runs Klipper's version, as far as they could be asked.</summary>
    public static FlashNeed? Of(McuFacts facts)
    {
        var (complaint, host) = (ProtocolError.Parse(facts.State, facts.Message), facts.Told.Host ?? "?");
        var boards = new Dictionary<string, string>(complaint?.Outdated ?? new Dictionary<string, string>(), StringComparer.Ordinal);
        foreach (var (name, mcu) in facts.Told.Boards)
        {
            if (mcu.Version is { } version && KlipperVersion.Parse(version).Core != KlipperVersion.Parse(host).Core)
                boards.TryAdd(name, Text.Clean(version));
        }
        return boards.Count == 0 ? null : new(host, boards, complaint is not null);
    }

    /// <summary>Of these only what is needed: most updates change files of the host alone, and some boards are not ours. Null when nothing is left.</summary>
    public FlashNeed? Of(IReadOnlyDictionary<string, FirmwareNeed> needs)
    {
        var boards = Boards.Where(board => needs.TryGetValue(board.Key, out var need) && need.Level != NeedLevel.Needless).ToDictionary(StringComparer.Ordinal);
        return boards.Count == 0 ? null : this with { Boards = boards };
    }

    /// <summary>The same need again is not told again.</summary>
    public string Signature => $"{Host}: {string.Join(", ", Boards.OrderBy(board => board.Key, StringComparer.Ordinal).Select(board => $"{board.Key} {board.Value}"))}{(IsRequired ? " !" : "")}";

    public string Words => $"{(Boards.Count == 1 ? "1 board" : $"{Boards.Count} boards")} {(IsRequired ? (Boards.Count == 1 ? "needs" : "need") + " new firmware before Klipper can work" : "could have new firmware")}: "
        + $"{string.Join(", ", Boards.Select(board => $"{board.Key} runs {board.Value}"))}; Klipper is {Host}.";
}

/// <summary>
/// After an update of Klipper: told by what Klipper and its boards run, never by an event, and never while an update is at work. The policy decides; the default asks.
/// RatOS's own hook, where there is one, has flashed within the update: then there is nothing left to do.
/// </summary>
/// <param name="klippy">Klipper.</param>
/// <param name="settings">The policy.</param>
/// <param name="notifier">For the question.</param>
/// <param name="needs">By section, what the boards of the configuration need.</param>
/// <param name="flash">Flashes what there is firmware of that version for; all boards or those in need; when idle, or at once. False when there is none.</param>
/// <param name="told">File with the last need that was told.</param>
/// <param name="log">The log.</param>
internal sealed class AfterUpdate(MoonrakerKlippy klippy, AgentSettings settings, Notifier notifier, Func<Task<IReadOnlyDictionary<string, FirmwareNeed>>> needs, Func<FlashNeed, bool, bool, Task<bool>> flash, string told, LogFile log)
{
    /// <summary>What a press of a button says on the console; anybody may say it, so it is checked like any other request.</summary>
    public const string Action = "// action:ratos_flash ";

    private string? _told = Read(told);

    /// <summary>Somebody was told of boards that are behind, and may see the question still.</summary>
    public bool IsTold => _told is not null;

    /// <param name="facts">What Klipper says now.</param>
    /// <returns>False while an update is at work: look again when it is over.</returns>
    /// <exception cref="FlashException">Moonraker is gone.</exception>
    /// <exception cref="MoonrakerException">Moonraker cannot be asked.</exception>
    public async Task<bool> LookAsync(McuFacts facts)
    {
        if (settings.Policy == FlashPolicy.Never)
            return true;
        if (await klippy.UpdateAsync() is not null)
            return false;
        var need = FlashNeed.Of(facts);
        // What it costs to know better is only spent where versions differ.
        if (need is not null)
            need = need.Of(await needs());
        if (need?.Signature == _told)
            return true;
        _told = need?.Signature;
        Write(told, _told);
        if (need is null)
        {
            // The question is answered: browsers show it anew at each reload until it is ended.
            notifier.Announce(null);
            notifier.PromptEnd();
            return true;
        }
        log.Say(need.Words);
        var isDone = settings.Policy switch
        {
            FlashPolicy.Required => need.IsRequired,
            FlashPolicy.Changed or FlashPolicy.Always => true,
            _ => false,
        };
        if (isDone && await flash(need, settings.Policy == FlashPolicy.Always, settings.WhenIdle))
            return true;
        notifier.Announce(need.Words);
        notifier.Console((need.IsRequired ? "!! " : "// ") + "RatOS.Flash: " + need.Words);
        // Macros are dead while Klipper is in error; this command is not. (A button that is secondary looks as if it could not be pressed, in Mainsail.)
        if (settings.Policy is FlashPolicy.Ask or FlashPolicy.Required)
            notifier.Prompt("New firmware", need.Words, [("Flash now", Press("flash"), "primary"), ("When idle", Press("flash when_idle=1"), "info"), ("Not now", Press("later"), "info")]);
        return true;
    }

    internal static string Press(string what) => $"RESPOND TYPE=command MSG=\"{Action[3..]}{what}\"";

    private static string? Read(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllText(file) : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;   // then it is told once more
        }
    }

    private void Write(string file, string? text)
    {
        try
        {
            if (text is null)
                File.Delete(file);
            else
                File.WriteAllText(file, text);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"What was told cannot be kept: {fault.Message}");
        }
    }
}
