using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Migration;

/// <summary>What an import does with one described board.</summary>
/// <param name="From">The board as the other tool describes it.</param>
/// <param name="Board">The board of this printer; null for none.</param>
internal sealed record ImportedBoard(ForeignBoard From, string? Board)
{
    /// <summary>Its configuration beside the present one; null where none is imported.</summary>
    public ConfigComparison? Config { get; init; }

    /// <summary>Why nothing of it is imported, in a sentence without its full stop; null where something is, or nothing is there.</summary>
    public string? Why { get; init; }

    /// <summary>Facts of the configuration that the board has not told and that nothing else here knows, in words; null for none.</summary>
    public string? Unproven { get; init; }

    /// <summary>The board would be built with other options.</summary>
    public bool Changes => Config is { } config && !(config.HasPresent && config.Changes.IsEmpty);
}

/// <summary>What an import would do. Nothing is written before <see cref="SettingsImport.Apply"/>.</summary>
/// <param name="Boards">Every described board.</param>
/// <param name="Settings">The new ratos-flash.conf, and how it differs; null where nothing of it changes.</param>
/// <param name="Encoding">Of ratos-flash.conf.</param>
internal sealed record ImportPlan(ImmutableArray<ImportedBoard> Boards, SettingsEdit? Settings, Encoding Encoding)
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
    /// <param name="only">The board that the only described one is; null to find each one's own.</param>
    /// <param name="cancel">Ends the evaluation.</param>
    /// <exception cref="FlashException">There is no such board, no Klipper checkout, or the settings would be invalid.</exception>
    public async Task<ImportPlan> PlanAsync(
        ImmutableArray<ForeignBoard> found, IReadOnlyDictionary<string, string> settings, string? only, CancellationToken cancel)
    {
        var inventory = mcus.Look();
        if (only is not null && found.Length != 1)
            throw AgentFaults.ImportOfManyBoards(found.Length);
        var named = only is null ? null : inventory.Find(only);
        if (found.Any(board => board.Config is not null) && !firmware.CanBuild)
            throw BoardFirmware.NoCheckout();
        var boards = new List<ImportedBoard>();
        var values = new List<(string Name, IReadOnlyDictionary<string, string> Values)>();
        foreach (var from in found)
        {
            var (matched, isByChip) = named is not null ? ([named], false) : Match(from, inventory);
            foreach (var to in matched.DefaultIfEmpty())
            {
                // A board of ratos-flash.conf alone is none that Klipper could know.
                var isOwn = to is null
                    && from is { Tool: JsonExport.Tool, Section: null, Ports.IsEmpty: true, Uuids.IsEmpty: true, Config: null };
                var item = isOwn ? new(from, null) : await JudgeAsync(from, to, cancel);
                boards.Add(item);
                if (isOwn || (to is not null && !isByChip && item.Why is null && !(from.IsByCatalogue && to.Kind is not null)))
                    values.Add((to?.Name ?? from.Name, from.Values));
            }
        }
        var (text, encoding) = SettingsText();
        var edit = Edit(text, settings, values);
        if (edit.Changes.Count > 0 && AgentSettings.FaultsOf(data.Settings, edit.Text) is [var first, ..] faults
            && faults.Length > AgentSettings.FaultsOf(data.Settings, text).Length)
            throw first;
        return new([.. WithoutConflicts(boards)], edit.Changes.Count > 0 ? edit : null, encoding);
    }

    /// <summary>Sets values in the text of ratos-flash.conf; those that no import may set are left out.</summary>
    /// <param name="text">The present text.</param>
    /// <param name="settings">Values for <c>[agent]</c>.</param>
    /// <param name="boards">Names of boards, and values for their sections.</param>
    public static SettingsEdit Edit(
        string text, IReadOnlyDictionary<string, string> settings,
        IEnumerable<(string Name, IReadOnlyDictionary<string, string> Values)> boards)
    {
        var edit = new SettingsEdit(text);
        foreach (var (key, value) in settings.Where(setting => Portable.Contains(setting.Key)))
            edit.Set("agent", key, value);
        foreach (var (name, values) in boards)
        {
            foreach (var (key, value) in values.Where(pair => AgentSettings.BoardKeys.Contains(pair.Key)))
                edit.Set($"board {name}", key, value);
        }
        return edit;
    }

    /// <summary>Writes what the plan says, each file whole or not at all.</summary>
    /// <param name="written">Is told of each file.</param>
    /// <exception cref="FlashException"><c>file-not-offered</c>: a file cannot be written.</exception>
    public void Apply(ImportPlan plan, Action<string> written)
    {
        if (plan.Settings is { } settings)
        {
            var file = new FileInfo(data.Settings).LinkTarget is null ? data.Settings
                : File.ResolveLinkTarget(data.Settings, returnFinalTarget: true)?.FullName ?? data.Settings;
            Write(file, plan.Encoding.GetBytes(settings.Text));
        }
        foreach (var board in plan.Boards.Where(board => board.Changes).DistinctBy(board => board.Board))
            Write(Menuconfig.FileOf(data.Configs, board.Board!)!, Encoding.UTF8.GetBytes(board.Config!.Completed));

        void Write(string file, byte[] bytes) =>
            written(DataFolder.WriteTo(Path.GetDirectoryName(file)!, Path.GetFileName(file), bytes));
    }

    private async Task<ImportedBoard> JudgeAsync(ForeignBoard from, PrinterMcu? to, CancellationToken cancel)
    {
        var item = new ImportedBoard(from, to?.Name);
        if (from.Skipped is not null)
            return item with { Why = from.Skipped };
        if (to is null)
            return item with { Why = "no board of this printer is this one" };
        if (from.IsByCatalogue && from.Values.GetValueOrDefault("id") is { } id && to.Kind is null)
        {
            var kind = mcus.Catalogue.Catalogue.Find(id);
            if (kind is null || (to.Chip is { } own && kind.McuName is { } chip && own != chip))
            {
                return item with
                {
                    Why = kind is null ? "its kind is unknown here" : $"it has a {kind.McuName}, but the board has a {to.Chip}",
                };
            }
        }
        if (from.Config is null)
            return item;
        try
        {
            var board = to.BoardToFlash();
            var (chip, start) = (board.Profile.Chip is null, board.Profile.ApplicationStart is not { Source: >= FactSource.Catalogue });
            return item with
            {
                Config = await firmware.CompareAsync(board, from.Config, cancel),
                Unproven = chip ? "chip and application start" : start ? "application start" : null,
            };
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
    /// The boards of this printer that are described: those at its uuids and serials, else the one of its section, else that of its name,
    /// else the only one with the chip of its configuration.
    /// </summary>
    private (IReadOnlyList<PrinterMcu> Boards, bool IsByChip) Match(ForeignBoard from, PrinterInventory inventory)
    {
        var sections = mcus.Facts.Sections;
        var here = sections.Where(section =>
            (section.CanbusUuid is { } uuid && CanUuid.TryParse(uuid) is { } parsed && from.Uuids.Contains(parsed))
            || from.Ports.Any(section.IsAt)).Select(section => section.Name).Distinct().ToList();
        if (here.Count > 0)
            return ([.. here.SelectMany(OfSection)], false);
        if (from.IsHostMcu)
            return (Only(inventory.Mcus.Where(mcu => mcu.Chip == "linux")), false);
        var isPlaced = from.Ports.Length + from.Uuids.Length > 0;
        // A name alone does not make it another board that was exchanged: only where the section tells no serial.
        if (from.Section is { } named)
        {
            var isElsewhere = isPlaced && sections.FirstOrDefault(section => Is(section.Name, named)) is { TellsBoard: true };
            return (isElsewhere ? [] : [.. OfSection(named)], false);
        }
        if (isPlaced)
            return ([], false);
        var byName = Only(inventory.Mcus.Where(mcu => Is(mcu.Name, from.Name)));
        return byName.Count > 0 || from.Config is null || ChipOf(from.Config) is not { } chip ? (byName, false)
            : (Only(inventory.All.Where(mcu => Is(mcu.Board!.Profile.Chip?.Value, chip))), true);

        IEnumerable<PrinterMcu> OfSection(string name) => inventory.Mcus.Where(mcu => Is(mcu.Section, name)).Take(1);
        static IReadOnlyList<PrinterMcu> Only(IEnumerable<PrinterMcu> some) => some.Take(2).ToList() is [var one] ? [one] : [];
        static bool Is(string? one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The text, in Latin-1 where it is no UTF-8: what is not changed must come out as it was.</summary>
    private (string Text, Encoding Encoding) SettingsText()
    {
        try
        {
            var file = new FileInfo(data.Settings);
            if (!file.Exists || file.Length == 0)
                return ("", Encoding.UTF8);
            if (!file.UnixFileMode.HasFlag(UnixFileMode.UserWrite))
                throw AgentFaults.SettingsUnreadable(data.Settings, "it is write-protected");
            var bytes = ForeignText.Bytes(data.Settings);
            var encoding = System.Text.Unicode.Utf8.IsValid(bytes) ? Encoding.UTF8 : Encoding.Latin1;
            return (encoding.GetString(bytes), encoding);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.SettingsUnreadable(data.Settings, fault.Message.TrimEnd('.'));
        }
    }

    private static string? ChipOf(string config) => Chip().Match(config) is not { Success: true } match ? null
        : match.Groups["chip"].Value is { Length: > 0 } chip ? chip : "linux";

    [GeneratedRegex(
        "^CONFIG_(MCU=\"(?<chip>[^\"\r\n]*)\"|MACH_LINUX=y)", RegexOptions.Multiline | RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Chip();
}
