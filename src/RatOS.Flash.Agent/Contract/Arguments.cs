using System.Text.Json;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Contract;

/// <summary>Arguments from outside, checked: they come from macros, browsers, other programs, and from whoever wants to do harm.</summary>
internal static class Arguments
{
    private const int MostBoards = 32;
    private const int LongestName = 64;
    private const int LongestFirmware = 8 * 1024 * 1024;

    public static readonly Dictionary<string, BootloaderKind> Bootloaders = new(StringComparer.Ordinal)
    {
        ["katapult"] = BootloaderKind.Katapult,
        ["dfu"] = BootloaderKind.DfuSe,
        ["stm32-uart"] = BootloaderKind.Stm32Uart,
    };

    /// <param name="arguments">An object, or nothing.</param>
    /// <param name="firmwareFolder">Where firmware is looked for by name.</param>
    /// <exception cref="FlashException"><c>bad-request</c>, or the firmware cannot be read.</exception>
    public static Asked Parse(JsonElement arguments, string firmwareFolder)
    {
        if (arguments.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined or JsonValueKind.Null))
            throw AgentFaults.BadRequest("its arguments have no names");
        var bootloader = arguments.Word("bootloader");
        if (bootloader is not null && !Bootloaders.ContainsKey(bootloader))
            throw AgentFaults.BadRequest($"there is no bootloader '{Text.Clean(bootloader)}', only {string.Join(", ", Bootloaders.Keys)}");
        var uuid = arguments.Word("uuid");
        if (uuid is not null && CanUuid.TryParse(uuid) is null)
            throw AgentFaults.BadRequest($"'{Text.Clean(uuid)}' is no uuid of 12 hex digits");
        if (arguments.Word("port") is { Length: > 256 })
            throw AgentFaults.BadRequest("no port has so long a name");
        return new Asked([.. Boards(arguments)])
        {
            Firmware = Firmware(arguments, firmwareFolder),
            Port = arguments.Word("port"),
            Uuid = CanUuid.TryParse(uuid),
            Bootloader = bootloader is null ? null : Bootloaders[bootloader],
            Force = arguments.Flag("force"),
            Hot = arguments.Flag("hot"),
            SdCard = arguments.Flag("sd_card"),
            HasPerson = arguments.Flag("person"),
            Rollback = arguments.Flag("rollback"),
        };
    }

    /// <summary>The same, from a command line to the agent.</summary>
    public static Dictionary<string, object?> Of(Asked asked)
    {
        var arguments = new Dictionary<string, object?>
        {
            ["boards"] = asked.Boards.ToArray(),
            ["force"] = asked.Force,
            ["hot"] = asked.Hot,
            ["sd_card"] = asked.SdCard,
            ["person"] = asked.HasPerson,
            ["rollback"] = asked.Rollback,
            ["by"] = "command-line",
        };
        if (asked.Firmware is { } firmware)
            (arguments["firmware"], arguments["bytes"]) = (firmware.Name, Convert.ToBase64String(firmware.Bytes.Span));
        if (asked.Port is { } port)
            arguments["port"] = port;
        if (asked.Uuid is { } uuid)
            arguments["uuid"] = uuid.ToString();
        if (asked.Bootloader is { } kind)
            arguments["bootloader"] = Bootloaders.First(pair => pair.Value == kind).Key;
        return arguments;
    }

    private static List<string> Boards(JsonElement arguments)
    {
        var names = new List<string>();
        foreach (var key in (string[])["board", "mcu", "boards"])
        {
            switch (arguments.At(key))
            {
                case null:
                    break;
                case { ValueKind: JsonValueKind.String } text:
                    names.AddRange(text.GetString()!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
                    break;
                case { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String):
                    names.AddRange(list.EnumerateArray().Select(item => item.GetString()!.Trim()).Where(item => item.Length > 0));
                    break;
                default:
                    throw AgentFaults.BadRequest($"'{key}' is neither a name nor a list of names");
            }
        }
        if (names.Count > MostBoards)
            throw AgentFaults.BadRequest($"it names {names.Count} boards");
        if (names.Find(name => name.Length > LongestName) is { } novel)
            throw AgentFaults.BadRequest($"no board is called '{Text.Clean(novel)}...'");
        return names.Count == 0 ? ["all"] : names;
    }

    private static GivenFirmware? Firmware(JsonElement arguments, string folder)
    {
        if (arguments.Word("firmware") is not { } name)
            return null;
        if (arguments.Word("bytes") is { } text)
        {
            var bytes = new byte[text.Length / 4 * 3];
            if (text.Length > LongestFirmware || !Convert.TryFromBase64String(text, bytes, out var length))
                throw AgentFaults.BadRequest("the firmware's bytes are not base64, or too many");
            return new(Text.Clean(name), bytes.AsMemory(0, length));
        }
        // A name within the folder, never a path: whoever may ask here may not therefore read every file.
        if (name.Length > 128 || name.AsSpan().IndexOfAny('/', '\0') >= 0 || name is "" or "." or "..")
            throw AgentFaults.BadRequest($"'{Text.Clean(name)}' is no file name within {folder}");
        return FirmwareFile.Read(Path.Combine(folder, name));
    }
}

internal static class FirmwareFile
{
    private const int Largest = 8 * 1024 * 1024;

    /// <exception cref="FlashException"><c>firmware-unreadable</c>.</exception>
    public static GivenFirmware Read(string path)
    {
        try
        {
            var file = new FileInfo(path);
            if (file.Exists && file.Length > Largest)
                throw FirmwareFaults.FirmwareUnreadable(Text.Clean(path), $"it has {file.Length} bytes, which is too much for any firmware");
            return new(path, File.ReadAllBytes(path));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw FirmwareFaults.FirmwareUnreadable(Text.Clean(path), fault.Message.TrimEnd('.'));
        }
    }
}
