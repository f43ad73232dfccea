using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Asks on the printer's screens what a flash left open: whether boards roll back to the firmware that they ran before, or else one fact
/// that a board cannot tell.
/// </summary>
/// <param name="notifier">Shows the question.</param>
internal sealed class OpenQuestions(Notifier notifier)
{
    private readonly SortedDictionary<string, string> _rollbacks = new(StringComparer.Ordinal);   // text by board
    private FactQuestion? _fact;
    private FlashOptions? _asked;   // the flash that the fact is missing for
    private bool _isShown;

    /// <summary>There is a question, shown or not.</summary>
    public bool IsOpen => _rollbacks.Count > 0 || _fact is not null;

    /// <summary>There is a question that was not shown yet.</summary>
    public bool IsDue => IsOpen && !_isShown;

    /// <summary>Takes over what a job left open.</summary>
    public void Add(Job job)
    {
        // The command line asks at its own terminal.
        if (job is { By: JobOrigin.CommandLine, Options.OperatorPresent: true })
            return;
        foreach (var board in job.Report!.Boards.Where(board => board.Rollback is { Asks: true }))
            (_rollbacks[board.Board], _isShown) = ($"{board.Fault!.Cause} {board.Rollback!.Version}, which it ran before, is kept.", false);
        if (job.Report.Boards.Select(board => board.Fault?.Question).FirstOrDefault(question => question is not null) is { } fact)
            (_fact, _asked, _isShown) = (fact, job.Options, false);
    }

    /// <summary>Shows a question that is due.</summary>
    public void Show()
    {
        if (!IsDue)
            return;
        _isShown = true;
        if (_rollbacks.Count > 0)
        {
            var boards = string.Join(',', _rollbacks.Keys);
            notifier.Prompt(
                "New firmware does not work", string.Join(" ", _rollbacks.Values),
                [new(RemedyAction.RollBackButton, "primary", "flash", new() { ["rollback"] = true, ["board"] = boards }),
                    PromptButton.Later]);
            return;
        }
        notifier.Prompt(
            "One fact is missing", $"{_fact!.Text} The flash begins when you answer.",
            [.. _fact.Choices.Select(choice => new PromptButton(
                $"{choice.Label} ({choice.Value})", "primary", "answer", AnswerAndFlash(_fact, choice, _asked!))), PromptButton.Later]);
    }

    private static JsonObject AnswerAndFlash(FactQuestion question, FactChoice choice, FlashOptions asked)
    {
        var arguments = FlashArguments.ToRepeat(asked);
        (arguments["board"], arguments["fact"], arguments["value"]) = (question.Board, question.Fact, choice.Value);
        return arguments;
    }

    /// <summary>Any new flash answers it.</summary>
    public void Clear()
    {
        _rollbacks.Clear();
        _fact = null;
    }
}
