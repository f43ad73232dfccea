namespace RatOS.Flash.Core;

/// <summary>The agent, its requests and its settings.</summary>
public static class AgentFaults
{
    public static FlashException TerminalMissing(string verb) => new(
        FaultKind.TerminalMissing, $"`{verb}` shows a menu, and there is no terminal to show it on.", "Run it in a terminal, or by `ssh -t`.");

    public static FlashException BadOption(string why, string remedy) => new(FaultKind.BadOption, $"The options do not go together: {why}.", remedy);

    public static FlashException NoSocket(string path, string why) => new(
        FaultKind.NoSocket, $"The agent's socket {path} cannot be made: {why}.", "See whose folder it is: the agent runs as Moonraker's user.");

    public static FlashException NoAgent(string folder) => new(
        FaultKind.NoAgent, $"No agent runs for the printer in {folder}.", "Start it (`sudo systemctl start ratos-flash`), or name another printer's folder with --data.");

    public static FlashException AgentGone(string why) => new(
        FaultKind.AgentGone, $"The agent is gone: {why}.", "See `systemctl status ratos-flash`. It goes on with what it had begun as soon as it is back; `ratos-flash status` tells.");

    public static FlashException AgentElsewhere(string who) => new(
        FaultKind.AlreadyRunning, $"Another ratos-flash works on this printer ({who}).", "Wait for it, or ask the running agent (`ratos-flash status`).");

    public static FlashException JournalUnwritable(string folder, string why) => new(
        FaultKind.JournalUnwritable, $"The journal in {folder} cannot be written: {why} Without it nobody could go on after a power cut.", "Make room on the disk, or see whose folder it is.");

    public static FlashException QueueFull(int jobs) => new(
        FaultKind.QueueFull, $"{jobs} flashes wait already.", "Wait for them, or cancel them with `ratos-flash cancel`.");

    public static FlashException UnknownJob(string id) => new(
        FaultKind.UnknownJob, $"There is no job '{id}'.", "`ratos-flash history` lists them.");

    public static FlashException BadRequest(string why) => new(FaultKind.BadRequest, $"The request makes no sense: {why}.", "Correct it; the README lists what each request takes.");

    public static FlashException BadSettings(string file, int line, string why) => new(
        FaultKind.BadSettings, $"{file}, line {line}: {why}.", "Correct that line; the file that came with RatOS.Flash shows what is possible.");

    public static FlashException ShuttingDown() => new(
        FaultKind.ShuttingDown, "The agent is being stopped.", "Ask again when it is back; `systemctl status ratos-flash` tells.");
}
