using System.Globalization;
using System.Text.Json;

namespace RatOS.Flash.Tests.Described;

/// <summary>What Klipper's Kconfig offers for a chip, as <c>Described/README.md</c> tells.</summary>
public sealed record KconfigChip
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private static readonly Lazy<IReadOnlyList<KconfigChip>> Recorded = new(static () =>
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Described", "kconfig.json")));
        return document.RootElement.GetProperty("chips").Deserialize<KconfigChip[]>(Options)!;
    });

    public static IReadOnlyList<KconfigChip> All => Recorded.Value;

    /// <summary>All symbols of all chips.</summary>
    public static IEnumerable<string> Symbols => All.SelectMany(chip => (IEnumerable<string>)
        [.. chip.Machine, .. chip.Starts.Keys, .. chip.Clocks.Keys, .. chip.Links.Keys, .. chip.Bridges, .. chip.Features]);

    /// <summary>As its firmware's dictionary names it.</summary>
    public required string Mcu { get; init; }

    /// <summary>The symbols that choose it.</summary>
    public required string[] Machine { get; init; }

    /// <summary>The end of its RAM, as Klipper counts it; null for an AVR.</summary>
    public string? RamEnd { get; init; }

    /// <summary>The application's address where there is no choice.</summary>
    public string? Start { get; init; }

    /// <summary>Symbols and the application's address.</summary>
    public IReadOnlyDictionary<string, string> Starts { get; init; } = new Dictionary<string, string>();

    /// <summary>Symbols, and CLOCK_FREQ and CLOCK_REF_FREQ with them.</summary>
    public IReadOnlyDictionary<string, int[]> Clocks { get; init; } = new Dictionary<string, int[]>();

    /// <summary>Symbols, and usb, uart, can or bridge.</summary>
    public IReadOnlyDictionary<string, string> Links { get; init; } = new Dictionary<string, string>();

    /// <summary>Symbols of the CAN pins of a bridge.</summary>
    public string[] Bridges { get; init; } = [];

    /// <summary>Links that need a crystal.</summary>
    public string[] NotInternal { get; init; } = [];

    /// <summary>Features that it can leave out, because its flash is small.</summary>
    public string[] Features { get; init; } = [];

    public override string ToString() => Machine[^1];

    internal static uint Address(string text) => uint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
