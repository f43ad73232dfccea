using System.Globalization;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Firmware;

/// <summary>
/// The version text of a firmware or a host (Klipper scripts/buildcommands.py): <c>v0.13.0-730-g84104bbbd</c>, the same with <c>-dirty</c>
/// or with date and host of the build behind it, a bare hash where there are no tags, the text of a <c>.version</c> file, or <c>?</c>.
/// </summary>
public sealed partial record KlipperVersion
{
    private const int MaxText = 200;
    private const int FirstYear = 2000;

    private KlipperVersion(string text) => Text = text;

    /// <summary>The text as it came.</summary>
    public string Text { get; }

    /// <summary>The last tag before the commit; null where there is none.</summary>
    public string? Tag { get; private init; }

    /// <summary>Commits since that tag, 0 on the tag itself; null where there is no tag.</summary>
    public int? Commits { get; private init; }

    /// <summary>The commit, 4 to 40 hex digits; null where there is none.</summary>
    public string? Sha { get; private init; }

    /// <summary>Built from a changed tree: the commit does not identify the sources.</summary>
    public bool IsDirty { get; private init; }

    /// <summary>
    /// No commit, only a text such as a release name, which can only be compared. Null in all other forms, and for <c>?</c>.
    /// </summary>
    public string? Other { get; private init; }

    /// <summary>No information: <c>?</c>, or empty.</summary>
    public bool IsUnknown => Sha is null && Other is null;

    /// <summary>Without the parts that differ between two builds of one commit: <c>-dirty</c>, date and host.</summary>
    public string Core { get; private init; } = "";

    /// <summary>Never fails: a text of unknown form is <see cref="Other"/>.</summary>
    public static KlipperVersion Parse(string? text)
    {
        var whole = (text ?? "").Trim();
        if (whole.Length > MaxText)
            whole = whole[..MaxText].TrimEnd();
        var stamp = Stamp().Match(whole);
        var core = stamp.Success ? whole[..stamp.Index] : whole;
        var version = new KlipperVersion(whole) { Core = core, IsDirty = stamp.Groups["dirty"].Success };
        if (core is "" or "?")
            return version;
        var form = Describe().Match(core);
        if (!form.Success)
            return version with { Other = core };
        return version with
        {
            Tag = form.Groups["tag"] is { Success: true } tag ? tag.Value : null,
            Commits = form.Groups["commits"] is { Success: true } commits ? int.Parse(commits.Value, CultureInfo.InvariantCulture) : null,
            Sha = form.Groups["sha"].Value,
        };
    }

    /// <summary>
    /// Both are of one commit, whatever was changed in the tree. Git shortens a hash as far as it can in its own tree, so one may begin the
    /// other.
    /// </summary>
    public bool IsSameCommit(KlipperVersion other) => Sha is { } mine && other.Sha is { } theirs
        && (mine.StartsWith(theirs, StringComparison.Ordinal) || theirs.StartsWith(mine, StringComparison.Ordinal));

    /// <summary>
    /// By tag and commits it comes after the other; false also where they cannot be compared. Kalico counts years, Klipper from 0 on.
    /// </summary>
    public bool IsNewerThan(KlipperVersion other)
    {
        if (Commits is not { } mine || other.Commits is not { } theirs)
            return false;
        if (Tag == other.Tag)
            return mine > theirs;
        return Numbers(Tag) is { } these && Numbers(other.Tag) is { } those && these.Major >= FirstYear == those.Major >= FirstYear
            && these > those;

        static Version? Numbers(string? tag) => Version.TryParse(tag?.TrimStart('v'), out var numbers) ? numbers : null;
    }

    public override string ToString() => Text;

    // Date and host come without -dirty where the compiler's version could not be read.
    [GeneratedRegex(@"(?<dirty>-dirty)?-\d{8}_\d{6}-.*$|(?<dirty>-dirty)$", RegexOptions.ExplicitCapture | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Stamp();

    // Its length tells a bare hash from a word: git gives 7 digits or more.
    [GeneratedRegex(@"^(?<tag>\S+)-(?<commits>\d{1,8})-g(?<sha>[0-9a-f]{4,40})$|^(?<sha>[0-9a-f]{7,40})$", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Describe();
}
