using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// Everything about one flash in one zip, for whoever is to help. Texts are redacted and bounded; what could not be had is named in it, with the reason.
/// </summary>
/// <param name="data">The printer's folder.</param>
/// <param name="printer">Its buses.</param>
internal sealed partial class Bundle(DataFolder data, PrinterAccess printer)
{
    private const int MostOfAFile = 512 * 1024;
    private const int MostConfigs = 64;
    private const int Kept = 10;   // in the logs folder

    private readonly Redaction _redaction = new();
    private readonly List<string> _missing = [];

    /// <summary>Moonraker's version; null where it is not up.</summary>
    public string? Moonraker { get; init; }

    /// <param name="job">Its id; null for the last one.</param>
    /// <param name="output">Null for a file in the logs folder, or where there is none in the current one.</param>
    /// <returns>The file.</returns>
    /// <exception cref="FlashException"><c>unknown-job</c>, <c>bundle-unwritable</c>.</exception>
    public string Write(string? job, string? output)
    {
        var jobs = Journal.ReadAll(data.Jobs);
        var record = job is not null ? jobs.LastOrDefault(one => one.Header.Job == job) ?? throw AgentFaults.UnknownJob(Text.Clean(job)) : jobs is [.., var newest] ? newest : null;
        var logs = Path.Combine(data.Root, "logs");
        var folder = Directory.Exists(logs) ? logs : Environment.CurrentDirectory;
        var what = record?.Header.Boards is [var board, ..] ? string.Concat(board.Take(32).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_')) : "printer";
        var path = output ?? Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"ratos-flash-{printer.Time.GetUtcNow():yyyyMMdd-HHmmss}-{what}.zip"));
        var part = path + ".part";
        try
        {
            using (var zip = new ZipArchive(new FileStream(part, FileMode.Create, FileAccess.Write), ZipArchiveMode.Create))
                Fill(zip, record);
            File.Move(part, path, overwrite: true);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            Discard(part);
            throw RecordingFaults.BundleUnwritable(path, fault.Message.TrimEnd('.'));
        }
        if (output is null)
            Prune(folder);
        return path;
    }

    private void Fill(ZipArchive zip, JournalRecord? record)
    {
        if (record is null)
            _missing.Add("job: nothing was flashed yet");
        else
            AddJob(zip, record);
        foreach (var between in Files(Path.GetDirectoryName(data.Between)!))
            AddFile(zip, $"between-jobs/{Path.GetFileName(between)}", between, _redaction.OfRecording);
        foreach (var log in (string[])["ratos-flash.log", "klippy.log"])
            AddFile(zip, $"logs/{log}", Path.Combine(data.Root, "logs", log));
        foreach (var config in Files(Path.Combine(data.Root, "config")))
            AddFile(zip, $"config/{Path.GetRelativePath(Path.Combine(data.Root, "config"), config)}", config);
        foreach (var build in Files(Path.Combine(data.Builds, "failed")))
            AddFile(zip, $"build/{Path.GetFileName(build)}", build);
        AddFacts(zip);
        Add(zip, "README.txt", _redaction.Of($"""
            A bundle of ratos-flash {Product.Version}: everything about one flash. Begin with timeline.txt.
            `ratos-flash replay THIS-FILE` plays the recording against the engine, without any hardware.
            Keys, passwords, Wi-Fi, host names, addresses, e-mail and users' names in paths were taken out where they were known as such. The recording holds the firmware and
            everything that the boards and Klipper said to it.

            Not in it:
            {string.Join('\n', _missing.Count == 0 ? ["nothing is missing"] : _missing.Select(line => "- " + line))}

            """));
    }

    private void AddJob(ZipArchive zip, JournalRecord record)
    {
        var folder = Path.GetDirectoryName(record.Path)!;
        AddFile(zip, "journal.ndjson", record.Path);
        AddFile(zip, JobRecorder.PlanName, Path.Combine(folder, JobRecorder.PlanName));
        Add(zip, "outcome.json", _redaction.Of(System.Text.Json.JsonSerializer.Serialize(record.View(), JsonContract.Shapes.JsonJob)));
        Add(zip, "images.txt", string.Concat(record.Header.Images.Select(image => $"{image.Value}  {image.Key}\n")));
        try
        {
            using var packed = new FileStream(Path.Combine(folder, JobRecorder.RecordingName), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var text = new StringBuilder();
            try
            {
                using var reader = new StreamReader(new GZipStream(packed, CompressionMode.Decompress));
                var buffer = new char[64 * 1024];
                for (int length; text.Length < CallRecorder.MostText * 5L / 4 && (length = reader.Read(buffer)) > 0;)
                    text.Append(buffer, 0, length);
            }
            catch (InvalidDataException)
            {
                _missing.Add("the end of the recording: it was cut off");
            }
            var recording = _redaction.OfRecording(text.ToString());
            Add(zip, BundleFile.RecordingName, recording);
            Add(zip, "timeline.txt", string.Join('\n', RecordingTimeline.Of(JobRecording.Read(new MemoryStream(Encoding.UTF8.GetBytes(recording)), JobRecorder.RecordingName))) + "\n");
        }
        catch (Exception fault) when (fault is FileNotFoundException or UnauthorizedAccessException or FlashException)
        {
            _missing.Add($"recording: {fault.Message}");
            Add(zip, "timeline.txt", string.Concat(record.Steps.Select(step => FormattableString.Invariant($"{step.At,11:+0.000} {step.Board} {step.Phase} {step.Kind}: {step.Message}\n"))));
        }
    }

    /// <summary>The end of a file, redacted; where it cannot be read, why.</summary>
    private void AddFile(ZipArchive zip, string name, string path, Func<string, string>? redact = null)
    {
        string text;
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            file.Seek(-Math.Min(file.Length, MostOfAFile), SeekOrigin.End);
            var bytes = new byte[MostOfAFile];
            var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            text = Encoding.UTF8.GetString(bytes, 0, length);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            _missing.Add($"{name}: {fault.Message}");
            return;
        }
        Add(zip, name, (redact ?? _redaction.Of)(text));
    }

    private static void Add(ZipArchive zip, string name, string text)
    {
        using var entry = zip.CreateEntry(name, CompressionLevel.Optimal).Open();
        entry.Write(Encoding.UTF8.GetBytes(text));
    }

    private static List<string> Files(string folder)
    {
        try
        {
            return [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 3, AttributesToSkip = FileAttributes.Hidden | FileAttributes.System })
                .Where(file => Path.GetExtension(file) is ".cfg" or ".conf" or ".log" or ".config").Order(StringComparer.Ordinal).Take(MostConfigs)];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static void Prune(string folder)
    {
        foreach (var old in Directory.EnumerateFiles(folder, "ratos-flash-*.zip").Where(file => OurName().IsMatch(Path.GetFileName(file))).Order(StringComparer.Ordinal).SkipLast(Kept))
            Discard(old);
    }

    private static void Discard(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // It stays; nothing depends on it.
        }
    }

    [GeneratedRegex(@"^ratos-flash-\d{8}-\d{6}-[\w-]+\.zip$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex OurName();
}
