using System.Diagnostics;

namespace RatOS.Flash.Benchmarks;

/// <summary>The environment of the agent's systemd unit, from <c>config/ratos-flash.service</c> of the current checkout.</summary>
internal static class UnitEnvironment
{
    private const string Line = "Environment=";

    public static void SetOn(ProcessStartInfo start)
    {
        var unit = File.ReadLines(Path.Combine("config", "ratos-flash.service"));
        foreach (var line in unit.Where(line => line.StartsWith(Line, StringComparison.Ordinal)))
        {
            foreach (var word in line[Line.Length..].Split(' '))
                start.Environment[word.Split('=')[0]] = word.Split('=')[1];
        }
    }
}
