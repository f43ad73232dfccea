using System.Text.Json;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <summary>The arguments of <c>options</c>. They come from browsers and other programs, and none of them is trusted.</summary>
/// <param name="Board">As the user typed it.</param>
/// <param name="Set">All assignments of the form, in their order.</param>
/// <param name="Saves">Keep the result.</param>
internal sealed record OptionsRequest(string Board, IReadOnlyList<OptionValue> Set, bool Saves)
{
    private const int MostValues = 256;
    private const int LongestName = 64;
    private const int LongestValue = 200;

    /// <exception cref="FlashException"><c>bad-request</c>.</exception>
    public static OptionsRequest Parse(JsonElement arguments)
    {
        if (arguments.Word("board") is not { Length: > 0 and <= LongestName } board)
            throw AgentFaults.BadRequest("it names no board");
        if (arguments.At("set") is { ValueKind: not JsonValueKind.Object })
            throw AgentFaults.BadRequest("'set' is no object");
        var set = new List<OptionValue>();
        foreach (var member in arguments.Members("set"))
        {
            if (set.Count == MostValues)
                throw AgentFaults.BadRequest($"it sets more than {MostValues} options");
            if (member.Name.Length is 0 or > LongestName || !member.Name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
                throw AgentFaults.BadRequest($"no option is called '{Text.Clean(member.Name)}'");
            if (member.Value.ValueKind != JsonValueKind.String || member.Value.GetString() is not { Length: <= LongestValue } value)
                throw AgentFaults.BadRequest($"the value of {member.Name} is no text of at most {LongestValue} characters");
            set.Add(new(member.Name, value));
        }
        return new(board, set, arguments.Flag("save"));
    }
}

/// <inheritdoc cref="FilledForm"/>
/// <param name="Board">The board's name.</param>
/// <param name="Klipper">The version whose menu it is.</param>
/// <param name="Kept">A configuration of this board is kept.</param>
/// <param name="Saved">This request saved it.</param>
internal sealed record JsonOptions(
    string Board, string Klipper, bool Kept, bool Saved, JsonOption[] Nodes, string[] Changed, JsonRefusedOption[] Refused)
{
    public static JsonOptions Of(string board, FilledForm form) => new(
        board, form.Klipper, form.IsKept, form.IsSaved, [.. form.Nodes.Select(JsonOption.Of)], [.. form.Changed],
        [.. form.Refused.Select(option => new JsonRefusedOption(option.Name, Text.Clean(option.Value), option.Reason))]);
}

/// <inheritdoc cref="OptionNode"/>
internal sealed record JsonOption(string Kind, string Prompt, bool Assignable)
{
    public string? Name { get; init; }

    public string? Value { get; init; }

    public string? Help { get; init; }

    public string[]? Range { get; init; }

    public JsonOptionOfChoice[]? Options { get; init; }

    public string? Board { get; init; }

    public JsonOption[]? Nodes { get; init; }

    public static JsonOption Of(OptionNode node) => new(node.Kind, node.Prompt, node.Assignable)
    {
        Name = node.Name,
        Value = node.Value,
        Help = node.Help,
        Range = node.Range,
        Options = node.Options?.Select(option => new JsonOptionOfChoice(option.Name, option.Prompt, option.Help)).ToArray(),
        Board = node.Board,
        Nodes = node.Nodes?.Select(Of).ToArray(),
    };
}

/// <inheritdoc cref="OptionOfChoice"/>
internal sealed record JsonOptionOfChoice(string Name, string Prompt, string? Help);

/// <inheritdoc cref="RefusedOption"/>
internal sealed record JsonRefusedOption(string Name, string Value, string Reason);
