using System.Globalization;

namespace RatOS.Flash.Agent.Settings;

/// <summary>
/// Names that begin with a time and sort in the order in which they were made, also after a clock that was ahead: then the time in the name
/// is a second after that of the last name.
/// </summary>
internal static class SequenceName
{
    private const string Format = "yyyyMMdd-HHmmss";

    /// <summary>A name that sorts after all others.</summary>
    /// <param name="others">The names that exist.</param>
    /// <param name="time">Now.</param>
    /// <param name="rest">Its end.</param>
    public static string Next(IEnumerable<string?> others, DateTimeOffset time, string rest)
    {
        var last = others.Max(TimeOf);
        // The ends have no order, so two names of one second would have none either.
        var now = last is { } before && before >= time.UtcDateTime.AddSeconds(-1) ? before.AddSeconds(1) : time.UtcDateTime;
        return $"{now.ToString(Format, CultureInfo.InvariantCulture)}-{rest}";
    }

    private static DateTime? TimeOf(string? name) => name?.Length > Format.Length && DateTime.TryParseExact(
        name.AsSpan(0, Format.Length), Format, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
        && time.Year < DateTime.MaxValue.Year ? time : null;
}
