using System.Globalization;
using System.Reflection;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests;

/// <summary>
/// Every fault there is, made by each method of the catalogue with words in place of what only a real one has: <c>[board]</c>.
/// </summary>
internal static class FaultList
{
    private const int Number = 7000;
    private const uint Address = 0x0B00_0000;

    /// <param name="Method">What makes it.</param>
    /// <param name="Topic">The heading under which it stands in the source.</param>
    internal sealed record Entry(string Method, string Topic, string Code, string Cause, string Remedy);

    public static IReadOnlyList<Entry> All { get; } = Create();

    private static List<Entry> Create()
    {
        var topics = Topics();
        return [.. typeof(FaultKind).Assembly.GetTypes()
            .Where(type => type.Namespace == typeof(FaultKind).Namespace && type.Name.EndsWith("Faults", StringComparison.Ordinal))
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            .Where(method => method.ReturnType == typeof(FlashException)).Select(method =>
        {
            var fault = (FlashException)method.Invoke(null,
                [.. method.GetParameters().Select((parameter, i) => Argument(method, parameter, i))])!;
            return new Entry(method.Name, topics[method.Name], fault.Code, Words(method, fault.Cause),
                Words(method, fault.Remedy.ToString()));
        })];
    }

    private static object Argument(MethodInfo method, ParameterInfo parameter, int i) => parameter.ParameterType switch
    {
        var type when type == typeof(string) => $"[{parameter.Name}]",
        var type when type == typeof(uint) => Address + ((uint)i * 0x1000),
        var type when type == typeof(int) || type == typeof(int?) => (Number + i) * 1024,   // some are told in KiB
        var type when type == typeof(char) => '?',
        var type when type == typeof(bool) => false,
        var type when type == typeof(double) => (double)(Number + i),
        var type when type == typeof(Exception) => new InvalidOperationException($"[{parameter.Name}]"),
        var type when type.IsAssignableFrom(typeof(string[])) => new[] { $"[{parameter.Name}]" },
        var type => throw new NotSupportedException($"{method.Name}: {type}"),
    };

    /// <summary>Puts words in the place of the numbers; those that were worked out from several stay an example's.</summary>
    private static string Words(MethodInfo method, string text)
    {
        foreach (var (parameter, i) in method.GetParameters().Select((parameter, i) => (parameter, i)))
        {
            text = text.Replace($"{Address + ((uint)i * 0x1000):x8}", $"[{parameter.Name}]", StringComparison.Ordinal)
                .Replace(((Number + i) * 1024).ToString(CultureInfo.InvariantCulture), $"[{parameter.Name}]", StringComparison.Ordinal)
                .Replace((Number + i).ToString(CultureInfo.InvariantCulture), $"[{parameter.Name}]", StringComparison.Ordinal);
        }
        return text;
    }

    /// <summary>The heading of each method: the summary of its class.</summary>
    private static Dictionary<string, string> Topics()
    {
        var topics = new Dictionary<string, string>();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(TidyTests.Root, "src", "RatOS.Flash", "Core"), "*Faults.cs"))
        {
            var topic = "";
            foreach (var line in File.ReadLines(file))
            {
                if (Between(line, "/// <summary>", "</summary>") is { } heading)
                    topic = heading.TrimEnd('.');
                else if (Between(line, "    public static FlashException ", "(") is { } method)
                    topics[method] = topic;
            }
        }
        return topics;
    }

    /// <summary>What stands in a line between its beginning and an end; null where it begins otherwise.</summary>
    private static string? Between(string line, string begin, string end)
    {
        if (!line.StartsWith(begin, StringComparison.Ordinal))
            return null;
        var to = end.Length == 0 ? line.Length : line.IndexOf(end, begin.Length, StringComparison.Ordinal);
        return to > begin.Length ? line[begin.Length..to] : null;
    }
}
