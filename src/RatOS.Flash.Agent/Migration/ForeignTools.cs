using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Migration;

/// <summary>
/// Reads what other updaters keep of a printer's boards. Nothing of it is run; flash methods are not read, because plans find them.
/// </summary>
internal static partial class ForeignTools
{
    private const int MostBoards = 64, MostFiles = 256, LongestValue = 200;
    private const int MatchLimit = 10_000;   // milliseconds; the expressions are linear in the text
    private const string ConfigEnding = ".config", ById = "/dev/serial/by-id/";
    private const string RatOsChoice = "last-printer-settings.json";

    /// <summary>By the file's name. One of our own exports can have any name.</summary>
    private static readonly Dictionary<string, Func<string, IEnumerable<ForeignBoard>>> Readers = new(StringComparer.Ordinal)
    {
        ["fleet.json"] = KlipperFleet,
        ["mcus.ini"] = Ukam,
        ["mcu-updater.cfg"] = McuUpdater,
        ["mcus.cfg"] = McuUpdater,
        ["devices.yaml"] = McuUpdateManager,
        [RatOsChoice] = RatOs,
    };

    /// <summary>The files and folders of other updaters where those put them.</summary>
    /// <param name="home">The user's home.</param>
    /// <param name="data">The printer's folder.</param>
    public static IEnumerable<string> Places(string home, DataFolder data)
    {
        string[] places =
        [
            Path.Combine(data.Root, "config", "klipperfleet", "fleet.json"),
            Path.Combine(data.Root, "config", "ukam", "mcus.ini"),
            Path.Combine(data.Root, "ukam_config", "mcus.ini"),
            Path.Combine(home, "ukam", "mcus.ini"),
            Path.Combine(home, "update_klipper_and_mcus", "mcus.ini"),
            Path.Combine(data.Root, "config", "mcu-updater", "mcu-updater.cfg"),
            Path.Combine(data.Root, "config", "klipper-updater", "mcus.cfg"),
            Path.Combine(home, "mcu-update-manager", "devices.yaml"),
            Path.Combine(data.Root, "config", "katchup", "klipper"),
            Path.Combine(home, "klipper-kconfigs"),
            Path.Combine(data.Root, "ratos", RatOsChoice),
        ];
        return places.Where(Path.Exists);
    }

    /// <summary>What a file or a folder describes.</summary>
    /// <exception cref="FlashException"><c>import-unreadable</c>.</exception>
    public static ForeignFile Read(string path)
    {
        try
        {
            path = Path.GetFullPath(path);
            var isExport = path.EndsWith(".json", StringComparison.Ordinal) && !Readers.ContainsKey(Path.GetFileName(path))
                && !Directory.Exists(path);
            var export = isExport ? Export(path) : null;
            ImmutableArray<ForeignBoard> boards = [.. (export is null ? Boards(path) : Exported(path, export)).Take(MostBoards + 1)];
            return boards.Length <= MostBoards ? new(boards, Settable(export?.Settings))
                : throw AgentFaults.ImportUnreadable(Text.Clean(path), $"it describes more than {MostBoards} boards");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException
            or JsonException or FormatException)
        {
            throw AgentFaults.ImportUnreadable(Text.Clean(path), PlainText.Of(fault.Message, 160).TrimEnd('.'));
        }
    }

    private static IEnumerable<ForeignBoard> Boards(string path)
    {
        var name = Path.GetFileName(path);
        if (Directory.Exists(path))
        {
            var known = Readers.Keys.Select(file => Path.Combine(path, file)).Where(File.Exists).ToList();
            return known.Count > 0 ? known.SelectMany(Boards)
                : IsKatchup(path, "katapult") ? throw new FormatException("its configurations are Katapult's, not Klipper's")
                : Files(path, "*" + ConfigEnding).Select(file => IsKatchup(path) ? Katchup(file) : Single("KIAUH", file));
        }
        if (Readers.TryGetValue(name, out var reader))
            return reader(path);
        if (name.EndsWith(ConfigEnding, StringComparison.Ordinal) || name.StartsWith("config.", StringComparison.Ordinal))
        {
            RegularFile.Find(path);
            return [IsKatchup(Path.GetDirectoryName(path)!) ? Katchup(path) : Single("file", path)];
        }
        throw new FormatException("it is no file of an updater that is known");
    }

    private static bool IsKatchup(string folder, string firmware = "klipper") =>
        Path.GetFileName(folder) == firmware && Path.GetFileName(Path.GetDirectoryName(folder)) == "katchup";

    // ---- one for each updater

    /// <summary>KlipperFleet: backend/main.py, class Device.</summary>
    private static List<ForeignBoard> KlipperFleet(string path)
    {
        using var json = ForeignJson.Parse(ForeignText.Read(path));
        var folder = Path.Combine(Path.GetDirectoryName(path)!, "profiles");
        return [.. Items(json.RootElement).Select(board =>
        {
            var (id, profile) = (Value(board, "id") ?? "", Value(board, "profile"));
            var name = Value(board, "name") ?? id;
            return new ForeignBoard("KlipperFleet", path, name)
            {
                // Its search proposes the section and the device: `mcu adxl (usb-Klipper_rp2040_...)`.
                Section = name.Split(" (")[0] is var section && IsSection(section) ? section : null,
                Ports = [.. Ports($"{id} {Value(board, "serial_id")}")],
                Uuids = [.. Uuids([id])],
                IsHostMcu = Value(board, "method") == "linux",
                Skipped = Value(board, "method") == "beacon" ? "its maker's updater updates it"
                    : profile is null ? "it has no profile there" : null,
            }.WithConfig(profile is null ? null : Beside(folder, profile + ConfigEnding));
        })];
    }

    /// <summary>Update Klipper and MCUs (ukam): scripts/mcus.sh.</summary>
    private static IEnumerable<ForeignBoard> Ukam(string path)
    {
        var folder = Path.Combine(Path.GetDirectoryName(path)!, "config");
        foreach (var section in ForeignText.Sections(ForeignText.Read(path)))
        {
            var commands = string.Join('\n', section.Values
                .Where(pair => pair.Key.EndsWith("_command", StringComparison.Ordinal)).Select(pair => pair.Value));
            var (own, file) = (section["klipper_section"] ?? section.Name, (section["config_name"] ?? section.Name).Replace(' ', '_'));
            yield return new ForeignBoard("UKAM", path, section.Name)
            {
                Section = IsSection(own) ? own : $"mcu {own}",
                Ports = [.. Ports(commands)],
                Uuids = [.. Uuids(UuidOption().Matches(commands).Select(match => match.Groups["uuid"].Value))],
                Skipped = string.Equals(section["is_klipper_fw"], "false", StringComparison.OrdinalIgnoreCase)
                    ? "its firmware is not built from Klipper's sources" : null,
            }.WithConfig(Beside(folder, "config." + file));
        }
    }

    /// <summary>mcu-updater: src/mcu_updater/sections.py. <c>[mcu TYPE]</c> of its older files is no section of printer.cfg.</summary>
    private static IEnumerable<ForeignBoard> McuUpdater(string path)
    {
        var folder = Path.GetDirectoryName(path)!;
        foreach (var section in ForeignText.Sections(ForeignText.Read(path), hasComments: true, joins: true))
        {
            if (section.Name.Split(' ', 2) is not ["type" or "mcu", var type] || section["chipset"] is not { } chip)
                continue;
            var firmware = (section["firmware"] ?? "klipper").Split([',', ' ', '\n'], StringSplitOptions.RemoveEmptyEntries)[0];
            var config = new[] { Path.Combine(folder, "types"), folder }.Select(types => Beside(types, type)).OfType<string>()
                .Select(types => Path.Combine(types, $"klipper{ConfigEnding}")).FirstOrDefault(File.Exists);
            var serials = (section["serials"] ?? "").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            foreach (var serial in serials)
            {
                yield return new ForeignBoard("mcu-updater", path, type.Trim())
                {
                    Ports = [$"{ById}usb-Klipper_{chip}_{serial}"],
                    Skipped = firmware == "klipper" ? null : "its firmware is not built from Klipper's sources",
                }.WithConfig(config);
            }
        }
    }

    /// <summary>mcu-update-manager: mcu_update_manager/devices.py. It makes its configuration for a build, and leaves it there.</summary>
    private static IEnumerable<ForeignBoard> McuUpdateManager(string path)
    {
        foreach (var device in ForeignText.Sections(ForeignText.Read(path), hasComments: true))
        {
            if (device["id"] is not { } id)
                continue;
            var builds = Beside(Path.Combine(Path.GetDirectoryName(path)!, "builds"), id);
            var last = builds is null || !Directory.Exists(builds) ? null : Directory.EnumerateDirectories(builds).Take(MostFiles)
                .Select(build => Path.Combine(build, ".config.resolved")).Where(File.Exists).MaxBy(File.GetLastWriteTimeUtc);
            yield return new ForeignBoard("mcu-update-manager", path, id)
            {
                Section = device["mcu_section"],
                Ports = [.. Ports(device["serial"] ?? "")],
                Uuids = [.. Uuids([device["canbus_uuid"] ?? ""])],
                Skipped = last is null ? "it was not built there" : null,
            }.WithConfig(last);
        }
    }

    /// <summary>katchup: the file's name is <c>NAME-UUID-USB.config</c>, or <c>host.config</c>.</summary>
    private static ForeignBoard Katchup(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        var usb = name.IndexOf("-usb-", StringComparison.OrdinalIgnoreCase);
        var uuid = UuidOfName().Match(usb < 0 ? name : name[..usb]);
        return new ForeignBoard("katchup", path, name[..(uuid.Success ? uuid.Index : usb < 0 ? name.Length : usb)].TrimEnd('-'))
        {
            Ports = usb < 0 ? [] : [ById + name[(usb + 1)..]],
            Uuids = [.. Uuids([uuid.Groups["uuid"].Value])],
            IsHostMcu = usb < 0 && !uuid.Success && name.TrimEnd('-') == "host",
        }.WithConfig(path);
    }

    /// <summary>The boards that RatOS's configurator was told of.</summary>
    private static List<ForeignBoard> RatOs(string path)
    {
        using var json = ForeignJson.Parse(ForeignText.Read(path));
        var toolheads = json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("toolheads", out var all)
            ? Items(all).Select(toolhead => Value(toolhead, "toolboard")) : [];
        return [.. toolheads.Prepend(Value(json.RootElement, "controlboard")).Select((id, i) => (Id: id, Index: i))
            .Where(board => board.Id is not null).Select(board => new ForeignBoard("RatOS", path, board.Id!)
            {
                Section = board.Index == 0 ? "mcu" : $"mcu toolboard_t{board.Index - 1}",
                Values = Settable(new() { ["id"] = board.Id! }),
                IsByCatalogue = true,
            })];
    }

    /// <summary>One of our own: <c>ratos-flash export</c>.</summary>
    private static IEnumerable<ForeignBoard> Exported(string path, JsonExport export) => export.Boards.Select(board =>
        new ForeignBoard(JsonExport.Tool, path, board.Board)
        {
            Section = board.Section,
            Ports = board.Serial is null ? [] : [board.Serial],
            Uuids = [.. Uuids([board.Uuid ?? ""])],
            Config = board.Config,
            Values = Settable(board.Values),
        });

    /// <summary>Values that a line of ratos-flash.conf can hold.</summary>
    private static Dictionary<string, string> Settable(Dictionary<string, string>? values) => (values ?? [])
        .Where(pair => pair.Value is { Length: > 0 and <= LongestValue } value && value == PlainText.Of(value, LongestValue)
            && AgentSettings.WithoutComment(value) == value).ToDictionary();

    private static JsonExport Export(string path) =>
        JsonSerializer.Deserialize(
            ForeignJson.Mend(System.Text.Encoding.UTF8.GetBytes(ForeignText.Read(path))).Span, JsonContract.Shapes.JsonExport) switch
        {
            { Format: JsonExport.Name, Version: > JsonExport.Newest } =>
                throw new FormatException("a newer version of RatOS.Flash wrote it"),
            { Format: JsonExport.Name, Boards: { } boards } export when boards.All(board => board?.Board is { Length: > 0 } name
                && name == PlainText.Of(name, LongestValue).Trim() && name.AsSpan().IndexOfAny("[]#;") < 0) => export,
            _ => throw new FormatException("it is no file of `ratos-flash export`"),
        };

    // ---- their parts

    private static ForeignBoard Single(string tool, string path)
    {
        var name = Path.GetFileName(path);
        name = name.StartsWith("config.", StringComparison.Ordinal) ? name[7..] : name[..^ConfigEnding.Length];
        return new ForeignBoard(tool, path, name).WithConfig(path);
    }

    private static ForeignBoard WithConfig(this ForeignBoard board, string? file)
    {
        if (board.Skipped is not null)
            return board;
        try
        {
            return file is null ? board with { Skipped = "it has no build configuration there" }
                : board with { Config = ForeignText.Read(file), ConfigFile = file };
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return board with { Skipped = $"{Text.Clean(file!)}: {PlainText.Of(fault.Message, 80).TrimEnd('.')}" };
        }
    }

    /// <summary>A file in a folder; null for a name that would leave it.</summary>
    private static string? Beside(string folder, string name) =>
        name.AsSpan().IndexOfAny('/', '\0') >= 0 || name is "" or "." or ".." ? null : Path.Combine(folder, name);

    private static IEnumerable<string> Files(string folder, string pattern) =>
        Directory.EnumerateFiles(folder, pattern).Take(MostFiles).Order(StringComparer.Ordinal);

    private static bool IsSection(string name) => name == "mcu" || name.StartsWith("mcu ", StringComparison.Ordinal);

    private static IEnumerable<string> Ports(string text) => Port().Matches(text).Select(match => match.Value);

    private static IEnumerable<CanUuid> Uuids(IEnumerable<string> texts) =>
        texts.Select(CanUuid.TryParse).Where(uuid => uuid is not null).Select(uuid => uuid!.Value).Distinct();

    private static IEnumerable<JsonElement> Items(JsonElement list) =>
        list.ValueKind != JsonValueKind.Array ? throw new FormatException("it is no list of boards")
            : list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.Object);

    private static string? Value(JsonElement item, string key) =>
        item.ValueKind == JsonValueKind.Object && item.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String
            && value.GetString() is { Length: > 0 } text ? text : null;

    [GeneratedRegex(@"/dev/(serial/|tty)[A-Za-z0-9_./:+@=,#-]+", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Port();

    [GeneratedRegex(@"-u\s+(?<uuid>[0-9a-fA-F]{12})\b", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex UuidOption();

    [GeneratedRegex(@"-(?<uuid>[0-9a-fA-F]{12})-?$", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex UuidOfName();
}
