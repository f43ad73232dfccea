using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// One zip with everything about one flash, for a bug report. Texts are redacted and bounded. What could not be read is listed with the
/// reason.
/// </summary>
/// <param name="data">The printer's folder.</param>
/// <param name="printer">Its buses.</param>
internal sealed partial class Bundle(DataFolder data, PrinterAccess printer)
{
    private const int MostOfAFile = 512 * 1024;
    private const int MostConfigs = 64;
    private const int Kept = 10;   // in the logs folder

    private static readonly TimeSpan PartLimit = TimeSpan.FromHours(1);

    private readonly Redaction _redaction = new();
    private readonly List<string> _missing = [];

    // Read on the printer's own thread, which the bundle itself is not packed on.
    private readonly PrinterView _view = PrinterView.Of(printer);

    /// <summary>Moonraker's version; null where it is not up.</summary>
    public string? Moonraker { get; init; }

    /// <param name="job">The job's id; null for the last one.</param>
    /// <param name="output">The file; null for one in the printer's logs folder, or in the current folder where there is none.</param>
    /// <returns>The file's path.</returns>
    /// <exception cref="FlashException"><c>unknown-job</c>, <c>bundle-unwritable</c>.</exception>
    public string Write(string? job, string? output)
    {
        var jobs = Journal.ReadAll(data.Jobs);
        var record = job is null
            ? (jobs is [.., var last] ? last : null)
            : jobs.LastOrDefault(one => one.Header.Job == job) ?? throw AgentFaults.UnknownJob(Text.Clean(job));
        var logs = Path.Combine(data.Root, "logs");
        var folder = Directory.Exists(logs) ? logs : Environment.CurrentDirectory;
        var path = output ?? Path.Combine(folder, NameFor(record));
        var part = path + ".part";
        try
        {
            if (SystemFacts.IsSpecial(path) || SystemFacts.IsSpecial(part))
                throw new IOException("there is no regular file");
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
            Prune(folder, path);
        return path;
    }

    private string NameFor(JournalRecord? record)
    {
        var board = record?.Header.Boards is [var first, ..]
            ? string.Concat(first.Take(32).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_')) : "printer";
        return string.Create(CultureInfo.InvariantCulture, $"ratos-flash-{_view.Now:yyyyMMdd-HHmmss}-{board}.zip");
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
            AddFile(zip, $"config/{Path.GetRelativePath(Path.Combine(data.Root, "config"), config)}", config, Redaction.OfConfig);
        foreach (var build in Files(Path.Combine(data.Builds, "failed")))
            AddFile(zip, $"build/{Path.GetFileName(build)}", build);
        var computer = new ComputerReport(data, printer, _view, _redaction, Moonraker);
        foreach (var (name, text) in computer.Files())
            Add(zip, name, text);
        _missing.AddRange(computer.Missing);
        Add(zip, "README.txt", _redaction.Of($"""
            A bundle of ratos-flash {Product.Version}: everything about one flash. Start with timeline.txt.
            `ratos-flash replay THIS-FILE` replays the recording against the engine, without hardware.
            Configuration files keep hardware, pins and ports; macros, comments and all other values were removed. Keys, passwords, tokens,
            addresses, and names of hosts, networks and users were removed from logs where they were recognised.
            The recording holds the firmware and everything that boards and Klipper sent.

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
            using var packed = TextFile.Open(Path.Combine(folder, JobRecorder.RecordingName));
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
            var timeline = RecordingTimeline.Of(
                JobRecording.Read(new MemoryStream(Encoding.UTF8.GetBytes(recording)), JobRecorder.RecordingName));
            Add(zip, "timeline.txt", string.Join('\n', timeline) + "\n");
        }
        catch (Exception fault) when (fault is FileNotFoundException or UnauthorizedAccessException or FlashException)
        {
            _missing.Add($"recording: {fault.Message}");
            var steps = record.Steps.Select(step =>
                FormattableString.Invariant($"{step.At,11:+0.000} {step.Board} {step.Phase} {step.Kind}: {step.Message}\n"));
            Add(zip, "timeline.txt", string.Concat(steps));
        }
    }

    /// <summary>Adds the end of a file, redacted; or the reason why it is missing.</summary>
    private void AddFile(ZipArchive zip, string name, string path, Func<string, string>? redact = null)
    {
        string text;
        try
        {
            using var file = TextFile.Open(path);
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
            var options = new EnumerationOptions
            {
                RecurseSubdirectories = true,
                MaxRecursionDepth = 3,
                AttributesToSkip = FileAttributes.Hidden | FileAttributes.System
            };
            return [.. Directory.EnumerateFiles(folder, "*", options)
                .Where(file => Path.GetExtension(file) is ".cfg" or ".conf" or ".log" or ".config").Order(StringComparer.Ordinal)
                    .Take(MostConfigs)];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Deletes the oldest bundles, and what is left of bundles that were never finished.</summary>
    private void Prune(string folder, string newest)
    {
        foreach (var part in Directory.EnumerateFiles(folder, "ratos-flash-*.zip.part"))
        {
            // A younger one may be at work, in another process.
            if ((_view.Now.UtcDateTime - File.GetLastWriteTimeUtc(part)).Duration() > PartLimit)
                Discard(part);
        }
        var bundles = Directory.EnumerateFiles(folder, "ratos-flash-*.zip").Where(file => OurName().IsMatch(Path.GetFileName(file)));
        // With a clock that was ahead the newest one need not have the last name.
        foreach (var old in bundles.Where(bundle => bundle != newest).Order(StringComparer.Ordinal).SkipLast(Kept - 1))
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
            // Nothing depends on it.
        }
    }

    [GeneratedRegex(@"^ratos-flash-\d{8}-\d{6}-[\w-]+\.zip$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex OurName();
}
