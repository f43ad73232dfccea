using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>The steps of the simulated operator.</summary>
public enum SimulatedStep
{
    /// <summary>Another flash alone: the board waits in a bootloader.</summary>
    [ContractName("flash-again")] FlashAgain,

    /// <summary>Plug the cable in, switch the power off and on.</summary>
    [ContractName("power")] Power,

    /// <summary>Press reset twice quickly: starts Katapult.</summary>
    [ContractName("reset-twice")] ResetTwice,

    /// <summary>Set BOOT0, press reset, take BOOT0 off again: starts the chip's ROM bootloader.</summary>
    [ContractName("boot0")] Boot0,
}

/// <summary>Does the operator steps that a fault's remedy names, and nothing else.</summary>
public static class SimulatedOperator
{
    // A stock bootloader with its card, the slow USB start of an F4, and the computer's own time.
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(4);

    /// <summary>The steps of a remedy in their order: a later one is for when the earlier ones do not help.</summary>
    public static ImmutableArray<SimulatedStep> StepsOf(Remedy remedy)
    {
        var named = remedy.Actions.Select(action => StepOf(action.Step)).OfType<SimulatedStep>();
        return [.. remedy.First == RemedyAction.FlashAgain ? named.Prepend(SimulatedStep.FlashAgain).Distinct() : named.Distinct()];
    }

    public static bool FlashesAgain(Remedy remedy) => remedy.Actions.Contains(RemedyAction.FlashAgain);

    private static SimulatedStep? StepOf(OperatorStep step) => step switch
    {
        OperatorStep.StartBootloader => SimulatedStep.Boot0,
        OperatorStep.DoubleReset => SimulatedStep.ResetTwice,
        OperatorStep.CheckCable or OperatorStep.PowerCycle => SimulatedStep.Power,
        OperatorStep.RemoveBoot0AndPowerCycle or OperatorStep.RemoveBoot0AndReset => SimulatedStep.Power,
        _ => null,
    };

    /// <summary>Does the step, and waits until the board can have started.</summary>
    public static async Task DoAsync(SimulatedStep step, VirtualPrinter printer, VirtualBoard board)
    {
        board.Plug();
        switch (step)
        {
            case SimulatedStep.Power:
                board.PowerOff();
                board.PowerOn();
                break;
            case SimulatedStep.ResetTwice:
                board.PowerOn();
                board.DoublePressReset();
                break;
            case SimulatedStep.Boot0:
                board.PowerOn();
                board.Boot0 = true;
                board.PressReset();
                break;
        }
        await Task.Delay(StartTime, printer.Time);
        board.Boot0 = false;
    }
}
