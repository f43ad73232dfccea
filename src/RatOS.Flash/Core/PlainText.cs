using System.Globalization;

namespace RatOS.Flash.Core;

/// <summary>Text of devices and other programs, for terminals, logs and pages.</summary>
public static class PlainText
{
    /// <summary>
    /// It moves the cursor, starts a sequence for terminals (ECMA-48, also its 8-bit codes), ends a line, changes the direction of writing
    /// or is invisible.
    /// </summary>
    public static bool IsHidden(char c) => char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    /// <summary>The first characters of a text, with <c>?</c> in place of hidden ones.</summary>
    public static string Of(string text, int most) => text.Length <= most && !text.Any(IsHidden) ? text
        : string.Concat(text.Take(most).Select(static c => IsHidden(c) ? '?' : c));
}
