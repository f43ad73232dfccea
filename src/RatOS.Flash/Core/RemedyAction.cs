namespace RatOS.Flash.Core;

/// <summary>An action that a remedy asks for, in the words of each front end.</summary>
/// <param name="CommandLine">For a terminal.</param>
/// <param name="Browser">For Mainsail, Fluidd and KlipperScreen.</param>
public sealed record RemedyAction(string CommandLine, string Browser)
{
    /// <summary>The operator step that it asks for.</summary>
    public OperatorStep Step { get; init; }

    /// <summary>Its words for a terminal are a command, which no sentence capitalises.</summary>
    public bool IsCommand { get; private init; }

    public string In(FrontEnd frontEnd) => frontEnd == FrontEnd.Browser ? Browser : CommandLine;

    // ---- at the board

    public static RemedyAction PowerCycle { get; } = AtBoard(OperatorStep.PowerCycle, "switch the board's power off and on");

    public static RemedyAction CheckCable { get; } = AtBoard(OperatorStep.CheckCable, "check its cable and its power");

    public static RemedyAction DoubleReset { get; } = AtBoard(OperatorStep.DoubleReset, "press the board's reset button twice quickly");

    public static RemedyAction StartRom { get; } =
        AtBoard(OperatorStep.StartBootloader, "start its bootloader manually (BOOT0 jumper or button, then reset)");

    public static RemedyAction RemoveBoot0 { get; } =
        AtBoard(OperatorStep.RemoveBoot0AndPowerCycle, "remove the BOOT0 jumper if it is set");

    /// <summary>The manual way into the bootloader.</summary>
    /// <param name="startsOnDoubleReset">Its bootloader does; a chip may have no other one that can be written to.</param>
    public static RemedyAction StartBootloader(bool startsOnDoubleReset) => startsOnDoubleReset ? StartByDoubleReset : StartRom;

    private static RemedyAction StartByDoubleReset { get; } =
        AtBoard(OperatorStep.DoubleReset, "start its bootloader manually (press its reset button twice quickly)");

    /// <summary>The same in every front end.</summary>
    public static RemedyAction AtBoard(OperatorStep step, string words) => new(words, words) { Step = step };

    // ---- with this program

    public static RemedyAction FlashAgain { get; } = new("flash again", "flash again");

    public static RemedyAction FlashAnyway { get; } = new("add `--yes` to flash anyway", "add FORCE=1 to FLASH_MCU to flash anyway");

    public static RemedyAction ConfirmFirmware { get; } = new("add `--yes` to flash it", "press Flash in the prompt that shows it");

    public static RemedyAction AllowHot { get; } = new("add `--hot`", "add HOT=1 to FLASH_MCU");

    public static RemedyAction WithoutCard { get; } = new("flash it without `--sd-card`", "flash it without CARD=1");

    public static RemedyAction GiveFirmware(string board) => new(
        $"give a file with `--firmware FILE`, or copy it to printer_data/ratos-flash/firmware as {board}.bin",
        $"copy a file to printer_data/ratos-flash/firmware as {board}.bin");

    public static RemedyAction NamePort(string board, string port = "PORT") => new(
        $"add `--port {port}`", $"set `port: {port}` in the section [board {board}] of ratos-flash.conf");

    /// <summary>Answers the question; a prompt shows the choices in a browser.</summary>
    public static RemedyAction Answer(FactQuestion question) => new(
        $"answer with `ratos-flash answer {question.Board} {question.Fact} VALUE`, where VALUE is {ChoicesOf(question)}",
        $"press the answer in the prompt, or answer in a terminal: `ratos-flash answer {question.Board} {question.Fact} VALUE`");

    private static string ChoicesOf(FactQuestion question) => string.Join(" or ", question.Choices.Select(
        choice => $"{(choice.Value.Contains(' ', StringComparison.Ordinal) ? $"\"{choice.Value}\"" : choice.Value)} ({choice.Label})"));

    public static RemedyAction FixBootloader(string board) => new(
        "leave `--bootloader` out, or name the board's own bootloader",
        $"correct `bootloader:` in the section [board {board}] of ratos-flash.conf");

    public static RemedyAction ChangeLink(string change) => new(
        $"add `--change-link {change}`", $"flash it in a terminal, with `ratos-flash flash BOARD --change-link {change}`");

    /// <summary>Lists the printer's boards; the subject of a sentence.</summary>
    public static RemedyAction ListBoards { get; } = new("`ratos-flash boards`", "FLASH_STATUS");

    /// <summary>Shows the agent's jobs; the subject of a sentence.</summary>
    public static RemedyAction ShowStatus { get; } = new("`ratos-flash status`", "FLASH_STATUS");

    public static RemedyAction CancelJobs { get; } = new("cancel them with `ratos-flash cancel`", "cancel them with FLASH_CANCEL");

    public static RemedyAction NameBoard(string board) => new(
        "name the board to flash it anyway", $"run FLASH_MCU BOARD={board} to flash it anyway");

    public static RemedyAction CallUpdater(string board) => new($"run `ratos-flash flash {board}`", $"run FLASH_MCU BOARD={board}");

    /// <summary>The label of the button that puts the previous firmware back.</summary>
    public const string RollBackButton = "Roll back";

    /// <summary>Puts the previous firmware back; the subject of a sentence.</summary>
    /// <param name="board">Its name.</param>
    /// <param name="hasButton">The page asks for it.</param>
    public static RemedyAction RollBack(string board, bool hasButton = false) => new(
        $"`ratos-flash rollback {board}`",
        hasButton ? $"the button \"{RollBackButton}\"" : $"in a terminal, `ratos-flash rollback {board}`");

    // ---- on the computer

    /// <summary>A command as a subject, which a browser cannot enter.</summary>
    public static RemedyAction Terminal(string command) => new($"`{command}`", $"in a terminal, `{command}`");

    /// <summary>Follows a clause without a space: <c>Install it: `sudo ...`</c>, or <c>Install it in a terminal: `sudo ...`</c>.</summary>
    public static RemedyAction By(string command) => new($": `{command}`", $" in a terminal: `{command}`");

    /// <summary>A command alone, as doctor names it.</summary>
    public static RemedyAction Command(string command) => new(command, $"in a terminal: {command}") { IsCommand = true };

    public static RemedyAction StartService(string name) => Service("start", name);

    public static RemedyAction StopService(string name) => Service("stop", name);

    public static RemedyAction RestartService(string name) => Service("restart", name);

    private static RemedyAction Service(string verb, string name) => new(
        $"{verb} the service {name} (`sudo systemctl {verb} {name}`)", $"{verb} the service {name} in the services menu");
}
