namespace RatOS.Flash.Firmware;

/// <summary>Reads files whose kind is not known. A pipe would wait for ever, and a device may never end.</summary>
public static class RegularFile
{
    /// <param name="path">Links are followed.</param>
    /// <param name="most">In bytes.</param>
    /// <exception cref="IOException">It is empty, too large, or no regular file. Pipes and devices have no length.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static byte[] Read(string path, int most)
    {
        var file = Find(path);
        if (file.Length > most)
            throw new IOException($"it has {file.Length} bytes, which is too much for any firmware");
        using var stream = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        var bytes = new byte[Math.Min(stream.Length, most)];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>The file itself, to be opened without a wait.</summary>
    /// <param name="path">Links are followed.</param>
    /// <exception cref="IOException">It is empty, or no regular file.</exception>
    public static FileInfo Find(string path)
    {
        var file = new FileInfo(path);
        if (file.LinkTarget is not null && File.ResolveLinkTarget(path, returnFinalTarget: true) is FileInfo target)
            file = target;
        if (!file.Exists)
            throw new FileNotFoundException(Directory.Exists(path) ? "it is a directory" : "the file does not exist");
        return file.Length > 0 ? file : throw new IOException("it is empty or no regular file");
    }
}
