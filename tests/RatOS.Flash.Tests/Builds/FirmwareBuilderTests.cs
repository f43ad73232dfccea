using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Tests.Pure;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Builds;

/// <summary>Real processes on a small tree that builds as Klipper's does.</summary>
public sealed class FirmwareBuilderTests : IDisposable
{
    private static readonly CancellationToken Never = CancellationToken.None;
    private static readonly BuildRequest Octopus = Request("octopus", "btt-octopus-11");
    private static readonly BuildRequest Ebb42 = Request("ebb42", "btt-ebb42-12");

    private readonly StandInTree _standIn = null!;
    private readonly List<BuildProgress> _news = [];

    public FirmwareBuilderTests()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        _standIn = new StandInTree();
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
        _standIn.Prebuild(VirtualChip.G0B1, 0x0800_0000);
    }

    public void Dispose() => _standIn?.Dispose();

    [Fact]
    public async Task A_firmware_is_built_reported_and_kept_and_the_tree_stays_as_it_was()
    {
        // A newer time on an equal file is what makes git rewrite its index.
        File.SetLastWriteTimeUtc(Path.Combine(_standIn.Folder, "src/part0.c"), new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        var before = _standIn.Snapshot();
        var built = await _standIn.Builder().BuildAsync(Octopus, Tell, Never);

        Assert.Equal(before, _standIn.Snapshot());
        Assert.False(built.IsFromCache);
        Assert.Equal((_standIn.Describe(), "stm32f446xx"), (built.Image.Version, built.Image.Mcu));
        Assert.Equal(built.Image.Bytes.ToArray(), await File.ReadAllBytesAsync(built.File, Never));
        Assert.Contains("CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000\n", built.ConfigText, StringComparison.Ordinal);
        Assert.Equal(_standIn.Git("rev-parse", "HEAD").Trim(), built.SourceId);
        Assert.True(built.Elapsed > TimeSpan.Zero);

        Assert.Equal(new BuildProgress("octopus", BuildStep.Configure, 0, 0), _news[0]);
        Assert.Equal(new BuildProgress("octopus", BuildStep.Done, 6, 6), _news[^1]);
        Assert.Contains(new BuildProgress("octopus", BuildStep.Link, 6, 6), _news);
        Assert.Equal(_news.OrderBy(news => (news.Step, news.Done)), _news);
        Assert.Equal(6, _standIn.Compiles);
        // Temporary files go to the cache's folder, and the compiler is nice.
        Assert.All(await File.ReadAllLinesAsync(Path.Combine(_standIn.Tools, "compiles"), Never), line =>
            Assert.Matches($"^{Path.Combine(_standIn.Cache, "work")}/[0-9a-f]+/tmp 1[0-9]$", line));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_standIn.Cache, "work")));
    }

    [Fact]
    public async Task The_second_build_knows_how_many_objects_there_are()
    {
        await _standIn.Builder().BuildAsync(Octopus, Tell, Never);
        _standIn.Write("src/part0.c", "int changed;\n");
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
        _news.Clear();
        await _standIn.Builder().BuildAsync(Octopus, Tell, Never);
        Assert.Contains(new BuildProgress("octopus", BuildStep.Compile, 0, 6), _news);
    }

    [Fact]
    public async Task No_change_costs_no_build()
    {
        var built = await _standIn.Builder().BuildAsync(Octopus, Tell, Never);
        _standIn.Write("klippy/ignored-by-the-build.txt", "x\n");
        var again = await _standIn.Builder().BuildAsync(Octopus, Tell, Never);

        Assert.True(again.IsFromCache);
        Assert.Equal(6, _standIn.Compiles);
        Assert.Equal((built.Image.Sha256, built.ConfigText, built.ConfigHash, built.SourceId, built.File),
            (again.Image.Sha256, again.ConfigText, again.ConfigHash, again.SourceId, again.File));
    }

    [Fact]
    public async Task A_changed_source_configuration_compiler_or_tag_is_built_again()
    {
        await _standIn.Builder().BuildAsync(Octopus, Tell, Never);

        await Rebuilt(() => _standIn.Write("src/part3.c", "int changed;\n"), Octopus);
        await Rebuilt(() => _standIn.Write("src/part4.c", "int changed_too;\n"), Octopus);
        await Rebuilt(() => { }, Request("octopus", "btt-octopus-11", "another-serial"));
        await Rebuilt(() => File.AppendAllText(Path.Combine(_standIn.Tools, "arm-none-eabi-gcc"), "# a new version\n"), Octopus);
        // Of two tags of one second git takes either.
        await Rebuilt(() => _standIn.Git("tag", "-d", "v0.13.0"), Octopus);
        await Rebuilt(() => _standIn.Git("tag", "-a", "-m", "release", "v0.14.0"), Octopus);

        async Task Rebuilt(Action change, BuildRequest request)
        {
            change();
            _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
            var before = _standIn.Compiles;
            var built = await _standIn.Builder().BuildAsync(request, Tell, Never);
            Assert.False(built.IsFromCache);
            Assert.Equal(_standIn.Describe(), built.Image.Version);
            Assert.True(_standIn.Compiles > before);
            Assert.True((await _standIn.Builder().BuildAsync(request, Tell, Never)).IsFromCache);
        }
    }

    [Fact]
    public async Task A_dirty_trees_time_and_host_in_the_version_are_no_other_version()
    {
        _standIn.Write("src/part3.c", "int changed;\n");
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000, _standIn.Describe() + "-20261124_210000-ratos");
        Assert.EndsWith("-dirty-20261124_210000-ratos", (await _standIn.Builder().BuildAsync(Octopus, Tell, Never)).Image.Version,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_firmware_in_the_cache_is_built_again()
    {
        var built = await _standIn.Builder().BuildAsync(Octopus, Tell, Never);
        var bytes = await File.ReadAllBytesAsync(built.File, Never);
        bytes[1000] ^= 1;
        await File.WriteAllBytesAsync(built.File, bytes, Never);
        Assert.False((await _standIn.Builder().BuildAsync(Octopus, Tell, Never)).IsFromCache);

        File.Delete(Path.Combine(Path.GetDirectoryName(built.File)!, "built.json"));
        Assert.False((await _standIn.Builder().BuildAsync(Octopus, Tell, Never)).IsFromCache);
        Assert.True((await _standIn.Builder().BuildAsync(Octopus, Tell, Never)).IsFromCache);
    }

    [Fact]
    public async Task Of_more_firmwares_than_are_kept_the_longest_unused_goes()
    {
        var clock = new Clock();
        var builder = new FirmwareBuilder(_standIn.Open(), _standIn.Cache, clock) { SearchPath = _standIn.SearchPath, MostKept = 2 };
        async Task<bool> IsKept(string serial)
        {
            clock.Now += TimeSpan.FromMinutes(1);
            return (await builder.BuildAsync(Request("octopus", "btt-octopus-11", serial), Tell, Never)).IsFromCache;
        }
        Assert.False(await IsKept("one"));
        Assert.False(await IsKept("two"));
        Assert.True(await IsKept("one"));
        Assert.False(await IsKept("three"));
        Assert.Equal(2, Directory.EnumerateDirectories(Path.Combine(_standIn.Cache, "entries")).Count());
        Assert.True(await IsKept("one"));
        Assert.False(await IsKept("two"));
    }

    [Fact]
    public async Task Several_are_built_at_once_equal_ones_once_and_a_failed_one_does_not_stop_the_others()
    {
        var equal = Ebb42 with { Board = "ebb42 t1" };
        var broken = Request("f042", "ldo-orbitool-o2");
        var outcomes = await _standIn.Builder().BuildAllAsync([Octopus, Ebb42, broken, equal], Tell, Never);

        Assert.Equal(["octopus", "ebb42", "f042", "ebb42 t1"], outcomes.Select(outcome => outcome.Request.Board));
        Assert.Equal(["stm32f446xx", "stm32g0b1xx", null, "stm32g0b1xx"], outcomes.Select(outcome => outcome.Firmware?.Image.Mcu));
        Assert.NotNull(outcomes[2].Fault);
        Assert.Equal(18, _standIn.Compiles);
        Assert.All(_news.GroupBy(news => news.Board), board => Assert.Equal(board.OrderBy(news => (news.Step, news.Done)), board));

        Assert.Equal([true, true, null, true], (await _standIn.Builder().BuildAllAsync([Octopus, Ebb42, broken, equal], Tell, Never))
            .Select(outcome => outcome.Firmware?.IsFromCache));
    }

    [Fact]
    public async Task Two_builders_in_one_folder_do_not_clash()
    {
        await File.WriteAllTextAsync(Path.Combine(_standIn.Tools, "delay"), "0.02", Never);
        var both = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _standIn.Builder().BuildAsync(Octopus, Quiet, Never)));
        Assert.Single(both.Select(built => built.File).Distinct());
        Assert.All(both, built => Assert.True(File.Exists(built.File)));
        Assert.Single(Directory.EnumerateDirectories(Path.Combine(_standIn.Cache, "entries")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_standIn.Cache, "work")));
    }

    [Fact]
    public async Task A_cancel_ends_every_process_and_leaves_nothing()
    {
        await File.WriteAllTextAsync(Path.Combine(_standIn.Tools, "delay"), "600", Never);
        using var cancel = new CancellationTokenSource();
        var pids = Path.Combine(_standIn.Tools, "pids");
        var build = _standIn.Builder().BuildAsync(Octopus, Tell, cancel.Token);
        while (!File.Exists(pids) && !build.IsCompleted)
            await Task.Delay(10, Never);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => build.WaitAsync(TimeSpan.FromMinutes(3), Never));
        Assert.All(await File.ReadAllLinesAsync(pids, Never), pid => Assert.False(IsAlive(pid), $"process {pid} is alive"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_standIn.Cache, "work")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_standIn.Cache, "entries")));

        File.Delete(Path.Combine(_standIn.Tools, "delay"));
        Assert.False((await _standIn.Builder().BuildAsync(Octopus, Tell, Never)).IsFromCache);
    }

    [Fact]
    public async Task A_listener_that_fails_ends_the_build_and_not_in_a_deadlock()
    {
        var delay = Path.Combine(_standIn.Tools, "delay");
        await File.WriteAllTextAsync(delay, "0.3", Never);
        var build = _standIn.Builder().BuildAsync(
            Octopus,
            news =>
            {
                if (news.Done == 0)
                    return default;
                File.WriteAllText(delay, "600");
                throw new InvalidOperationException("no more");
            },
            Never);
        await Assert.ThrowsAsync<InvalidOperationException>(() => build.WaitAsync(TimeSpan.FromMinutes(3), Never));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_standIn.Cache, "entries")));
    }

    [Fact]
    public async Task What_a_killed_build_left_goes_with_the_next_one_and_one_at_work_stays()
    {
        var (left, atWork) = (Path.Combine(_standIn.Cache, "work", "left"), Path.Combine(_standIn.Cache, "work", "at-work"));
        foreach (var folder in (string[])[left, atWork])
        {
            Directory.CreateDirectory(Path.Combine(folder, "out"));
            await File.WriteAllTextAsync(Path.Combine(folder, "lock"), "", Never);
        }
        await using var held = new FileStream(Path.Combine(atWork, "lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        foreach (var folder in (string[])[left, atWork])
            Directory.SetLastWriteTimeUtc(folder, new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc));

        await _standIn.Builder().BuildAsync(Octopus, Tell, Never);
        Assert.False(Directory.Exists(left));
        Assert.True(Directory.Exists(atWork));
    }

    [Fact]
    public async Task A_cached_firmware_is_checked_against_the_current_board()
    {
        const string text =
            "CONFIG_LOW_LEVEL_OPTIONS=y\nCONFIG_MACH_STM32=y\nCONFIG_MACH_STM32F446=y\n"
            + "CONFIG_STM32_FLASH_START_8000=y\nCONFIG_STM32_CLOCK_REF_12M=y\n";
        var board = BoardCatalogue.BuiltIn.Find("btt-octopus-11")!;
        await _standIn.Builder().BuildAsync(new BuildRequest("octopus", BuildConfig.FromText(text, board)), Tell, Never);

        var moved = new BuildRequest("octopus", BuildConfig.FromText(text, board with { FlashStartEffective = "0x8010000" }));
        Assert.Equal("config-drift",
            (await Assert.ThrowsAsync<FlashException>(() => _standIn.Builder().BuildAsync(moved, Tell, Never))).Code);
        Assert.Equal(6, _standIn.Compiles);
        Assert.True(
            (await _standIn.Builder().BuildAsync(new BuildRequest("octopus", BuildConfig.FromText(text, board)), Tell, Never)).IsFromCache);
    }

    [Fact]
    public async Task An_avr_gets_its_hex_file_and_is_judged_by_its_elf()
    {
        var elf = Images.Elf((0, Images.Bin("atmega2560", 0, dictionary: Images.Compress(Images.Json("atmega2560", _standIn.Describe())))));
        elf[18] = 83;
        await File.WriteAllBytesAsync(Path.Combine(_standIn.Folder, "prebuilt", "atmega2560.elf"), elf, Never);
        var request = Request("einsy", "prusa-einsy");
        for (var i = 0; i < 2; i++)
        {
            var built = await _standIn.Builder().BuildAsync(request, Tell, Never);
            Assert.Equal((i > 0, "atmega2560", ":00000001FF\n"),
                (built.IsFromCache, built.Image.Mcu, await File.ReadAllTextAsync(built.File, Never)));
            Assert.EndsWith(".elf.hex", built.File, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_configuration_is_completed_and_judged_without_a_build()
    {
        var before = _standIn.Snapshot();
        var completed = await _standIn.Builder().CompleteAsync(Octopus, Never);
        Assert.Equal(before, _standIn.Snapshot());
        Assert.Equal(0, _standIn.Compiles);
        Assert.Equal((await _standIn.Builder().BuildAsync(Octopus, Tell, Never)).ConfigHash, BuildConfig.Hash(completed));
        var lost = new BuildRequest("octopus",
            BuildConfig.FromText("CONFIG_MACH_STM32=y\nCONFIG_INITIAL_PINS=\"PA1\"\n", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!));
        Assert.Equal("config-drift", (await Assert.ThrowsAsync<FlashException>(() => _standIn.Builder().CompleteAsync(lost, Never))).Code);
    }

    [Fact]
    public async Task The_time_taken_is_the_given_clocks()
    {
        var built = await new FirmwareBuilder(_standIn.Open(), _standIn.Cache,
            new Clock())
        { SearchPath = _standIn.SearchPath }.BuildAsync(Octopus, Tell, Never);
        Assert.Equal(TimeSpan.Zero, built.Elapsed);
    }

    private static BuildRequest Request(string name, string board, string? serial = null) =>
        new(name, BuildConfig.For(BoardProfile.Of(BoardCatalogue.BuiltIn.Find(board)!), serial));

    // A killed process whose parent has not waited for it is a zombie: it no longer runs.
    private static bool IsAlive(string pid) =>
        File.Exists($"/proc/{pid}/stat") && !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal);

    private ValueTask Tell(BuildProgress news)
    {
        _news.Add(news);
        return ValueTask.CompletedTask;
    }

    private static ValueTask Quiet(BuildProgress news) => ValueTask.CompletedTask;

    /// <summary>Time that passes only on request.</summary>
    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 11, 24, 12, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;

        public override long GetTimestamp() => Now.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    }
}
