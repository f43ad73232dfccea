using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RatOS.Flash.Boards;

/// <summary>The boards that the product knows: those inside the binary, and those that an installed RatOS adds.</summary>
public sealed class BoardCatalogue
{
    private static readonly Lazy<BoardCatalogue> Loaded = new(Load);

    private readonly CatalogueFile _file;

    private BoardCatalogue(CatalogueFile file) => _file = file;

    public static BoardCatalogue BuiltIn => Loaded.Value;

    public ImmutableArray<Board> Boards => _file.Boards;

    /// <summary>Finds by id, in any case.</summary>
    public Board? Find(string id) => Boards.FirstOrDefault(board => string.Equals(board.Id, id, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// Finds by the serial that its Klipper announces: RatOS gives tool boards a suffix of their own, <c>btt-ebb42-12-t0</c>.
    /// </summary>
    public Board? FindBySerial(string? serial)
    {
        if (string.IsNullOrEmpty(serial))
            return null;
        // First as it is: an id may itself end like a suffix.
        return Boards.FirstOrDefault(board => string.Equals(board.UsbSerial, serial, StringComparison.OrdinalIgnoreCase))
            ?? (WithoutSuffix(serial) is { } kind
                ? Boards.FirstOrDefault(board => string.Equals(board.UsbSerial, kind, StringComparison.OrdinalIgnoreCase)) : null);
    }

    /// <summary>The same catalogue with other boards in it.</summary>
    internal BoardCatalogue With(ImmutableArray<Board> boards) => new(_file with { Boards = boards });

    /// <summary>The operator step of a key such as <c>boot0-jumper-on</c>.</summary>
    public string StepText(string step) =>
        _file.DfuSteps?.GetValueOrDefault(step) ?? _file.Afterwards?.GetValueOrDefault(step) ?? step;

    /// <summary>A condition before a flash, by a key such as <c>sd-slot-empty</c>.</summary>
    public string PreconditionText(string key) => _file.Preconditions?.GetValueOrDefault(key) ?? key;

    private static string? WithoutSuffix(string serial)
    {
        var at = serial.LastIndexOf("-t", StringComparison.OrdinalIgnoreCase);
        return at > 0 && serial.Length > at + 2 && serial.AsSpan(at + 2).IndexOfAnyExceptInRange('0', '9') < 0 ? serial[..at] : null;
    }

    private static BoardCatalogue Load()
    {
        using var stream = typeof(BoardCatalogue).Assembly.GetManifestResourceStream("boards.json")
            ?? throw new InvalidOperationException("boards.json is not in the assembly");
        return Read(stream);
    }

    /// <summary>Reads a catalogue. Lists and texts may be missing.</summary>
    internal static BoardCatalogue Read(Stream stream) => new(JsonSerializer.Deserialize(stream, CatalogueJson.Default.CatalogueFile)
        ?? throw new InvalidOperationException("the catalogue of boards is empty"));
}

internal sealed record CatalogueFile
{
    public Dictionary<string, string>? DfuSteps { get; init; }

    public Dictionary<string, string>? Afterwards { get; init; }

    public Dictionary<string, string>? Preconditions { get; init; }

    public ImmutableArray<Board> Boards { get; init => field = value.OrEmpty(); } = [];
}

internal static class CatalogueLists
{
    /// <summary>A list that is missing in JSON is empty: the serializer would leave it without an array.</summary>
    public static ImmutableArray<T> OrEmpty<T>(this ImmutableArray<T> list) => list.IsDefault ? [] : list;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CatalogueFile))]
internal sealed partial class CatalogueJson : JsonSerializerContext;
