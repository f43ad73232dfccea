using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Settings;

/// <summary>Writes a file completely or not at all.</summary>
internal static class AtomicFile
{
    /// <summary>The file is on disk under its name when this returns. Its folder is created. A file that is there keeps its mode.</summary>
    /// <exception cref="IOException">It cannot be written; the old file stays.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        if (SystemFacts.IsSpecial(path))
            throw new IOException("there is no regular file");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            using (var file = new FileStream(path + "~", FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                file.Write(bytes);
                file.Flush(flushToDisk: true);
            }
            if (!OperatingSystem.IsWindows() && File.Exists(path))
                File.SetUnixFileMode(path + "~", File.GetUnixFileMode(path));
            File.Move(path + "~", path, overwrite: true);
        }
        catch (IOException)
        {
            File.Delete(path + "~");   // a part of it would keep the last blocks of a full disk
            throw;
        }
    }
}
