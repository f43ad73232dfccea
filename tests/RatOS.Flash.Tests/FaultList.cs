using System.Globalization;
using System.Reflection;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests;

/// <summary>Every fault and finding of the catalogue, with words in place of the values of a real one: <c>[board]</c>.</summary>
internal static class FaultList
{
    private const int Number = 7000;
    private const uint Address = 0x0B00_0000;

    /// <param name="Method">Makes it.</param>
    /// <param name="Class">Its class.</param>
    /// <param name="Topic">The summary of its class.</param>
    /// <param name="Code">The code of its kind.</param>
    /// <param name="Cause">The cause, or the text of a finding.</param>
    /// <param name="CommandLine">The remedy for a terminal.</param>
    /// <param name="Browser">The remedy for a browser.</param>
    internal sealed record Entry(string Method, string Class, string Topic, string Code, string Cause, string CommandLine, string Browser);

    public static IReadOnlyList<Entry> All { get; } = Create();

    private static List<Entry> Create()
    {
        var topics = Topics();
        return [.. typeof(FaultKind).Assembly.GetTypes().Where(type => topics.ContainsKey(type.Name))
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            .Where(method => method.ReturnType == typeof(FlashException) || method.ReturnType == typeof(Finding)).Select(method =>
            {
                var made = method.Invoke(null, [.. method.GetParameters().Select((parameter, i) => Argument(method, parameter, i))])!;
                var (kind, cause, remedy) = made is Finding finding ? (finding.Kind, finding.Text, finding.Remedy)
                    : ((FlashException)made is var fault) ? (fault.Kind, fault.Cause, fault.Remedy) : default;
                var type = method.DeclaringType!.Name;
                string[] words = [cause, remedy.In(FrontEnd.CommandLine), remedy.In(FrontEnd.Browser)];
                words = [.. words.Select(text => Words(method, text))];
                return new Entry(method.Name, type, topics[type], kind.Code, words[0], words[1], words[2]);
            })];
    }

    private static object Argument(MethodInfo method, ParameterInfo parameter, int i) => parameter.ParameterType switch
    {
        var type when type == typeof(string) => $"[{parameter.Name}]",
        var type when type == typeof(Remedy) => (Remedy)$"[{parameter.Name}]",
        var type when type == typeof(FactQuestion) =>
            new FactQuestion("[board]", "start", "[question]", [new("0x8008000", "32 KiB bootloader")]),
        var type when type == typeof(uint) => Address + ((uint)i * 0x1000),
        var type when type == typeof(int) || type == typeof(int?) => (Number + i) * 1024,   // some are shown in KiB
        var type when type == typeof(long) => (long)(Number + i),
        var type when type == typeof(char) => '?',
        var type when type == typeof(bool) => false,
        var type when type == typeof(double) => (double)(Number + i),
        var type when type == typeof(Exception) => new InvalidOperationException($"[{parameter.Name}]"),
        var type when type.IsAssignableFrom(typeof(string[])) => new[] { $"[{parameter.Name}]" },
        var type => throw new NotSupportedException($"{method.Name}: {type}"),
    };

    /// <summary>Puts words in the place of the numbers; those that were calculated from several stay an example's.</summary>
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

    /// <summary>The heading of each class of the catalogue: its summary.</summary>
    private static Dictionary<string, string> Topics()
    {
        const string begin = "/// <summary>", end = "</summary>";
        return Directory.EnumerateFiles(Path.Combine(TidyTests.Root, "src", "RatOS.Flash", "Core"), "*s.cs")
            .Where(file => file.EndsWith("Faults.cs", StringComparison.Ordinal) || file.EndsWith("Findings.cs", StringComparison.Ordinal))
            .ToDictionary(file => Path.GetFileNameWithoutExtension(file), file =>
                File.ReadLines(file).First(line => line.StartsWith(begin, StringComparison.Ordinal))[begin.Length..^end.Length]
                    .TrimEnd('.'));
    }
}
