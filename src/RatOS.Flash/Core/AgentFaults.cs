using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>The agent, its requests and its settings.</summary>
public static class AgentFaults
{
    // ---- requests

    public static FlashException PlaceOfManyBoards() => new(
        FaultKind.BadOption, "A port or a uuid belongs to one board, but the request names several.",
        $"Flash the boards one by one, or leave out the port or the uuid.");

    public static FlashException MenuconfigOfManyBoards() => new(
        FaultKind.BadOption, "Build options belong to one board, but the request names several.",
        $"Name one board. {ListBoards} lists them.");

    public static FlashException BadRequest(string why) => new(
        FaultKind.BadRequest, $"The request is invalid: {why}.", $"Correct it; docs/agent-api.md lists the arguments of each method.");

    public static FlashException BadAnswer(string why) => new(
        FaultKind.BadAnswer, $"This answer cannot be used: {why}.",
        $"{ListBoards} shows the boards. docs/usage.md explains the facts.");

    public static FlashException ImportUnreadable(string file, string why) => new(
        FaultKind.ImportUnreadable, $"{file} cannot be imported: {why}.",
        $"Name a file that docs/usage.md lists for an import.");

    public static FlashException ImportOfManyBoards(int boards) => new(
        FaultKind.BadOption, $"You named the board of a configuration, but the file describes {Counts.Of(boards, "board")}.",
        $"Name a file of one board, or no board: each one's own is found.");

    public static FlashException ImportUnconfirmed() => new(
        FaultKind.ConsentMissing, "Nothing was imported, because you have not confirmed it.",
        $"Read the changes above. Then repeat it{Confirming}.");

    private static RemedyAction Confirming { get; } = new(" with `--yes`", "");

    public static FlashException StaleButton() => new(
        FaultKind.StaleButton, "A console line asked for a flash, but it matches no button that is shown now.",
        $"{PressAgain}.");

    private static RemedyAction PressAgain { get; } = new(
        "flash with `ratos-flash flash`", "press a button of the newest prompt, or run FLASH_MCU");

    public static FlashException BadSettings(string file, int line, string why) => new(
        FaultKind.BadSettings, $"{file}, line {line}: {why}.",
        $"Correct that line; the file that came with RatOS.Flash explains every setting.");

    public static FlashException SettingsUnreadable(string file, string why) => new(
        FaultKind.BadSettings, $"{file} cannot be read: {why}.",
        $"Fix its ownership or its content; without it every setting has its default.");

    public static FlashException UnknownJob(string id) => new(
        FaultKind.UnknownJob, $"No job has the id '{id}'.", $"{Terminal("ratos-flash history")} lists the jobs.");

    public static FlashException LeftJob(string id) => new(
        FaultKind.Cancelled, $"Job {id} goes on: another request made it, and this one only joined it.",
        $"Follow it{By("ratos-flash watch")}, or {CancelJob(id)}.");

    private static RemedyAction CancelJob(string id) => new($"cancel it with `ratos-flash cancel {id}`", "cancel it with FLASH_CANCEL");

    public static FlashException AgentBusy(int requests) => new(
        FaultKind.AgentBusy, $"The agent is answering {Counts.Of(requests, "request")} already.", $"Try again in a second.");

    public static FlashException QueueFull(int jobs) => new(
        FaultKind.QueueFull, $"{Counts.Of(jobs, "flash", "flashes")} {(jobs == 1 ? "is" : "are")} already in the queue.",
        $"Wait for them, or {CancelJobs}.");

    public static FlashException NoDataFolder(string folder) => new(
        FaultKind.BadOption, $"The printer's data folder {folder} does not exist.",
        $"Name one that exists, such as ~/printer_data, or none.");

    public static FlashException TerminalMissing(string verb) => new(
        FaultKind.TerminalMissing, $"`{verb}` shows a menu and needs a terminal.", $"Run it in a terminal, or with `ssh -t`.");

    // ---- the agent

    public static FlashException NoAgent(string folder) => new(
        FaultKind.NoAgent, $"No agent is running for the printer in {folder}.", $"{StartService("ratos-flash")}{OtherFolder}.");

    private static RemedyAction OtherFolder { get; } = new(", or name another printer's folder with `--data`", "");

    public static FlashException AgentGone(string why) => new(
        FaultKind.AgentGone, $"The connection to the agent was lost: {why}.",
        $"Read its log{By("systemctl status ratos-flash")}. When it is back it continues its jobs; {ShowStatus} shows them.");

    public static FlashException AgentElsewhere(string who) => new(
        FaultKind.AlreadyRunning, $"Another ratos-flash is working on this printer ({who}).",
        $"Wait until it is done. {ShowStatus} shows its jobs.");

    public static FlashException ShuttingDown() => new(
        FaultKind.ShuttingDown, "The agent is stopping.",
        $"Try again when it is back. Show its state{By("systemctl status ratos-flash")}.");

    public static FlashException NoSocket(string path, string why) => new(
        FaultKind.NoSocket, $"The agent's socket {path} cannot be created: {why}.",
        $"Fix the folder's ownership: the agent runs as Moonraker's user.");

    public static FlashException JournalUnwritable(string folder, string why) => new(
        FaultKind.JournalUnwritable,
        $"The journal in {folder} cannot be written: {why.TrimEnd('.')}. Without it a flash cannot be resumed after a power cut.",
        $"Free disk space, or fix the folder's ownership.");

    public static FlashException JournalIncomplete(string folder, string why) => new(
        FaultKind.JournalUnwritable, $"The journal in {folder} is incomplete: {why.TrimEnd('.')}. The flash continues.",
        $"Free disk space. After a power cut the agent could not tell how far this flash got.");
}
