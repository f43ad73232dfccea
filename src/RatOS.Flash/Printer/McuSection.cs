using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Printer;

/// <summary>One <c>[mcu]</c> section of Klipper's configuration, its options as text; null for those it does not have.</summary>
/// <param name="Name"><c>mcu</c> or <c>mcu NAME</c>, in Klipper's spelling (its settings have section names in lower case).</param>
public sealed record McuSection(string Name)
{
    public string? Serial { get; init; }

    public string? Baud { get; init; }

    public string? CanbusUuid { get; init; }

    public string? CanbusInterface { get; init; }

    public string? RestartMethod { get; init; }

    /// <summary>The NAME of <c>[mcu NAME]</c>; null for <c>[mcu]</c>.</summary>
    internal string? Own => Name.StartsWith("mcu ", StringComparison.OrdinalIgnoreCase) && Name[4..].Trim() is { Length: > 0 } own ? own : null;
}

/// <summary>What Klipper tells of one MCU; null for what it could not ask.</summary>
/// <param name="Version">The version that it runs.</param>
/// <param name="Chip">Its chip, in Klipper's words.</param>
public sealed record McuTold(string? Version, string? Chip)
{
    /// <summary>The constants of its build, numbers as text; empty for what was not asked.</summary>
    public IReadOnlyDictionary<string, string> Constants { get; init; } = ImmutableDictionary<string, string>.Empty;
}

/// <summary>What Klipper tells.</summary>
/// <param name="Host">Its own version; null when it does not run.</param>
/// <param name="Boards">By <c>mcu</c> or <c>mcu NAME</c>, in any case. Modules of Klipper add MCUs that have no section.</param>
public sealed record KlippyTold(string? Host, IReadOnlyDictionary<string, McuTold> Boards)
{
    public static readonly KlippyTold Nothing = new(null, new Dictionary<string, McuTold>());
}

/// <summary>A <c>[power]</c> device of Moonraker.</summary>
public sealed record PowerDevice(string Name, bool IsOn);

/// <summary>What the path of a <c>serial:</c> says of the board, also while nothing is there. Parts are null where the path does not tell.</summary>
/// <param name="Maker">USB manufacturer, as udev writes it: <c>Klipper</c>.</param>
/// <param name="Product">USB product: Klipper's is the chip.</param>
/// <param name="Serial">USB serial, as udev writes it.</param>
/// <param name="Chain">USB ports behind the root hub, <c>1.3</c>: the end of a <see cref="Hardware.Device.Port"/> such as <c>1-1.3</c>.</param>
internal sealed partial record PathHint(string? Maker, string? Product, string? Serial, string? Chain)
{
    /// <summary>PATH_MAX of Linux.</summary>
    private const int LongestPath = 4096;

    public static readonly PathHint None = new(null, null, null, null);

    public static PathHint Of(string path)
    {
        if (path.Length > LongestPath)
            return None;
        var name = path[(path.LastIndexOf('/') + 1)..];
        if (path.StartsWith("/dev/serial/by-path/", StringComparison.Ordinal))
            return ByPath().Match(name) is { Success: true } port ? None with { Chain = port.Groups["chain"].Value } : None;
        if (path.StartsWith("/dev/serial/by-id/", StringComparison.Ordinal))
        {
            return ById().Match(name) is { Success: true } id
                ? new(id.Groups["maker"].Value, id.Groups["product"].Value, id.Groups["serial"].Value, null) : None;
        }
        // RatOS: /dev/RatOS/<serial>, and /dev/<id> for a board of that kind.
        return path.StartsWith("/dev/RatOS/", StringComparison.Ordinal) || (path == "/dev/" + name && !name.StartsWith("tty", StringComparison.Ordinal) && !name.StartsWith("serial", StringComparison.Ordinal))
            ? None with { Serial = name } : None;
    }

    /// <summary>A text of a USB descriptor as udev puts it into the name of a link.</summary>
    public static string Udev(string? text) =>
        string.Concat((text ?? "").Trim().Select(c => char.IsAsciiLetterOrDigit(c) || c is '#' or '+' or '-' or '.' or ':' or '=' or '@' or '_' ? c : '_'));

    // Maker and product of Klipper have no underscore; its serials may.
    [GeneratedRegex(@"^usb-(?<maker>[^_]*)_(?<product>[^_]*)_(?<serial>.+)-if[0-9a-fA-F]{2}(-port\d+)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex ById();

    [GeneratedRegex(@"-usb(v\d)?-\d+:(?<chain>\d+(\.\d+)*):\d+\.\d+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex ByPath();
}
