namespace RatOS.Flash.Agent.Contract;

/// <summary>The meaning of a line; a terminal shows it as a colour.</summary>
internal enum Tone
{
    Normal,
    Dim,
    Good,
    Warning,
    Bad,
}

/// <summary>A line of output. A terminal that is too narrow wraps it between words and indents the other rows.</summary>
/// <param name="Text">The whole line.</param>
/// <param name="Tone">Its meaning.</param>
/// <param name="Indent">Columns before each line after the first: the column at which the text begins that follows a label.</param>
internal readonly record struct Line(string Text, Tone Tone = Tone.Normal, int Indent = 0)
{
    /// <summary>Of the label, which takes the first <see cref="Indent"/> columns; null: as the text.</summary>
    public Tone? LabelTone { get; init; }

    /// <summary>A label, and text that stays to the right of it.</summary>
    public static Line Of(string label, string text, Tone tone = Tone.Normal) => new(label + text, tone, label.Length);

    /// <summary>
    /// The line as rows of at most so many columns. It is broken at spaces; a command in backticks only if a row cannot hold it. A word
    /// that is longer than a row is cut. Control characters become question marks.
    /// </summary>
    /// <param name="columns">1 or more.</param>
    public IEnumerable<string> Wrap(int columns)
    {
        // A narrow terminal has no room for an indent.
        var indent = Indent <= columns / 2 ? Indent : Math.Min(2, columns / 2);
        var first = true;
        foreach (var line in Text.Split('\n'))
        {
            foreach (var row in Rows(first ? line : new string(' ', indent) + line, columns, indent))
                yield return row;
            first = false;
        }
    }

    private static IEnumerable<string> Rows(string text, int columns, int indent)
    {
        text = string.Concat(text.Select(c => char.IsControl(c) ? '?' : c)).TrimEnd();
        while (text.Length > columns)
        {
            var end = Break(text, columns, text.Length - text.TrimStart().Length);
            yield return text[..end].TrimEnd();
            text = new string(' ', indent) + text[end..].TrimStart();
        }
        yield return text;
    }

    /// <summary>Where the next row begins.</summary>
    private static int Break(string text, int columns, int begin)
    {
        var (space, outside, isCommand) = (-1, -1, false);
        for (var i = begin; i <= columns; i++)
        {
            if (text[i] == '`')
                isCommand = !isCommand;
            else if (text[i] == ' ')
                (space, outside) = (i, isCommand ? outside : i);
        }
        if (isCommand && outside > begin && text.IndexOf('`', columns + 1) is var end && end >= 0 && end - outside <= columns - begin)
            return outside;
        return space > begin ? space : columns;
    }
}
