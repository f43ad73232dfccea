using RatOS.Flash.Builds;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent;

/// <content>The menu of Klipper's build.</content>
internal sealed partial class Verbs
{
    private static readonly TimeSpan ConstantsLimit = TimeSpan.FromSeconds(5);

    /// <summary>Lets a person choose how a board's firmware is built.</summary>
    public async Task<int> MenuconfigAsync(string name)
    {
        if (Console.IsInputRedirected || Console.IsOutputRedirected)
            throw Faults.TerminalMissing("ratos-flash menuconfig");
        var folder = data ?? DataFolder.Default;
        var settings = Settings.Read(folder.Settings);
        var tree = KlipperTree.Open(printer.KlipperSources(settings) ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "klipper"));
        var local = new LocalBoards(printer, static _ => new NoKlippy());
        if (local.Request(new Asked([name])) is not [{ Board: { } board }])
            throw Faults.BadOption("a configuration is of one board", "Name one; `ratos-flash boards` lists them.");
        // Ctrl-C is the menu's.
        using var interrupt = OnSignal(System.Runtime.InteropServices.PosixSignal.SIGINT, static () => { });
        var isKept = await new Menuconfig(tree, folder.Configs).AskAsync(board, await TransportOfAsync(board, folder, settings));
        output.Say(isKept
            ? $"Kept for {board.Name} in {Menuconfig.FileOf(folder.Configs, board.Name)}: its firmware is built so from now on. Delete that file, and it is built as its kind says."
            : $"Nothing was saved; {board.Name} is built as before.");
        return ExitCode.Done;
    }

    /// <summary>What the board's running firmware says that it talks over, as far as Klipper can be asked.</summary>
    private async Task<BuildTransport?> TransportOfAsync(PrinterBoard board, DataFolder folder, Settings settings)
    {
        if (!File.Exists(folder.Moonraker))
            return null;
        using var over = new CancellationTokenSource();
        var moonraker = new MoonrakerConnection(new(folder.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, log);
        var line = moonraker.RunAsync(over.Token);
        try
        {
            if (!await moonraker.WaitConnectedAsync(ConstantsLimit, CancellationToken.None))
                return null;
            var mcus = await new MoonrakerKlippy(moonraker, printer.Time).ConstantsAsync();
            var alike = mcus.Where(mcu => mcu.Value.GetValueOrDefault("MCU") == board.Board.McuName).ToList();
            // By its section's name, else the only one of its chip: of two nobody knows which it is.
            var found = alike.Find(mcu => mcu.Key == board.Name || mcu.Key == $"mcu {board.Name}").Value ?? (alike is [var only] ? only.Value : null);
            return found is null ? null : BuildTransport.Of(found);
        }
        catch (Exception gone) when (gone is FlashException or MoonrakerException)
        {
            return null;   // what is known of its kind has to do
        }
        finally
        {
            await over.CancelAsync();
            await line;
        }
    }
}
