using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Before an update of Klipper: announces which boards need new firmware after it, by the commits that Moonraker has fetched. Nothing is
/// built, and only what is certain is said. It only informs, so every policy has it.
/// </summary>
/// <param name="moonraker">Tells when it has looked for updates.</param>
/// <param name="klipper">Klipper.</param>
/// <param name="mcus">The printer's MCUs.</param>
/// <param name="boards">The printer's boards.</param>
/// <param name="queue">While it works, nothing is announced.</param>
/// <param name="update">Its announcement, after an update, takes the place of this one.</param>
/// <param name="policy">What happens after the update.</param>
/// <param name="notifier">Shows the announcement.</param>
/// <param name="announced">The last announcement, so that it is made once.</param>
/// <param name="time">The only clock.</param>
/// <param name="log">The log.</param>
internal sealed class UpdateForecast(
    MoonrakerConnection moonraker, KlipperAccess klipper, KnownMcus mcus, LocalBoards boards, FlashQueue queue, UpdateFollowUp update,
    FlashPolicy policy, Notifier notifier, KeptText announced, TimeProvider time, LogFile log)
{
    /// <summary>Git compares two commits in milliseconds, and on a slow card in seconds.</summary>
    private static readonly TimeSpan GitLimit = TimeSpan.FromMinutes(1);

    private int _refreshed = -1;
    private string? _said;

    /// <summary>Null while no update is offered, or no board needs new firmware after it.</summary>
    public JsonForecast? Current { get; private set; }

    /// <summary>Moonraker has looked for updates since the last check.</summary>
    public bool IsDue => _refreshed != moonraker.Refreshes;

    /// <summary>Compares the boards with the offered Klipper.</summary>
    /// <exception cref="Core.FlashException">There is no connection to Moonraker.</exception>
    /// <exception cref="MoonrakerException">Moonraker refused to answer.</exception>
    public async Task CheckAsync()
    {
        var refreshed = moonraker.Refreshes;
        _refreshed = -1;   // due again, if this does not come to its end
        var offer = KlipperOffer.Of(await klipper.Klippy().UpdateStatusAsync());
        if (offer is { Commit: null })
            Say("Moonraker does not know Klipper's commits. What an update changes is not known.");
        else
        {
            var forecast = offer is null ? null : await ForecastAsync(offer);
            if (queue.Open.Count > 0)
                return;   // the policy, or a user, began a flash
            Current = forecast;
            Announce();
        }
        _refreshed = refreshed;
    }

    private async Task<JsonForecast?> ForecastAsync(KlipperOffer offer)
    {
        using var limit = new CancellationTokenSource(GitLimit, time);
        try
        {
            var all = mcus.Look().All.ToList();
            var needs = await boards.Firmware.NeedsAsync(all, null, offer, limit.Token);
            var unknown = all.Select(mcu => needs[mcu.Name]).FirstOrDefault(need => need.Level == NeedLevel.Unknown);
            if (unknown is not null)
                Say($"Klipper {offer.Version} is offered. {unknown.Reason}");
            string[] needy = [.. all.Select(mcu => mcu.Name).Where(name => needs[name].Level is NeedLevel.Useful or NeedLevel.Required)];
            return needy.Length == 0 ? null : new(offer.Version, needy, all.Count, TextOf(needy, all.Count, policy));
        }
        catch (OperationCanceledException)
        {
            Say($"Klipper {offer.Version} is offered. Git did not compare it with the boards within {GitLimit.TotalSeconds:0} s.");
            return null;
        }
    }

    /// <summary>Without the version: every new commit would announce the same boards again.</summary>
    internal static string TextOf(string[] needy, int all, FlashPolicy policy)
    {
        var (verb, them) = needy.Length == 1 ? ("needs", "it") : ("need", "them");
        var then = policy switch
        {
            FlashPolicy.Never => $"Flash {them} after the update.",
            FlashPolicy.Always => "RatOS.Flash will flash every board.",
            FlashPolicy.Changed => $"RatOS.Flash will flash {them}.",
            FlashPolicy.Required => "RatOS.Flash will flash boards that Klipper cannot work with, and ask about the others.",
            _ => "RatOS.Flash will ask.",
        };
        var which = all == 1 ? "the board" : $"{needy.Length} of {all} boards";
        return $"After the update of Klipper that Moonraker offers, {which} {verb} new firmware: "
            + $"{string.Join(", ", needy)}. {then}";
    }

    private void Announce()
    {
        // There is one announcement, and boards that could be flashed now come first.
        var isTaken = update.IsOpen && policy != FlashPolicy.Never;
        var text = isTaken ? null : Current?.Text;
        if (text == announced.Text)
            return;
        announced.Text = text;
        if (text is not null)
        {
            log.Say(text);
            notifier.Console($"// RatOS.Flash: {text}");
        }
        if (!isTaken)
            notifier.Announce(text);
    }

    private void Say(string why)
    {
        if (why != _said)
            log.Say(_said = why);
    }
}
