using System.Security.Cryptography;

namespace RatOS.Flash.Fuzz;

/// <summary>The loop over one target: choose an input, change it, run it, keep it where it reached new code.</summary>
internal sealed class Fuzzer(FuzzTarget target, FuzzOptions options) : IDisposable
{
    private const int MostFailures = 20;
    private const int KeptBytes = 96 * 1024;   // of a target, in the corpus
    private const int KeptInput = 8 * 1024;
    private static readonly TimeSpan ReduceLimit = TimeSpan.FromSeconds(5);

    private readonly Coverage _coverage = new();
    private readonly Execution _execution = new(target);
    private readonly List<byte[]> _corpus = [];
    private readonly Dictionary<string, string> _failures = new(StringComparer.Ordinal);
    private readonly LastInput _last = new(target, options.Failures);

    /// <returns>False where an input failed.</returns>
    public bool Run(TimeSpan limit)
    {
        var random = new Random(options.Seed);
        var mutator = new Mutator(random, target.Tokens);
        var (begin, executions) = (ThreadClock.Now, 0L);
        foreach (var seed in target.Seeds().Concat(Kept()))
        {
            executions++;
            Try(seed, isSeed: true);
        }
        var seeds = _corpus.Count;
        while (_corpus.Count > 0 && ThreadClock.Now - begin < limit && _failures.Count < MostFailures)
        {
            // Half of the time one of the newest: it reached what was not yet looked at.
            var newest = random.Next(2) == 0 ? Math.Max(0, _corpus.Count - 16) : 0;
            executions++;
            Try(mutator.Mutate(_corpus[random.Next(newest, _corpus.Count)], _corpus[random.Next(_corpus.Count)], target.LongestInput));
        }
        _last.Dispose();
        if (options is { Keeps: true, Corpus: { } folder })
            Keep(Path.Combine(folder, target.Name));
        Console.WriteLine(
            $"{target.Name,-12} {executions,9} executions in {(ThreadClock.Now - begin).TotalSeconds:0} s of the processor, "
            + $"{_coverage.Edges,5} edges, {_corpus.Count,5} inputs ({seeds} at the start), {_failures.Count} failures");
        return _failures.Count == 0;
    }

    private void Try(byte[] input, bool isSeed = false)
    {
        _last.Begin(input);
        _coverage.Begin();
        var failure = _execution.Run(input);
        _last.End();
        if (failure is not null)
            Report(input, failure);
        else if (_coverage.End() || isSeed)
            _corpus.Add(input);
    }

    private void Report(byte[] input, Failure failure)
    {
        if (_failures.ContainsKey(failure.Kind))
            return;
        var small = _execution.Reduce(input, failure.Kind, ReduceLimit);
        var file = Path.Combine(options.Failures, $"{target.Name}-{Convert.ToHexStringLower(SHA256.HashData(small))[..12]}");
        Directory.CreateDirectory(options.Failures);
        File.WriteAllBytes(file, small);
        _failures[failure.Kind] = file;
        Console.WriteLine($"{target.Name}: {failure.Kind}\n  {small.Length} bytes in {file}\n{failure.Text}\n");
    }

    /// <summary>The inputs of the corpus that fit, in the order of their names.</summary>
    private IEnumerable<byte[]> Kept()
    {
        var folder = options.Corpus is null ? "" : Path.Combine(options.Corpus, target.Name);
        return Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal).Select(File.ReadAllBytes) : [];
    }

    /// <summary>Writes the smallest inputs that together take the edges of all, as far as there is room.</summary>
    private void Keep(string folder)
    {
        Directory.CreateDirectory(folder);
        var (left, taken) = (KeptBytes, new HashSet<int>());
        var regressions = Directory.EnumerateFiles(folder, "regression-*").Sum(file => (int)new FileInfo(file).Length);
        foreach (var old in Directory.EnumerateFiles(folder, "input-*"))
            File.Delete(old);
        left -= regressions;
        foreach (var input in _corpus.Where(input => input.Length <= KeptInput).OrderBy(input => input.Length))
        {
            _coverage.Begin();
            _execution.Run(input);
            var now = _coverage.Taken();
            if (now.IsSubsetOf(taken) || input.Length > left)
                continue;
            taken.UnionWith(now);
            left -= input.Length;
            File.WriteAllBytes(Path.Combine(folder, $"input-{Convert.ToHexStringLower(SHA256.HashData(input))[..12]}"), input);
        }
    }

    public void Dispose()
    {
        _last.Dispose();
        _coverage.Dispose();
    }
}
