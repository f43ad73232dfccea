using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using Serilog.Events;

namespace RatOS.Flash.Agent;

/// <summary>One printer's folder, as Klipper's installers lay it out (<c>~/printer_data</c>, <c>~/printer_1_data</c>), and what of it is ours.</summary>
internal sealed record DataFolder(string Root)
{
    public static DataFolder Default => new(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), "printer_data"));

    public string Settings => Path.Combine(Root, "config", "ratos-flash.conf");

    public string Moonraker => Path.Combine(Root, "comms", "moonraker.sock");

    /// <summary>Where the command line and the agent meet.</summary>
    public string Socket => Path.Combine(Root, "comms", "ratos-flash.sock");

    public string Jobs => Path.Combine(Root, "ratos-flash", "jobs");

    /// <summary>What happened on the buses and with Klipper while no job ran: the first file of a ring.</summary>
    public string Between => Path.Combine(Root, "ratos-flash", "between", "between.log");

    /// <summary>Firmware by the name of its board or kind: <c>octopus.bin</c>, <c>btt-octopus-11.bin</c>.</summary>
    public string Firmware => Path.Combine(Root, "ratos-flash", "firmware");

    /// <summary>Firmware that was built, and what building takes.</summary>
    public string Builds => Path.Combine(Root, "ratos-flash", "builds");

    /// <summary>Firmware that boards have run, for a way back.</summary>
    public string Good => Path.Combine(Root, "ratos-flash", "good");

    /// <summary>What Klipper told of its boards.</summary>
    public string Mcus => Path.Combine(Root, "ratos-flash", "mcus.json");

    /// <summary>The definitions of boards of an installed RatOS.</summary>
    public string RatOsBoards => Path.Combine(Root, "config", "RatOS", "boards");

    /// <summary>Where the unit that replaces the process of this computer takes its program from.</summary>
    public string HostMcu => Path.Combine(Root, "ratos-flash", "host-mcu");

    /// <summary>Build configurations that somebody chose, by the board's name.</summary>
    public string Configs => Path.Combine(Root, "ratos-flash", "configs");

    /// <summary>What people were asked already.</summary>
    public string Told => Path.Combine(Root, "ratos-flash", "told");

    /// <summary>In the folder that Mainsail shows; null where there is none.</summary>
    public string? LogIfThere => Directory.Exists(Path.Combine(Root, "logs")) ? Path.Combine(Root, "logs", "ratos-flash.log") : null;

    /// <summary>Lays a file where Mainsail and Fluidd offer it for download: among the configuration files.</summary>
    /// <param name="board">Whose it is.</param>
    /// <param name="name">Its name.</param>
    /// <param name="file">All of it.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="FlashException">It cannot be written.</exception>
    public string Offer(string board, string name, ReadOnlyMemory<byte> file)
    {
        var path = Path.Combine(Root, "config", "firmware_binaries", Text.FileName(board), name);
        try
        {
            WholeFile.Write(path, file.Span);
            return path;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Faults.FileNotOffered(path, fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>Held by whoever works on the boards; nobody else does meanwhile.</summary>
    /// <exception cref="FlashException">Somebody else holds it, or the folder cannot be written.</exception>
    public IDisposable Lock()
    {
        var path = Path.Combine(Root, "ratos-flash", "lock");
        try
        {
            foreach (var folder in (string[])[Path.GetDirectoryName(path)!, Jobs, Firmware])
                Directory.CreateDirectory(folder);
            // .NET's sharing is the kernel's flock: it ends with its process, however that ends.
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            using var writer = new StreamWriter(file, leaveOpen: true);
            file.SetLength(0);
            writer.Write(string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId}"));
            return file;
        }
        catch (IOException) when (File.Exists(path))
        {
            throw Faults.AgentElsewhere(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Faults.JournalUnwritable(Path.GetDirectoryName(path)!, fault.Message);
        }
    }
}

/// <summary>A file that is there whole, or not at all.</summary>
internal static class WholeFile
{
    /// <summary>It is on the disk, under its name, when this returns; its folder is made.</summary>
    /// <exception cref="IOException">It cannot be written; what was there stays.</exception>
    /// <exception cref="UnauthorizedAccessException">As before.</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using (var file = new FileStream(path + "~", FileMode.Create, FileAccess.Write, FileShare.None))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }
        File.Move(path + "~", path, overwrite: true);
    }
}

/// <summary>When boards are flashed after an update of Klipper, without anybody pressing a button.</summary>
internal enum FlashPolicy
{
    /// <summary>A prompt and an announcement; nothing is done until somebody says so.</summary>
    Ask,

    /// <summary>Boards that Klipper cannot talk to any more; about others it is asked.</summary>
    Required,

    /// <summary>Boards whose version is not Klipper's.</summary>
    Changed,

    /// <summary>Every board, after every update.</summary>
    Always,
    Never,
}

/// <summary>What happens when a new firmware does not do and the one before is kept.</summary>
internal enum RollbackPolicy
{
    /// <summary>A person is asked, on the printer's screens or at the terminal.</summary>
    Ask,

    /// <summary>It goes back at once, within the same flash.</summary>
    Auto,

    /// <summary>It is only told.</summary>
    Never,
}

/// <summary><c>ratos-flash.conf</c>: INI as Moonraker's. Every setting has a default.</summary>
internal sealed record Settings
{
    public FlashPolicy Policy { get; init; }

    /// <summary>What policy decides waits for an idle printer; without, it is refused on a busy one.</summary>
    public bool WhenIdle { get; init; }

    public RollbackPolicy Rollback { get; init; }

    /// <summary>Where Moonraker's websocket is, when its unix socket is not there.</summary>
    public Uri MoonrakerUrl { get; init; } = new("ws://127.0.0.1:7125/websocket");

    public string? ApiKey { get; init; }

    /// <summary>Klipper's unit; null to ask Moonraker.</summary>
    public string? KlipperService { get; init; }

    /// <summary>Klipper's sources; null for <c>~/klipper</c>.</summary>
    public string? KlipperPath { get; init; }

    /// <summary>Those that are named, or the usual ones where they are.</summary>
    public string? KlipperSources => KlipperPath
        ?? (Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), "klipper") is var usual && Directory.Exists(Path.Combine(usual, "src")) ? usual : null);

    public LogEventLevel LogLevel { get; init; } = LogEventLevel.Debug;

    /// <summary>Boards that somebody described by hand.</summary>
    public ImmutableArray<PrinterBoard> Boards { get; init; } = [];

    /// <summary>By the name of a board, the power device that somebody named for it.</summary>
    public IReadOnlyDictionary<string, string> PowerDevices => Boards.Where(board => board.Power is not null)
        .GroupBy(board => board.Name, StringComparer.OrdinalIgnoreCase).ToDictionary(group => group.Key, group => group.Last().Power!, StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a file; one that is not there is all defaults.</summary>
    /// <exception cref="FlashException">A line cannot be understood; it is named.</exception>
    public static Settings Read(string path)
    {
        var settings = new Settings();
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
                section = line.EndsWith(']') ? line[1..^1].Trim() : throw Faults.BadSettings(path, number, "the section's name does not end with ]");
                if (section.StartsWith("board ", StringComparison.Ordinal))
                    boards.Add((section[6..].Trim(), number, new(StringComparer.Ordinal)));
                else if (section != "agent")
                    throw Faults.BadSettings(path, number, $"there is no section [{Text.Clean(section)}]");
                continue;
            }
            var at = line.IndexOfAny([':', '=']);
            if (at < 1)
                throw Faults.BadSettings(path, number, "it is no `name: value`");
            var (name, value) = (line[..at].Trim(), line[(at + 1)..].Trim());
            if (section == "agent")
                settings = settings.With(name, value, why => Faults.BadSettings(path, number, why));
            else if (boards is [.., var board])
                board.Values[name] = BoardKeys.Contains(name) ? value : throw Faults.BadSettings(path, number, $"a board has no '{Text.Clean(name)}'");
            else
                throw Faults.BadSettings(path, number, "it stands in no section");
        }
        if (boards.Count == 0)
            return settings;
        // An installed RatOS lies beside this file, and knows more kinds.
        var kinds = RatOsCatalogue.Load(Path.Combine(Path.GetDirectoryName(path) ?? "", "RatOS", "boards")).Catalogue;
        return settings with { Boards = [.. boards.Select(board => BoardOf(board.Name, board.Values, kinds, why => Faults.BadSettings(path, board.Line, why)))] };
    }

    // A # within a word is part of it: keys and names may have one.
    private static string WithoutComment(string line)
    {
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] is '#' or ';' && (i == 0 || char.IsWhiteSpace(line[i - 1])))
                return line[..i];
        }
        return line;
    }

    private static readonly string[] BoardKeys = ["id", "port", "uuid", "bootloader", "power"];

    private static PrinterBoard BoardOf(string name, Dictionary<string, string> values, BoardCatalogue kinds, Func<string, FlashException> fault)
    {
        var id = values.GetValueOrDefault("id") is { Length: > 0 } given ? given : name;
        var kind = kinds.Find(id) ?? throw fault($"the board {Text.Clean(name)} is of no kind that is known: '{Text.Clean(id)}' (`ratos-flash boards --catalogue` lists the kinds)");
        var board = new PrinterBoard(name, kind);
        if (values.GetValueOrDefault("uuid") is { Length: > 0 } uuid)
            board = board with { CanUuid = CanUuid.TryParse(uuid) ?? throw fault($"'{Text.Clean(uuid)}' is no uuid of 12 hex digits") };
        if (values.GetValueOrDefault("port") is { Length: > 0 } port)
            board = board.CanUuid is not null ? board with { CanInterface = port } : board with { Port = port, OnlyByPort = true };
        if (values.GetValueOrDefault("bootloader") is { Length: > 0 } bootloader)
            board = board with { Bootloader = Arguments.Bootloaders.TryGetValue(bootloader, out var which) ? which : throw fault($"there is no bootloader '{Text.Clean(bootloader)}'") };
        return values.GetValueOrDefault("power") is { Length: > 0 } power ? board with { Power = power } : board;
    }

    private Settings With(string name, string value, Func<string, FlashException> fault) => name switch
    {
        _ when value.Length == 0 => this,
        "policy" => this with { Policy = Enum.TryParse<FlashPolicy>(value, ignoreCase: true, out var policy) && !char.IsDigit(value[0]) ? policy : throw fault($"policy is one of ask, required, changed, always, never, not '{Text.Clean(value)}'") },
        "rollback" => this with { Rollback = Enum.TryParse<RollbackPolicy>(value, ignoreCase: true, out var rollback) && !char.IsDigit(value[0]) ? rollback : throw fault($"rollback is one of ask, auto, never, not '{Text.Clean(value)}'") },
        "when_idle" => this with { WhenIdle = bool.TryParse(value, out var flag) ? flag : throw fault("when_idle is True or False") },
        "moonraker_url" => this with { MoonrakerUrl = Uri.TryCreate(value, UriKind.Absolute, out var url) && url.Scheme is "ws" or "wss" ? url : throw fault("moonraker_url is such as ws://127.0.0.1:7125/websocket") },
        "api_key" => this with { ApiKey = value },
        "klipper_path" => Path.IsPathRooted(value) ? this with { KlipperPath = value } : throw fault("klipper_path is the whole path of Klipper's sources"),
        "klipper_service" => value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '@' or '.') ? this with { KlipperService = value } : throw fault($"'{Text.Clean(value)}' is no service's name"),
        "log_level" => this with { LogLevel = Enum.TryParse<LogEventLevel>(value == "info" ? "Information" : value, ignoreCase: true, out var level) && !char.IsDigit(value[0]) ? level : throw fault("log_level is debug, info, warning or error") },
        _ => throw fault($"there is no setting '{Text.Clean(name)}'"),
    };
}
