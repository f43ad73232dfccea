namespace RatOS.Flash.Hardware.Linux;

/// <summary>Reads files that users and other programs write, and that may be anything by now.</summary>
public static class TextFile
{
    /// <param name="path">Links are followed.</param>
    /// <param name="most">In bytes.</param>
    /// <exception cref="IOException">It is missing, too large, or no regular file.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static string Read(string path, int most)
    {
        using var stream = Open(path);
        if (stream.Length > most)
            throw new IOException($"it has {stream.Length} bytes, and at most {most} are read");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>A pipe would wait for ever, and a device may never end.</summary>
    /// <inheritdoc cref="Read"/>
    public static FileStream Open(string path) => SystemFacts.IsSpecial(path) ? throw new FileNotFoundException("it is no regular file")
        : new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
}
