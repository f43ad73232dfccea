using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Contract;

/// <summary>
/// The arguments of <c>flash</c>, <c>recover</c> and <c>plan</c> as JSON. They come from macros, browsers and other programs, and none of
/// them is trusted.
/// </summary>
internal static class FlashArguments
{
    private const int MostBoards = 32;
    private const int LongestName = 64;
    private const int LongestFirmware = 8 * 1024 * 1024;

    public const int LongestFileName = 128;

    /// <summary>A week, in seconds.</summary>
    public const int LongestIdleWait = 7 * 24 * 3600;

    public static readonly Dictionary<string, BootloaderDriver> Bootloaders =
        Drivers.All.Where(driver => driver.Option is not null).ToDictionary(driver => driver.Option!, StringComparer.Ordinal);

    /// <summary>As <see cref="Parse"/>, on another thread: a crafted file takes its time, and the engine may be writing a board.</summary>
    public static Task<FlashOptions> ParseAsync(
        JsonElement arguments, string firmwareFolder, string by = JobOrigin.Request, bool mayCarryFirmware = false) => Task.Run(() =>
    {
        lock (OneParse)
        {
            var options = Parse(arguments, firmwareFolder, by, mayCarryFirmware);
            _ = options.Firmware?.Image;
            return options;
        }
    });

    /// <summary>Files of many requests at once would be unpacked side by side.</summary>
    private static readonly Lock OneParse = new();

    /// <param name="arguments">An object, or nothing.</param>
    /// <param name="firmwareFolder">Where firmware is looked for by name.</param>
    /// <param name="by">Where they came from, one of <see cref="JobOrigin"/>.</param>
    /// <param name="mayCarryFirmware">Only the agent's own socket may: the others name files of this computer.</param>
    /// <exception cref="FlashException"><c>bad-request</c>, or the firmware cannot be read.</exception>
    public static FlashOptions Parse(
        JsonElement arguments, string firmwareFolder, string by = JobOrigin.Request, bool mayCarryFirmware = false)
    {
        if (arguments.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined or JsonValueKind.Null))
            throw AgentFaults.BadRequest("its arguments have no names");
        foreach (var name in (string[])["firmware", "bytes", "port", "uuid", "bootloader", "change_link", "firmware_sha256", "by"])
        {
            if (arguments.At(name) is { ValueKind: not JsonValueKind.String })
                throw AgentFaults.BadRequest($"its {name} is no text");
        }
        if (FlashFlag.Every.FirstOrDefault(flag => arguments.YesOrNo(flag.Json) is null) is { } odd)
            throw AgentFaults.BadRequest($"its {odd.Json} is no flag");
        var bootloader = arguments.Word("bootloader");
        if (bootloader is not null && !Bootloaders.ContainsKey(bootloader))
            throw AgentFaults.BadRequest(
                $"there is no bootloader '{Text.Clean(bootloader)}', only {string.Join(", ", Bootloaders.Keys)}");
        var uuid = arguments.Word("uuid");
        if (uuid is not null && CanUuid.TryParse(uuid) is null)
            throw AgentFaults.BadRequest($"'{Text.Clean(uuid)}' is no uuid of 12 hex digits");
        var change = arguments.Word("change_link");
        if (change is not null && !LinkChange.Known.ContainsKey(change))
            throw AgentFaults.BadRequest(
                $"there is no change of link '{Text.Clean(change)}', only {string.Join(", ", LinkChange.Known.Keys)}");
        if (arguments.At("bytes") is not null && !mayCarryFirmware)
            throw AgentFaults.BadRequest("it carries firmware, which only the agent's own socket accepts");
        if (arguments.Word("port") is { Length: > 256 })
            throw AgentFaults.BadRequest("its port has more than 256 characters");
        var limit = arguments.Number("timeout");
        if (arguments.At("timeout") is not null && limit is not (>= 1 and <= LongestIdleWait))
            throw AgentFaults.BadRequest($"its timeout is no number of seconds from 1 to {LongestIdleWait}");
        var sha256 = arguments.Word("firmware_sha256")?.ToLowerInvariant();
        if (sha256 is not null && !IsSha256(sha256))
            throw AgentFaults.BadRequest("its firmware_sha256 is not 64 hex digits");
        if (sha256 is not null && arguments.Word("firmware") is null)
            throw AgentFaults.BadRequest("it has a firmware_sha256 and names no firmware");
        var options = FlashFlag.Apply(
            new FlashOptions([.. Boards(arguments)])
            {
                Firmware = Firmware(arguments, firmwareFolder),
                FirmwareSha256 = sha256,
                IdleLimit = limit is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
                Confirmed = arguments.At("confirm") is null ? [] : [.. Names(arguments, "confirm")],
                Port = arguments.Word("port"),
                Uuid = CanUuid.TryParse(uuid),
                Bootloader = bootloader is null ? null : Bootloaders[bootloader],
                LinkChange = change is null ? null : LinkChange.Known[change],
            },
            flag => arguments.Flag(flag.Json));
        // A macro and a button are used in front of the printer or its page; a program has to say so.
        if (by is JobOrigin.Macro or JobOrigin.Prompt && arguments.At(FlashFlag.Operator.Json) is null)
            options = FlashFlag.Operator.Set(options);
        return options;
    }

    public static bool IsSha256(string? text) => text is { Length: 64 } && text.All(char.IsAsciiHexDigit);

    /// <summary>Where a request came from: a client of the agent may say that it is the command line or a screen.</summary>
    /// <param name="arguments">An object, or nothing.</param>
    /// <param name="by">Where it arrived, one of <see cref="JobOrigin"/>.</param>
    public static string OriginOf(JsonElement arguments, string by) =>
        arguments.Word("by") is (JobOrigin.CommandLine or JobOrigin.Screen or JobOrigin.Page) and { } named ? named : by;

    /// <summary>The same, from a command line to the agent.</summary>
    public static Dictionary<string, object?> Of(FlashOptions options)
    {
        var arguments = new Dictionary<string, object?> { ["boards"] = options.Boards.ToArray(), ["by"] = JobOrigin.CommandLine };
        foreach (var flag in FlashFlag.Every)
            arguments[flag.Json] = flag.IsSet(options);
        if (options.Firmware is { } firmware)
            (arguments["firmware"], arguments["bytes"]) = (firmware.Name, Convert.ToBase64String(firmware.Bytes.Span));
        if (options.FirmwareSha256 is { } sha256)
            arguments["firmware_sha256"] = sha256;
        if (options.IdleLimit is { } limit)
            arguments["timeout"] = limit.TotalSeconds;
        foreach (var (name, value) in PlaceAndLink(options))
            arguments[name] = value;
        return arguments;
    }

    /// <summary>The same for a button that makes the request once more for one of its boards.</summary>
    public static JsonObject ToRepeat(FlashOptions options)
    {
        var arguments = new JsonObject();
        foreach (var flag in FlashFlag.Every.Where(flag => flag.IsSet(options)))
            arguments[flag.Json] = true;
        if (options.Firmware is { IsUploaded: true } firmware)
            arguments["firmware"] = Path.GetFileName(firmware.Name);
        foreach (var (name, value) in options.Boards is [not FlashOptions.All] ? PlaceAndLink(options) : [])
            arguments[name] = value;
        return arguments;
    }

    private static IEnumerable<(string Name, string Value)> PlaceAndLink(FlashOptions options)
    {
        if (options.Port is { } port)
            yield return ("port", port);
        if (options.Uuid is { } uuid)
            yield return ("uuid", uuid.ToString());
        if (options.Bootloader is { Option: { } driver })
            yield return ("bootloader", driver);
        if (options.LinkChange is { } change)
            yield return ("change_link", $"{change}");
    }

    private static List<string> Boards(JsonElement arguments)
    {
        var names = new List<string>();
        foreach (var key in (string[])["board", "mcu", "boards"])
            names.AddRange(Names(arguments, key));
        if (names.Count > MostBoards)
            throw AgentFaults.BadRequest($"it names {names.Count} boards");
        if (names.Find(name => name.Length > LongestName) is { } tooLong)
            throw AgentFaults.BadRequest($"no board is called '{Text.Clean(tooLong)}...'");
        return names.Count == 0 ? [FlashOptions.All] : names;
    }

    private static IEnumerable<string> Names(JsonElement arguments, string key) => arguments.At(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.String } text =>
            text.GetString()!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
        { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
            list.EnumerateArray().Select(item => item.GetString()!.Trim()).Where(item => item.Length > 0),
        _ => throw AgentFaults.BadRequest($"'{key}' is neither a name nor a list of names"),
    };

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
        // A file name and never a path: a client must not read other files.
        if (name.Length > LongestFileName || name.AsSpan().IndexOfAny('/', '\0') >= 0 || name is "" or "." or "..")
            throw AgentFaults.BadRequest($"'{Text.Clean(name)}' is no file name within {folder}");
        return FirmwareFile.Read(Path.Combine(folder, name)) with { IsUploaded = true };
    }
}
