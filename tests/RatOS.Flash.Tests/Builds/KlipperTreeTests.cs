using RatOS.Flash.Builds;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Builds;

public sealed class KlipperTreeTests
{
    public KlipperTreeTests() => Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");

    private static readonly CancellationToken Never = CancellationToken.None;

    [Theory]
    [InlineData("Makefile", "Makefile is missing")]
    [InlineData("src/Kconfig", "src/Kconfig is missing")]
    public void A_folder_that_is_no_tree_is_refused_with_what_is_missing(string file, string why)
    {
        using var standIn = new StandInTree(withGit: false);
        File.Delete(Path.Combine(standIn.Folder, file));
        var fault = Assert.Throws<FlashException>(standIn.Open);
        Assert.Equal("not-a-klipper-tree", fault.Code);
        Assert.Contains(why, fault.Cause, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/nowhere/at/all", "does not exist")]
    [InlineData("/etc/hostname", "it is a file")]
    [InlineData("", "")]
    [InlineData("a\0b", "")]
    public void A_path_that_leads_nowhere_is_refused(string path, string why)
    {
        var fault = Assert.Throws<FlashException>(() => KlipperTree.Open(path));
        Assert.Equal("not-a-klipper-tree", fault.Code);
        Assert.Contains(why, fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_version_is_that_of_git_describe()
    {
        using var standIn = new StandInTree();
        var tree = standIn.Open();
        Assert.Equal(standIn.Describe(), (await tree.LookAsync(Never)).Version);
        Assert.StartsWith("v0.13.0-0-g", (await tree.LookAsync(Never)).Version, StringComparison.Ordinal);

        standIn.Write("klippy/klippy.py", "# changed\n");
        Assert.Equal(standIn.Describe(), (await tree.LookAsync(Never)).Version);
        Assert.EndsWith("-dirty", (await tree.LookAsync(Never)).Version, StringComparison.Ordinal);

        standIn.Git("add", "-A");
        Assert.Equal(standIn.Describe(), (await tree.LookAsync(Never)).Version);
        standIn.Commit("second");
        Assert.Equal(standIn.Describe(), (await tree.LookAsync(Never)).Version);
        Assert.StartsWith("v0.13.0-1-g", (await tree.LookAsync(Never)).Version, StringComparison.Ordinal);

        standIn.Write("notes.txt", "not tracked, so not dirty\n");
        Assert.Equal(standIn.Describe(), (await tree.LookAsync(Never)).Version);
        Assert.Null((await tree.LookAsync(Never)).Warning);
    }

    [Fact]
    public async Task Changes_since_a_commit_include_uncommitted_ones_and_another_history_has_none()
    {
        using var standIn = new StandInTree();
        var tree = standIn.Open();
        var first = standIn.Describe().Split("-g")[1];
        Assert.Empty((await tree.ChangedSinceAsync(first, Never))!);
        standIn.Write("klippy/klippy.py", "# changed\n");
        standIn.Git("add", "-A");
        standIn.Commit("the host alone");
        Assert.Equal(["klippy/klippy.py"], (await tree.ChangedSinceAsync(first, Never))!);
        standIn.Write("src/sched.c", "int y;\n");
        standIn.Git("add", "-A");
        Assert.Equal(["klippy/klippy.py", "src/sched.c"], (await tree.ChangedSinceAsync(first, Never))!.Order(StringComparer.Ordinal));
        Assert.Null(await tree.ChangedSinceAsync("1f2a9e1c", Never));
        Assert.Null(await tree.ChangedSinceAsync("--output=x", Never));
        using var bare = new StandInTree(withGit: false);
        Assert.Null(await bare.Open().ChangedSinceAsync(first, Never));
    }

    [Fact]
    public async Task Changes_up_to_a_fetched_commit_leave_out_the_tree_as_it_is()
    {
        using var standIn = new StandInTree();
        var tree = standIn.Open();
        var first = standIn.Git("rev-parse", "HEAD").Trim();
        standIn.Write("src/sched.c", "int y;\n");
        standIn.Commit("firmware");
        var target = standIn.Git("rev-parse", "HEAD").Trim();
        standIn.Git("checkout", "-q", "--detach", first);
        standIn.Write("src/part0.c", "int mine;\n");
        Assert.Equal(["src/sched.c"], (await tree.ChangedSinceAsync(first[..8], Never, target[..10]))!);
        Assert.Empty((await tree.ChangedSinceAsync(target, Never, target))!);
        Assert.Null(await tree.ChangedSinceAsync(target, Never, first));
        Assert.Null(await tree.ChangedSinceAsync(first, Never, "0123456789abcdef"));
        Assert.Null(await tree.ChangedSinceAsync(first, Never, "--output=x"));
    }

    [Fact]
    public async Task The_sources_differ_by_the_files_that_make_firmware()
    {
        using var standIn = new StandInTree();
        var tree = standIn.Open();
        var clean = await tree.LookAsync(Never);
        Assert.False(clean.IsModified);

        standIn.Write("klippy/klippy.py", "# the host's alone\n");
        standIn.Write("src/ignored.pyc", "ignored by git\n");
        Assert.Equal(clean.SourceId, (await tree.LookAsync(Never)).SourceId);

        var seen = new HashSet<string>(StringComparer.Ordinal) { clean.SourceId };
        standIn.Write("src/part0.c", "int changed;\n");
        Assert.True(seen.Add((await tree.LookAsync(Never)).SourceId));
        Assert.True((await tree.LookAsync(Never)).IsModified);
        standIn.Write("src/part0.c", "int changed_again;\n");
        Assert.True(seen.Add((await tree.LookAsync(Never)).SourceId));
        standIn.Write("src/a file of mine.c", "int untracked;\n");
        Assert.True(seen.Add((await tree.LookAsync(Never)).SourceId));
        File.Delete(Path.Combine(standIn.Folder, "src/part1.c"));
        Assert.True(seen.Add((await tree.LookAsync(Never)).SourceId));
        standIn.Write("Makefile", "all:\n");
        Assert.True(seen.Add((await tree.LookAsync(Never)).SourceId));

        standIn.Git("checkout", "-q", "--", ".");
        File.Delete(Path.Combine(standIn.Folder, "src/a file of mine.c"));
        Assert.Equal(clean.SourceId, (await tree.LookAsync(Never)).SourceId);
        standIn.Write("src/part0.c", "int committed;\n");
        standIn.Commit("second");
        Assert.True(seen.Add((await tree.LookAsync(Never)).SourceId));
    }

    [Fact]
    public async Task Looking_at_a_tree_leaves_all_of_it_alone()
    {
        using var standIn = new StandInTree();
        // A newer time on an equal file is what makes git rewrite its index.
        File.SetLastWriteTimeUtc(Path.Combine(standIn.Folder, "src/part0.c"), new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        var before = standIn.Snapshot();
        Assert.DoesNotContain("dirty", (await standIn.Open().LookAsync(Never)).Version, StringComparison.Ordinal);
        Assert.Equal(before, standIn.Snapshot());
    }

    [Fact]
    public async Task A_repository_without_tags_has_a_bare_version_and_a_warning()
    {
        using var standIn = new StandInTree();
        standIn.Git("tag", "-d", "v0.13.0");
        var source = await standIn.Open().LookAsync(Never);
        Assert.Equal(standIn.Describe(), source.Version);
        Assert.Equal("klipper-without-tags", source.Warning?.Code);
        Assert.Contains("fetch --tags", source.Warning!.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tree_without_git_has_the_version_of_its_file_or_none()
    {
        using var standIn = new StandInTree(withGit: false);
        var tree = standIn.Open();
        var none = await tree.LookAsync(Never);
        Assert.Equal("?", none.Version);

        standIn.Write("klippy/.version", "v0.12.0-vendor\n");
        Assert.Equal(none with { Version = "v0.12.0-vendor" }, await tree.LookAsync(Never));
        standIn.Write("src/part0.c", "int changed;\n");
        Assert.NotEqual(none.SourceId, (await tree.LookAsync(Never)).SourceId);
    }

    [Fact]
    public async Task A_git_that_cannot_be_used_is_reported_and_does_not_stop_the_build()
    {
        using var standIn = new StandInTree();
        var without = await KlipperTree.Open(standIn.Folder, searchPath: standIn.Tools).LookAsync(Never);
        Assert.Equal(("?", "klipper-git-unusable"), (without.Version, without.Warning?.Code));

        File.Delete(Path.Combine(standIn.Folder, ".git/HEAD"));
        var broken = await standIn.Open().LookAsync(Never);
        Assert.Equal(("?", "klipper-git-unusable"), (broken.Version, broken.Warning?.Code));
        Assert.Equal(without.SourceId, broken.SourceId);
    }

    [Fact]
    public void A_link_to_a_tree_is_that_tree()
    {
        using var standIn = new StandInTree(withGit: false);
        var link = Path.Combine(standIn.Root, "link");
        Directory.CreateSymbolicLink(link, standIn.Folder);
        Assert.Equal(standIn.Folder, KlipperTree.Open(link + "/").Path);
    }
}
