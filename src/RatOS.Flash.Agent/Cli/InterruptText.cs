using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Says what an interrupt (Ctrl-C, SIGTERM, a closed terminal) does at this moment of a flash. It takes every event.</summary>
internal sealed class InterruptText
{
    private enum Stage
    {
        Begun,
        Carried,   // a card; what the board did with it is not known yet
        Writing,
        Written,
        Over,
    }

    private readonly Dictionary<string, Stage> _boards = new(StringComparer.Ordinal);
    private readonly HashSet<string> _byCard = new(StringComparer.Ordinal);
    private readonly HashSet<string> _waiting = new(StringComparer.Ordinal);
    private bool _isStopped;

    public void See(FlashEvent step)
    {
        if (step is { Board: null, Phase: FlashPhase.Stop or FlashPhase.Start })
            _isStopped = step is { Phase: FlashPhase.Stop } or { Kind: FlashEventKind.Begin };
        var name = step.Board ?? "";
        if (step is { Phase: FlashPhase.Operator, Kind: not FlashEventKind.End })
            _waiting.Add(name);
        else
            _waiting.Remove(name);
        if (step.Board is null)
            return;
        if (step.Step == OperatorStep.CarryCard)
            _byCard.Add(name);
        var stage = _boards.GetValueOrDefault(name);
        _boards[name] = step switch
        {
            { Kind: FlashEventKind.Verdict } => Stage.Over,
            { Kind: FlashEventKind.PointOfNoReturn } => Stage.Writing,
            { Phase: FlashPhase.Verify, Kind: FlashEventKind.End } => Stage.Written,
            { Phase: FlashPhase.Operator, Kind: FlashEventKind.End } when stage == Stage.Begun && _byCard.Contains(name) => Stage.Carried,
            { Phase: FlashPhase.Confirm, Kind: FlashEventKind.End } when stage == Stage.Carried => Stage.Written,
            // A recovery step may write the board again.
            { Phase: FlashPhase.Erase or FlashPhase.Write, Kind: FlashEventKind.Begin } when stage == Stage.Written => Stage.Writing,
            _ => stage,
        };
    }

    /// <summary>One or two sentences that hold for every board.</summary>
    public override string ToString()
    {
        var stages = _boards.Where(board => !_waiting.Contains(board.Key)).Select(board => board.Value).ToHashSet();
        var klipper = _isStopped ? " Klipper is started again." : "";
        if (stages.Contains(Stage.Writing))
            return "Finishing the write first: a half-written board cannot start. Then the board is checked and Klipper is started.";
        if (stages.Contains(Stage.Written))
            return "The write is complete. Checking that the board runs the new firmware, then starting Klipper.";
        if (_waiting.Count > 0)
            return "Ending the wait. The board stays as it is.";
        if (stages.Contains(Stage.Carried))
            return $"Stopping. It is not confirmed yet whether the board installed the firmware from the card.{klipper}";
        if (!stages.Contains(Stage.Over))
            return $"Stopping: nothing was erased.{klipper}";
        return stages.Contains(Stage.Begun) ? $"Stopping: no other board is erased.{klipper}" : $"The boards are finished.{klipper}";
    }
}
