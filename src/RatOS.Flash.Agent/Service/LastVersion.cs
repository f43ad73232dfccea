using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// A copy of the last version that ran. Moonraker's update manager deletes the program's folder before it unpacks the new zip
/// (net_deploy.py, zip_deploy.py: <c>_extract_release</c>). After a zip that is broken, or of another processor, this copy is the way back,
/// and Moonraker's component names the command.
/// </summary>
internal static class LastVersion
{
    private const string Program = "ratos-flash";
    private const string Release = "release_info.json";

    // Named one by one: the folder may hold files of the user's.
    private static readonly string[] Parts =
        [Program, Release, "install.sh", "99-ratos-flash.rules", "LICENSE", "THIRD-PARTY-NOTICES.txt", "config", "moonraker-component"];

    /// <summary>The version in a folder comes from a release, and is not kept yet.</summary>
    /// <param name="folder">The folder of the program that runs.</param>
    /// <param name="kept">The folder of the copy.</param>
    public static bool IsNew(string folder, string kept)
    {
        var (own, copy) = (new FileInfo(Path.Combine(folder, Program)), new FileInfo(Path.Combine(kept, Program)));
        return own.Exists && Text(folder) is { } release && !(copy.Exists && own.Length == copy.Length && release == Text(kept));
    }

    /// <summary>Keeps it.</summary>
    /// <returns>A line for the log.</returns>
    /// <inheritdoc cref="IsNew"/>
    public static string Keep(string folder, string kept)
    {
        try
        {
            var made = kept + ".new";
            if (Directory.Exists(made))
                Directory.Delete(made, recursive: true);
            Directory.CreateDirectory(made);
            foreach (var part in Parts)
                Copy(Path.Combine(folder, part), Path.Combine(made, part));
            if (Directory.Exists(kept))
                Directory.Delete(kept, recursive: true);
            Directory.Move(made, kept);
            return $"A copy of this version is in {kept}.";
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return $"No copy of this version could be kept in {kept}: {refused.Message}";
        }
    }

    private static string? Text(string folder) => SystemFacts.Text(Path.Combine(folder, Release));

    private static void Copy(string from, string to)
    {
        if (File.Exists(from))
            File.Copy(from, to);
        if (!Directory.Exists(from))
            return;
        Directory.CreateDirectory(to);
        foreach (var entry in Directory.EnumerateFileSystemEntries(from))
            Copy(entry, Path.Combine(to, Path.GetFileName(entry)));
    }
}
