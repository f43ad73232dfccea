using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace RatOS.Flash.Core;

/// <summary>
/// What the reader does now: sentences whose actions are data, because each front end has its own words for them. It is made of an
/// interpolated string: <c>$"Check its power, then {RemedyAction.FlashAgain}."</c>
/// </summary>
[InterpolatedStringHandler]
public sealed class Remedy : IEquatable<Remedy>
{
    private readonly List<Part> _parts;

    /// <summary>For the compiler, which then appends the parts of an interpolated string.</summary>
    public Remedy(int literalLength, int formattedCount) => _parts = new((formattedCount * 2) + Math.Min(literalLength, 1));

    private readonly record struct Part(string Text, RemedyAction? Action);

    /// <summary>The actions, in the order of the sentences: a later one is for when the earlier ones do not help.</summary>
    public IEnumerable<RemedyAction> Actions => _parts.Select(part => part.Action).OfType<RemedyAction>();

    /// <summary>It begins with an action, and with which one; else null.</summary>
    public RemedyAction? First => _parts is [{ Action: { } action }, ..] ? action : null;

    public static explicit operator Remedy(string text)
    {
        var remedy = new Remedy(text.Length, 0);
        remedy.AppendLiteral(text);
        return remedy;
    }

    /// <summary>One that was kept as text, with its words for each front end.</summary>
    public static Remedy Of(string commandLine, string browser)
    {
        Remedy remedy = $"{new RemedyAction(commandLine, browser)}";
        return commandLine == browser ? (Remedy)commandLine : remedy;
    }

    /// <summary>Steps in their order, in one line: <c>(1) ... (2) ...</c></summary>
    /// <param name="steps">Sentences; commands stand between backticks.</param>
    /// <param name="does">What an operator does with them.</param>
    public static Remedy Numbered(IReadOnlyList<string> steps, OperatorStep does = OperatorStep.None)
    {
        var text = string.Join(" ", steps.Select((step, i) => $"({i + 1}) {step}"));
        var browser = text.Contains('`', StringComparison.Ordinal) ? text + " Enter the commands in a terminal." : text;
        return $"{new RemedyAction(text, browser) { Step = does }}";
    }

    public void AppendLiteral(string text) => _parts.Add(new(text, null));

    public void AppendFormatted(string? text) => _parts.Add(new(text ?? "", null));

    public void AppendFormatted(RemedyAction action) => _parts.Add(new("", action));

    public void AppendFormatted(Remedy other) => _parts.AddRange(other._parts);

    public void AppendFormatted<T>(T value, string? format = null)
        where T : IFormattable => _parts.Add(new(value.ToString(format, CultureInfo.InvariantCulture), null));

    /// <summary>The sentences in the words of a front end.</summary>
    public string In(FrontEnd frontEnd)
    {
        var text = new StringBuilder();
        foreach (var part in _parts)
        {
            var words = part.Action?.In(frontEnd) ?? part.Text;
            var isSentence = part.Action is { } action && (frontEnd == FrontEnd.Browser || !action.IsCommand);
            var begins = isSentence && (text.Length == 0 || (text.Length > 1 && text[^1] == ' ' && text[^2] == '.'));
            text.Append(begins && words.Length > 0 ? char.ToUpperInvariant(words[0]) + words[1..] : words);
        }
        return text.ToString();
    }

    /// <summary>Its words for a browser where they differ from those for a terminal; else null.</summary>
    public string? OnlyInBrowser => In(FrontEnd.Browser) is var words && words != In(FrontEnd.CommandLine) ? words : null;

    /// <summary>In the words of the command line.</summary>
    public override string ToString() => In(FrontEnd.CommandLine);

    public bool Equals(Remedy? other) => other is not null
        && In(FrontEnd.CommandLine) == other.In(FrontEnd.CommandLine) && In(FrontEnd.Browser) == other.In(FrontEnd.Browser);

    public override bool Equals(object? obj) => Equals(obj as Remedy);

    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(ToString());
}
