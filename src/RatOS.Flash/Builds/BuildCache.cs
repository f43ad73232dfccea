using System.Text.Json;
using System.Text.Json.Serialization;

namespace RatOS.Flash.Builds;

/// <summary>
/// The folder of builds. <c>entries/KEY</c> appears by a rename and never changes; <c>work/NAME</c> belongs to a build that holds its lock,
/// or is left of a killed one. Everything in it can be deleted at any time.
/// </summary>
internal sealed class BuildCache(string folder, int mostEntries, TimeProvider time)
{
    private const string Index = "built.json";
    private const string Config = "config";

    private string Entries => Path.Combine(folder, "entries");

    private string Directories => Path.Combine(folder, "work");

    public string Folder => folder;

    /// <summary>For Python's compiled scripts, which would otherwise be written into Klipper's tree.</summary>
    public string Bytecode => Path.Combine(folder, "pycache");

    /// <summary>The log of a board's last failed build.</summary>
    public string LogOf(string board) =>
        Path.Combine(folder, "failed",
            string.Concat(board.Take(64).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_')) + ".log");

    /// <summary>The firmware of a key, with the completed configuration; null when it is not there or damaged.</summary>
    public CachedBuild? Find(string key)
    {
        var entry = Path.Combine(Entries, key);
        try
        {
            if (IndexOf(entry) is not { } found || Path.GetFileName(found.Image) != found.Image
                || Path.GetFileName(found.File) != found.File)
                return null;
            // Its last use decides which entry is removed first.
            File.SetLastWriteTimeUtc(Path.Combine(entry, Index), time.GetUtcNow().UtcDateTime);
            return new CachedBuild(
                found, File.ReadAllText(Path.Combine(entry, Config)), Path.Combine(entry, found.Image), Path.Combine(entry, found.File));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public bool Has(string sha256) => ByAge().Any(entry => IndexOf(entry)?.Sha256 == sha256);

    /// <summary>Objects of the last build for a chip; null before the first.</summary>
    public int? Objects(string mcu) => ByAge().Select(IndexOf).FirstOrDefault(found => found?.Mcu == mcu)?.Objects;

    public void Forget(string key) => Discard(Path.Combine(Entries, key));

    /// <summary>A build directory below this folder. Those of killed builds are removed.</summary>
    public BuildDirectory OpenDirectory()
    {
        Directory.CreateDirectory(Entries);
        Directory.CreateDirectory(Bytecode);
        var directory = new BuildDirectory(Path.Combine(Directories, Guid.NewGuid().ToString("N")));
        foreach (var other in Directory.EnumerateDirectories(Directories))
            BuildDirectory.ClearAbandoned(other, directory);
        return directory;
    }

    /// <summary>Makes an entry of a finished build. If another process made the same entry first, that one is kept.</summary>
    public void Keep(string key, CacheIndex index, string config, BuildDirectory directory)
    {
        var made = Path.Combine(directory.Folder, "entry");
        Directory.CreateDirectory(made);
        File.WriteAllText(Path.Combine(made, Config), config);
        foreach (var file in (string[])[index.Image, index.File])
            File.Copy(Path.Combine(directory.Out, file), Path.Combine(made, file), overwrite: true);
        File.WriteAllBytes(Path.Combine(made, Index), JsonSerializer.SerializeToUtf8Bytes(index, CacheJson.Default.CacheIndex));
        File.SetLastWriteTimeUtc(Path.Combine(made, Index), time.GetUtcNow().UtcDateTime);
        var entry = Path.Combine(Entries, key);
        // Half an entry is useless and would block this key.
        if (Directory.Exists(entry) && !File.Exists(Path.Combine(entry, Index)))
            Discard(entry);
        try
        {
            Directory.Move(made, entry);
        }
        catch (IOException) when (File.Exists(Path.Combine(entry, Index)))
        {
            // The same sources and the same configuration: either one is right.
        }
        foreach (var old in ByAge().Skip(mostEntries).ToList())
            Discard(old);
    }

    /// <summary>Entries, the last used first.</summary>
    private IEnumerable<string> ByAge() => Directory.Exists(Entries)
        ? Directory.GetDirectories(Entries).OrderByDescending(entry => File.GetLastWriteTimeUtc(Path.Combine(entry, Index)))
        : [];

    private static CacheIndex? IndexOf(string entry)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(entry, Index)), CacheJson.Default.CacheIndex);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Renamed first, so that no process ever finds half an entry.</summary>
    private void Discard(string entry)
    {
        try
        {
            var away = Path.Combine(Directories, "old-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(Directories);
            Directory.Move(entry, away);
            Directory.Delete(away, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another process removed it first.
        }
    }
}

/// <summary>A locked folder for one build, removed at its end.</summary>
internal sealed class BuildDirectory : IDisposable
{
    /// <summary>A folder without a lock is abandoned when it is this much older than a new one.</summary>
    private static readonly TimeSpan Abandoned = TimeSpan.FromMinutes(10);

    private readonly FileStream _lock;

    public BuildDirectory(string folder)
    {
        Folder = folder;
        Directory.CreateDirectory(Temporary);
        _lock = new FileStream(LockOf(folder), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
    }

    public string Folder { get; }

    public string Config => Path.Combine(Folder, "board.config");

    /// <summary>With the trailing slash that Klipper's Makefile needs.</summary>
    public string Out => Path.Combine(Folder, "out") + "/";

    public string Temporary => Path.Combine(Folder, "tmp");

    public string GitIndex => Path.Combine(Folder, "index");

    public static void ClearAbandoned(string folder, BuildDirectory own)
    {
        try
        {
            if (folder == own.Folder || Directory.GetLastWriteTimeUtc(own.Folder) - Directory.GetLastWriteTimeUtc(folder) < Abandoned)
                return;
            if (File.Exists(LockOf(folder)))
                new FileStream(LockOf(folder), FileMode.Open, FileAccess.ReadWrite, FileShare.None).Dispose();
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // That build is running.
        }
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next build tries again.
        }
        _lock.Dispose();
    }

    private static string LockOf(string folder) => Path.Combine(folder, "lock");
}

/// <param name="Image">Name of the file in the entry that is read.</param>
/// <param name="File">Name of the file that a board takes; the same, but for an AVR.</param>
/// <param name="Sha256">Of the image, lower-case hex.</param>
/// <param name="Objects">How many were compiled.</param>
internal sealed record CacheIndex(
    string Mcu, string Version, string SourceId, string ConfigHash, string Image, string File, string Sha256, int Objects);

internal sealed record CachedBuild(CacheIndex Index, string ConfigText, string Image, string File);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(CacheIndex))]
internal sealed partial class CacheJson : JsonSerializerContext;
