using System.Text;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>One line of G-code as Klipper parses it (klipper: klippy/gcode.py).</summary>
/// <param name="Text">The whole line without the spaces around it.</param>
/// <param name="Command">Upper case, such as <c>FLASH_MCU</c> or <c>M118</c>; empty for a line without a command.</param>
internal sealed record GcodeLine(string Text, string Command)
{
    /// <summary>The text behind the command.</summary>
    public string Rest => Text.Length > Command.Length ? Text[Command.Length..].TrimStart() : "";

    public static GcodeLine Parse(string line)
    {
        var text = line.Trim();
        var end = text.IndexOf(';', StringComparison.Ordinal);
        var code = (end < 0 ? text : text[..end]).TrimEnd().ToUpperInvariant();
        // A letter and a number (the rest may follow without a space), else a name.
        var isNumbered = code.Length > 1 && char.IsAsciiLetter(code[0]) && char.IsAsciiDigit(code[1]);
        var length = isNumbered ? 1 : 0;
        while (length < code.Length && (isNumbered ? IsOfNumber(code[length]) : IsOfName(code[length])))
            length++;
        return new GcodeLine(text, code[..length]);
    }

    private static bool IsOfNumber(char c) => char.IsAsciiDigit(c) || c == '.';

    private static bool IsOfName(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';

    /// <summary>The number behind a letter of a traditional command; null without one.</summary>
    public double? Number(char letter)
    {
        foreach (var word in Rest.ToUpperInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (word[0] == letter && double.TryParse(word.AsSpan(1), out var number))
                return number;
        }
        return null;
    }

    /// <summary>The parameters <c>NAME=value</c> by upper-case name, without quotes. The last of two wins.</summary>
    /// <exception cref="GcodeException">A word without a value, or a quote without end.</exception>
    public IReadOnlyDictionary<string, string> Parameters
    {
        get
        {
            var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var word in Words(Rest) ?? throw Malformed())
            {
                var equals = word.IndexOf('=', StringComparison.Ordinal);
                if (equals < 0)
                    throw Malformed();
                parameters[word[..equals].ToUpperInvariant()] = word[(equals + 1)..];
            }
            return parameters;
        }
    }

    private GcodeException Malformed() => new($"Malformed command '{Text}'");

    /// <summary>As Python's shlex: quotes, backslashes, and comments from # or ; on. Null for a quote without end.</summary>
    private static List<string>? Words(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var (isWord, quote) = (false, '\0');
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (quote != '\0')
            {
                if (c == quote)
                    quote = '\0';
                else if (c == '\\' && quote == '"' && i + 1 < text.Length && text[i + 1] is '"' or '\\')
                    word.Append(text[++i]);
                else
                    word.Append(c);
                continue;
            }
            if (c is '#' or ';')
                break;
            if (c is ' ' or '\t' or '\r' or '\n')
            {
                if (isWord)
                    words.Add(word.ToString());
                word.Clear();
                isWord = false;
                continue;
            }
            isWord = true;
            if (c is '"' or '\'')
                quote = c;
            else if (c != '\\')
                word.Append(c);
            else if (++i < text.Length)
                word.Append(text[i]);
            else
                return null;
        }
        if (quote != '\0')
            return null;
        if (isWord)
            words.Add(word.ToString());
        return words;
    }
}

/// <summary>Klipper refuses a command with a message for the user.</summary>
internal sealed class GcodeException(string message) : Exception(message);

/// <summary>The result of a script.</summary>
/// <param name="Code">0 for success, 400 if Klipper refused a command, 503 if Klipper's host process is not connected.</param>
/// <param name="Message">Klipper's or Moonraker's message; <c>ok</c> for success.</param>
public sealed record GcodeResult(int Code, string Message)
{
    public bool IsOk => Code == 0;

    internal static readonly GcodeResult Ok = new(0, "ok");
}
