using System.Text.Json;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Tests.Corpus;

/// <summary>One printer of <c>printers.jsonl</c>.</summary>
/// <param name="Number">Of the printer.</param>
/// <param name="Mcus">Its MCUs.</param>
internal sealed record CorpusPrinter(int Number, IReadOnlyList<CorpusMcu> Mcus)
{
    public static IReadOnlyList<CorpusPrinter> All { get; } = [.. File.ReadLines(CorpusFiles.Path("printers.jsonl")).Select(line =>
    {
        using var printer = JsonDocument.Parse(line);
        var root = printer.RootElement;
        return new CorpusPrinter(
            root.GetProperty("printer").GetInt32(), [.. root.GetProperty("mcus").EnumerateArray().Select(CorpusMcu.Of)]);
    })];
}

/// <summary>One <c>[mcu]</c> section of it.</summary>
/// <param name="Section">Its name.</param>
/// <param name="Link">As the corpus's own README says.</param>
/// <param name="Chip">Null where it is not certain.</param>
/// <param name="ChipCandidates">Where comments name several chips.</param>
/// <param name="Kind">The board, by a person's word; null where it is not known.</param>
/// <param name="Pins">By section and option.</param>
internal sealed record CorpusMcu(
    string Section, string Link, string? Chip, IReadOnlyList<string> ChipCandidates, string? Kind, IReadOnlyList<ConfigSection> Pins)
{
    public static CorpusMcu Of(JsonElement mcu)
    {
        var sections = new Dictionary<string, ConfigSection>(StringComparer.Ordinal);
        foreach (var pin in mcu.GetProperty("pins").EnumerateObject())
        {
            // A second pin of one option ends in a number: "fan.pin.2".
            var words = pin.Name.Split('.');
            var (section, option) = (words[0], words[1]);
            section = section.Replace('#', ' ');
            if (!sections.TryGetValue(section, out var its))
                sections[section] = its = new(section);
            its.Options.Add(new(option, pin.Value.GetString()!));
        }
        return new(
            mcu.GetProperty("section").GetString()!, mcu.GetProperty("link").GetString()!, Text("chip"), Candidates(), Text("kind"),
            [.. sections.Values]);

        IReadOnlyList<string> Candidates() => mcu.TryGetProperty("chip_candidates", out var chips) && chips.ValueKind == JsonValueKind.Array
            ? [.. chips.EnumerateArray().Select(chip => chip.GetString()!)] : [];

        string? Text(string name) => mcu.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    /// <summary>A board: no process of a computer, and none with its maker's firmware.</summary>
    public bool IsBoard => Link is not ("linux-process" or "usb-other-firmware" or "placeholder") && Chip != "linux";

    /// <summary>Its pins: the corpus names only this MCU's, without their prefix.</summary>
    public PinSet PinSet => PinSet.Of(Pins)["mcu"];
}
