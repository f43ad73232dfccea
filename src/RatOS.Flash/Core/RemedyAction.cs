namespace RatOS.Flash.Core;

/// <summary>Something that a remedy asks for, in the words of each front end.</summary>
/// <param name="CommandLine">For a terminal.</param>
/// <param name="Browser">For Mainsail, Fluidd and KlipperScreen.</param>
public sealed record RemedyAction(string CommandLine, string Browser)
{
    /// <summary>What an operator does at the board.</summary>
    public OperatorStep Step { get; private init; }

    public string In(FrontEnd frontEnd) => frontEnd == FrontEnd.Browser ? Browser : CommandLine;

    // ---- at the board

    public static RemedyAction PowerCycle { get; } = Both("switch the board's power off and on", OperatorStep.PowerCycle);

    public static RemedyAction CheckCable { get; } = Both("check its cable and its power", OperatorStep.CheckCable);

    public static RemedyAction DoubleReset { get; } = Both("press the board's reset button twice quickly", OperatorStep.DoubleReset);

    public static RemedyAction StartRom { get; } = Both("start its bootloader manually (BOOT0 jumper or button, then reset)", OperatorStep.StartBootloader);

    public static RemedyAction RemoveBoot0 { get; } = Both("remove the BOOT0 jumper if it is set", OperatorStep.RemoveBoot0AndPowerCycle);

    // ---- with this program

    public static RemedyAction FlashAgain { get; } = Both("flash again");

    /// <summary>What puts the previous firmware back, as the subject of a sentence.</summary>
    /// <param name="board">Its name.</param>
    /// <param name="hasButton">The page asks for it.</param>
    public static RemedyAction RollBack(string board, bool hasButton = false) => new(
        $"`ratos-flash rollback {board}`", hasButton ? "the button \"Put the old back\"" : $"in a terminal, `ratos-flash rollback {board}`");

    private static RemedyAction Both(string words, OperatorStep step = OperatorStep.None) => new(words, words) { Step = step };
}
