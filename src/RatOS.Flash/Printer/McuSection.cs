namespace RatOS.Flash.Printer;

/// <summary>One <c>[mcu]</c> section of Klipper's configuration, its options as text; null for those that it does not have.</summary>
/// <param name="Name"><c>mcu</c> or <c>mcu NAME</c>, in Klipper's spelling (its settings have section names in lower case).</param>
public sealed record McuSection(string Name)
{
    public string? Serial { get; init; }

    public string? Baud { get; init; }

    public string? CanbusUuid { get; init; }

    public string? CanbusInterface { get; init; }

    public string? RestartMethod { get; init; }

    /// <summary>The NAME of <c>[mcu NAME]</c>; null for <c>[mcu]</c>.</summary>
    internal string? Own =>
        Name.StartsWith("mcu ", StringComparison.OrdinalIgnoreCase) && Name[4..].Trim() is { Length: > 0 } own ? own : null;
}
