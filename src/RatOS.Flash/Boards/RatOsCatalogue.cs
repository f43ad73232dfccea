using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Boards;

/// <summary>
/// The boards of an installed RatOS configuration (<c>RatOS/boards/*/board-definition.json</c> with <c>firmware.config</c>), laid over
/// those inside the binary. Everybody who can write into that folder has his say here, so nothing of it is run, no path in it is followed,
/// and what is odd is passed over and named.
/// </summary>
/// <param name="Catalogue">The boards inside the binary, as the installed definitions have them, and those that RatOS adds.</param>
/// <param name="Findings">Definitions that were passed over (warnings), and where theirs and ours differ (notes).</param>
public sealed record RatOsCatalogue(BoardCatalogue Catalogue, ImmutableArray<Finding> Findings)
{
    /// <summary>RatOS has some fifty, and the largest file of ours has 20 KB.</summary>
    private const int MaxFolders = 1000, MaxFile = 256 * 1024, MaxTogether = 1024 * 1024, MaxSteps = 20, MaxDepth = 32;

    /// <summary>Every definition that was passed over, in the order of the folders.</summary>
    public ImmutableArray<SkippedDefinition> Skipped { get; init; } = [];

    /// <summary>By a board's id: what its installed definition alone says.</summary>
    public ImmutableDictionary<string, Board> Definitions { get; init; } = ImmutableDictionary<string, Board>.Empty;

    /// <summary>By a board's id: the folder of its installed definition.</summary>
    public ImmutableDictionary<string, string> Folders { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>
    /// Warns of a board whose application begins elsewhere than RatOS's own flash would write it, such as one with Katapult below that its
    /// user put there. RatOS flashes every board that it knows, whatever runs there.
    /// </summary>
    /// <param name="board">A board of this printer.</param>
    public Finding? AboutStart(BoardProfile board) => Definitions.GetValueOrDefault(board.Kind.Id) is { DisableAutoFlash: false } theirs
        && theirs.ApplicationStart is { } start && board.ApplicationStart is { Source: > FactSource.Catalogue } own && own.Value != start
        ? PlanFindings.RatosOtherStart(
            board.Name, own.Value, own.Where, start, DataDictionary.Clean(Path.GetFileName(Folders[board.Kind.Id]))) : null;

    /// <param name="boardsFolder">The folder <c>boards</c>; where there is none, what is inside the binary is all there is.</param>
    public static RatOsCatalogue Load(string boardsFolder)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        var skipped = ImmutableArray.CreateBuilder<SkippedDefinition>();
        var boards = BoardCatalogue.BuiltIn.Boards.ToList();
        var folders = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        var definitions = ImmutableDictionary.CreateBuilder<string, Board>(StringComparer.Ordinal);
        var (ids, names) = (new HashSet<string>(StringComparer.OrdinalIgnoreCase), new HashSet<string>(StringComparer.OrdinalIgnoreCase));
        var together = new WorkBudget(MaxTogether);
        foreach (var folder in FoldersIn(boardsFolder, skipped))
        {
            var where = DataDictionary.Clean(Path.GetFileName(folder));
            try
            {
                if (together.IsSpent)
                    throw new FormatException($"the definitions before it have more than {MaxTogether >> 20} MiB together");
                if (Read(folder, together) is not { } read)
                    continue;
                if (!ids.Add(read.Id))
                    throw new FormatException($"another definition has the id '{read.Id}' too");
                var known = boards.FindIndex(board => string.Equals(board.Id, read.Id, StringComparison.OrdinalIgnoreCase));
                // RatOS calls two boards of one maker "FLY-SHT36".
                if (!names.Add(read.DisplayName))
                {
                    read = read with
                    {
                        Name = known >= 0 && boards[known].Name is { } ours && ours != read.Name ? ours : $"{read.Name} ({read.Id})",
                    };
                }
                var id = known < 0 ? read.Id : boards[known].Id;
                (folders[id], definitions[id]) = (folder, read);
                if (known < 0)
                    boards.Add(Added(read, findings));
                else
                    boards[known] = Merged(boards[known], read, findings);
            }
            catch (Exception why) when (why is FormatException or JsonException or IOException or UnauthorizedAccessException)
            {
                skipped.Add(new(where, why is JsonException ? "its board-definition.json is no JSON" : why.Message.TrimEnd('.')));
            }
        }
        return new(BoardCatalogue.BuiltIn.With([.. boards]), [.. skipped.Select(definition => definition.ToFinding()), .. findings])
        {
            Skipped = skipped.ToImmutable(),
            Folders = folders.ToImmutable(),
            Definitions = definitions.ToImmutable(),
        };
    }

    private static List<string> FoldersIn(string boardsFolder, ImmutableArray<SkippedDefinition>.Builder skipped)
    {
        try
        {
            var all = Directory.EnumerateDirectories(boardsFolder).Take(MaxFolders + 1).Order(StringComparer.Ordinal).ToList();
            if (all.Count <= MaxFolders)
                return all;
            skipped.Add(new("", $"the folder has more than {MaxFolders} folders"));
        }
        catch (DirectoryNotFoundException)
        {
            // A printer without RatOS.
        }
        catch (Exception why) when (why is IOException or UnauthorizedAccessException)
        {
            skipped.Add(new("", why.Message.TrimEnd('.')));
        }
        return [];
    }

    // ---- one definition

    /// <summary>A board with what its definition says alone; null for a folder without one.</summary>
    /// <exception cref="FormatException">With the reason why it is passed over.</exception>
    private static Board? Read(string folder, WorkBudget together)
    {
        var file = Path.Combine(folder, "board-definition.json");
        // A dangling link is one too, though nothing exists there.
        if (!File.Exists(file) && new FileInfo(file).LinkTarget is null)
        {
            // In a folder that this user may not enter nothing seems to exist.
            _ = Directory.EnumerateFileSystemEntries(folder).Any();
            return null;
        }
        if (new DirectoryInfo(folder).LinkTarget is not null)
            throw new FormatException("its folder is a link, and links are not followed");
        using var document = ForeignJson.Parse(ReadText(file, together), MaxDepth);
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
            throw new FormatException("its board-definition.json is no object");
        var id = Text(root, "id", IsIdCharacter) ?? throw new FormatException("it has no id");
        // Names of files in it are never followed; one that points elsewhere shows that the definition is not RatOS's.
        foreach (var name in (string[])["compileScript", "flashScript", "firmwareBinaryName"])
            _ = Text(root, name, IsIdCharacter);
        var config = Path.Combine(folder, "firmware.config");
        var hasConfig = File.Exists(config) || new FileInfo(config).LinkTarget is not null;
        var build = hasConfig ? new FirmwareConfig(ReadText(config, together)) : null;
        var isLinux = IsSet("MACH_LINUX");
        var comm = isLinux ? "linux" : IsSet("USBSERIAL") || build?.Chosen.Any(BuildTransport.IsUsbChoice) == true ? "USB"
            : IsSet("CANSERIAL") ? "CAN" : IsSet("SERIAL") ? "serial" : null;
        var pty = Text(root, "serialPath", c => IsIdCharacter(c) || c == '/');
        return new Board
        {
            Id = id,
            Kind = Flag("isHost") ? "host" : Flag("isToolboard") ? "toolboard" : "mainboard",
            Name = Text(root, "name", IsNameCharacter),
            Manufacturer = Text(root, "manufacturer", IsNameCharacter),
            McuName = isLinux ? "linux" : build?.Chip,
            CrystalHz = int.TryParse(build?["CLOCK_REF_FREQ"], out var crystal) ? crystal : null,
            FlashStartEffective =
                (build?["FLASH_APPLICATION_ADDRESS"] ?? build?["FLASH_START"]) is { Length: > 2 } start
                    ? "0x" + start[2..].ToLowerInvariant() : null,
            Comm = comm,
            UsbSerial = comm == "USB" ? id : null,
            HostPty = pty is null ? null : Path.GetFileName(pty),
            FirmwareBinaryName = Text(root, "firmwareBinaryName", IsIdCharacter),
            DisableAutoFlash = Flag("disableAutoFlash"),
            FirmwareConfig = build?.Text,
            Preconditions = Text(root, "flashInstructions", c => !char.IsControl(c)) is { } words ? [words] : [],
            Dfu = root.TryGetProperty("dfu", out var dfu) && dfu.ValueKind == JsonValueKind.Object ? Guide(dfu) : null,
        };

        bool IsSet(string symbol) => build?.IsSet(symbol) == true;

        bool Flag(string name) => root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
    }

    private static DfuGuide Guide(JsonElement dfu) => new(
        Text(dfu, "flashDevice", c => char.IsAsciiHexDigit(c) || c == ':') ?? "",
        dfu.TryGetProperty("hasBoot0Jumper", out var jumper) && jumper.ValueKind == JsonValueKind.True,
        dfu.TryGetProperty("instructions", out var steps) && steps.ValueKind == JsonValueKind.Array
            ? [.. steps.EnumerateArray().Take(MaxSteps).Where(step => step.ValueKind == JsonValueKind.String)
                .Select(step => DataDictionary.Clean(step.GetString()!).TrimEnd('.') + ".")] : []);

    private static string? Text(JsonElement element, string name, Func<char, bool> allowed)
    {
        if (!element.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new FormatException($"its {name} is no text");
        if (text.Length == 0)
            return null;
        // A program may read a name that begins with a dash as an option, and .. is a folder.
        return text.Length <= 256 && text.All(allowed) && text[0] != '-' && !text.Contains("..", StringComparison.Ordinal)
            ? text : throw new FormatException($"its {name} has characters that it must not have: '{DataDictionary.Clean(text)}'");
    }

    private static bool IsIdCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';

    private static bool IsNameCharacter(char c) =>
        char.IsLetterOrDigit(c) || c is ' ' or '-' or '_' or '.' or '+' or '/' or '(' or ')' or ',' or '\'';

    /// <exception cref="FormatException">It is a link, no plain file, too big, or no text.</exception>
    private static string ReadText(string path, WorkBudget together)
    {
        var info = new FileInfo(path);
        if (info.LinkTarget is not null)
            throw new FormatException($"its {info.Name} is a link, and links are not followed");
        // A pipe has no length, and opening one waits for ever.
        if (info.Length is 0 or > MaxFile)
            throw new FormatException(info.Length == 0 ? $"its {info.Name} is empty" : $"its {info.Name} has {info.Length} bytes");
        using var stream = info.OpenRead();
        var bytes = new byte[MaxFile];
        var length = stream.ReadAtLeast(bytes, MaxFile, throwOnEndOfStream: false);
        together.TrySpend(length);
        try
        {
            var text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes, 0, length).TrimStart('\uFEFF');
            return !text.Contains('\0', StringComparison.Ordinal) ? text : throw new FormatException($"its {info.Name} is no text");
        }
        catch (DecoderFallbackException e)
        {
            throw new FormatException($"its {info.Name} is no text", e);
        }
    }

    // ---- theirs and ours

    private const string RatOs = "RatOS's definition";

    private static Board Added(Board read, ImmutableArray<Finding>.Builder findings)
    {
        if (read.FirmwareConfig is null)
            findings.Add(PlanFindings.NoBuildConfiguration(read.Id));
        else if (FirmwareConfig.IsObsolete(read.FirmwareConfig))
            findings.Add(PlanFindings.ObsoleteConfiguration(read.Id));
        return read with
        {
            Origin = RatOs,
            ShortName = ShortOf(read.Id),
            Symlinks = [$"/dev/{read.Id}"],
            DfuRomAddress = read.Comm == "USB" ? RomOf(read.McuName) : null
        };
    }

    private static Board Merged(Board ours, Board theirs, ImmutableArray<Finding>.Builder findings)
    {
        var isObsolete = ours.FirmwareConfig is not null
            && (theirs.FirmwareConfig is null || FirmwareConfig.IsObsolete(theirs.FirmwareConfig));
        // What was looked into and found wrong is not believed again; anything else may have been changed for a reason.
        var board = ours.Issues.Length > 0 || theirs.McuName is null ? ours : ours with
        {
            Origin = RatOs,
            McuName = theirs.McuName,
            CrystalHz = theirs.CrystalHz ?? ours.CrystalHz,
            FlashStartEffective = theirs.FlashStartEffective,
            Comm = theirs.Comm ?? ours.Comm,
            UsbSerial = theirs.Comm == "USB" ? ours.UsbSerial ?? theirs.UsbSerial : null,
            DfuRomAddress = theirs.Comm != "USB" ? null : theirs.McuName == ours.McuName ? ours.DfuRomAddress ?? RomOf(theirs.McuName)
                : RomOf(theirs.McuName),
        };
        if (theirs.McuName is not null && Difference(ours, theirs) is { Length: > 0 } difference)
            findings.Add(board == ours ? PlanFindings.RatosCorrected(ours.Id, difference) : PlanFindings.RatosDiffers(ours.Id, difference));
        if (isObsolete && theirs.FirmwareConfig is not null)
            findings.Add(PlanFindings.RatosConfigCorrected(ours.Id));
        return board with
        {
            Name = theirs.Name ?? ours.Name,
            Manufacturer = theirs.Manufacturer ?? ours.Manufacturer,
            Kind = theirs.Kind,
            FirmwareBinaryName = theirs.FirmwareBinaryName ?? ours.FirmwareBinaryName,
            DisableAutoFlash = theirs.DisableAutoFlash,
            FirmwareConfig = isObsolete ? ours.FirmwareConfig : theirs.FirmwareConfig,
            Dfu = ours.Dfu ?? theirs.Dfu,
        };
    }

    private static string Difference(Board ours, Board theirs) => string.Join(", ", Fields(ours, theirs));

    private static IEnumerable<string> Fields(Board ours, Board theirs)
    {
        if (!string.Equals(theirs.McuName, ours.McuName, StringComparison.OrdinalIgnoreCase))
            yield return $"the chip {theirs.McuName} instead of {ours.McuName}";
        if (theirs.ApplicationStart != ours.ApplicationStart)
            yield return $"the start {theirs.FlashStartEffective ?? "nowhere"} instead of {ours.FlashStartEffective ?? "nowhere"}";
        if (theirs.Comm != ours.Comm)
            yield return $"the link {theirs.Comm ?? "none"} instead of {ours.Comm}";
        if (theirs.CrystalHz is { } crystal && ours.CrystalHz is { } known && crystal != known)
            yield return $"a crystal of {crystal} Hz instead of {known} Hz";
    }

    private static string? RomOf(string? chip) =>
        BoardCatalogue.BuiltIn.Boards.FirstOrDefault(board => board.McuName == chip && board.DfuRomAddress is not null)?.DfuRomAddress;

    /// <summary>Without the maker in front and the version behind: <c>btt-octopus-12</c> is an <c>octopus</c>.</summary>
    private static string ShortOf(string id)
    {
        var words = id.Split('-').ToList();
        if (words.Count > 1
            && BoardCatalogue.BuiltIn.Boards.Any(board => board.Id.StartsWith(words[0] + "-", StringComparison.OrdinalIgnoreCase)))
            words.RemoveAt(0);
        while (words.Count > 1 && words[^1].All(char.IsAsciiDigit))
            words.RemoveAt(words.Count - 1);
        return string.Join('-', words).ToLowerInvariant();
    }
}

/// <summary>A definition of an installed RatOS that is not used.</summary>
/// <param name="Folder">Its folder in <c>boards</c>; empty where all of them are passed over.</param>
/// <param name="Reason">A clause without its full stop.</param>
public sealed record SkippedDefinition(string Folder, string Reason)
{
    public Finding ToFinding() => Finding.Of(FindingSeverity.Warning, BoardFaults.BadBoardDefinition(Folder, Reason));
}
