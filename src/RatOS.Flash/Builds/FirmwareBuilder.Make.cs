using System.Security.Cryptography;
using RatOS.Flash.Boards;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Builds;

/// <summary>One run of Klipper's make, and the judgement of what came out.</summary>
public sealed partial class FirmwareBuilder
{
    /// <summary>Objects of a first build for a chip: an STM32's has 47 to 50.</summary>
    private const int GuessedObjects = 50;

    private const int MostLines = 20_000;

    private static readonly TimeSpan BetweenNews = TimeSpan.FromMilliseconds(150);

    private async Task<BuiltFirmware> MakeAsync(
        BuildRequest request, KlipperSource source, int jobs, long begin, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        RefuseUnquotable(tree.Path);
        RefuseUnquotable(_folder);
        var toolchain = Toolchain.For(request.Config.Mcu);
        toolchain.Require(Programs, request.Board);
        Directory.CreateDirectory(_folder);
        if (new DriveInfo(_folder).AvailableFreeSpace < LeastFree)
            throw Faults.BuildDiskFull(_folder, LeastFree / 1048576.0);

        using var shop = Cache.OpenWorkshop();
        var environment = tree.GitEnvironment(shop.GitIndex);
        environment["TMPDIR"] = shop.Temporary;
        environment["PYTHONPYCACHEPREFIX"] = Cache.Bytecode;
        environment["PYTHONNOUSERSITE"] = "1";
        var output = new List<string>();

        await tell(new BuildProgress(request.Board, BuildStep.Configure, 0, 0));
        await File.WriteAllTextAsync(shop.Config, request.Config.Text, cancel);
        await MakeTarget(["olddefconfig"], static _ => ValueTask.CompletedTask);
        var config = await File.ReadAllTextAsync(shop.Config, cancel);
        request.Config.Check(config, request.Board);

        var (objects, total, told) = (0, Cache.Objects(request.Config.Mcu) ?? GuessedObjects, time.GetTimestamp());
        await tell(new BuildProgress(request.Board, BuildStep.Compile, 0, total));
        await MakeTarget([$"-j{jobs}"], async line =>
        {
            var isLink = line.StartsWith("  Linking", StringComparison.Ordinal);
            if (!isLink && !line.StartsWith("  Compiling", StringComparison.Ordinal))
                return;
            if (!isLink)
                total = Math.Max(total, ++objects);
            if (!isLink && time.GetElapsedTime(told) < BetweenNews)
                return;
            told = time.GetTimestamp();
            await tell(new BuildProgress(request.Board, isLink ? BuildStep.Link : BuildStep.Compile, objects, isLink ? objects : total));
        });

        var (image, file) = Take(shop, request, source);
        // An update of Klipper in the middle gives a firmware of neither version.
        if (await tree.LookAsync(cancel) is var now && (now.SourceId != source.SourceId || now.Version != source.Version))
            throw Faults.KlipperTreeChanged(request.Board);
        var key = Key(request, source);
        var name = Path.GetFileName(file);
        var index = new CacheIndex(
            request.Config.Mcu, image.Version, source.SourceId, BuildConfig.Hash(config), name, Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file, cancel))), objects);
        Cache.Keep(key, index, config, file, shop);
        await tell(new BuildProgress(request.Board, BuildStep.Done, objects, objects));
        return new BuiltFirmware(image, Cache.Find(key)?.File ?? file, config, index.ConfigHash, source.SourceId, false, time.GetElapsedTime(begin));

        async Task MakeTarget(string[] target, Func<string, ValueTask> onLine)
        {
            var exit = await Programs.RunAsync(
                "make", [$"KCONFIG_CONFIG={shop.Config}", $"OUT={shop.Out}", .. target], tree.Path, environment,
                line =>
                {
                    if (output.Count < MostLines)
                        output.Add(line);
                    return onLine(line);
                },
                cancel);
            if (exit == 0)
                return;
            var log = Cache.LogOf(request.Board);
            var fault = toolchain.Explain(request, source, output, log, _folder);
            Directory.CreateDirectory(Path.GetDirectoryName(log)!);
            await File.WriteAllLinesAsync(log, output, CancellationToken.None);
            throw fault;
        }
    }

    /// <summary>The firmware in the output folder, when it is what was asked for.</summary>
    private static (FirmwareImage Image, string File) Take(Workshop shop, BuildRequest request, KlipperSource source)
    {
        // A chip's own file first: an ELF is there always, and the only one of the Linux process.
        var file = ((string[])["klipper.bin", "klipper.uf2", "klipper.elf"]).Select(name => Path.Combine(shop.Out, name)).FirstOrDefault(File.Exists)
            ?? throw Faults.BuiltOtherFirmware(request.Board, "file", "klipper.bin, klipper.uf2 or klipper.elf", "missing");
        var image = FirmwareImage.Open(file);
        Judge(image, request);
        // Time and host follow the version of a dirty tree. Forks may write it in their own way: only another commit is another version.
        if (!image.Version.StartsWith(source.Version, StringComparison.Ordinal) && Commit(image.Version) is { } built && Commit(source.Version) is { } wanted && built != wanted)
            throw Faults.BuiltOtherFirmware(request.Board, "version", source.Version, image.Version);
        return (image, file);
    }

    private static void Judge(FirmwareImage image, BuildRequest request)
    {
        if (!string.Equals(image.Mcu, request.Config.Mcu, StringComparison.OrdinalIgnoreCase))
            throw Faults.BuiltOtherFirmware(request.Board, "chip", request.Config.Mcu, image.Mcu);
        if (request.Config.Start is { } start && Mcu.Find(request.Config.Mcu) is { } mcu && image.Misfit(mcu, start, mcu.FlashEnd) is { } misfit)
            throw misfit;
    }

    /// <summary>A kept firmware, or null when its files are not what was kept.</summary>
    private static FirmwareImage? Read(CachedBuild found)
    {
        try
        {
            var bytes = File.ReadAllBytes(found.File);
            return Convert.ToHexStringLower(SHA256.HashData(bytes)) == found.Index.Sha256 && BuildConfig.Hash(found.ConfigText) == found.Index.ConfigHash
                ? FirmwareImage.Parse(bytes, found.Index.File)
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or FlashException)
        {
            return null;
        }
    }

    /// <summary>The abbreviated commit in <c>v0.13.0-730-g84104bbbd</c>; null in other texts.</summary>
    private static string? Commit(string version) => version.Split('-').FirstOrDefault(part => part.Length > 6 && part[0] == 'g' && part[1..].All(char.IsAsciiHexDigit));

    /// <summary>Klipper's Makefile hands these paths to make and to the shell without quotes.</summary>
    private static void RefuseUnquotable(string path)
    {
        foreach (var c in path)
        {
            if (char.IsWhiteSpace(c) || char.IsControl(c) || "$#:;%'\"\\|&<>()*?[]{}!`~=,".Contains(c, StringComparison.Ordinal))
                throw Faults.BuildPath(path, c);
        }
    }
}
