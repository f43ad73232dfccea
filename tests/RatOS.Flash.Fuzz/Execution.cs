namespace RatOS.Flash.Fuzz;

/// <summary>A failure of a target.</summary>
/// <param name="Kind">Equal for two inputs that fail at the same place.</param>
/// <param name="Text">All that is known.</param>
internal sealed record Failure(string Kind, string Text);

/// <summary>Runs inputs, and judges them.</summary>
internal sealed class Execution(FuzzTarget target)
{
    /// <summary>Null where all is well.</summary>
    /// <param name="input">For the target, which may change it.</param>
    public Failure? Run(byte[] input)
    {
        if (Measured(input) is not { } first)
            return null;
        // A bound is passed by the code itself and not by what is made once, such as compiled code.
        return first.Kind is "time" or "memory" ? Measured(input) is null ? null : Measured(input) : first;
    }

    private Failure? Measured(byte[] input)
    {
        var (memory, begin) = (GC.GetAllocatedBytesForCurrentThread(), ThreadClock.Now);
        try
        {
            target.Run([.. input]);
        }
        catch (OracleException broken)
        {
            return new($"oracle {broken.Message.Split(':')[0]}", broken.ToString());
        }
        catch (Exception bug)
        {
            return new($"{bug.GetType().Name} {PlaceOf(bug)}", bug.ToString());
        }
        var took = ThreadClock.Now - begin;
        var taken = GC.GetAllocatedBytesForCurrentThread() - memory;
        if (took > target.LongestRun)
            return new("time", $"It took {took.TotalSeconds:0.00} s of the processor; the bound is {target.LongestRun.TotalSeconds} s.");
        return taken > target.MostMemory ? new("memory", $"It allocated {taken} bytes; the bound is {target.MostMemory} bytes.") : null;
    }

    /// <summary>A smaller input with the same failure, within a time.</summary>
    public byte[] Reduce(byte[] input, string kind, TimeSpan limit)
    {
        var begin = ThreadClock.Now;
        for (var piece = Math.Max(1, input.Length / 2); piece >= 1; piece /= 2)
        {
            for (var at = 0; at < input.Length && ThreadClock.Now - begin < limit;)
            {
                byte[] shorter = [.. input[..at], .. input[Math.Min(input.Length, at + piece)..]];
                if (Run(shorter)?.Kind == kind)
                    input = shorter;
                else
                    at += piece;
            }
        }
        return input;
    }

    private static string PlaceOf(Exception bug)
    {
        var inner = bug is AggregateException { InnerException: { } one } ? one : bug;
        var lines = (inner.StackTrace ?? "").Split('\n').Select(line => line.Trim());
        var place = lines.FirstOrDefault(line => line.StartsWith("at RatOS.Flash", StringComparison.Ordinal)) ?? "";
        return place.Split(" in ")[0];
    }
}
