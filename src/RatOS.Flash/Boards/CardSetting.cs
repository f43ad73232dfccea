using System.Collections.Frozen;

namespace RatOS.Flash.Boards;

/// <summary>
/// The file for a card as one value: <c>firmware.bin</c>, <c>STM32F4_UPDATE/firmware.bin</c>, <c>Robin_nano35.bin mks</c>,
/// <c>firmware.bin srec</c>; <c>*.bin new</c> for a name that the board has never had.
/// </summary>
public static class CardSetting
{
    private const int LongestName = 32, LongestEnding = 4;
    private const string AnyName = "*.bin", New = "new";

    private static readonly FrozenDictionary<string, CardEncoding> Encodings = new Dictionary<string, CardEncoding>
    {
        ["mks"] = CardEncoding.MksRobin,
        ["chitu"] = CardEncoding.Chitu,
        ["srec"] = CardEncoding.SRecord,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Every form, in words.</summary>
    public const string Forms = "`firmware.bin`, `FOLDER/firmware.bin`, `Robin_nano35.bin mks`, `update.cbd chitu`, `firmware.bin srec`, "
        + "or `*.bin new` for a new name each time";

    /// <summary>Reads it; null for text that names no such file.</summary>
    /// <param name="text">The value.</param>
    public static CardFile? Parse(string text)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is not [var path, ..] || words.Length > 3)
            return null;
        var slash = path.IndexOf('/', StringComparison.Ordinal);
        var (folder, name) = slash < 0 ? (null, path) : (path[..slash], path[(slash + 1)..]);
        var isNew = words.Length > 1 && words[^1] == New;
        var between = words[1..(isNew ? ^1 : ^0)];
        var encoding = CardEncoding.None;
        if (between.Length > 1 || (between is [var word] && !Encodings.TryGetValue(word, out encoding))
            || (name == AnyName) != isNew || !(isNew || IsFileName(name)) || (folder is not null && !IsName(folder)))
            return null;
        return new(isNew ? null : name) { Folder = folder, NeedsNewName = isNew, Encoding = encoding };
    }

    /// <summary>The value of a file; two with the same are written in the same way.</summary>
    /// <param name="file">The file.</param>
    public static string Of(CardFile file) => string.Concat(
        file.Folder is { } folder ? folder + "/" : "",
        file.NeedsNewName ? AnyName : file.Name,
        Encodings.FirstOrDefault(known => known.Value == file.Encoding) is { Key: { } word } ? $" {word}" : "",
        file.NeedsNewName ? $" {New}" : "");

    /// <summary>FAT keeps no upper and lower case apart.</summary>
    public static bool IsSame(CardFile one, CardFile other) => Of(one).Equals(Of(other), StringComparison.OrdinalIgnoreCase);

    private static bool IsFileName(string name) =>
        name.LastIndexOf('.') is > 0 and var dot && name.Length - dot - 1 is > 0 and <= LongestEnding && IsName(name);

    // Safe on FAT, in a shell and in G-code.
    private static bool IsName(string name) => name.Length is > 0 and <= LongestName && char.IsAsciiLetterOrDigit(name[0])
        && char.IsAsciiLetterOrDigit(name[^1]) && !name.Contains("..", StringComparison.Ordinal)
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.');
}
