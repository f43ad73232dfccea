using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Builds;

/// <summary>
/// Builds firmware with Klipper's own make, outside of Klipper's tree, with a cache. Several builders may work in the same
/// folder, in this process or another.
/// </summary>
/// <remarks>A cached build is found by the sources, the configuration before Klipper completed it, and the compiler.</remarks>
/// <param name="tree">The sources; only read.</param>
/// <param name="cacheFolder">Created if missing. All output of builds is in it.</param>
/// <param name="time">For the time taken.</param>
public sealed class FirmwareBuilder(KlipperTree tree, string cacheFolder, TimeProvider time)
{
    /// <summary>Part of every key: raised when the content of an entry, or its check, changes.</summary>
    private const string Format = "1";

    private readonly string _folder = Path.GetFullPath(cacheFolder);

    /// <summary>Most bytes that one build uses on the disk.</summary>
    internal const long UsualBytes = 64L << 20;

    /// <summary>Search path for compilers, make and Python, in the form of PATH.</summary>
    public string SearchPath { get; init; } = Tools.UsualPath;

    /// <summary>Cached firmwares; the least recently used one is removed first. Each has 50 KB to 1 MB.</summary>
    public int MostKept { get; init; } = 40;

    /// <summary>Cores to use; memory may allow for fewer.</summary>
    public int Cores { get; init; } = Environment.ProcessorCount;

    /// <summary>Bytes that must be free before a build begins.</summary>
    public long LeastFree { get; init; } = UsualBytes;

    /// <summary>Which programs are missing to build for a chip; null when none is.</summary>
    /// <param name="mcu">As the dictionary names it.</param>
    /// <param name="searchPath">Search path, in the form of PATH; null for this process's own.</param>
    public static FlashException? MissingTools(string mcu, string? searchPath = null)
    {
        try
        {
            Toolchain.For(mcu).Require(new Tools(searchPath ?? Tools.UsualPath), mcu);
            return null;
        }
        catch (FlashException missing)
        {
            return missing;
        }
    }

    /// <summary>The firmware of a finished build is in this cache.</summary>
    /// <param name="cacheFolder">The folder of builds.</param>
    /// <param name="sha256">Of the firmware, lower-case hex.</param>
    public static bool HasBuilt(string cacheFolder, string sha256) =>
        new BuildCache(cacheFolder, 0, TimeProvider.System).Has(sha256);

    private BuildCache Cache => new(_folder, MostKept, time);

    private Tools Programs => new(SearchPath);

    /// <summary>Builds one firmware, or finds it.</summary>
    /// <param name="tell">Awaited for each progress.</param>
    /// <param name="cancel">Kills make and all it started; nothing is left behind.</param>
    /// <exception cref="FlashException">Why there is no firmware.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task<BuiltFirmware> BuildAsync(BuildRequest request, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        var source = await tree.LookAsync(cancel);
        return await GuardAsync(async () =>
            await FindAsync(request, source, begin, tell) ?? await MakeAsync(request, source, Jobs(1), begin, tell, cancel));
    }

    /// <summary>Cached builds of these sources; null for each one that must be built, or cannot be. Runs only git.</summary>
    /// <exception cref="FlashException">The sources cannot be read.</exception>
    public async Task<(KlipperSource Source, ImmutableArray<BuiltFirmware?> Built)> FindAllAsync(
        IReadOnlyList<BuildRequest> requests, CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        var source = await tree.LookAsync(cancel);
        var built = ImmutableArray.CreateBuilder<BuiltFirmware?>();
        foreach (var request in requests)
            built.Add((await OutcomeAsync(request, () => FindAsync(request, source, begin, static _ => ValueTask.CompletedTask))).Firmware);
        return (source, built.ToImmutable());
    }

    /// <summary>
    /// Builds several at once, as many as cores and memory allow. One that fails stops no other; equal ones are built once.
    /// </summary>
    /// <param name="tell">Never called twice at a time.</param>
    /// <returns>In the order of the requests.</returns>
    /// <exception cref="FlashException">The sources cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task<ImmutableArray<BuildOutcome>> BuildAllAsync(
        IReadOnlyList<BuildRequest> requests, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        var source = await tree.LookAsync(cancel);
        using var gate = new SemaphoreSlim(1);
        var outcomes = new BuildOutcome?[requests.Count];
        for (var i = 0; i < requests.Count; i++)
            outcomes[i] = await OutcomeAsync(requests[i], () => FindAsync(requests[i], source, begin, TellInTurn));

        var missing = Enumerable.Range(0, requests.Count).Where(i => outcomes[i] is { Firmware: null, Fault: null })
            .GroupBy(i => Key(requests[i], source), StringComparer.Ordinal).ToList();
        var atOnce = Math.Max(1, Math.Min(missing.Count, Budget()));
        using var places = new SemaphoreSlim(atOnce);
        await Task.WhenAll(missing.Select(async group =>
        {
            await places.WaitAsync(cancel);
            try
            {
                var first = group.First();
                outcomes[first] =
                    await OutcomeAsync(requests[first],
                    async () => await MakeAsync(requests[first], source, Jobs(atOnce), begin, TellInTurn, cancel));
                foreach (var same in group.Skip(1))
                {
                    outcomes[same] = outcomes[first]!.Firmware is null
                        ? outcomes[first]! with { Request = requests[same] }
                        : await OutcomeAsync(requests[same], () => FindAsync(requests[same], source, begin, TellInTurn));
                }
            }
            finally
            {
                places.Release();
            }
        }));
        return [.. outcomes.Select(outcome => outcome!)];

        async ValueTask TellInTurn(BuildProgress news)
        {
            await gate.WaitAsync(CancellationToken.None);
            try
            {
                await tell(news);
            }
            finally
            {
                gate.Release();
            }
        }
    }

    private async Task<BuildOutcome> OutcomeAsync(BuildRequest request, Func<Task<BuiltFirmware?>> work)
    {
        try
        {
            return new BuildOutcome(request, await GuardAsync(work), null);
        }
        catch (FlashException fault)
        {
            return new BuildOutcome(request, null, fault);
        }
    }

    /// <summary>Turns errors of the file system and of starting programs into faults.</summary>
    private async Task<T> GuardAsync<T>(Func<Task<T>> work)
    {
        const int noSpace = 28;
        try
        {
            return await work();
        }
        catch (IOException e) when ((e.HResult & 0xffff) == noSpace)
        {
            throw BuildFaults.BuildDiskFull(_folder, UsualBytes / 1048576.0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ExternalException)
        {
            throw BuildFaults.BuildFolder(_folder, e.Message.TrimEnd('.'));
        }
    }

    /// <summary>
    /// The key of a firmware. The requested configuration stands for the completed one too, which follows from it and the sources. The
    /// version is in it because it is in the image: new tags change it on the same commit.
    /// </summary>
    private string Key(BuildRequest request, KlipperSource source) =>
        Convert.ToHexStringLower(Sha256.HashData(Encoding.UTF8.GetBytes(string.Join(
        '\n', Format, source.SourceId, source.Version, Toolchain.For(request.Config.Mcu).Identity(Programs), request.Config.Mcu,
            request.Config.Text))))[..32];

    private async Task<BuiltFirmware?> FindAsync(
        BuildRequest request, KlipperSource source, long begin, Func<BuildProgress, ValueTask> tell)
    {
        var key = Key(request, source);
        if (Cache.Find(key) is not { } found)
            return null;
        if (Read(found) is not { } image)
        {
            Cache.Forget(key);
            return null;
        }
        // The declared values may have changed since; the text did not.
        request.Config.Check(found.ConfigText, request.Board);
        MakeRun.CheckImage(image, request);
        await tell(new BuildProgress(request.Board, BuildStep.Done, found.Index.Objects, found.Index.Objects));
        return new BuiltFirmware(
            image, found.File, found.ConfigText, found.Index.ConfigHash, found.Index.SourceId, true, time.GetElapsedTime(begin));
    }

    /// <summary>Lets Klipper complete a configuration and checks the result; nothing is built. Takes 0.1 to 0.2 s.</summary>
    /// <returns>The completed text, for <see cref="BuildConfig.Hash"/>.</returns>
    /// <exception cref="FlashException">It drifted, or cannot be completed here.</exception>
    public Task<string> CompleteAsync(BuildRequest request, CancellationToken cancel) => GuardAsync(async () =>
    {
        using var run = Run(request, await tree.LookAsync(cancel));
        return await run.ConfigureAsync(cancel);
    });

    private MakeRun Run(BuildRequest request, KlipperSource source) => new(tree, Cache, Programs, LeastFree, request, source);

    private async Task<BuiltFirmware> MakeAsync(
        BuildRequest request, KlipperSource source, int jobs, long begin, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        using var run = Run(request, source);
        await tell(new BuildProgress(request.Board, BuildStep.Configure, 0, 0));
        var config = await run.ConfigureAsync(cancel);
        var objects = await run.CompileAsync(jobs, time, tell, cancel);
        var (image, file) = run.Take();
        // An update of Klipper during the build gives a firmware of neither version.
        if (await tree.LookAsync(cancel) is var now && (now.SourceId != source.SourceId || now.Version != source.Version))
            throw BuildFaults.KlipperTreeChanged(request.Board);
        var key = Key(request, source);
        var name = Path.GetFileName(file);
        // avrdude needs the hex file, which has no readable dictionary.
        var forBoard = File.Exists(file + ".hex") ? name + ".hex" : name;
        var index = new CacheIndex(
            request.Config.Mcu, image.Version, source.SourceId, BuildConfig.Hash(config), name, forBoard,
            Convert.ToHexStringLower(Sha256.HashData(await File.ReadAllBytesAsync(file, cancel))), objects);
        Cache.Keep(key, index, config, run.Directory);
        await tell(new BuildProgress(request.Board, BuildStep.Done, objects, objects));
        return new BuiltFirmware(
            image, Cache.Find(key)?.File ?? file, config, index.ConfigHash, source.SourceId, false, time.GetElapsedTime(begin));
    }

    /// <summary>A cached firmware; null when its files were changed.</summary>
    private static FirmwareImage? Read(CachedBuild found)
    {
        try
        {
            var bytes = File.ReadAllBytes(found.Image);
            return Convert.ToHexStringLower(Sha256.HashData(bytes)) == found.Index.Sha256
                && BuildConfig.Hash(found.ConfigText) == found.Index.ConfigHash
                ? FirmwareImage.Parse(bytes, found.Index.Image)
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or FlashException)
        {
            return null;
        }
    }

    /// <summary>
    /// How many compilers may run at once: one a core, and 160 MiB of free memory for each (the largest, a link of an STM32H7, takes 120).
    /// </summary>
    private int Budget() => Math.Max(1, (int)Math.Min(Cores, AvailableMemory() / (160L << 20)));

    private int Jobs(int builds) => Math.Max(1, (Budget() + builds - 1) / builds);

    /// <summary>MemAvailable of /proc/meminfo (proc(5)), in bytes; plenty where it cannot be read.</summary>
    private static long AvailableMemory()
    {
        try
        {
            var line = File.ReadLines("/proc/meminfo").FirstOrDefault(line => line.StartsWith("MemAvailable:", StringComparison.Ordinal));
            return line is not null && long.TryParse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], out var kib) ? kib << 10
                : long.MaxValue;
        }
        catch (IOException)
        {
            return long.MaxValue;
        }
    }
}
