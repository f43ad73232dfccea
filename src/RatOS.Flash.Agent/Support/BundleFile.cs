using System.IO.Compression;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// Reads a bundle. It may come from anyone: nothing of it is written to disk, and only known names are read, up to a known size.
/// </summary>
internal static class BundleFile
{
    public const string RecordingName = "recording.txt";

    private const long Largest = 32 * 1024 * 1024;

    /// <param name="path">A bundle, or the recording of a job, compressed or not.</param>
    /// <exception cref="FlashException"><c>bundle-unreadable</c>, <c>bundle-version</c>.</exception>
    public static JobRecording Read(string path)
    {
        var name = Text.Clean(Path.GetFileName(path));
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            if (file.Length > Largest)
                throw RecordingFaults.BundleUnreadable(name, $"it has {file.Length} bytes, which is too much for any bundle");
            var isZip = file.ReadByte() == 'P' && file.ReadByte() == 'K';
            file.Position = 0;
            if (!isZip)
                return JobRecording.Read(file, name);
            using var zip = new ZipArchive(file, ZipArchiveMode.Read);
            if (zip.Entries.Count(entry => entry.FullName == RecordingName) > 1)
                throw RecordingFaults.BundleUnreadable(name, "it holds more than one recording");
            var entry = zip.GetEntry(RecordingName) ?? throw RecordingFaults.BundleUnreadable(name, "it contains no recording");
            using var recording = entry.Open();
            return JobRecording.Read(recording, name);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or InvalidDataException
            or ArgumentException or NotSupportedException or EndOfStreamException)
        {
            throw RecordingFaults.BundleUnreadable(name, Text.Clean(fault.Message.TrimEnd('.')));
        }
    }
}
