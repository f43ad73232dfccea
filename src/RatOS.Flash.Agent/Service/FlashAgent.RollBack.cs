using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;

namespace RatOS.Flash.Agent.Service;

/// <content>Asks whether the old firmware goes back.</content>
internal sealed partial class FlashAgent
{
    private readonly SortedDictionary<string, string> _offered = new(StringComparer.Ordinal);   // by board, what there is to say
    private bool _isAsked;

    private bool MustAsk => _offered.Count > 0 && !_isAsked;

    private void Offer(Job job)
    {
        // Whoever flashed at a terminal is asked there.
        if (job is { By: JobOrigin.CommandLine, Options.OperatorPresent: true })
            return;
        foreach (var board in job.Report!.Boards.Where(board => board.Back is { Asks: true }))
            (_offered[board.Board], _isAsked) = ($"{board.Fault!.Cause} {board.Back!.Version}, which it ran before, is kept.", false);
    }

    /// <summary>When everybody can hear it, and behind whatever else is asked then.</summary>
    private void AskBack()
    {
        if (!MustAsk)
            return;
        _isAsked = true;
        _notifier.Prompt("New firmware does not work", string.Join(" ", _offered.Values), [("Put the old back", AfterUpdate.Press($"flash rollback=1 board={string.Join(',', _offered.Keys)}"), "primary"), ("Not now", AfterUpdate.Press("later"), "info")]);
    }
}
