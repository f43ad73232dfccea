using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>The operator steps of the proof, beside another flash.</summary>
public enum HumanStep
{
    /// <summary>Nothing else: the board waits where it can be written.</summary>
    [ContractName("flash-again")] FlashAgain,

    /// <summary>Cable in, power off and on.</summary>
    [ContractName("power")] Power,

    /// <summary>The reset button, twice quickly: Katapult.</summary>
    [ContractName("reset-twice")] ResetTwice,

    /// <summary>BOOT0 jumper or button, then reset, then the jumper off again: the chip's ROM.</summary>
    [ContractName("boot0")] Boot0,
}

/// <summary>Does the steps that a fault's remedy names, and nothing else.</summary>
public static class SimulatedOperator
{
    // A stock bootloader with its card, the slow module of an F4, and the computer's own time.
    private static readonly TimeSpan UntilItIsThere = TimeSpan.FromSeconds(4);

    /// <summary>The steps of a remedy in their order: a later one is for when the earlier ones do not help.</summary>
    public static ImmutableArray<HumanStep> StepsOf(Remedy remedy)
    {
        var named = remedy.Actions.Select(action => StepOf(action.Step)).OfType<HumanStep>();
        return [.. remedy.First == RemedyAction.FlashAgain ? named.Prepend(HumanStep.FlashAgain).Distinct() : named.Distinct()];
    }

    public static bool FlashesAgain(Remedy remedy) => remedy.Actions.Contains(RemedyAction.FlashAgain);

    private static HumanStep? StepOf(OperatorStep step) => step switch
    {
        OperatorStep.StartBootloader => HumanStep.Boot0,
        OperatorStep.DoubleReset => HumanStep.ResetTwice,
        OperatorStep.CheckCable or OperatorStep.PowerCycle => HumanStep.Power,
        OperatorStep.RemoveBoot0AndPowerCycle or OperatorStep.RemoveBoot0AndReset => HumanStep.Power,
        _ => null,
    };

    /// <summary>Does it, and waits until the board can be there.</summary>
    public static async Task DoAsync(HumanStep step, VirtualPrinter printer, VirtualBoard board)
    {
        board.Plug();
        switch (step)
        {
            case HumanStep.Power:
                board.PowerOff();
                board.PowerOn();
                break;
            case HumanStep.ResetTwice:
                board.PowerOn();
                board.DoublePressReset();
                break;
            case HumanStep.Boot0:
                board.PowerOn();
                board.Boot0 = true;
                board.PressReset();
                break;
        }
        await Task.Delay(UntilItIsThere, printer.Time);
        board.Boot0 = false;
    }
}
