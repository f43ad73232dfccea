using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent;

/// <summary>Boards that do not run what Klipper runs.</summary>
/// <param name="Host">Klipper's version.</param>
/// <param name="Boards">By the name of their section, <c>mcu</c> or <c>mcu NAME</c>: what they run.</param>
/// <param name="IsRequired">Klipper cannot work with them (its own words: MCU Protocol error).</param>
internal sealed partial record FlashNeed(string Host, IReadOnlyDictionary<string, string> Boards, bool IsRequired)
{
    /// <summary>Null when every board runs Klipper's version, as far as they could be asked.</summary>
    public static FlashNeed? Of(KlippyVersions versions)
    {
        // An error becomes a shutdown, with the error's words, when the board that is not outdated shuts down over it.
        var isRequired = versions.State is "error" or "shutdown" && versions.Message.StartsWith("MCU Protocol error", StringComparison.Ordinal);
        var boards = new Dictionary<string, string>(StringComparer.Ordinal);
        if (isRequired && versions.Message.Split("MCU(s) which should be updated:") is [_, var list])
        {
            foreach (var line in list.Split("Up-to-date MCU(s):")[0].Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                if (line.Split(": Current version ", 2) is [var name, var version])
                    boards[Section(name)] = Text.Clean(version);
            }
        }
        foreach (var (name, version) in versions.Boards)
        {
            if (version is not null && Core(version) != Core(versions.Host))
                boards.TryAdd(name, Text.Clean(version));
        }
        return boards.Count == 0 ? null : new(versions.Host, boards, isRequired);
    }

    /// <summary>The same need again is not told again.</summary>
    public string Signature => $"{Host}: {string.Join(", ", Boards.OrderBy(board => board.Key, StringComparer.Ordinal).Select(board => $"{board.Key} {board.Value}"))}{(IsRequired ? " !" : "")}";

    public string Words => $"{(Boards.Count == 1 ? "1 board" : $"{Boards.Count} boards")} {(IsRequired ? (Boards.Count == 1 ? "needs" : "need") + " new firmware before Klipper can work" : "could have new firmware")}: "
        + $"{string.Join(", ", Boards.Select(board => $"{board.Key} runs {board.Value}"))}; Klipper is {Host}.";

    // Klipper names a board `mcu`, or `toolboard_t0` for [mcu toolboard_t0].
    private static string Section(string name) => name == "mcu" || name.StartsWith("mcu ", StringComparison.Ordinal) ? name : "mcu " + name;

    /// <summary>Without what differs between two builds of the same: -dirty, date and host (facts: versions).</summary>
    private static string Core(string version) => Dirty().Replace(version, "");

    [GeneratedRegex(@"-dirty(-\d{8}_\d{6}-.*)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 100)]
    private static partial Regex Dirty();
}

/// <summary>
/// After an update of Klipper: told by what Klipper and its boards run, never by an event, and never while an update is at work. The policy decides; the default asks.
/// RatOS's own hook, where there is one, has flashed within the update: then there is nothing left to do.
/// </summary>
/// <param name="klippy">Klipper.</param>
/// <param name="settings">The policy.</param>
/// <param name="news">For the question.</param>
/// <param name="flash">Flashes what there is firmware of that version for, for the boards of these sections; when idle, or at once. False when there is none.</param>
/// <param name="told">File with the last need that was told.</param>
/// <param name="log">The log.</param>
internal sealed class AfterUpdate(MoonrakerKlippy klippy, Settings settings, News news, Func<FlashNeed, bool, bool> flash, string told, LogFile log)
{
    /// <summary>What a press of a button says on the console; anybody may say it, so it is checked like any other request.</summary>
    public const string Action = "// action:ratos_flash ";

    private string? _told = Read(told);

    /// <summary>Somebody was told of boards that are behind, and may see the question still.</summary>
    public bool IsTold => _told is not null;

    /// <returns>False while an update is at work: look again when it is over.</returns>
    /// <exception cref="FlashException">Moonraker is gone.</exception>
    /// <exception cref="MoonrakerException">Klipper cannot be asked.</exception>
    public async Task<bool> LookAsync()
    {
        if (settings.Policy == FlashPolicy.Never)
            return true;
        if (await klippy.UpdateAsync() is not null)
            return false;
        var need = FlashNeed.Of(await klippy.VersionsAsync());
        if (need?.Signature == _told)
            return true;
        _told = need?.Signature;
        Write(told, _told);
        if (need is null)
        {
            // The question is answered: browsers show it anew at each reload until it is ended.
            news.Announce(null);
            news.PromptEnd();
            return true;
        }
        log.Say(need.Words);
        var isDone = settings.Policy switch
        {
            FlashPolicy.Required => need.IsRequired,
            FlashPolicy.Changed or FlashPolicy.Always => true,
            _ => false,
        };
        if (isDone && flash(need, settings.WhenIdle))
            return true;
        news.Announce(need.Words);
        news.Console((need.IsRequired ? "!! " : "// ") + "RatOS.Flash: " + need.Words);
        // Macros are dead while Klipper is in error; this command is not. (A button that is secondary looks as if it could not be pressed, in Mainsail.)
        if (settings.Policy is FlashPolicy.Ask or FlashPolicy.Required)
            news.Prompt("New firmware", need.Words, [("Flash now", Press("flash"), "primary"), ("When idle", Press("flash when_idle=1"), "info"), ("Not now", Press("later"), "info")]);
        return true;
    }

    private static string Press(string what) => $"RESPOND TYPE=command MSG=\"{Action[3..]}{what}\"";

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
