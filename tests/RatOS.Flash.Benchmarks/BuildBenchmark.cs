using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// Real builds of a Klipper tree: each kind of board alone, the decision that nothing changed, and two boards at once beside what RatOS's
/// script does (<c>make clean; make</c> in the tree, one after the other; here in a copy of the tree, with its own number of jobs: one).
/// </summary>
internal static class BuildBenchmark
{
    private const double NoChangeSeconds = 0.1;
    private const double MostOfOneByOne = 0.75;

    private static readonly string[] Kinds =
        ["btt-octopus-11", "btt-octopus-11-407", "btt-octopus-pro-h723", "btt-ebb42-12", "btt-manta-m8p", "btt-sb-2209-10-rp", "btt-skr-14",
            "prusa-einsy", "klipper_host_mcu"];

    public static async Task<bool> MeasureAsync(string klipper)
    {
        var folder = Directory.CreateTempSubdirectory("ratos-flash-builds-").FullName;
        try
        {
            var tree = KlipperTree.Open(klipper);
            var source = await tree.LookAsync(CancellationToken.None);
            Console.WriteLine($"{source.Version}, {source.SourceId}, {Environment.ProcessorCount} cores");
            Console.WriteLine();
            var builder = new FirmwareBuilder(tree, Path.Combine(folder, "cache"), TimeProvider.System);
            var boards = BoardCatalogue.BuiltIn.Boards.Where(board => board.McuName is not null).ToList();
            foreach (var board in boards)
                await builder.CompleteAsync(Request(board.Id), CancellationToken.None);
            Console.WriteLine($"The configurations of all {boards.Count} boards come out as declared.");
            Console.WriteLine();
            Console.WriteLine("| board | chip | bytes | reset vector | built in | no change |");
            Console.WriteLine("|---|---|---|---|---|---|");
            var slowest = 0.0;
            foreach (var board in Kinds)
            {
                var built = await builder.BuildAsync(Request(board), Quiet, CancellationToken.None);
                var again = await builder.BuildAsync(Request(board), Quiet, CancellationToken.None);
                slowest = Math.Max(slowest, again.Elapsed.TotalSeconds);
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {board} | {built.Image.Mcu} | {built.Image.Bytes.Length} | {built.Image.ResetVector:x8} | "
                    + $"{built.Elapsed.TotalSeconds:0.00} s | {again.Elapsed.TotalSeconds:0.000} s |"));
                if (!again.IsFromCache || built.IsFromCache)
                    throw new InvalidOperationException($"{board}: the cache is wrong");
            }

            string[] two = ["btt-octopus-11", "btt-ebb42-12"];
            await Copy(klipper, Path.Combine(folder, "klipper"));
            var (ours, theirs) = (double.MaxValue, double.MaxValue);
            for (var round = 0; round < 3; round++)
            {
                theirs = Math.Min(theirs, await OneByOne(Path.Combine(folder, "klipper"), two));
                var fresh = new FirmwareBuilder(tree, Path.Combine(folder, $"cache-{round}"), TimeProvider.System);
                var begin = Stopwatch.GetTimestamp();
                var outcomes = await fresh.BuildAllAsync([.. two.Select(Request)], Quiet, CancellationToken.None);
                ours = Math.Min(ours, Stopwatch.GetElapsedTime(begin).TotalSeconds);
                if (outcomes.FirstOrDefault(outcome => outcome.Fault is not null) is { } failed)
                    throw failed.Fault!;
            }
            Console.WriteLine();
            Console.WriteLine("| measurement | ours | compared with | ratio | limit |");
            Console.WriteLine("|---|---|---|---|---|");
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| F446 and G0B1 at once (best of 3) | {ours:0.00} s | {theirs:0.00} s (`make clean; make`, one by one) | "
                + $"{ours / theirs:0.00} | {MostOfOneByOne:0.00} |"));
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| No change: decided (slowest) | {slowest:0.000} s | {NoChangeSeconds:0.000} s | {slowest / NoChangeSeconds:0.00} | "
                + $"1.00 |"));
            return ours / theirs <= MostOfOneByOne && slowest <= NoChangeSeconds;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static BuildRequest Request(string board) => new(board, BuildConfig.For(BoardCatalogue.BuiltIn.Find(board)!));

    private static ValueTask Quiet(BuildProgress news) => ValueTask.CompletedTask;

    private static Task Copy(string from, string to) => Run("cp", ["-a", from, to], "/");

    private static async Task<double> OneByOne(string tree, string[] boards)
    {
        var begin = Stopwatch.GetTimestamp();
        foreach (var board in boards)
        {
            await File.WriteAllTextAsync(Path.Combine(tree, ".config"), Request(board).Config.Text);
            await Run("make", ["olddefconfig"], tree);
            await Run("make", ["clean"], tree);
            await Run("make", [], tree);
        }
        return Stopwatch.GetElapsedTime(begin).TotalSeconds;
    }

    private static async Task Run(string program, string[] arguments, string folder)
    {
        using var process =
            Process.Start(new ProcessStartInfo(program,
                arguments)
            {
                UseShellExecute = false,
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true
            })!;
        await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}");
    }
}
