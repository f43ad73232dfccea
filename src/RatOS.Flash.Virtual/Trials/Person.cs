using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>What a remedy may ask of a person, besides asking for the flash once more.</summary>
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

/// <summary>Somebody who reads a fault's remedy and does what it says, and nothing else.</summary>
public static class Person
{
    // A stock bootloader with its card, the slow module of an F4, and the computer's own time.
    private static readonly TimeSpan UntilItIsThere = TimeSpan.FromSeconds(4);

    private static readonly (string Words, HumanStep Step)[] Words =
    [
        ("power", HumanStep.Power), ("cable", HumanStep.Power), ("wires", HumanStep.Power), ("jumper off", HumanStep.Power), ("plug the", HumanStep.Power),
        ("bring it up", HumanStep.FlashAgain),
        ("reset button twice", HumanStep.ResetTwice),
        ("BOOT0 jumper or button", HumanStep.Boot0), ("set BOOT0", HumanStep.Boot0), ("with BOOT0 set", HumanStep.Boot0),
    ];

    /// <summary>The steps that a remedy names, in the order of its words: the later ones are for when the first does not help.</summary>
    public static ImmutableArray<HumanStep> Read(string remedy)
    {
        var named = Words.Select(known => (At: remedy.IndexOf(known.Words, StringComparison.OrdinalIgnoreCase), known.Step))
            .Where(found => found.At >= 0).OrderBy(found => found.At).Select(found => found.Step);
        return [.. remedy.StartsWith("flash again", StringComparison.OrdinalIgnoreCase) ? [HumanStep.FlashAgain] : Enumerable.Empty<HumanStep>(), .. named.Distinct()];
    }

    public static bool FlashesAgain(string remedy) => remedy.Contains("flash again", StringComparison.OrdinalIgnoreCase);

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
