using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Printer;
using Serilog.Events;

namespace RatOS.Flash.Agent.Settings;

/// <summary>Which boards are flashed after an update of Klipper without asking.</summary>
internal enum FlashPolicy
{
    /// <summary>None: a prompt and an announcement.</summary>
    [ContractName("ask")] Ask,

    /// <summary>Boards that Klipper refuses; a prompt for the others.</summary>
    [ContractName("required")] Required,

    /// <summary>Boards with another version than Klipper.</summary>
    [ContractName("changed")] Changed,

    /// <summary>Every board, after every update.</summary>
    [ContractName("always")] Always,
    [ContractName("never")] Never,
}

/// <summary>What happens when new firmware does not run and the firmware from before is kept.</summary>
internal enum RollbackPolicy
{
    /// <summary>A question on the printer's screens or at the terminal.</summary>
    [ContractName("ask")] Ask,

    /// <summary>A rollback at once, within the same flash.</summary>
    [ContractName("auto")] Auto,

    /// <summary>Only a report.</summary>
    [ContractName("never")] Never,
}

/// <summary>Whether the updater of a probe's maker may be called.</summary>
internal enum ProbePolicy
{
    /// <summary>For a probe that the user names, and never without.</summary>
    [ContractName("ask")] Ask,
    [ContractName("never")] Never,
}

/// <summary><c>ratos-flash.conf</c>, an INI file like Moonraker's. Every setting has a default.</summary>
internal sealed record AgentSettings
{
    public FlashPolicy Policy { get; init; }

    /// <summary>A flash by policy waits for an idle printer; without it, a busy printer refuses the flash.</summary>
    public bool WhenIdle { get; init; }

    public RollbackPolicy Rollback { get; init; }

    public ProbePolicy Probes { get; init; }

    /// <summary>The usual websocket on this computer.</summary>
    public static readonly Uri LocalMoonraker = new("ws://127.0.0.1:7125/websocket");

    /// <summary>Moonraker's websocket; null for its unix socket.</summary>
    public Uri? MoonrakerUrl { get; init; }

    public string? ApiKey { get; init; }

    /// <summary>Klipper's unit; null to ask Moonraker.</summary>
    public string? KlipperService { get; init; }

    /// <summary>The Klipper checkout; null for <c>~/klipper</c>.</summary>
    public string? KlipperPath { get; init; }

    /// <summary>The checkout that is set, or <c>~/klipper</c> where it exists.</summary>
    public string? KlipperSources
    {
        get
        {
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
            var usual = Path.Combine(home, "klipper");
            // Another checkout than the one that is set would build another Klipper's firmware.
            if (Unconfirmed.Any(setting => setting.Key == SensitiveSetting.KlipperPath))
                return null;
            return KlipperPath ?? (Directory.Exists(Path.Combine(usual, "src")) ? usual : null);
        }
    }

    /// <summary>Settings of the file that do not count, because they were not confirmed.</summary>
    public ImmutableArray<SensitiveSetting> Unconfirmed { get; init; } = [];

    public LogEventLevel LogLevel { get; init; } = LogEventLevel.Debug;

    /// <summary>The boards that the user describes.</summary>
    public ImmutableArray<PrinterBoard> Boards { get; init; } = [];

    /// <summary>The power devices of boards, by the board's name.</summary>
    public IReadOnlyDictionary<string, string> PowerDevices => Boards.Where(board => board.Power is not null)
        .GroupBy(board => board.Name, StringComparer.OrdinalIgnoreCase).ToDictionary(
            group => group.Key, group => group.Last().Power!, StringComparer.OrdinalIgnoreCase);

    /// <summary>What is wrong in the file. The section of each is left out.</summary>
    public ImmutableArray<FlashException> Faults { get; init; } = [];

    /// <summary>Reads a file. A missing one has all defaults.</summary>
    /// <exception cref="FlashException"><c>bad-settings</c>, with the line.</exception>
    public static AgentSettings Read(string path) => ReadValid(path) is var settings && settings.Faults is [var first, ..]
        ? throw first : settings;

    /// <summary>What would be wrong in a file with this text.</summary>
    public static ImmutableArray<FlashException> FaultsOf(string path, string text) => Parse(path, text.TrimStart('\ufeff')).Faults;

    /// <summary>Everybody who can write into the folder has his say here: a real file has some lines for each of a few boards.</summary>
    public const int Largest = 256 * 1024;

    /// <summary>A file's text; an empty one where there is no file.</summary>
    /// <exception cref="FlashException">It cannot be read.</exception>
    public static string TextOf(string path)
    {
        try
        {
            return Path.Exists(path) ? TextFile.Read(path, Largest) : "";
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.SettingsUnreadable(path, fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>Reads the valid sections of a file: a slip must not keep the agent from the printer.</summary>
    public static AgentSettings ReadValid(string path)
    {
        try
        {
            return Parse(path, TextOf(path));
        }
        catch (FlashException unreadable)
        {
            return new() { Faults = [unreadable] };
        }
    }

    private static AgentSettings Parse(string path, string text)
    {
        var (settings, faults) = (new AgentSettings(), ImmutableArray.CreateBuilder<FlashException>());
        var sections = Sections(path, text.Split('\n'));
        if (sections.Count > MostSections)
        {
            var why = $"it has {sections.Count} sections, and at most {MostSections} are read";
            return new() { Faults = [AgentFaults.SettingsUnreadable(path, why)] };
        }
        // An installed RatOS is in the same folder, and defines more kinds of boards.
        var kinds = new Lazy<BoardCatalogue>(
            () => RatOsCatalogue.Load(Path.Combine(Path.GetDirectoryName(path) ?? "", "RatOS", "boards")).Catalogue);
        foreach (var section in sections)
        {
            try
            {
                settings = settings.With(section, kinds);
            }
            catch (FlashException fault)
            {
                faults.Add(fault);
            }
        }
        return settings with { Faults = faults.ToImmutable() };
    }

    private const int MostSections = 256;

    /// <summary>A section with its lines; the name is null for what stands above the first one.</summary>
    private sealed record Section(string Path, int Line, string? Name, List<(int Line, string Text)> Lines)
    {
        public FlashException Fault(int line, string why) => AgentFaults.BadSettings(Path, line, why);
    }

    private static List<Section> Sections(string path, IEnumerable<string> text)
    {
        var sections = new List<Section>();
        var number = 0;
        foreach (var raw in text)
        {
            number++;
            var line = WithoutComment(raw).Trim();
            if (line.StartsWith('['))
                sections.Add(new(path, number, line[1..], []));
            else if (line.Length > 0 && sections.Count == 0)
                sections.Add(new(path, number, null, []));
            else if (line.Length > 0)
                sections[^1].Lines.Add((number, line));
        }
        return sections;
    }

    /// <exception cref="FlashException">The section is invalid.</exception>
    private AgentSettings With(Section section, Lazy<BoardCatalogue> kinds)
    {
        if (section.Name is not { } name)
            throw section.Fault(section.Line, "it is above the first section");
        if (!name.EndsWith(']'))
            throw section.Fault(section.Line, "the section's name does not end with ]");
        name = name[..^1].Trim();
        var isBoard = name.StartsWith("board ", StringComparison.Ordinal);
        if (!isBoard && name != "agent")
            throw section.Fault(section.Line, $"there is no section [{Text.Clean(name)}]");
        var (settings, values) = (this, new Dictionary<string, string>(StringComparer.Ordinal));
        var lines = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (number, line) in section.Lines)
        {
            if (KeyAndValue(line) is not var (key, value))
                throw section.Fault(number, "it is not `name: value`");
            if (!isBoard)
                settings = settings.With(key, value, why => section.Fault(number, why));
            else if (BoardKeys.Contains(key))
                (values[key], lines[key]) = (value, number);
            else
                throw section.Fault(number, $"a board has no '{Text.Clean(key)}'");
        }
        return !isBoard ? settings : settings with
        {
            Boards = [.. settings.Boards, BoardOf(name[6..].Trim(), values, kinds.Value,
                (key, why) => section.Fault(lines.GetValueOrDefault(key, section.Line), why))],
        };
    }

    // A # within a word is part of the word: keys and names can have one.
    internal static string WithoutComment(string line)
    {
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] is '#' or ';' && (i == 0 || char.IsWhiteSpace(line[i - 1])))
                return line[..i];
        }
        return line;
    }

    /// <summary>What a line sets; null for a section's name, a comment and any other line.</summary>
    internal static (string Key, string Value)? KeyAndValue(string line)
    {
        line = WithoutComment(line).Trim();
        var at = line.IndexOfAny([':', '=']);
        return at < 1 || line[0] == '[' ? null : (line[..at].Trim(), line[(at + 1)..].Trim());
    }

    internal static readonly string[] BoardKeys = ["id", "port", "uuid", "bootloader", "power", .. BoardFactSettings.Keys];

    private static PrinterBoard BoardOf(
        string name, Dictionary<string, string> values, BoardCatalogue kinds, Func<string, string, FlashException> fault)
    {
        // A section may name a board of printer.cfg and no kind: then the kind is detected.
        var id = values.GetValueOrDefault("id") is { Length: > 0 } given ? given : null;
        var kind = kinds.Find(id ?? name) ?? (id is null ? Board.Unknown(name)
            : throw fault("id", $"board {Text.Clean(name)} is of the unknown kind '{Text.Clean(id)}'; docs/boards.md lists the kinds"));
        var board = new PrinterBoard(name, kind);
        if (values.GetValueOrDefault("uuid") is { Length: > 0 } uuid)
        {
            board = board with
            {
                CanUuid = CanUuid.TryParse(uuid) ?? throw fault("uuid", $"'{Text.Clean(uuid)}' is no uuid of 12 hex digits"),
            };
        }
        if (values.GetValueOrDefault("port") is { Length: > 0 } port)
            board = board.CanUuid is not null ? board with { CanInterface = port } : board with { Port = port, OnlyByPort = true };
        if (values.GetValueOrDefault("bootloader") is { Length: > 0 } bootloader)
        {
            board = FlashArguments.Bootloaders.TryGetValue(bootloader, out var driver)
                ? board with { Bootloader = driver } : throw fault("bootloader", $"there is no bootloader '{Text.Clean(bootloader)}'");
        }
        if (BoardFactSettings.Read(values, "ratos-flash.conf", fault) is { } facts)
            board = board with { Facts = [facts] };
        return values.GetValueOrDefault("power") is { Length: > 0 } power ? board with { Power = power } : board;
    }

    private AgentSettings With(string name, string value, Func<string, FlashException> fault) => name switch
    {
        _ when value.Length == 0 => this,
        "policy" => this with
        {
            Policy = ContractNameAttribute.Find<FlashPolicy>(value)
                ?? throw fault($"policy is one of ask, required, changed, always, never, not '{Text.Clean(value)}'"),
        },
        "rollback" => this with
        {
            Rollback = ContractNameAttribute.Find<RollbackPolicy>(value)
                ?? throw fault($"rollback is one of ask, auto, never, not '{Text.Clean(value)}'"),
        },
        "probes" => this with
        {
            Probes = ContractNameAttribute.Find<ProbePolicy>(value)
                ?? throw fault($"probes is one of ask, never, not '{Text.Clean(value)}'"),
        },
        "when_idle" => this with { WhenIdle = bool.TryParse(value, out var flag) ? flag : throw fault("when_idle is True or False") },
        "moonraker_url" => Uri.TryCreate(value, UriKind.Absolute, out var url) && url.Scheme is "ws"
            ? this with { MoonrakerUrl = url }
            : throw fault("moonraker_url is such as ws://127.0.0.1:7125/websocket; wss:// is not supported"),
        "api_key" => this with { ApiKey = value },
        "klipper_path" => Path.IsPathRooted(value)
            ? this with { KlipperPath = value } : throw fault("klipper_path is the absolute path of a Klipper checkout"),
        "klipper_service" => value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '@' or '.')
            ? this with { KlipperService = value } : throw fault($"'{Text.Clean(value)}' is not the name of a service"),
        "log_level" => Enum.TryParse<LogEventLevel>(value == "info" ? "Information" : value, ignoreCase: true, out var level)
            && !char.IsDigit(value[0])
            ? this with { LogLevel = level } : throw fault("log_level is debug, info, warning or error"),
        _ => throw fault($"there is no setting '{Text.Clean(name)}'"),
    };
}
