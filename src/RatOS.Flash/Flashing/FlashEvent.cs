using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>The steps of a flash in their order.</summary>
public enum FlashPhase
{
    [ContractName("look")] Look,
    [ContractName("plan")] Plan,

    /// <summary>Klipper's own make, while Klipper still runs.</summary>
    [ContractName("build")] Build,
    [ContractName("stop")] Stop,
    [ContractName("ask")] Ask,
    [ContractName("enter")] Enter,
    [ContractName("identify")] Identify,
    [ContractName("erase")] Erase,
    [ContractName("write")] Write,
    [ContractName("verify")] Verify,
    [ContractName("leave")] Leave,
    [ContractName("confirm")] Confirm,
    [ContractName("prove")] Prove,
    [ContractName("start")] Start,

    /// <summary>An operator step is awaited: its message says what to do. Klipper runs meanwhile.</summary>
    [ContractName("person")] Operator,
    [ContractName("done")] Done,
}

public enum FlashEventKind
{
    /// <summary>The phase begins; sent before the step changes the world.</summary>
    [ContractName("begin")] Begin,

    /// <summary>Work done so far, as a whole snapshot.</summary>
    [ContractName("progress")] Progress,

    /// <summary>The phase is over and went well.</summary>
    [ContractName("end")] End,

    /// <summary>Something worth knowing.</summary>
    [ContractName("note")] Note,

    /// <summary>Something went wrong and is being dealt with.</summary>
    [ContractName("warning")] Warning,

    /// <summary>From here on a cancel takes effect only when the board's write and proof are over.</summary>
    [ContractName("point-of-no-return")] PointOfNoReturn,

    /// <summary>The result for one board.</summary>
    [ContractName("verdict")] Verdict,
}

/// <summary>
/// One step of a flash, sent before the step is taken and awaited: it is the line on the screen, the line of NDJSON and the journal's
/// entry.
/// </summary>
/// <param name="Sequence">1, 2, 3 ... without a gap within one flash.</param>
/// <param name="At">Since the flash began.</param>
/// <param name="Board">The board's name on this printer; null for what concerns all.</param>
/// <param name="Phase">Where the flash is.</param>
/// <param name="Kind">What this event says.</param>
/// <param name="Message">One line for the reader, in the words of the command line.</param>
/// <param name="Done">Bytes (or, while erasing, bytes of sectors) done, 0..<paramref name="Total"/>; 0 when the phase has no
/// measure.</param>
/// <param name="Total">Bytes in all; 0 when the phase has no measure.</param>
/// <param name="Report">With a verdict on one board: its report.</param>
public sealed record FlashEvent(
    int Sequence, TimeSpan At, string? Board, FlashPhase Phase, FlashEventKind Kind, string Message, long Done = 0, long Total = 0,
    BoardReport? Report = null)
{
    /// <summary>The message in the words of a browser; null where they are the same.</summary>
    public string? Browser { get; init; }

    /// <summary>With <see cref="FlashEventKind.PointOfNoReturn"/>: where the board is from now on, if it does not come back.</summary>
    public BoardPlace? Place { get; init; }

    /// <summary>
    /// With <see cref="FlashEventKind.PointOfNoReturn"/>: what is erased and written from now on; null where another program writes.
    /// </summary>
    public FlashLayout? Layout { get; init; }

    /// <summary>With the beginning of <see cref="FlashPhase.Operator"/>: what the operator does first.</summary>
    public OperatorStep Step { get; init; }

    /// <summary>The message in the words of a front end.</summary>
    public string In(FrontEnd frontEnd) => frontEnd == FrontEnd.Browser && Browser is { } words ? words : Message;
}
