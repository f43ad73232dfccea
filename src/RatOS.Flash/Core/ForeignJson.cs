using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace RatOS.Flash.Core;

/// <summary>
/// JSON of other programs. .NET's readers accept half a surrogate pair (<c>\ud800</c>) and throw only when its text is asked for,
/// which may be anywhere. Here it is replaced at the door, as in any other text that is no Unicode.
/// </summary>
public static class ForeignJson
{
    /// <summary>Deeper than any real message.</summary>
    public const int Depth = 64;

    private const int EscapeLength = 6;

    /// <exception cref="JsonException">It is no JSON, or nested too deeply. No other exception follows from its content.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> utf8, int maxDepth = Depth) =>
        JsonDocument.Parse(Mend(utf8), new JsonDocumentOptions { MaxDepth = maxDepth });

    /// <inheritdoc cref="Parse(ReadOnlyMemory{byte}, int)"/>
    public static JsonDocument Parse(string text, int maxDepth = Depth) => Parse(Encoding.UTF8.GetBytes(text), maxDepth);

    /// <summary>The same text with U+FFFD in place of what is no Unicode; the text itself where there is nothing to replace.</summary>
    public static ReadOnlyMemory<byte> Mend(ReadOnlyMemory<byte> utf8)
    {
        if (!Utf8.IsValid(utf8.Span))
            utf8 = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(utf8.Span));
        byte[]? mended = null;
        for (var at = LoneSurrogate(utf8.Span, 0); at >= 0; at = LoneSurrogate(utf8.Span, at + EscapeLength))
        {
            mended ??= utf8.ToArray();
            "fffd"u8.CopyTo(mended.AsSpan(at + 2));
        }
        return mended ?? utf8;
    }

    /// <summary>The place of the next escape that is half a pair; negative without one.</summary>
    private static int LoneSurrogate(ReadOnlySpan<byte> text, int from)
    {
        while (true)
        {
            var found = text[from..].IndexOf((byte)'\\');
            if (found < 0)
                return -1;
            var at = from + found;
            var unit = Unit(text[at..]);
            if (unit is not { } code)
                from = Math.Min(at + 2, text.Length);   // \n, and \\ before a u
            else if (char.IsHighSurrogate(code) && Unit(text[(at + EscapeLength)..]) is { } second && char.IsLowSurrogate(second))
                from = at + (2 * EscapeLength);
            else if (char.IsSurrogate(code))
                return at;
            else
                from = at + EscapeLength;
        }
    }

    /// <summary>The UTF-16 unit of an escape at the beginning of a text; null where there is none.</summary>
    private static char? Unit(ReadOnlySpan<byte> text) =>
        text.Length >= EscapeLength && text[0] == '\\' && text[1] == 'u'
            && ushort.TryParse(text[2..EscapeLength], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            ? (char)code : null;
}
