using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RatOS.Flash.Boards;

/// <summary>The pins of boards that Klipper's own configurations do not describe (<c>board-pins.json</c>).</summary>
public static class BuiltInPins
{
    private static readonly Lazy<ImmutableArray<KlipperBoardConfig>> Loaded = new(Load);

    public static ImmutableArray<KlipperBoardConfig> Boards => Loaded.Value;

    private static ImmutableArray<KlipperBoardConfig> Load()
    {
        using var stream = typeof(BuiltInPins).Assembly.GetManifestResourceStream("board-pins.json")
            ?? throw new InvalidOperationException("board-pins.json is not in the assembly");
        var file = JsonSerializer.Deserialize(stream, BoardPinsJson.Default.BoardPinsFile)
            ?? throw new InvalidOperationException("board-pins.json is empty");
        return [.. file.Boards.Select(board => new KlipperBoardConfig(
            board.Id, board.Name, [board.Chip],
            new PinSet([.. board.Pins.Split(", ").Select(PinFeature.TryParse).OfType<PinFeature>()]), Head: null))];
    }
}

/// <param name="Boards">In the order of their ids.</param>
internal sealed record BoardPinsFile(ImmutableArray<BoardPins> Boards);

/// <param name="Id">RatOS's, or one like it.</param>
/// <param name="Name">With its maker.</param>
/// <param name="Chip">By Klipper's name.</param>
/// <param name="Pins">Features, as <see cref="PinFeature.ToString"/> writes them.</param>
internal sealed record BoardPins(string Id, string Name, string Chip, string Pins);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(BoardPinsFile))]
internal sealed partial class BoardPinsJson : JsonSerializerContext;
