using System.Diagnostics;

namespace RatOS.Flash.Benchmarks;

/// <summary>The environment of the agent's systemd unit, from <c>config/ratos-flash.service</c> of the current checkout.</summary>
internal static class UnitEnvironment
{
    private const string Line = "Environment=";

    /// <summary>Starts the published program in it; its output is read by the caller.</summary>
    public static Process Start(string program, IEnumerable<(string Name, string Value)> more, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        var unit = File.ReadLines(Path.Combine("config", "ratos-flash.service"))
            .Where(line => line.StartsWith(Line, StringComparison.Ordinal)).SelectMany(line => line[Line.Length..].Split(' '))
            .Select(word => (Name: word.Split('=')[0], Value: word.Split('=')[1]));
        foreach (var (name, value) in unit.Concat(more))
            start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
