using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Service;

/// <summary>Asks on the printer's screens whether boards roll back to the firmware that they ran before.</summary>
/// <param name="notifier">Shows the question.</param>
internal sealed class RollbackQuestion(Notifier notifier)
{
    private readonly SortedDictionary<string, string> _open = new(StringComparer.Ordinal);   // text by board
    private bool _isShown;

    /// <summary>There is a question, shown or not.</summary>
    public bool IsOpen => _open.Count > 0;

    /// <summary>There is a question that was not shown yet.</summary>
    public bool IsDue => IsOpen && !_isShown;

    /// <summary>Takes over the boards of a job that can roll back.</summary>
    public void Add(Job job)
    {
        // The command line asks at its own terminal.
        if (job is { By: JobOrigin.CommandLine, Options.OperatorPresent: true })
            return;
        foreach (var board in job.Report!.Boards.Where(board => board.Rollback is { Asks: true }))
            (_open[board.Board], _isShown) = ($"{board.Fault!.Cause} {board.Rollback!.Version}, which it ran before, is kept.", false);
    }

    /// <summary>Shows a question that is due.</summary>
    public void Show()
    {
        if (!IsDue)
            return;
        _isShown = true;
        notifier.Prompt(
            "New firmware does not work", string.Join(" ", _open.Values),
            [new(RemedyAction.RollBackButton, "primary", "flash", new() { ["rollback"] = true, ["board"] = string.Join(',', _open.Keys) }),
                new("Not now", "info", "later")]);
    }

    /// <summary>Any new flash answers it.</summary>
    public void Clear() => _open.Clear();
}
