using System.IO.Compression;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// Reads a bundle. It may come from anyone: nothing of it is written to disk, and only known names are read, up to a known size.
/// </summary>
internal static class BundleFile
{
    public const string RecordingName = "recording.txt";

    private const long Largest = 32 * 1024 * 1024;
    private const int MostFiles = 1000;

    /// <summary>
    /// How often a header of the central directory stands in a zip. .NET keeps an object for each before anything of it can be checked
    /// (APPNOTE.TXT 4.3.12).
    /// </summary>
    private static int FilesIn(Stream zip)
    {
        var (buffer, kept, found) = (new byte[64 * 1024], 0, 0);
        var header = "PK\u0001\u0002"u8;
        for (int came; (came = zip.Read(buffer, kept, buffer.Length - kept)) > 0;)
        {
            var part = buffer.AsSpan(0, kept + came);
            found += part.Count(header);
            kept = Math.Min(header.Length - 1, part.Length);
            part[^kept..].CopyTo(buffer);
        }
        zip.Position = 0;
        return found;
    }

    /// <param name="path">A bundle, or the recording of a job, compressed or not.</param>
    /// <exception cref="FlashException"><c>bundle-unreadable</c>, <c>bundle-version</c>.</exception>
    public static JobRecording Read(string path)
    {
        var name = Text.Clean(Path.GetFileName(Path.TrimEndingDirectorySeparator(path)));
        FileInfo found;
        try
        {
            found = RegularFile.Find(path);
        }
        catch (Exception fault) when (fault is IOException or ArgumentException)
        {
            throw RecordingFaults.NoBundle(Text.Clean(path), path.Length == 0 ? "no file is named" : fault.Message);
        }
        try
        {
            using var file = new FileStream(found.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            if (file.Length > Largest)
                throw RecordingFaults.BundleUnreadable(name, $"it has {file.Length} bytes, which is too much for any bundle");
            var isZip = file.ReadByte() == 'P' && file.ReadByte() == 'K';
            file.Position = 0;
            if (!isZip)
                return JobRecording.Read(file, name);
            if (FilesIn(file) > MostFiles)
                throw RecordingFaults.BundleUnreadable(name, $"it holds more than {MostFiles} files");
            using var zip = new ZipArchive(file, ZipArchiveMode.Read);
            if (zip.Entries.Count(entry => entry.FullName == RecordingName) > 1)
                throw RecordingFaults.BundleUnreadable(name, "it holds more than one recording");
            var entry = zip.GetEntry(RecordingName) ?? throw RecordingFaults.BundleUnreadable(name, "it contains no recording");
            using var recording = entry.Open();
            return JobRecording.Read(recording, name);
        }
        catch (UnauthorizedAccessException)
        {
            throw RecordingFaults.NoBundle(Text.Clean(path), "permission denied");
        }
        catch (Exception fault) when (fault is IOException or InvalidDataException
            or ArgumentException or NotSupportedException or EndOfStreamException)
        {
            throw RecordingFaults.BundleUnreadable(name, Text.Clean(fault.Message.TrimEnd('.')));
        }
    }
}
