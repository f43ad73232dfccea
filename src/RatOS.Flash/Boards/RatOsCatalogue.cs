using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Chips;
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

    /// <summary>By a board's id: the folder of its installed definition.</summary>
    public ImmutableDictionary<string, string> Folders { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <param name="boardsFolder">The folder <c>boards</c>; where there is none, what is inside the binary is all there is.</param>
    public static RatOsCatalogue Load(string boardsFolder)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        var boards = BoardCatalogue.BuiltIn.Boards.ToList();
        var folders = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        var (ids, names) = (new HashSet<string>(StringComparer.OrdinalIgnoreCase), new HashSet<string>(StringComparer.OrdinalIgnoreCase));
        var together = new WorkBudget(MaxTogether);
        foreach (var folder in FoldersIn(boardsFolder, findings))
        {
            if (together.IsSpent)
            {
                findings.Add(Finding.Of(FindingSeverity.Warning, BoardFaults.BadBoardDefinition(
                    "boards", $"the definitions have more than {MaxTogether >> 20} MiB together, and the others are passed over")));
                break;
            }
            var where = DataDictionary.Clean(Path.GetFileName(folder));
            try
            {
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
                folders[known < 0 ? read.Id : boards[known].Id] = folder;
                if (known < 0)
                    boards.Add(Added(read, findings));
                else
                    boards[known] = Merged(boards[known], read, findings);
            }
            catch (Exception why) when (why is FormatException or JsonException or IOException or UnauthorizedAccessException)
            {
                findings.Add(
                    Finding.Of(FindingSeverity.Warning,
                    BoardFaults.BadBoardDefinition(where,
                    why is JsonException ? "its board-definition.json is no JSON" : why.Message.TrimEnd('.'))));
            }
        }
        return new(BoardCatalogue.BuiltIn.With([.. boards]), findings.ToImmutable()) { Folders = folders.ToImmutable() };
    }

    private static List<string> FoldersIn(string boardsFolder, ImmutableArray<Finding>.Builder findings)
    {
        try
        {
            var all = Directory.EnumerateDirectories(boardsFolder).Take(MaxFolders + 1).Order(StringComparer.Ordinal).ToList();
            if (all.Count <= MaxFolders)
                return all;
            findings.Add(
                Finding.Of(FindingSeverity.Warning, BoardFaults.BadBoardDefinition("boards", $"it has more than {MaxFolders} folders")));
        }
        catch (DirectoryNotFoundException)
        {
            // A printer without RatOS.
        }
        catch (Exception why) when (why is IOException or UnauthorizedAccessException)
        {
            findings.Add(Finding.Of(FindingSeverity.Warning, BoardFaults.BadBoardDefinition("boards", why.Message.TrimEnd('.'))));
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
            return null;
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
        var raw = File.Exists(config) || new FileInfo(config).LinkTarget is not null ? WithoutBlanks(ReadText(config, together)) : null;
        var symbols = raw is null ? [] : Symbols(raw);
        var chip = Chosen(symbols);
        var isLinux = symbols.GetValueOrDefault("MACH_LINUX") == "y";
        var comm = isLinux ? "linux" : IsSet("USBSERIAL") || symbols.Any(symbol => symbol.Value == "y" && IsUsbChoice(symbol.Key)) ? "USB"
            : IsSet("CANSERIAL") ? "CAN" : IsSet("SERIAL") ? "serial" : null;
        var pty = Text(root, "serialPath", c => IsIdCharacter(c) || c == '/');
        return new Board
        {
            Id = id,
            Kind = Flag("isHost") ? "host" : Flag("isToolboard") ? "toolboard" : "mainboard",
            Name = Text(root, "name", IsNameCharacter),
            Manufacturer = Text(root, "manufacturer", IsNameCharacter),
            McuName = isLinux ? "linux" : chip ?? symbols.GetValueOrDefault("MCU"),
            CrystalHz = int.TryParse(symbols.GetValueOrDefault("CLOCK_REF_FREQ"), out var crystal) ? crystal : null,
            FlashStartEffective =
                (symbols.GetValueOrDefault("FLASH_APPLICATION_ADDRESS")
                ?? symbols.GetValueOrDefault("FLASH_START")) is { Length: > 2 } start ? "0x" + start[2..].ToLowerInvariant() : null,
            Comm = comm,
            UsbSerial = comm == "USB" ? id : null,
            HostPty = pty is null ? null : Path.GetFileName(pty),
            FirmwareBinaryName = Text(root, "firmwareBinaryName", IsIdCharacter),
            DisableAutoFlash = Flag("disableAutoFlash"),
            FirmwareConfig = chip is null ? raw : WithoutChip(raw!),
            Preconditions = Text(root, "flashInstructions", c => !char.IsControl(c)) is { } words ? [words] : [],
            Dfu = root.TryGetProperty("dfu", out var dfu) && dfu.ValueKind == JsonValueKind.Object ? Guide(dfu) : null,
        };

        bool IsSet(string symbol) => symbols.GetValueOrDefault(symbol) == "y";

        bool Flag(string name) => root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
    }

    /// <summary>
    /// The pins that were chosen decide, such as <c>STM32_USB_PA11_PA12</c>; USBSERIAL and SERIAL only follow, and one of RatOS's files has
    /// them the wrong way round.
    /// </summary>
    private static bool IsUsbChoice(string symbol) =>
        symbol.EndsWith("_USB", StringComparison.Ordinal) || symbol.Contains("_USB_P", StringComparison.Ordinal)
            || symbol.Contains("_USBCANBUS_P", StringComparison.Ordinal);

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

    private const string LettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create(LettersAndDigits + "_");
    private static readonly SearchValues<char> ValueCharacters = SearchValues.Create(LettersAndDigits + "-");
    private static readonly SearchValues<char> TextCharacters = SearchValues.Create(LettersAndDigits + "- _.,:!^~/+");

    /// <summary>
    /// Kconfig's lines, <c>CONFIG_</c> and quotes taken off. Klipper's Makefile includes this very file, so make would run what stands in a
    /// <c>$(shell ...)</c>: no line may have anything but what Kconfig writes.
    /// </summary>
    /// <exception cref="FormatException">A line is of another kind.</exception>
    private static Dictionary<string, string> Symbols(string config)
    {
        var symbols = new Dictionary<string, string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var range in config.AsSpan().Split('\n'))
        {
            number++;
            var line = config.AsSpan(range).TrimEnd('\r');   // three of RatOS's own have such ends
            if (line.IndexOfAny("$`\\\r") >= 0)
                throw Bad();
            if (line.Length == 0 || line[0] == '#')
                continue;
            var at = line.IndexOf('=');
            if (at < 8 || !line.StartsWith("CONFIG_", StringComparison.Ordinal) || line[..at].ContainsAnyExcept(NameCharacters))
                throw Bad();
            var value = line[(at + 1)..];
            var isQuoted = value.Length >= 2 && value[0] == '"' && value[^1] == '"';
            var bare = isQuoted ? value[1..^1] : value;
            if (bare.ContainsAnyExcept(isQuoted ? TextCharacters : ValueCharacters) || bare.Contains("..", StringComparison.Ordinal))
                throw Bad();
            symbols[line[7..at].ToString()] = bare.ToString();
        }
        return symbols;

        FormatException Bad() => new($"line {number} of its firmware.config is nothing that Kconfig writes");
    }

    /// <summary>Kconfig reads a value up to the blank behind it; one of RatOS's has such a line.</summary>
    private static string WithoutBlanks(string config)
    {
        var lines = config.Split('\n');
        return Array.Exists(lines, line => line.AsSpan().TrimEnd('\r') is [.., ' ' or '\t'])
            ? string.Join('\n', lines.Select(line => line.TrimEnd())) : config;
    }

    /// <summary>
    /// The chip of the choice <c>MACH_STM32F072</c>, where CONFIG_MCU names another one: Kconfig takes the choice, and computes the
    /// other symbols from it. Null where both agree.
    /// </summary>
    private static string? Chosen(Dictionary<string, string> symbols)
    {
        const string Machine = "MACH_STM32";
        foreach (var (symbol, value) in symbols)
        {
            var chip = symbol.StartsWith(Machine, StringComparison.Ordinal) && value == "y" ? symbol[5..].ToLowerInvariant() : "";
            // Shorter ones are families.
            if (chip.Length >= "stm32f072".Length && symbols.GetValueOrDefault("MCU")?.StartsWith(chip, StringComparison.Ordinal) == false
                && Mcu.All.FirstOrDefault(mcu => mcu.Name.StartsWith(chip, StringComparison.Ordinal)) is { } chosen)
                return chosen.Name;
        }
        return null;
    }

    /// <summary>Without what Kconfig makes of the chip.</summary>
    private static string WithoutChip(string config) => string.Join('\n', config.Split('\n').Where(line =>
        !((string[])["MCU", "FLASH_SIZE", "RAM_SIZE", "STM32_DFU_ROM_ADDRESS"]).Any(symbol =>
            line.StartsWith($"CONFIG_{symbol}=", StringComparison.Ordinal))));

    // ---- theirs and ours

    private const string RatOs = "RatOS's definition";

    private static Board Added(Board read, ImmutableArray<Finding>.Builder findings)
    {
        if (read.FirmwareConfig is null)
            findings.Add(PlanFindings.NoBuildConfiguration(read.Id));
        else if (IsObsolete(read.FirmwareConfig))
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
        var isObsolete = ours.FirmwareConfig is not null && (theirs.FirmwareConfig is null || IsObsolete(theirs.FirmwareConfig));
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

    /// <summary>
    /// Klipper renamed the family in 2024 (Klipper src/rp2040/Kconfig), and for the old name its Kconfig silently takes the first
    /// family.
    /// </summary>
    private static bool IsObsolete(string config) =>
        config.Contains("CONFIG_MACH_RP2040=y", StringComparison.Ordinal)
            && !config.Contains("CONFIG_MACH_RPXXXX=y", StringComparison.Ordinal);

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
