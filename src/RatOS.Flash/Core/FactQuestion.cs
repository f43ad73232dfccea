using System.Collections.Immutable;

namespace RatOS.Flash.Core;

/// <summary>
/// A fact that a flash needs, and that neither the board nor any other source tells. Exactly this is asked; the answer counts as the user's
/// word about the board.
/// </summary>
/// <param name="Board">The board's name.</param>
/// <param name="Fact">As in a <c>[board NAME]</c> section: <c>chip</c>, <c>start</c>, <c>link</c> or <c>card</c>.</param>
/// <param name="Text">The question, one line.</param>
/// <param name="Choices">1 or more, likeliest first.</param>
public sealed record FactQuestion(string Board, string Fact, string Text, ImmutableArray<FactChoice> Choices)
{
    public bool Equals(FactQuestion? other) => other is not null
        && (Board, Fact, Text) == (other.Board, other.Fact, other.Text) && Choices.SequenceEqual(other.Choices);

    public override int GetHashCode() => HashCode.Combine(Board, Fact, Text);
}

/// <summary>A possible answer.</summary>
/// <param name="Value">As in ratos-flash.conf: <c>0x8008000</c>.</param>
/// <param name="Label">What it means, in a few words.</param>
public sealed record FactChoice(string Value, string Label);
