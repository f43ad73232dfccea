namespace RatOS.Flash.Fuzz.Targets;

/// <summary>A folder in memory for code that reads files.</summary>
internal static class ScratchFile
{
    private static readonly string Folder = Make();

    /// <summary>A path in it.</summary>
    public static string Path(string name) => System.IO.Path.Combine(Folder, name);

    /// <summary>Writes a file there.</summary>
    /// <returns>Its path.</returns>
    public static string Write(string name, ReadOnlySpan<byte> content)
    {
        var path = Path(name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
        return path;
    }

    private static string Make()
    {
        const string memory = "/dev/shm";
        var folder = Directory.Exists(memory)
            ? Directory.CreateDirectory(System.IO.Path.Combine(memory, $"ratos-flash-fuzz-{Environment.ProcessId}"))
            : Directory.CreateTempSubdirectory("ratos-flash-fuzz");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => folder.Delete(recursive: true);
        return folder.FullName;
    }
}
