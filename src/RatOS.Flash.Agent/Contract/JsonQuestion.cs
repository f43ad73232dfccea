using System.Diagnostics.CodeAnalysis;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <inheritdoc cref="FactQuestion"/>
internal sealed record JsonQuestion(string Board, string Fact, string Text, JsonChoice[] Choices)
{
    [return: NotNullIfNotNull(nameof(question))]
    public static JsonQuestion? Of(FactQuestion? question) => question is null ? null : new(question.Board, question.Fact, question.Text,
        [.. question.Choices.Select(choice => new JsonChoice(choice.Value, choice.Label))]);

    /// <summary>Null for one from a damaged file.</summary>
    public FactQuestion? ToQuestion() =>
        this is { Board: not null, Fact: not null, Text: not null, Choices: { Length: > 0 } choices }
            && Array.TrueForAll(choices, choice => choice is { Value: not null, Label: not null })
            ? new(Board, Fact, Text, [.. choices.Select(choice => new FactChoice(choice.Value, choice.Label))]) : null;
}

/// <inheritdoc cref="FactChoice"/>
internal sealed record JsonChoice(string Value, string Label);
