using System.Collections.Immutable;
using System.IO.Enumeration;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Boards;

/// <summary>A printer.cfg with everything that it includes, for a Klipper that does not report it.</summary>
/// <param name="Sections">All of them, in Klipper's order; those of one name stay apart.</param>
/// <param name="Findings">What was passed over.</param>
public sealed record ConfigFiles(IReadOnlyList<ConfigSection> Sections, ImmutableArray<Finding> Findings)
{
    /// <summary>The file and all that it includes, whether they are there or not.</summary>
    public required IReadOnlySet<string> Files { get; init; }


    private const int MostFiles = 300, MaxFile = 1024 * 1024, MaxTogether = 4 * 1024 * 1024, DeepestInclude = 20;

    /// <summary>Reads the file. One that is not there has no sections.</summary>
    public static ConfigFiles Read(string path)
    {
        var reading = new Reading();
        reading.Include(path, depth: 0);
        return new(reading.Sections, reading.Findings.ToImmutable()) { Files = reading.Files };
    }

    private sealed class Reading
    {
        private readonly WorkBudget _together = new(MaxTogether);
        private readonly Stack<string> _open = new();
        private int _files;

        public HashSet<string> Files { get; } = new(StringComparer.Ordinal);

        public List<ConfigSection> Sections { get; } = [];

        public ImmutableArray<Finding>.Builder Findings { get; } = ImmutableArray.CreateBuilder<Finding>();

        public void Include(string path, int depth)
        {
            if (_open.Contains(path))
            {
                PassOver(path, "it includes itself");
                return;
            }
            if (depth > DeepestInclude || ++_files > MostFiles || _together.IsSpent)
            {
                PassOver(path, "there are more files than any printer has");
                return;
            }
            Files.Add(path);
            if (Text(path) is not { } text)
                return;
            _open.Push(path);
            foreach (var section in ConfigSection.Read(text, withCommented: false, _together))
            {
                // Klipper reads an included file where the section stands.
                if (section.Type is "include" && section.Own.Length > 0)
                    Matching(Path.GetDirectoryName(path)!, section.Own).ForEach(file => Include(file, depth + 1));
                else
                    Sections.Add(section);
            }
            _open.Pop();
        }

        /// <summary>The files of an include, in Klipper's order; wildcards in the last part of its path.</summary>
        private List<string> Matching(string folder, string include)
        {
            try
            {
                var path = Path.GetFullPath(Path.Combine(folder, include));
                var name = Path.GetFileName(path);
                if (name.AsSpan().IndexOfAny('*', '?') < 0)
                    return [path];
                return [.. Directory.EnumerateFiles(Path.GetDirectoryName(path)!)
                    .Where(file => FileSystemName.MatchesSimpleExpression(name, Path.GetFileName(file), ignoreCase: false))
                    .Take(MostFiles).Order(StringComparer.Ordinal)];
            }
            catch (Exception why) when (why is IOException or UnauthorizedAccessException or ArgumentException)
            {
                PassOver(include, why.Message);
                return [];
            }
        }

        private string? Text(string path)
        {
            try
            {
                // A pipe has no length, and opening one waits for ever.
                var info = new FileInfo(path);
                if (!info.Exists || (info.Length == 0 && info.LinkTarget is null))
                    return null;
                using var stream = info.OpenRead();
                if (stream.Length > MaxFile)
                    throw new IOException($"it has {stream.Length} bytes");
                var bytes = new byte[stream.Length];
                return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
            }
            catch (Exception why) when (why is IOException or UnauthorizedAccessException or NotSupportedException)
            {
                PassOver(path, why.Message);
                return null;
            }
        }

        private void PassOver(string path, string why)
        {
            if (Findings.Count < MostFiles)
            {
                Findings.Add(Finding.Of(
                    FindingSeverity.Note, BoardFaults.PinsUnread(DataDictionary.Clean(path), DataDictionary.Clean(why.TrimEnd('.')))));
            }
        }
    }
}
