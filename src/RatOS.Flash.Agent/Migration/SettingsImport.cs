using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Migration;

/// <summary>What an import does with one described board.</summary>
/// <param name="From">The board as the other tool describes it.</param>
/// <param name="Board">The board of this printer; null for none.</param>
internal sealed record ImportedBoard(ForeignBoard From, string? Board)
{
    /// <summary>Its configuration beside the present one; null where none is imported.</summary>
    public ConfigComparison? Config { get; init; }

    /// <summary>Why its configuration is not imported, in a sentence without its full stop; null where it is, or has none.</summary>
    public string? Why { get; init; }

    /// <summary>The board would be built with other options.</summary>
    public bool Changes => Config is { } config && !(config.HasPresent && config.Changes.IsEmpty);
}

/// <summary>What an import would do. Nothing is written before <see cref="SettingsImport.Apply"/>.</summary>
/// <param name="Boards">Every described board.</param>
/// <param name="Settings">The new ratos-flash.conf, and how it differs; null where nothing of it changes.</param>
internal sealed record ImportPlan(ImmutableArray<ImportedBoard> Boards, SettingsEdit? Settings)
{
    public bool IsEmpty => Settings is null && !Boards.Any(board => board.Changes);
}

/// <summary>Brings boards of other updaters, or of another installation, to this printer: build configurations and settings.</summary>
/// <param name="data">The printer's folder.</param>
/// <param name="mcus">Its boards.</param>
/// <param name="firmware">Evaluates configurations.</param>
internal sealed partial class SettingsImport(DataFolder data, KnownMcus mcus, BoardFirmware firmware)
{
    /// <summary>Settings that an import may set: none decides what is executed or where the agent connects, and none is a key.</summary>
    public static readonly string[] Portable = ["policy", "rollback", "probes", "when_idle", "log_level"];

    private const int MatchLimit = 10_000;   // milliseconds; the expression is linear in the text

    /// <param name="found">The described boards.</param>
    /// <param name="settings">Values for <c>[agent]</c>.</param>
    /// <param name="only">The board that all of them are for; null to find each one's own.</param>
    /// <param name="cancel">Ends the evaluation.</param>
    /// <exception cref="FlashException">There is no such board, no Klipper checkout, or the settings would be invalid.</exception>
    public async Task<ImportPlan> PlanAsync(
        ImmutableArray<ForeignBoard> found, IReadOnlyDictionary<string, string> settings, string? only, CancellationToken cancel)
    {
        var inventory = mcus.Look();
        var named = only is null ? null : inventory.Find(only);
        if (found.Any(board => board.Config is not null) && !firmware.CanBuild)
            throw BoardFirmware.NoCheckout();
        var matched = found.Select(from => (From: from, To: named ?? Match(from, inventory))).ToList();
        // A board of ratos-flash.conf can be one that Klipper does not know.
        var edit = Edit(SettingsText(), settings, matched
            .Where(pair => pair.To is { } to ? !(pair.From.IsByCatalogue && to.Kind is not null) : pair.From.Tool == JsonExport.Tool)
            .Select(pair => (pair.To?.Name ?? pair.From.Name, pair.From.Values)));
        var boards = new List<ImportedBoard>();
        foreach (var (from, to) in matched)
            boards.Add(await ConfigAsync(from, to, cancel));
        // Its section is judged before anything is written.
        AgentSettings.Parse(data.Settings, edit.Text);
        return new([.. WithoutConflicts(boards)], edit.Changes.Count > 0 ? edit : null);
    }

    /// <summary>Sets values in the text of ratos-flash.conf; those that no import may set are left out.</summary>
    /// <param name="text">The present text.</param>
    /// <param name="settings">Values for <c>[agent]</c>.</param>
    /// <param name="boards">Names of boards, and values for their sections.</param>
    public static SettingsEdit Edit(
        string text, IReadOnlyDictionary<string, string> settings, IEnumerable<(string Name, IReadOnlyDictionary<string, string> Values)> boards)
    {
        var edit = new SettingsEdit(text);
        foreach (var (key, value) in settings.Where(setting => Portable.Contains(setting.Key)))
            edit.Set("agent", key, OneLine(value));
        foreach (var (name, values) in boards)
        {
            foreach (var (key, value) in values.Where(pair => AgentSettings.BoardKeys.Contains(pair.Key)))
                edit.Set($"board {OneLine(name)}", key, OneLine(value));
        }
        return edit;
    }

    /// <summary>Writes what the plan says, each file whole or not at all.</summary>
    /// <exception cref="FlashException"><c>file-not-offered</c>: a file cannot be written.</exception>
    public void Apply(ImportPlan plan)
    {
        foreach (var board in plan.Boards.Where(board => board.Changes).DistinctBy(board => board.Board))
            Write(Menuconfig.FileOf(data.Configs, board.Board!)!, board.Config!.Completed);
        if (plan.Settings is { } settings)
            Write(data.Settings, settings.Text);

        static void Write(string file, string text) =>
            DataFolder.WriteTo(Path.GetDirectoryName(file)!, Path.GetFileName(file), Encoding.UTF8.GetBytes(text));
    }

    private async Task<ImportedBoard> ConfigAsync(ForeignBoard from, PrinterMcu? to, CancellationToken cancel)
    {
        var item = new ImportedBoard(from, to?.Name);
        if (from.Skipped is not null || from.Config is null)
            return item with { Why = from.Skipped };
        if (to is null)
            return item with { Why = "no board of this printer is this one" };
        try
        {
            return item with { Config = await firmware.CompareAsync(to.BoardToFlash(), from.Config, cancel) };
        }
        catch (FlashException unfit)
        {
            return item with { Why = unfit.Cause.TrimEnd('.') };
        }
    }

    /// <summary>Of several different configurations for one board none is imported: the user names the right one.</summary>
    private static IEnumerable<ImportedBoard> WithoutConflicts(List<ImportedBoard> boards)
    {
        var conflicts = boards.Where(board => board.Config is not null).GroupBy(board => board.Board)
            .Where(group => group.DistinctBy(board => board.Config!.Completed).Count() > 1).Select(group => group.Key).ToHashSet();
        return boards.Select(board => board.Config is null || !conflicts.Contains(board.Board) ? board
            : board with { Config = null, Why = "several configurations for it differ; name the file of one, and this board" });
    }

    /// <summary>
    /// The board of this printer that is described: at its uuid or its serial, else of its section, else of its name, else the only one
    /// with the chip of its configuration.
    /// </summary>
    private PrinterMcu? Match(ForeignBoard from, PrinterInventory inventory)
    {
        var sections = mcus.Facts.Sections;
        var here = sections.Where(section =>
            (section.CanbusUuid is { } uuid && Hardware.CanUuid.TryParse(uuid) is { } parsed && from.Uuids.Contains(parsed))
            || from.Ports.Any(section.IsAt)).Select(section => section.Name).Distinct().ToList();
        if (here.Count > 0)
            return here is [var one] ? OfSection(one) : null;
        if (from.IsHostMcu)
            return Only(inventory.Mcus.Where(mcu => mcu.Chip == "linux"));
        // A name alone does not make it another board that was exchanged: only where the section tells no serial.
        if (from.Section is { } named)
        {
            var isElsewhere = from.Ports.Length + from.Uuids.Length > 0
                && sections.FirstOrDefault(section => Is(section.Name, named)) is { TellsBoard: true };
            return isElsewhere ? null : OfSection(named);
        }
        if (from.Ports.Length + from.Uuids.Length > 0)
            return null;
        return Only(inventory.Mcus.Where(mcu => Is(mcu.Name, from.Name))) ?? (from.Config is { } text && ChipOf(text) is { } chip
            ? Only(inventory.All.Where(mcu => Is(mcu.Board!.Profile.Chip?.Value, chip))) : null);

        PrinterMcu? OfSection(string name) => inventory.Mcus.FirstOrDefault(mcu => Is(mcu.Section, name));
        static PrinterMcu? Only(IEnumerable<PrinterMcu> some) => some.Take(2).ToList() is [var one] ? one : null;
        static bool Is(string? one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
    }

    private string SettingsText()
    {
        try
        {
            return File.Exists(data.Settings) ? ForeignText.Read(data.Settings) : "";
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.SettingsUnreadable(data.Settings, fault.Message.TrimEnd('.'));
        }
    }

    private static string? ChipOf(string config) => Chip().Match(config) is not { Success: true } match ? null
        : match.Groups["chip"].Value is { Length: > 0 } chip ? chip : "linux";

    /// <summary>A value that adds no line to a file.</summary>
    private static string OneLine(string text) => PlainText.Of(text, 200);

    [GeneratedRegex(
        "^CONFIG_(MCU=\"(?<chip>[^\"\r\n]*)\"|MACH_LINUX=y)", RegexOptions.Multiline | RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Chip();
}
