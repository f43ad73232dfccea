using System.Globalization;

namespace RatOS.Flash.Core;

/// <summary>Numbers in sentences.</summary>
internal static class Counts
{
    /// <summary><c>1 byte</c>, <c>2 bytes</c>.</summary>
    /// <param name="number">How many.</param>
    /// <param name="one">The word for one.</param>
    /// <param name="many">The word for another number; null where an s is added.</param>
    public static string Of(long number, string one, string? many = null) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {(number == 1 ? one : many ?? one + "s")}");

    /// <summary><c>once</c>, <c>twice</c>, <c>3 times</c>.</summary>
    public static string Times(int number) => number switch
    {
        1 => "once",
        2 => "twice",
        _ => string.Create(CultureInfo.InvariantCulture, $"{number} times"),
    };
}
