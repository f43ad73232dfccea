using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using RatOS.Flash.Core;

namespace RatOS.Flash.Builds;

/// <summary>
/// A folder with the sources of Klipper or of a fork of it (Kalico and others). It is only read, including git's own files.
/// </summary>
public sealed class KlipperTree
{
    /// <summary>The sources of firmware; the rest of the tree is for the host.</summary>
    private static readonly string[] Sources = ["src", "lib", "scripts"];

    private const string Makefile = "Makefile";

    private readonly Tools _tools;

    private KlipperTree(string path, Tools tools) => (Path, _tools) = (path, tools);

    /// <summary>Absolute, without a slash at its end, links resolved.</summary>
    public string Path { get; }

    /// <param name="path">The folder, or a link to it.</param>
    /// <param name="searchPath">Search path for git, in the form of PATH; null for this process's own.</param>
    /// <exception cref="FlashException">It is missing, unreadable, or not such a tree.</exception>
    public static KlipperTree Open(string path, string? searchPath = null)
    {
        try
        {
            path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
            if (!Directory.Exists(path))
                throw BuildFaults.NotAKlipperTree(path, File.Exists(path) ? "it is a file" : "the folder does not exist");
            path = Directory.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
            foreach (var needed in (string[])[Makefile, "src/Kconfig", "src/Makefile"])
            {
                if (!File.Exists(System.IO.Path.Combine(path, needed)))
                    throw BuildFaults.NotAKlipperTree(path, $"{needed} is missing");
            }
            if (!Directory.Exists(System.IO.Path.Combine(path, "scripts")))
                throw BuildFaults.NotAKlipperTree(path, "scripts/ is missing");
            return new KlipperTree(path, new Tools(searchPath ?? Tools.UsualPath));
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            throw BuildFaults.NotAKlipperTree(path, e.Message.TrimEnd('.'));
        }
    }

    /// <summary>The state of the tree now.</summary>
    /// <exception cref="FlashException">Its files cannot be read.</exception>
    public async Task<KlipperSource> LookAsync(CancellationToken cancel)
    {
        try
        {
            if (!Directory.Exists(Git) && !File.Exists(Git))
                return WithoutGit(null);
            if (_tools.Find("git") is null)
                return WithoutGit(BuildFaults.KlipperGitUnusable(Path, "git is not installed"));
            var status = Run(
                ["-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"],
                cancel);
            var described = await Run(["describe", "--always", "--tags", "--long"], cancel);
            var (exit, changes, errors) = await status;
            if (exit != 0 || described.Exit != 0)
                return WithoutGit(BuildFaults.KlipperGitUnusable(Path, FirstLine(exit != 0 ? errors : described.Errors)));
            return FromGit(described.Output.Trim(), changes);
        }
        catch (ExternalException e)
        {
            return WithoutGit(BuildFaults.KlipperGitUnusable(Path, e.Message));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw BuildFaults.KlipperTreeUnreadable(Path, e.Message.TrimEnd('.'));
        }
    }

    /// <summary>As <see cref="KlipperSource.Version"/>. Quick: the sources are not read.</summary>
    public async Task<string> VersionAsync(CancellationToken cancel)
    {
        try
        {
            var described = Directory.Exists(Git) || File.Exists(Git)
                ? await Run(["describe", "--always", "--tags", "--long", "--dirty"], cancel) : (Exit: 1, Output: "", Errors: "");
            return described.Exit == 0 ? described.Output.Trim() : NotedVersion;
        }
        catch (Exception e) when (e is ExternalException or IOException or UnauthorizedAccessException)
        {
            return "?";
        }
    }

    /// <summary>Files that differ between a commit and the tree as it is, changes beside the commit included.</summary>
    /// <param name="commit">4 to 40 hex digits, as a firmware's version has them.</param>
    /// <param name="cancel">Ends git.</param>
    /// <param name="target">A later commit that was fetched already, instead of the tree as it is.</param>
    /// <returns>Null where the commit is not in that history, or there is no git.</returns>
    public async Task<IReadOnlyCollection<string>?> ChangedSinceAsync(string commit, CancellationToken cancel, string? target = null)
    {
        if (!IsCommit(commit) || (target is not null && !IsCommit(target)))
            return null;
        try
        {
            // Only an ancestor: for another branch "since" has no meaning.
            if ((!Directory.Exists(Git) && !File.Exists(Git))
                || (await Run(["merge-base", "--is-ancestor", commit, target ?? "HEAD"], cancel)).Exit != 0)
                return null;
            string[] range = target is null ? [commit] : [commit, target];
            var (exit, names, _) = await Run(["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", .. range], cancel);
            return exit == 0 ? names.Split('\0', StringSplitOptions.RemoveEmptyEntries) : null;
        }
        catch (Exception e) when (e is ExternalException or IOException)
        {
            return null;   // no git
        }
    }

    private static bool IsCommit(string text) => text.Length is >= 4 and <= 40 && text.All(char.IsAsciiHexDigit);

    private string Git => System.IO.Path.Combine(Path, ".git");

    /// <summary>
    /// The variables with which git, called by Klipper's scripts, answers as for the owner and leaves the tree unchanged: `describe
    /// --dirty` would lock and rewrite the index, in which an update may be at work.
    /// </summary>
    /// <param name="indexCopy">Where to put a copy of the index for it.</param>
    internal Dictionary<string, string> GitEnvironment(string? indexCopy)
    {
        var environment = new Dictionary<string, string>
        {
            ["GIT_OPTIONAL_LOCKS"] = "0",
            ["GIT_TERMINAL_PROMPT"] = "0",
            // A tree of another user: git would refuse it, although its Makefile is run anyway.
            ["GIT_CONFIG_COUNT"] = "1",
            ["GIT_CONFIG_KEY_0"] = "safe.directory",
            ["GIT_CONFIG_VALUE_0"] = Path,
        };
        if (indexCopy is null)
            return environment;
        var folder = Git;
        const string pointer = "gitdir:";
        if (File.Exists(folder) && File.ReadLines(folder).FirstOrDefault() is { } line
            && line.StartsWith(pointer, StringComparison.Ordinal))
            folder = System.IO.Path.Combine(Path, line[pointer.Length..].Trim());
        var index = System.IO.Path.Combine(folder, "index");
        if (File.Exists(index))
        {
            File.Copy(index, indexCopy, overwrite: true);
            environment["GIT_INDEX_FILE"] = indexCopy;
        }
        return environment;
    }

    private Task<(int Exit, string Output, string Errors)> Run(string[] arguments, CancellationToken cancel) =>
        _tools.AskAsync("git", arguments, Path, GitEnvironment(null), cancel);

    /// <summary>From `git status --porcelain=v2 -z` (git-status(1)): entries end with NUL, paths are never quoted.</summary>
    private KlipperSource FromGit(string described, string status)
    {
        const string commitLine = "# branch.oid ";
        var (commit, isDirty) = ("", false);
        var changed = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var entry in status.Split('\0', StringSplitOptions.RemoveEmptyEntries))
        {
            if (entry.StartsWith(commitLine, StringComparison.Ordinal))
                commit = entry[commitLine.Length..];
            // Fields before the path: 8 for a changed entry, 10 for an unmerged one, 1 for an untracked one.
            var (fields, isTracked) = entry[0] switch { '1' => (8, true), 'u' => (10, true), '?' => (1, false), _ => (0, false) };
            if (fields == 0)
                continue;
            isDirty |= isTracked;
            var path = entry.Split(' ', fields + 1)[^1];
            if (path == Makefile || Sources.Any(folder => path.StartsWith(folder + "/", StringComparison.Ordinal)))
                changed.Add(path);
        }
        var id = changed.Count == 0 ? commit : $"{commit}+{Hash(changed)}";
        var warning = described.Length > 0 && described.All(char.IsAsciiHexDigit) ? BuildFaults.KlipperWithoutTags(Path) : null;
        return new KlipperSource(isDirty ? described + "-dirty" : described, id, changed.Count > 0, warning);
    }

    /// <summary>Where git cannot tell it.</summary>
    private string NotedVersion
    {
        get
        {
            var file = System.IO.Path.Combine(Path, "klippy", ".version");
            return File.Exists(file) && File.ReadAllText(file).Trim() is { Length: > 0 } version ? version : "?";
        }
    }

    private KlipperSource WithoutGit(FlashException? warning)
    {
        var files = new SortedSet<string>(StringComparer.Ordinal) { Makefile };
        foreach (var folder in Sources.Select(name => System.IO.Path.Combine(Path, name)).Where(Directory.Exists))
        {
            files.UnionWith(Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                .Where(name => !name.EndsWith(".pyc", StringComparison.Ordinal))
                    .Select(name => System.IO.Path.GetRelativePath(Path, name)));
        }
        return new KlipperSource(NotedVersion, $"files+{Hash(files)}", true, warning);
    }

    /// <summary>Of names and contents; a name without a file counts as deleted.</summary>
    private string Hash(SortedSet<string> paths)
    {
        var all = new Sha256();
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            foreach (var path in paths)
            {
                all.Append(Encoding.UTF8.GetBytes(path));
                var full = new FileInfo(System.IO.Path.Combine(Path, path));
                if (!full.Exists)
                {
                    all.Append([0, 0]);
                    continue;
                }
                var one = new Sha256();
                using (var file = new FileStream(full.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete,
                    bufferSize: 0))
                {
                    for (int came; (came = file.Read(buffer)) > 0;)
                        one.Append(buffer.AsSpan(0, came));
                }
                all.Append([0, 1, full.UnixFileMode.HasFlag(UnixFileMode.UserExecute) ? (byte)1 : (byte)0]);
                all.Append(one.Finish());
            }
            return Convert.ToHexStringLower(all.Finish())[..24];
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static string FirstLine(string text) =>
        text.Trim().Split('\n', 2)[0] is { Length: > 0 } line ? line.TrimEnd('.') : "it says nothing";
}

/// <summary>The state of a Klipper tree at one moment.</summary>
/// <param name="Version">
/// The version of Klipper's own scripts: <c>git describe --always --tags --long --dirty</c>, without git <c>klippy/.version</c>, else
/// <c>?</c>. Firmware of a tree that is dirty or without git adds the time and the host's name to it.
/// </param>
/// <param name="SourceId">The same exactly when the same firmware comes out: the commit, and a hash of what differs from it in <c>src</c>,
/// <c>lib</c>,
/// <c>scripts</c> and the Makefile; without git a hash of these.</param>
/// <param name="IsModified">Something of that differs from the commit, or there is no commit.</param>
/// <param name="Warning">It builds, but the version text is incomplete: no tags, or git cannot be used.</param>
public sealed record KlipperSource(string Version, string SourceId, bool IsModified, FlashException? Warning);
