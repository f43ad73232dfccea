using System.Text.RegularExpressions;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>
/// Facts that the path of a <c>serial:</c> gives about the board, also while the board is absent. Parts are null where the path lacks them.
/// </summary>
/// <param name="Maker">USB manufacturer, as udev writes it: <c>Klipper</c>.</param>
/// <param name="Product">USB product: Klipper's is the chip.</param>
/// <param name="Serial">USB serial, as udev writes it.</param>
/// <param name="Chain">USB ports behind the root hub, <c>1.3</c>: the end of a <see cref="Hardware.Device.Port"/> such as
/// <c>1-1.3</c>.</param>
/// <param name="Controller">The USB host controller, as udev writes it: <c>platform-5311400.usb</c>. Each has ports of its own.</param>
internal sealed partial record PathEvidence(string? Maker, string? Product, string? Serial, string? Chain, string? Controller = null)
{
    /// <summary>PATH_MAX of Linux.</summary>
    private const int LongestPath = 4096;

    private const int MatchLimit = 10_000;   // milliseconds; the expressions are linear in the path

    public static readonly PathEvidence None = new(null, null, null, null);

    public static PathEvidence Of(string path)
    {
        if (path.Length > LongestPath)
            return None;
        var name = path[(path.LastIndexOf('/') + 1)..];
        if (path.StartsWith("/dev/serial/by-path/", StringComparison.Ordinal))
        {
            return ByPath().Match(name) is { Success: true } port
                ? None with { Chain = port.Groups["chain"].Value, Controller = port.Groups["controller"].Value } : None;
        }
        if (path.StartsWith("/dev/serial/by-id/", StringComparison.Ordinal))
        {
            return ById().Match(name) is { Success: true } id
                ? new(id.Groups["maker"].Value, id.Groups["product"].Value, id.Groups["serial"].Value, null) : None;
        }
        // RatOS: /dev/RatOS/<serial>, and /dev/<id> for a board of that kind.
        var isOfRatOs = path.StartsWith("/dev/RatOS/", StringComparison.Ordinal);
        var isPort = name.StartsWith("tty", StringComparison.Ordinal) || name.StartsWith("serial", StringComparison.Ordinal);
        return isOfRatOs || (path == "/dev/" + name && !isPort) ? None with { Serial = name } : None;
    }

    /// <summary>A port that this by-path link names: its chain at its controller.</summary>
    /// <param name="device">On USB.</param>
    /// <param name="controller">The controller of the device, whole or its end; null where it is unknown.</param>
    public bool Names(Device device, string? controller) =>
        device.Port.IndexOf('-', StringComparison.Ordinal) is var at and > 0 && device.Port[(at + 1)..] == Chain
        && (controller is null || controller == Controller
            || Controller?.EndsWith("-" + controller, StringComparison.Ordinal) == true);

    /// <summary>A text of a USB descriptor as udev puts it into the name of a link.</summary>
    public static string Udev(string? text) => string.Concat((text ?? "").Trim().Select(c =>
        char.IsAsciiLetterOrDigit(c) || c is '#' or '+' or '-' or '.' or ':' or '=' or '@' or '_' ? c : '_'));

    // Manufacturer and product of Klipper have no underscore; its serials may.
    [GeneratedRegex(
        @"^usb-(?<maker>[^_]*)_(?<product>[^_]*)_(?<serial>.+)-if[0-9a-fA-F]{2}(-port\d+)?$", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex ById();

    [GeneratedRegex(@"^(?<controller>.+)-usb(v\d)?-\d+:(?<chain>\d+(\.\d+)*):\d+\.\d+", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex ByPath();
}
