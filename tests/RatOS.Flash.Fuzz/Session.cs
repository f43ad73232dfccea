using RatOS.Flash.Fuzz.Targets;

namespace RatOS.Flash.Fuzz;

/// <summary>A run of this program, in its second copy.</summary>
internal static class Session
{
    public static readonly FuzzTarget[] All =
    [
        new ImageTarget(), new DictionaryTarget(), new RecordingTarget(), new JournalTarget(), new DefinitionTarget(), new SettingsTarget(),
        new ImportTarget(), new RequestTarget(), new MessageTarget(),
    ];

    /// <returns>The exit code: 0, 1 where an input fails, 2 where the command line is wrong.</returns>
    public static int Run(string[] arguments)
    {
        var options = FuzzOptions.Parse(arguments)!;
        FuzzTarget[] targets = [.. All.Where(target => options.Target == "all" || target.Name == options.Target)];
        if (targets.Length == 0)
        {
            Console.Error.WriteLine($"There is no target '{options.Target}', only {string.Join(", ", All.Select(target => target.Name))}.");
            return 2;
        }
        if (options.Files.Count > 0)
        {
            var failed = options.Files.Where(file => !Replay(targets[0], file)).ToList();
            return failed.Count == 0 ? 0 : 1;
        }
        var isOk = true;
        foreach (var target in targets)
        {
            using var fuzzer = new Fuzzer(target, options);
            isOk &= fuzzer.Run(TimeSpan.FromSeconds((double)options.Seconds / targets.Length));
        }
        return isOk ? 0 : 1;
    }

    private static bool Replay(FuzzTarget target, string file)
    {
        var failure = new Execution(target).Run(File.ReadAllBytes(file));
        Console.WriteLine(failure is null ? $"{file}: OK" : $"{file}: {failure.Kind}\n{failure.Text}");
        return failure is null;
    }
}
