using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Builds;

/// <summary>One run of Klipper's make in its own build directory, and the check of its output.</summary>
internal sealed class MakeRun : IDisposable
{
    /// <summary>Objects of a first build for a chip: an STM32's has 47 to 50.</summary>
    private const int GuessedObjects = 50;

    private const int MostLines = 20_000;

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(150);

    private readonly KlipperTree _tree;
    private readonly BuildCache _cache;
    private readonly Tools _programs;
    private readonly BuildRequest _request;
    private readonly KlipperSource _source;
    private readonly Toolchain _toolchain;
    private readonly Dictionary<string, string> _environment;
    private readonly List<string> _output = [];

    /// <exception cref="FlashException">A path, a program or disk space is missing.</exception>
    public MakeRun(KlipperTree tree, BuildCache cache, Tools programs, long leastFree, BuildRequest request, KlipperSource source)
    {
        (_tree, _cache, _programs, _request, _source) = (tree, cache, programs, request, source);
        _toolchain = Toolchain.For(request.Config.Mcu);
        RefuseUnquotable(tree.Path);
        RefuseUnquotable(cache.Folder);
        _toolchain.Require(programs, request.Board);
        System.IO.Directory.CreateDirectory(cache.Folder);
        if (new DriveInfo(cache.Folder).AvailableFreeSpace < leastFree)
            throw BuildFaults.BuildDiskFull(cache.Folder, leastFree / 1048576.0);
        Directory = cache.OpenDirectory();
        _environment = tree.GitEnvironment(Directory.GitIndex);
        _environment["TMPDIR"] = Directory.Temporary;
        _environment["PYTHONPYCACHEPREFIX"] = cache.Bytecode;
        _environment["PYTHONNOUSERSITE"] = "1";
    }

    public BuildDirectory Directory { get; }

    public void Dispose() => Directory.Dispose();

    /// <returns>The completed configuration.</returns>
    public async Task<string> ConfigureAsync(CancellationToken cancel)
    {
        await File.WriteAllTextAsync(Directory.Config, _request.Config.Text, cancel);
        await MakeAsync(["olddefconfig"], static _ => ValueTask.CompletedTask, cancel);
        var completed = await File.ReadAllTextAsync(Directory.Config, cancel);
        _request.Config.Check(completed, _request.Board);
        return completed;
    }

    /// <returns>How many objects were compiled.</returns>
    public async Task<int> CompileAsync(int jobs, TimeProvider time, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        var (objects, total, shown) = (0, _cache.Objects(_request.Config.Mcu) ?? GuessedObjects, time.GetTimestamp());
        await tell(new BuildProgress(_request.Board, BuildStep.Compile, 0, total));
        await MakeAsync(
            [$"-j{jobs}"],
            async line =>
            {
                var isLink = line.StartsWith("  Linking", StringComparison.Ordinal);
                if (!isLink && !line.StartsWith("  Compiling", StringComparison.Ordinal))
                    return;
                if (!isLink)
                    total = Math.Max(total, ++objects);
                if (!isLink && time.GetElapsedTime(shown) < ProgressInterval)
                    return;
                shown = time.GetTimestamp();
                await tell(new BuildProgress(
                    _request.Board, isLink ? BuildStep.Link : BuildStep.Compile, objects, isLink ? objects : total));
            },
            cancel);
        return objects;
    }

    /// <summary>The firmware in the output folder, if it matches the request.</summary>
    public (FirmwareImage Image, string File) Take()
    {
        // A chip's own file first: every build has an ELF, and the Linux process has nothing else. An AVR has it and a hex file.
        var file = ((string[])["klipper.bin", "klipper.uf2", "klipper.elf"]).Select(name => Path.Combine(Directory.Out, name))
            .FirstOrDefault(File.Exists)
            ?? throw BuildFaults.BuiltOtherFirmware(_request.Board, "file", "klipper.bin, klipper.uf2 or klipper.elf", "missing");
        var image = FirmwareImage.Open(file);
        CheckImage(image, _request);
        // Time and host follow the version of a dirty tree. Forks may write it in their own way: only another commit is another version.
        if (!image.Version.StartsWith(_source.Version, StringComparison.Ordinal) && Commit(image.Version) is { } built
            && Commit(_source.Version) is { } wanted && built != wanted)
            throw BuildFaults.BuiltOtherFirmware(_request.Board, "version", _source.Version, image.Version);
        return (image, file);
    }

    public static void CheckImage(FirmwareImage image, BuildRequest request)
    {
        if (!string.Equals(image.Mcu, request.Config.Mcu, StringComparison.OrdinalIgnoreCase))
            throw BuildFaults.BuiltOtherFirmware(request.Board, "chip", request.Config.Mcu, image.Mcu);
        if (request.Config.Start is { } start && Mcu.Find(request.Config.Mcu) is { } mcu
            && image.CheckCompatibility(mcu, start, mcu.FlashEnd) is { } incompatible)
            throw incompatible;
    }

    /// <summary>Klipper's Makefile hands these paths to make and to the shell without quotes.</summary>
    public static void RefuseUnquotable(string path)
    {
        foreach (var c in path)
        {
            if (char.IsWhiteSpace(c) || char.IsControl(c) || "$#:;%'\"\\|&<>()*?[]{}!`~=,".Contains(c, StringComparison.Ordinal))
                throw BuildFaults.BuildPath(path, char.IsWhiteSpace(c) || char.IsControl(c) ? "blank" : c.ToString());
        }
    }
    private async Task MakeAsync(string[] target, Func<string, ValueTask> onLine, CancellationToken cancel)
    {
        var exit = await _programs.RunAsync(
            "make", [$"KCONFIG_CONFIG={Directory.Config}", $"OUT={Directory.Out}", .. target], _tree.Path, _environment,
            line =>
            {
                if (_output.Count < MostLines)
                    _output.Add(line);
                return onLine(line);
            },
            cancel);
        if (exit == 0)
            return;
        var log = _cache.LogOf(_request.Board);
        var fault = _toolchain.Explain(_request, _source, _output, log, _cache.Folder);
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(log)!);
        await File.WriteAllLinesAsync(log, _output, CancellationToken.None);
        throw fault;
    }

    /// <summary>The abbreviated commit in <c>v0.13.0-730-g84104bbbd</c>; null in other texts.</summary>
    private static string? Commit(string version) =>
        version.Split('-').FirstOrDefault(part => part.Length > 6 && part[0] == 'g' && part[1..].All(char.IsAsciiHexDigit));
}
