using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// After an update of Klipper: announces boards with older firmware, or flashes them, as the policy says. Updates are recognised by the
/// versions of Klipper and its boards, and never handled while one is running, nor while another program flashes: RatOS starts Klipper
/// after each of its boards. Where RatOS's own hook flashed within the update, nothing is left to do.
/// </summary>
/// <param name="klipper">Klipper.</param>
/// <param name="mcus">The printer's MCUs.</param>
/// <param name="boards">The printer's boards.</param>
/// <param name="queue">Takes the flash.</param>
/// <param name="settings">The policy.</param>
/// <param name="notifier">Shows the announcement.</param>
/// <param name="time">The only clock.</param>
/// <param name="announced">The last announcement, so that it is made once.</param>
/// <param name="log">The log.</param>
internal sealed class UpdateFollowUp(
    KlipperAccess klipper, KnownMcus mcus, LocalBoards boards, FlashQueue queue, AgentSettings settings,
    Notifier notifier, TimeProvider time, KeptText announced, LogFile log)
{
    private bool _isForgotten;
    private OtherFlasher? _other;

    /// <summary>There is a new connection to Moonraker.</summary>
    public void Reconnected() => _isForgotten = true;

    /// <summary>Boards were announced, and their question may still be open.</summary>
    public bool IsOpen => announced.Text is not null;

    /// <summary>Compares versions, and does what the policy says.</summary>
    /// <param name="facts">What Klipper says now.</param>
    /// <returns>False while an update is running: check again when it is over.</returns>
    /// <exception cref="FlashException">There is no connection to Moonraker.</exception>
    /// <exception cref="MoonrakerException">Moonraker refused to answer.</exception>
    public async Task<bool> CheckAsync(McuFacts facts)
    {
        if (settings.Policy == FlashPolicy.Never)
            return true;
        if (await klipper.Klippy().UpdateAsync() is not null || IsOtherAtWork())
            return false;
        var need = FlashNeed.Of(facts, facts.State is "error" or "shutdown" ? boards.Waiting() : null);
        // Which boards are up to date takes a look at git, so only where versions differ.
        if (need is { IsWaitingAlone: false })
            need = need.Of(await NeedsAsync(), settings.Policy);
        if (need?.Signature == announced.Text)
        {
            // Moonraker forgets a prompt when it restarts, and while Klipper is in error a page has no other way to a flash.
            if (need is { IsRequired: true } && _isForgotten)
                Prompt(need);
            return true;
        }
        announced.Text = need?.Signature;
        if (need is null)
        {
            notifier.Announce(null);
            notifier.PromptEndIfOpen();
            return true;
        }
        log.Say(need.Words);
        if (!await FlashAsync(need))
            Ask(need);
        return true;
    }

    /// <summary>Completes when the process has ended that was in the way of a decision; null without one.</summary>
    public Task? OtherEnded { get; set; }

    private bool IsOtherAtWork()
    {
        var (before, now) = (_other, klipper.FindFlasher());
        if (now is not null && now != before)
        {
            log.Say($"Another program flashes boards or updates Klipper ({now}): versions are compared when it has ended.");
            OtherEnded = now.ExitedAsync();
        }
        _other = now;
        if (now is null)
            OtherEnded = null;
        // RatOS runs one script after the other: between two of them there is none, and Klipper may have been asked before.
        return now is not null || before is not null;
    }

    private void Ask(FlashNeed need)
    {
        notifier.Announce(need.Words);
        notifier.Console((need.IsRequired ? "!! " : "// ") + "RatOS.Flash: " + need.Words);
        Prompt(need);
    }

    private void Prompt(FlashNeed need)
    {
        _isForgotten = false;
        if (settings.Policy is not (FlashPolicy.Ask or FlashPolicy.Required) && !need.IsWaitingAlone)
            return;
        // Macros do not work while Klipper is in error; RESPOND does. Mainsail draws a button of the style secondary as if it were
        // disabled.
        notifier.Prompt(
            "New firmware", need.Words,
            [new("Flash now", "primary", "flash", ArgumentsOf(need, whenIdle: false)),
                new("When idle", "info", "flash", ArgumentsOf(need, whenIdle: true)), PromptButton.Later]);
    }

    private static JsonObject ArgumentsOf(FlashNeed need, bool whenIdle)
    {
        var arguments = new JsonObject();
        if (need.IsWaitingAlone)
            arguments["boards"] = new JsonArray([.. NamesOf(need).Select(name => JsonValue.Create(name))]);
        if (whenIdle)
            arguments["when_idle"] = true;
        return arguments;
    }

    /// <summary>Of boards that did not answer nothing is known: once Klipper runs again, they tell their versions.</summary>
    private static string[] NamesOf(FlashNeed need) =>
        need.IsWaitingAlone ? [.. need.Waiting.Values.Select(board => board.Name)] : [FlashOptions.All];

    /// <summary>It ran firmware of another version when Klipper last saw it.</summary>
    private bool WasOlder(string section, string host) => mcus.Facts.Evidence.Boards.GetValueOrDefault(section)?.Version is { } version
        && KlipperVersion.Parse(version).Core != KlipperVersion.Parse(host).Core;

    /// <summary>By section, whether the boards of the configuration need a flash.</summary>
    private async Task<IReadOnlyDictionary<string, FirmwareNeed>> NeedsAsync()
    {
        var all = mcus.Look().All.ToList();
        var needs = await boards.Firmware.NeedsAsync(all, null);
        return all.ToDictionary(mcu => mcu.Section!, mcu => needs[mcu.Name], StringComparer.Ordinal);
    }

    /// <summary>Flashes if the policy says so and there is firmware of Klipper's version.</summary>
    /// <returns>False where the user is to be asked.</returns>
    private async Task<bool> FlashAsync(FlashNeed need)
    {
        // A board of the same version waits there for another reason: its user may have something else in mind.
        if (!need.Waiting.Keys.All(section => WasOlder(section, need.Host)))
            return false;
        var isAlways = settings.Policy == FlashPolicy.Always;
        if (!isAlways && settings.Policy != FlashPolicy.Changed && !(settings.Policy == FlashPolicy.Required && need.IsRequired))
            return false;
        try
        {
            // Firmware of another version would leave the need as it is. A build always has Klipper's version.
            var options = new FlashOptions([.. NamesOf(need)]) { IncludesUpToDate = isAlways, WhenIdle = settings.WhenIdle };
            var requests = (await boards.RequestAsync(options)).Where(request => request.SkipReason is null
                && !request.Findings.Any(finding => finding.Kind == FaultKind.FirmwareUnconfirmed)
                && (request.Image is null ? boards.KlipperPath is not null : request.Image.Version == need.Host)
                && (isAlways || request.Board.RunningVersion != need.Host)).ToList();
            if (requests.Count > 0)
                queue.Add(new Job(JobOrigin.Update, options, requests, time));
            return requests.Count > 0;
        }
        catch (FlashException fault)
        {
            log.Fault(fault);
            return false;
        }
    }
}
