using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Cli;

/// <content>The menu of Klipper's build.</content>
internal sealed partial class Verbs
{
    /// <summary>Lets a person choose how a board's firmware is built.</summary>
    public async Task<int> MenuconfigAsync(string name)
    {
        if (Console.IsInputRedirected || Console.IsOutputRedirected)
            throw AgentFaults.TerminalMissing("ratos-flash menuconfig");
        var folder = data ?? DataFolder.Default;
        var settings = AgentSettings.Read(folder.Settings);
        var tree = KlipperTree.Open(printer.KlipperSources(settings) ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "klipper"));
        var local = new LocalBoards(printer, new KnownMcus(printer, settings.Boards, folder, log), static _ => new NoKlippy(), log) { Data = folder };
        if (await local.RequestAsync(new FlashOptions([name])) is not [{ Board: { } board }])
            throw AgentFaults.BadOption("a configuration is of one board", "Name one; `ratos-flash boards` lists them.");
        // Ctrl-C is the menu's.
        using var interrupt = OnSignal(System.Runtime.InteropServices.PosixSignal.SIGINT, static () => { });
        var isKept = await new Menuconfig(tree, folder.Configs).AskAsync(board, board.Transport);
        output.Say(isKept
            ? $"Kept for {board.Name} in {Menuconfig.FileOf(folder.Configs, board.Name)}: its firmware is built so from now on. Delete that file, and it is built as its kind says."
            : $"Nothing was saved; {board.Name} is built as before.");
        return ExitCode.Done;
    }
}
