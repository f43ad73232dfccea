using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>The steps that a waiting flash asks of an operator.</summary>
internal static class OperatorSteps
{
    /// <param name="step">The step that helps.</param>
    /// <param name="guide">The board's manual way into its bootloader.</param>
    /// <param name="hasCardSlot">A card in its slot can keep the bootloader away.</param>
    /// <returns>Null where nothing helps, or the fault itself has the steps.</returns>
    public static Remedy? Of(OperatorStep step, Remedy guide, bool hasCardSlot = false) => step switch
    {
        OperatorStep.StartBootloader when hasCardSlot => $"Take any card out of the board's SD slot. Then: {guide}",
        OperatorStep.StartBootloader => guide,
        OperatorStep.CheckCable => $"{CheckCable}. If it does not appear: {guide}",
        OperatorStep.DoubleReset => $"{DoubleReset}.",
        OperatorStep.RemoveBoot0AndPowerCycle => $"{RemoveBoot0}, and {PowerCycle}.",
        OperatorStep.PowerCycle => $"{PowerCycle}.",
        OperatorStep.RemoveBoot0AndReset => $"{RemoveBoot0}, and press reset.",
        _ => null,
    };
}
