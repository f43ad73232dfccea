using System.Security.Cryptography;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Builds;

/// <summary>One run of Klipper's make, and the check of its output.</summary>
public sealed partial class FirmwareBuilder
{
    /// <summary>Objects of a first build for a chip: an STM32's has 47 to 50.</summary>
    private const int GuessedObjects = 50;

    private const int MostLines = 20_000;

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(150);

    /// <summary>Lets Klipper complete a configuration and checks the result; nothing is built. Takes 0.1 to 0.2 s.</summary>
    /// <returns>The completed text, for <see cref="BuildConfig.Hash"/>.</returns>
    /// <exception cref="FlashException">It drifted, or cannot be completed here.</exception>
    public Task<string> CompleteAsync(BuildRequest request, CancellationToken cancel) => GuardAsync(async () =>
    {
        using var run = new Run(this, request, await tree.LookAsync(cancel));
        return await run.ConfigureAsync(cancel);
    });

    private async Task<BuiltFirmware> MakeAsync(
        BuildRequest request, KlipperSource source, int jobs, long begin, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        using var run = new Run(this, request, source);
        var shop = run.Shop;
        await tell(new BuildProgress(request.Board, BuildStep.Configure, 0, 0));
        var config = await run.ConfigureAsync(cancel);

        var (objects, total, told) = (0, Cache.Objects(request.Config.Mcu) ?? GuessedObjects, time.GetTimestamp());
        await tell(new BuildProgress(request.Board, BuildStep.Compile, 0, total));
        await run.MakeAsync(
            [$"-j{jobs}"],
            async line =>
            {
                var isLink = line.StartsWith("  Linking", StringComparison.Ordinal);
                if (!isLink && !line.StartsWith("  Compiling", StringComparison.Ordinal))
                    return;
                if (!isLink)
                    total = Math.Max(total, ++objects);
                if (!isLink && time.GetElapsedTime(told) < ProgressInterval)
                    return;
                told = time.GetTimestamp();
                await tell(new BuildProgress(request.Board, isLink ? BuildStep.Link : BuildStep.Compile, objects,
                    isLink ? objects : total));
            },
            cancel);

        var (image, file) = Take(shop, request, source);
        // An update of Klipper in the middle gives a firmware of neither version.
        if (await tree.LookAsync(cancel) is var now && (now.SourceId != source.SourceId || now.Version != source.Version))
            throw BuildFaults.KlipperTreeChanged(request.Board);
        var key = Key(request, source);
        var name = Path.GetFileName(file);
        // avrdude takes only the hex file, which holds no dictionary that could be read.
        var forBoard = File.Exists(file + ".hex") ? name + ".hex" : name;
        var index = new CacheIndex(
            request.Config.Mcu, image.Version, source.SourceId, BuildConfig.Hash(config), name, forBoard,
            Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file, cancel))), objects);
        Cache.Keep(key, index, config, shop);
        await tell(new BuildProgress(request.Board, BuildStep.Done, objects, objects));
        return new BuiltFirmware(image, Cache.Find(key)?.File ?? file, config, index.ConfigHash, source.SourceId, false,
            time.GetElapsedTime(begin));
    }

    /// <summary>Klipper's make in its own build directory, with its output.</summary>
    private sealed class Run : IDisposable
    {
        private readonly FirmwareBuilder _builder;
        private readonly BuildRequest _request;
        private readonly KlipperSource _source;
        private readonly Toolchain _toolchain;
        private readonly Dictionary<string, string> _environment;
        private readonly List<string> _output = [];

        /// <exception cref="FlashException">A path, a program or room is missing.</exception>
        public Run(FirmwareBuilder builder, BuildRequest request, KlipperSource source)
        {
            (_builder, _request, _source, _toolchain) = (builder, request, source, Toolchain.For(request.Config.Mcu));
            RefuseUnquotable(Tree.Path);
            RefuseUnquotable(builder._folder);
            _toolchain.Require(builder.Programs, request.Board);
            Directory.CreateDirectory(builder._folder);
            if (new DriveInfo(builder._folder).AvailableFreeSpace < builder.LeastFree)
                throw BuildFaults.BuildDiskFull(builder._folder, builder.LeastFree / 1048576.0);
            Shop = builder.Cache.OpenWorkshop();
            _environment = Tree.GitEnvironment(Shop.GitIndex);
            _environment["TMPDIR"] = Shop.Temporary;
            _environment["PYTHONPYCACHEPREFIX"] = builder.Cache.Bytecode;
            _environment["PYTHONNOUSERSITE"] = "1";
        }

        public Workshop Shop { get; }

        private KlipperTree Tree => _builder.Tree;

        public void Dispose() => Shop.Dispose();

        public async Task<string> ConfigureAsync(CancellationToken cancel)
        {
            await File.WriteAllTextAsync(Shop.Config, _request.Config.Text, cancel);
            await MakeAsync(["olddefconfig"], static _ => ValueTask.CompletedTask, cancel);
            var completed = await File.ReadAllTextAsync(Shop.Config, cancel);
            _request.Config.Check(completed, _request.Board);
            return completed;
        }

        public async Task MakeAsync(string[] target, Func<string, ValueTask> onLine, CancellationToken cancel)
        {
            var exit = await _builder.Programs.RunAsync(
                "make", [$"KCONFIG_CONFIG={Shop.Config}", $"OUT={Shop.Out}", .. target], Tree.Path, _environment,
                line =>
                {
                    if (_output.Count < MostLines)
                        _output.Add(line);
                    return onLine(line);
                },
                cancel);
            if (exit == 0)
                return;
            var log = _builder.Cache.LogOf(_request.Board);
            var fault = _toolchain.Explain(_request, _source, _output, log, _builder._folder);
            Directory.CreateDirectory(Path.GetDirectoryName(log)!);
            await File.WriteAllLinesAsync(log, _output, CancellationToken.None);
            throw fault;
        }
    }

    /// <summary>The firmware in the output folder, if it matches the request.</summary>
    private static (FirmwareImage Image, string File) Take(Workshop shop, BuildRequest request, KlipperSource source)
    {
        // A chip's own file first: an ELF is there always, and the only one of the Linux process. An AVR has it and a hex file.
        var file = ((string[])["klipper.bin", "klipper.uf2", "klipper.elf"]).Select(name => Path.Combine(shop.Out, name))
            .FirstOrDefault(File.Exists)
            ?? throw BuildFaults.BuiltOtherFirmware(request.Board, "file", "klipper.bin, klipper.uf2 or klipper.elf", "missing");
        var image = FirmwareImage.Open(file);
        CheckImage(image, request);
        // Time and host follow the version of a dirty tree. Forks may write it in their own way: only another commit is another version.
        if (!image.Version.StartsWith(source.Version, StringComparison.Ordinal) && Commit(image.Version) is { } built
            && Commit(source.Version) is { } wanted && built != wanted)
            throw BuildFaults.BuiltOtherFirmware(request.Board, "version", source.Version, image.Version);
        return (image, file);
    }

    private static void CheckImage(FirmwareImage image, BuildRequest request)
    {
        if (!string.Equals(image.Mcu, request.Config.Mcu, StringComparison.OrdinalIgnoreCase))
            throw BuildFaults.BuiltOtherFirmware(request.Board, "chip", request.Config.Mcu, image.Mcu);
        if (request.Config.Start is { } start && Mcu.Find(request.Config.Mcu) is { } mcu
            && image.CheckCompatibility(mcu, start, mcu.FlashEnd) is { } misfit)
            throw misfit;
    }

    /// <summary>A cached firmware; null when its files were changed.</summary>
    private static FirmwareImage? Read(CachedBuild found)
    {
        try
        {
            var bytes = File.ReadAllBytes(found.Image);
            return Convert.ToHexStringLower(SHA256.HashData(bytes)) == found.Index.Sha256
                && BuildConfig.Hash(found.ConfigText) == found.Index.ConfigHash
                ? FirmwareImage.Parse(bytes, found.Index.Image)
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or FlashException)
        {
            return null;
        }
    }

    /// <summary>The abbreviated commit in <c>v0.13.0-730-g84104bbbd</c>; null in other texts.</summary>
    private static string? Commit(string version) =>
        version.Split('-').FirstOrDefault(part => part.Length > 6 && part[0] == 'g' && part[1..].All(char.IsAsciiHexDigit));

    /// <summary>Klipper's Makefile hands these paths to make and to the shell without quotes.</summary>
    internal static void RefuseUnquotable(string path)
    {
        foreach (var c in path)
        {
            if (char.IsWhiteSpace(c) || char.IsControl(c) || "$#:;%'\"\\|&<>()*?[]{}!`~=,".Contains(c, StringComparison.Ordinal))
                throw BuildFaults.BuildPath(path, char.IsWhiteSpace(c) || char.IsControl(c) ? "blank" : c.ToString());
        }
    }
}
