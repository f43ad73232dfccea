using System.Text.Json;

namespace RatOS.Flash.Agent.Contract;

/// <summary>Reads JSON from outside. A missing value or one of another kind is null and no exception.</summary>
internal static class Json
{
    public static JsonElement? At(this JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
                return null;
        }
        return element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined ? null : element;
    }

    public static string? Word(this JsonElement element, params ReadOnlySpan<string> path) =>
        element.At(path) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    public static double? Number(this JsonElement element, params ReadOnlySpan<string> path) =>
        element.At(path) is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out var number) && double.IsFinite(number)
            ? number : null;

    /// <summary>It is a flag, and set.</summary>
    public static bool Flag(this JsonElement element, params ReadOnlySpan<string> path) => element.YesOrNo(path) == true;

    /// <summary>A flag, which macros send as a number or a text; false where it is missing, null for any other value.</summary>
    public static bool? YesOrNo(this JsonElement element, params ReadOnlySpan<string> path) => element.At(path) switch
    {
        null or { ValueKind: JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.Number } value => value.TryGetDouble(out var number) && number != 0,
        { ValueKind: JsonValueKind.String } value => value.GetString()!.Trim().ToLowerInvariant() switch
        {
            "1" or "true" or "yes" or "on" => true,
            "" or "0" or "false" or "no" or "off" or "none" => false,
            _ => null,
        },
        _ => null,
    };

    public static IEnumerable<JsonElement> Items(this JsonElement element, params ReadOnlySpan<string> path) =>
        element.At(path) is { ValueKind: JsonValueKind.Array } value ? value.EnumerateArray() : [];

    public static IEnumerable<JsonProperty> Members(this JsonElement element, params ReadOnlySpan<string> path) =>
        element.At(path) is { ValueKind: JsonValueKind.Object } value ? value.EnumerateObject() : [];

    /// <summary>Seconds that something can have taken.</summary>
    public static bool IsDuration(double seconds) => seconds is >= 0 and < 1e9;

    /// <summary>Waits for a task, but at most so long.</summary>
    /// <returns>False where the time was over.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<bool> WaitUpToAsync(this Task task, TimeSpan limit, TimeProvider time, CancellationToken cancel)
    {
        try
        {
            await task.WaitAsync(limit, time, cancel);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }
}
