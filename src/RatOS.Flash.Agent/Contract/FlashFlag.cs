using System.Collections.Immutable;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>
/// A yes-or-no option of a flash and its name in each front end. This table is the only place that knows the names; new ones may come,
/// none changes.
/// </summary>
/// <param name="Json">Argument of the agent's methods and of the remote method that the macro calls.</param>
/// <param name="Cli">Option of the command line; null where it has none.</param>
/// <param name="Macro">Parameter of <c>FLASH_MCU</c> in <c>config/ratos_flash.cfg</c>; null where it has none.</param>
/// <param name="Meaning">For the command line's help.</param>
/// <param name="IsSet">Reads it.</param>
/// <param name="Set">Switches it on.</param>
internal sealed record FlashFlag(
    string Json, string? Cli, string? Macro, string Meaning, Func<FlashOptions, bool> IsSet, Func<FlashOptions, FlashOptions> Set)
{
    public static readonly FlashFlag Force = new(
        "force", "--force", "FORCE", "Flash despite warnings; with `all` also boards that are up to date. Overrides no refusal",
        static options => options is { AcceptsWarnings: true, IncludesUpToDate: true },
        static options => options with { AcceptsWarnings = true, IncludesUpToDate = true });

    public static readonly FlashFlag Consent = new(
        "consent", "--yes", null, "Flash despite warnings, without asking. Overrides no refusal",
        static options => options.AcceptsWarnings, static options => options with { AcceptsWarnings = true });

    public static readonly FlashFlag Hot = new(
        "hot", "--hot", "HOT", "Flash although heaters are hot: their fans stop while Klipper is stopped",
        static options => options.AllowsHotHeaters, static options => options with { AllowsHotHeaters = true });

    public static readonly FlashFlag SdCard = new(
        "sd_card", "--sd-card", "CARD",
        "Write the firmware to the SD card here, or offer it for download; you move the card into the board, then it is verified",
        static options => options.Job == FlashJob.SdCard, static options => options with { Job = FlashJob.SdCard });

    public static readonly FlashFlag WhenIdle = new(
        "when_idle", "--when-idle", null, "Wait until the printer is idle instead of refusing; needs the agent",
        static options => options.WhenIdle, static options => options with { WhenIdle = true });

    public static readonly FlashFlag IfNeeded = new(
        "if_needed", "--if-needed", null, "Skip boards that are up to date, also if they are named",
        static options => options.OnlyIfNeeded, static options => options with { OnlyIfNeeded = true });

    public static readonly FlashFlag RollBack = new(
        "rollback", null, null, "Write the firmware that boards ran before",
        static options => options.RollsBack, static options => options with { RollsBack = true });

    public static readonly FlashFlag Operator = new(
        "person", null, null, "An operator is there: wait for operator steps",
        static options => options.OperatorPresent, static options => options with { OperatorPresent = true });

    public static readonly ImmutableArray<FlashFlag> Every = [Force, Consent, Hot, SdCard, WhenIdle, IfNeeded, RollBack, Operator];

    /// <summary>These options and those flags of the table that a front end was given.</summary>
    public static FlashOptions Apply(FlashOptions options, Func<FlashFlag, bool> isGiven) =>
        Every.Where(isGiven).Aggregate(options, static (sum, flag) => flag.Set(sum));
}
