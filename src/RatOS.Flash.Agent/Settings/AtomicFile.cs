namespace RatOS.Flash.Agent.Settings;

/// <summary>A file that is there whole, or not at all.</summary>
internal static class AtomicFile
{
    /// <summary>It is on the disk, under its name, when this returns; its folder is made.</summary>
    /// <exception cref="IOException">It cannot be written; what was there stays.</exception>
    /// <exception cref="UnauthorizedAccessException">As before.</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using (var file = new FileStream(path + "~", FileMode.Create, FileAccess.Write, FileShare.None))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }
        File.Move(path + "~", path, overwrite: true);
    }
}
