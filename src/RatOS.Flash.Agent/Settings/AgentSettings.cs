using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
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

/// <summary><c>ratos-flash.conf</c>, an INI file like Moonraker's. Every setting has a default.</summary>
internal sealed record AgentSettings
{
    public FlashPolicy Policy { get; init; }

    /// <summary>A flash by policy waits for an idle printer; without it, a busy printer refuses the flash.</summary>
    public bool WhenIdle { get; init; }

    public RollbackPolicy Rollback { get; init; }

    /// <summary>Moonraker's websocket, used where its unix socket is missing.</summary>
    public Uri MoonrakerUrl { get; init; } = new("ws://127.0.0.1:7125/websocket");

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
            if (Unconfirmed.Any(setting => setting.StartsWith("klipper_path", StringComparison.Ordinal)))
                return null;
            return KlipperPath ?? (Directory.Exists(Path.Combine(usual, "src")) ? usual : null);
        }
    }

    /// <summary>Settings of the file that do not count, because they were not confirmed: <c>klipper_path: /x</c>.</summary>
    public ImmutableArray<string> Unconfirmed { get; init; } = [];

    public LogEventLevel LogLevel { get; init; } = LogEventLevel.Debug;

    /// <summary>The boards that the user describes.</summary>
    public ImmutableArray<PrinterBoard> Boards { get; init; } = [];

    /// <summary>The power devices of boards, by the board's name.</summary>
    public IReadOnlyDictionary<string, string> PowerDevices => Boards.Where(board => board.Power is not null)
        .GroupBy(board => board.Name, StringComparer.OrdinalIgnoreCase).ToDictionary(
            group => group.Key, group => group.Last().Power!, StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a file. A missing one has all defaults.</summary>
    /// <exception cref="FlashException"><c>bad-settings</c>, with the line.</exception>
    public static AgentSettings Read(string path)
    {
        var settings = new AgentSettings();
        if (!File.Exists(path))
            return settings;
        var (number, section, boards) = (0, "", new List<(string Name, int Line, Dictionary<string, string> Values)>());
        foreach (var raw in File.ReadLines(path))
        {
            number++;
            var line = WithoutComment(raw).Trim();
            if (line.Length == 0)
                continue;
            if (line.StartsWith('['))
            {
                section = line.EndsWith(']')
                    ? line[1..^1].Trim() : throw AgentFaults.BadSettings(path, number, "the section's name does not end with ]");
                if (section.StartsWith("board ", StringComparison.Ordinal))
                    boards.Add((section[6..].Trim(), number, new(StringComparer.Ordinal)));
                else if (section != "agent")
                    throw AgentFaults.BadSettings(path, number, $"there is no section [{Text.Clean(section)}]");
                continue;
            }
            var at = line.IndexOfAny([':', '=']);
            if (at < 1)
                throw AgentFaults.BadSettings(path, number, "it is not `name: value`");
            var (name, value) = (line[..at].Trim(), line[(at + 1)..].Trim());
            if (section == "agent")
                settings = settings.With(name, value, why => AgentFaults.BadSettings(path, number, why));
            else if (boards is [.., var board] && BoardKeys.Contains(name))
                board.Values[name] = value;
            else if (boards.Count > 0)
                throw AgentFaults.BadSettings(path, number, $"a board has no '{Text.Clean(name)}'");
            else
                throw AgentFaults.BadSettings(path, number, "it is above the first section");
        }
        if (boards.Count == 0)
            return settings;
        // An installed RatOS is in the same folder, and defines more kinds of boards.
        var kinds = RatOsCatalogue.Load(Path.Combine(Path.GetDirectoryName(path) ?? "", "RatOS", "boards")).Catalogue;
        return settings with
        {
            Boards = [.. boards.Select(
                board => BoardOf(board.Name, board.Values, kinds, why => AgentFaults.BadSettings(path, board.Line, why)))],
        };
    }

    // A # within a word is part of the word: keys and names can have one.
    private static string WithoutComment(string line)
    {
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] is '#' or ';' && (i == 0 || char.IsWhiteSpace(line[i - 1])))
                return line[..i];
        }
        return line;
    }

    internal static readonly string[] BoardKeys = ["id", "port", "uuid", "bootloader", "power"];

    private static PrinterBoard BoardOf(
        string name, Dictionary<string, string> values, BoardCatalogue kinds, Func<string, FlashException> fault)
    {
        var id = values.GetValueOrDefault("id") is { Length: > 0 } given ? given : name;
        var kind = kinds.Find(id)
            ?? throw fault($"board {Text.Clean(name)} is of the unknown kind '{Text.Clean(id)}'; docs/boards.md lists the kinds");
        var board = new PrinterBoard(name, kind);
        if (values.GetValueOrDefault("uuid") is { Length: > 0 } uuid)
            board = board with { CanUuid = CanUuid.TryParse(uuid) ?? throw fault($"'{Text.Clean(uuid)}' is no uuid of 12 hex digits") };
        if (values.GetValueOrDefault("port") is { Length: > 0 } port)
            board = board.CanUuid is not null ? board with { CanInterface = port } : board with { Port = port, OnlyByPort = true };
        if (values.GetValueOrDefault("bootloader") is { Length: > 0 } bootloader)
        {
            board = FlashArguments.Bootloaders.TryGetValue(bootloader, out var driver)
                ? board with { Bootloader = driver } : throw fault($"there is no bootloader '{Text.Clean(bootloader)}'");
        }
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
        "when_idle" => this with { WhenIdle = bool.TryParse(value, out var flag) ? flag : throw fault("when_idle is True or False") },
        "moonraker_url" => Uri.TryCreate(value, UriKind.Absolute, out var url) && url.Scheme is "ws" or "wss"
            ? this with { MoonrakerUrl = url } : throw fault("moonraker_url is such as ws://127.0.0.1:7125/websocket"),
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
