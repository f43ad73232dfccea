using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Cli;

/// <summary>A board of the list in words.</summary>
internal static class BoardText
{
    /// <summary>Whether it needs a flash.</summary>
    public static string? Need(JsonBoard row) => row.Need switch
    {
        "needless" => "up to date",
        "useful" => "recommended",
        "unknown" => "possible",
        var need => need,
    };

    /// <summary>How firmware gets onto a board of that kind.</summary>
    public static string Method(JsonKind kind) => kind.Road switch
    {
        "engine" => "automatic",
        "engine-by-hand" => "manual bootloader",
        "uf2" => "UF2 drive",
        "sd-card" => "SD card",
        "process" => "service",
        "own-updater" => "its own updater",
        var tool => tool,
    };

    /// <summary>A definition that is not used.</summary>
    public static Line Of(JsonSkipped definition) => new(definition.Reason, Tone.Warning, Indent: 2);

    /// <summary>The lines below the list.</summary>
    public static IEnumerable<Line> Of(JsonBoard row)
    {
        if (row.Board is null)
            yield break;
        var need = Need(row) switch { null => "", "up to date" => "up to date. ", var level => $"flash {level}. " };
        yield return new($"{row.Board}: {need}{row.Reason}", row.Need == "required" ? Tone.Warning : Tone.Dim, Indent: 2);
        if (row.KnownByPins is { } pins)
        {
            var name = pins.Name is null ? "Several boards have its pins" : $"Known by its pins as {pins.Name}";
            var card = pins.CardFile is null ? "" : $" Its SD card takes {pins.CardFile}.";
            yield return new($"{name} ({pins.Score:0.00}, {string.Join(", ", pins.Configs.Take(3))}).{card}", Tone.Dim, Indent: 4);
        }
        foreach (var same in (row.Facts ?? []).GroupBy(fact => fact.By))
            yield return new($"{"",4}{string.Join(", ", same.Select(fact => fact.Says))} (by {same.Key})", Tone.Dim, Indent: 4);
        foreach (var finding in row.Findings ?? [])
            yield return PlanText.Of(finding);
    }
}
