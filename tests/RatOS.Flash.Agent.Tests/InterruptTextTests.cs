using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Tests;

/// <summary>The sentence of Ctrl-C is true for every board at that moment.</summary>
public sealed class InterruptTextTests
{
    private const string Nothing = "Stopping: nothing was erased.";
    private const string Write = "Finishing the write first";
    private const string Check = "The write is complete.";

    private readonly InterruptText _text = new();

    private string After(params (string? Board, FlashPhase Phase, FlashEventKind Kind)[] steps)
    {
        foreach (var (board, phase, kind) in steps)
            _text.See(new FlashEvent(1, TimeSpan.Zero, board, phase, kind, ""));
        return _text.ToString();
    }

    private static void Says(string begin, string text) => Assert.StartsWith(begin, text, StringComparison.Ordinal);

    [Fact]
    public void Until_the_point_of_no_return_nothing_was_erased()
    {
        Assert.Equal(Nothing, After((null, FlashPhase.Look, FlashEventKind.Begin)));
        Assert.Equal(
            Nothing + " Klipper is started again.",
            After((null, FlashPhase.Stop, FlashEventKind.Begin), ("a", FlashPhase.Enter, FlashEventKind.Begin)));
    }

    [Fact]
    public void A_write_is_finished_and_what_was_read_back_is_checked()
    {
        Says(Write, After(("a", FlashPhase.Erase, FlashEventKind.PointOfNoReturn), ("a", FlashPhase.Write, FlashEventKind.Begin)));
        Says(Check, After(("a", FlashPhase.Verify, FlashEventKind.End), ("a", FlashPhase.Prove, FlashEventKind.Begin)));
        // A recovery step may write it again.
        Says(Write, After(("a", FlashPhase.Write, FlashEventKind.Begin)));
    }

    [Fact]
    public void One_board_that_is_written_counts_more_than_others_that_are_finished()
    {
        Says(Write, After(
            ("a", FlashPhase.Enter, FlashEventKind.Begin), ("b", FlashPhase.Erase, FlashEventKind.PointOfNoReturn),
            ("a", FlashPhase.Done, FlashEventKind.Verdict)));
        Assert.Equal("The boards are finished.", After(("b", FlashPhase.Done, FlashEventKind.Verdict)));
        Assert.Equal("Stopping: no other board is erased.", After(("c", FlashPhase.Enter, FlashEventKind.Begin)));
        Assert.Equal(
            "Stopping: no other board is erased. Klipper is started again.", After((null, FlashPhase.Start, FlashEventKind.Begin)));
        Assert.Equal("Stopping: no other board is erased.", After((null, FlashPhase.Start, FlashEventKind.End)));
    }

    [Fact]
    public void A_card_was_carried_and_only_the_running_board_shows_what_became_of_it()
    {
        _text.See(new FlashEvent(1, TimeSpan.Zero, "a", FlashPhase.Operator, FlashEventKind.Begin, "") { Step = OperatorStep.CarryCard });
        Says("Ending the wait.", _text.ToString());
        const string open = "Stopping. It is not confirmed yet whether the board installed the firmware from the card.";
        Assert.Equal(open, After(("a", FlashPhase.Operator, FlashEventKind.End)));
        Assert.Equal(open + " Klipper is started again.", After(
            (null, FlashPhase.Stop, FlashEventKind.Begin), ("a", FlashPhase.Confirm, FlashEventKind.Begin)));
        Says(Check, After(("a", FlashPhase.Confirm, FlashEventKind.End), ("a", FlashPhase.Prove, FlashEventKind.Begin)));
        Assert.Equal("The boards are finished. Klipper is started again.", After(("a", FlashPhase.Done, FlashEventKind.Verdict)));
    }

    [Fact]
    public void The_operator_started_a_bootloader_and_nothing_was_erased() => Assert.Equal(
        Nothing, After(("a", FlashPhase.Operator, FlashEventKind.Begin), ("a", FlashPhase.Operator, FlashEventKind.End)));

    [Fact]
    public void A_wait_for_an_operator_step_ends_and_a_write_beside_it_does_not()
    {
        Assert.Equal("Ending the wait. The board stays as it is.", After(
            ("a", FlashPhase.Erase, FlashEventKind.PointOfNoReturn), ("a", FlashPhase.Operator, FlashEventKind.Begin)));
        Says(Write, After(("b", FlashPhase.Erase, FlashEventKind.PointOfNoReturn)));
        Says(Write, After(("b", FlashPhase.Done, FlashEventKind.Verdict), ("a", FlashPhase.Operator, FlashEventKind.End)));
    }
}
