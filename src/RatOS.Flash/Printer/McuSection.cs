using System.Globalization;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>One <c>[mcu]</c> section of Klipper's configuration, its options as text; null for those that it does not have.</summary>
/// <param name="Name"><c>mcu</c> or <c>mcu NAME</c>, in Klipper's spelling (its settings have section names in lower case).</param>
public sealed record McuSection(string Name)
{
    private const int LeastBaud = 2400;

    public string? Serial { get; init; }

    public string? Baud { get; init; }

    /// <summary>The baud at which Klipper's host opens the port; null for a text that is no baud (Klipper klippy/mcu.py).</summary>
    internal int? LineBaud => Baud is null ? SerialMode.Klipper.Baud
        : int.TryParse(Baud, CultureInfo.InvariantCulture, out var baud) && baud >= LeastBaud ? baud : null;

    public string? CanbusUuid { get; init; }

    public string? CanbusInterface { get; init; }

    public string? RestartMethod { get; init; }

    /// <summary>Kalico's <c>is_non_critical</c>: the printer works without it, and it may be plugged in at any time.</summary>
    public bool IsNonCritical { get; init; }

    /// <summary>Its <c>serial:</c> or its uuid names one board, wherever it is plugged in.</summary>
    public bool TellsBoard => CanbusUuid is not null || (Serial is not null && PathEvidence.Of(Serial).Serial is not null);

    /// <summary>
    /// A path to a port names its board: its <c>serial:</c>, or a USB name with the same chip and serial, whichever firmware announced it.
    /// </summary>
    public bool IsAt(string path) => Serial is not null && (Serial == path
        || (PathEvidence.Of(Serial) is { Product: not null, Serial: not null } own && PathEvidence.Of(path) is var other
            && string.Equals(own.Product, other.Product, StringComparison.OrdinalIgnoreCase)
            && string.Equals(own.Serial, other.Serial, StringComparison.OrdinalIgnoreCase)));

    /// <summary>The NAME of <c>[mcu NAME]</c>; null for <c>[mcu]</c>.</summary>
    internal string? Own =>
        Name.StartsWith("mcu ", StringComparison.OrdinalIgnoreCase) && Name[4..].Trim() is { Length: > 0 } own ? own : null;
}
