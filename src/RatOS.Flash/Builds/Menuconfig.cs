using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Builds;

/// <summary>
/// Klipper's own <c>make menuconfig</c> on this terminal, for a board's configuration, which is kept beside the builds and not in Klipper's
/// folder. It applies to every later build of that board, as long as it is for its chip and its application start.
/// </summary>
/// <param name="tree">The sources; only read.</param>
/// <param name="folder">The folder of the configurations.</param>
public sealed class Menuconfig(KlipperTree tree, string folder)
{
    private const string Python = "python3";

    private readonly string _folder = Path.GetFullPath(folder);

    /// <summary>Search path for make and Python, in the form of PATH.</summary>
    public string SearchPath { get; init; } = Tools.UsualPath;

    /// <summary>The kept configuration of a board.</summary>
    /// <param name="folder">Null where nothing is kept.</param>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="FlashException">It is damaged, or for another chip than the board's.</exception>
    public static BuildConfig? Kept(string? folder, PrinterBoard board) =>
        folder is not null && TextOf(folder, board.Name) is { } text
            ? Of(board, text) : null;

    /// <summary>A configuration that the user chose for a board.</summary>
    /// <exception cref="FlashException">It is damaged, or for another chip than the board's.</exception>
    internal static BuildConfig Of(PrinterBoard board, string text) => BuildConfig.FromText(text, Said(board, text));

    /// <summary>
    /// The board with the facts of its kept configuration. Where its kind gives another application start, the plan refuses the board:
    /// firmware there would overwrite its bootloader.
    /// </summary>
    /// <exception cref="FlashException">The kept file is damaged.</exception>
    public static PrinterBoard Described(string? folder, PrinterBoard board) =>
        folder is not null && TextOf(folder, board.Name) is { } text
            ? board with { Facts = [BuildConfig.Facts(text, board.Profile), .. board.Facts] } : board;

    private static Boards.Board Said(PrinterBoard board, string text) =>
        board.CanUuid is null && board.Board.ApplicationStart is not null ? board.Board : BuildConfig.Said(text, board.Board);

    /// <summary>The path of a board's kept configuration; null for a name that cannot be a file's.</summary>
    public static string? FileOf(string folder, string board) =>
        board.Length == 0 || board[0] == '.' || board.AsSpan().IndexOfAny('/', '\0') >= 0 ? null : Path.Combine(folder, board + ".config");

    /// <summary>Shows the menu, preset with the kept configuration or else with the known facts of the board.</summary>
    /// <param name="running">The link of its running firmware; null where it is unknown.</param>
    /// <returns>Whether anything was saved.</returns>
    /// <exception cref="FlashException">The menu cannot be shown, or the result is not for this board; then nothing is kept.</exception>
    public async Task<bool> AskAsync(PrinterBoard board, BuildTransport? running)
    {
        MakeRun.RefuseUnquotable(tree.Path);
        MakeRun.RefuseUnquotable(_folder);
        var tools = new Tools(SearchPath);
        var missing = ((string[])["make", Python]).Where(name => tools.Find(name) is null).ToList();
        if (missing.Count > 0)
            throw BuildFaults.ToolchainMissing(board.Name, string.Join(", ", missing), string.Join(' ', missing));
        var file = FileOf(_folder, board.Name) ?? throw BuildFaults.ConfigUnusable(board.Name, "its name is none for a file");
        var before = Text(file, board.Name) ?? Preset(board, running).Text;
        // Kconfig leaves a backup beside it, and OUT is created for every target.
        var desk = Path.Combine(_folder, ".menuconfig");
        try
        {
            Directory.CreateDirectory(desk);
            var draft = Path.Combine(desk, "config");
            await File.WriteAllTextAsync(draft, before);
            var environment = tree.GitEnvironment(null);
            environment["PYTHONDONTWRITEBYTECODE"] = "1";
            var exit = await tools.ShowAsync("make", [$"KCONFIG_CONFIG={draft}", $"OUT={desk}/out/", "menuconfig"], tree.Path, environment);
            if (exit != 0)
                throw BuildFaults.MenuconfigFailed(board.Name, exit);
            var chosen = await File.ReadAllTextAsync(draft);
            if (chosen == before)
                return false;
            Keep(draft, chosen, file, board);
            return true;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw BuildFaults.BuildFolder(_folder, fault.Message.TrimEnd('.'));
        }
        finally
        {
            if (Directory.Exists(desk))
                Directory.Delete(desk, recursive: true);
        }
    }

    /// <summary>What the menu begins with where nothing is kept: the known facts of the board.</summary>
    /// <exception cref="FlashException">Too little is known.</exception>
    public static BuildConfig Preset(PrinterBoard board, BuildTransport? running) =>
        BuildConfig.For(running is null && board.CanUuid is not null
            ? board.Profile.With(new BoardFacts(FactSource.Bus, "its canbus_uuid") { Link = new(BuildLink.Can) }) : board.Profile,
            board.Serial);

    /// <summary>Keeps what the user chose.</summary>
    /// <param name="draft">The file that Kconfig wrote, on the file system of <paramref name="file"/>.</param>
    /// <param name="chosen">Its text.</param>
    /// <param name="file">As <see cref="FileOf"/>.</param>
    /// <exception cref="FlashException">It is not for this board; then nothing is kept.</exception>
    internal static void Keep(string draft, string chosen, string file, PrinterBoard board)
    {
        CheckFor(board, chosen);
        File.Move(draft, file, overwrite: true);
    }

    /// <summary>Refuses a completed configuration for another chip or another application start than the board has.</summary>
    internal static void CheckFor(PrinterBoard board, string completed) =>
        BuildConfig.CheckChosen(completed, Said(board, completed), board.Name);

    /// <summary>The text of a board's kept configuration; null where there is none.</summary>
    /// <exception cref="FlashException">It cannot be read, or is too long.</exception>
    public static string? TextOf(string folder, string board) => FileOf(folder, board) is { } file ? Text(file, board) : null;

    /// <summary>The text of a kept configuration; null where there is none.</summary>
    internal static string? Text(string file, string board)
    {
        try
        {
            var info = new FileInfo(file);
            return !info.Exists ? null
                : info.Length == 0 ? throw BuildFaults.ConfigUnusable(board, $"{file} is empty or no regular file")
                : info.Length <= Kconfig.MaxLength ? File.ReadAllText(file)
                : throw BuildFaults.ConfigUnusable(board, $"{file} is longer than {Kconfig.MaxLength / 1024} KiB");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw BuildFaults.ConfigUnusable(board, fault.Message.TrimEnd('.'));
        }
    }
}
