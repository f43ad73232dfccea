using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Builds;

/// <summary>Every fault of a build with its text. No failed build leaves firmware behind.</summary>
public sealed class BuildFaultTests : IDisposable
{
    private readonly StandInTree _standIn = null!;

    public BuildFaultTests()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        _standIn = new StandInTree();
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
    }

    public void Dispose() => _standIn?.Dispose();

    [Fact]
    public async Task An_old_rp2040_file_that_becomes_an_avr_is_refused_before_anything_is_compiled()
    {
        // As RatOS keeps it: the family has another name by now, and make ends well.
        const string old = """
            CONFIG_MACH_RP2040=y
            CONFIG_MCU="rp2040"
            CONFIG_RP2040_FLASH_START_0100=y
            CONFIG_RP2040_USB=y
            CONFIG_USBSERIAL=y
            CONFIG_USB_SERIAL_NUMBER="btt-sb-2209-10-rp"
            """;
        var board = BoardCatalogue.BuiltIn.Find("btt-sb-2209-10-rp")!;
        var fault = await Fails(new BuildRequest("toolhead", BuildConfig.FromText(old, board)));
        Assert.Equal("config-drift", fault.Code);
        Assert.Contains("toolhead", fault.Cause, StringComparison.Ordinal);
        Assert.Contains("CONFIG_MCU should be rp2040, but becomes atmega2560", fault.Cause, StringComparison.Ordinal);
        Assert.Equal(0, _standIn.Compiles);
    }

    [Fact]
    public async Task A_firmware_that_outgrew_its_flash_names_the_board_and_the_bytes()
    {
        _standIn.Write("src/overflow", """
            /usr/lib/gcc/ld: /c/klipper.elf section `.text' will not fit in region `rom'
            /usr/lib/gcc/ld: region `rom' overflowed by 5628 bytes
            collect2: error: ld returned 1 exit status

            """);
        var fault = await Fails(Request("caramba", "ay-caramba"));
        Assert.Equal("firmware-too-big", fault.Code);
        Assert.Contains("caramba (stm32f042x6): 5628 bytes too many", fault.Cause, StringComparison.Ordinal);
        Assert.Contains(_standIn.Describe(), fault.Cause, StringComparison.Ordinal);
        Assert.Contains("This Klipper no longer supports the board", fault.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_compiler_error_is_reported_in_its_own_words_and_its_output_kept()
    {
        _standIn.Write("src/part2.c", "int x; /* SLOPPY */\n");
        _standIn.Write("src/part3.c", "uint33_t x; /* BROKEN */\n");
        var fault = await Fails(Request("octo/../pus", "btt-octopus-11"));
        Assert.Equal("build-failed", fault.Code);
        Assert.Contains("src/part3.c:12:5: error: unknown type name 'uint33_t'", fault.Cause, StringComparison.Ordinal);
        Assert.DoesNotContain("make:", fault.Cause, StringComparison.Ordinal);
        var log = Path.Combine(_standIn.Cache, "failed", "octo____pus.log");
        Assert.Contains(log, fault.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Contains("  Compiling", await File.ReadAllTextAsync(log), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_warning_is_no_fault()
    {
        _standIn.Write("src/part2.c", "int x; /* SLOPPY */\n");
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
        Assert.Equal("stm32f446xx", (await _standIn.Builder().BuildAsync(Request(), Quiet, CancellationToken.None)).Image.Mcu);
    }

    [Theory]
    [InlineData("btt-octopus-11", "arm-none-eabi-gcc", "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi make python3")]
    [InlineData("btt-sb-2209-10-rp", "g++", "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi make python3 g++")]
    [InlineData("prusa-einsy", "avr-gcc", "sudo apt-get install gcc-avr binutils-avr avr-libc make python3")]
    [InlineData("klipper_host_mcu", "gcc", "sudo apt-get install gcc libc6-dev make python3")]
    public async Task A_missing_compiler_is_reported_with_the_command_that_installs_it(string board, string missing, string line)
    {
        var builder = new FirmwareBuilder(_standIn.Open(), _standIn.Cache, TimeProvider.System) { SearchPath = "/nowhere" };
        var fault = await Fails(Request(board, board), builder);
        Assert.Equal("toolchain-missing", fault.Code);
        Assert.Contains(missing, fault.Cause, StringComparison.Ordinal);
        Assert.EndsWith($"`{line}`.", fault.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/usr/bin/ld: cannot find -lc_nano: No such file or directory", "cannot find -lc_nano")]
    [InlineData("src/sched.c:7:10: fatal error: string.h: No such file or directory", "string.h")]
    [InlineData("/bin/sh: 1: g++: not found", "g++")]
    [InlineData("make: arm-none-eabi-cpp: No such file or directory", "arm-none-eabi-cpp")]
    [InlineData("ModuleNotFoundError: No module named 'optparse'", "optparse")]
    public async Task A_program_found_missing_during_the_build_is_reported_in_the_same_way(string output, string missing)
    {
        _standIn.Write("src/overflow", output + "\n");
        var fault = await Fails(Request());
        Assert.Equal("toolchain-missing", fault.Code);
        Assert.Contains(missing, fault.Cause, StringComparison.Ordinal);
        Assert.Contains("libnewlib-arm-none-eabi", fault.Remedy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_is_reported_before_and_during_a_build()
    {
        var builder = new FirmwareBuilder(_standIn.Open(), _standIn.Cache,
            TimeProvider.System)
        { SearchPath = _standIn.SearchPath, LeastFree = long.MaxValue };
        Assert.Equal("disk-full", (await Fails(Request(), builder)).Code);
        Assert.Equal(0, _standIn.Compiles);
        _standIn.Write("src/overflow", "fatal error: error writing to /x/cc1.s: No space left on device\n");
        Assert.Equal("disk-full", (await Fails(Request())).Code);
    }

    [Fact]
    public async Task A_cache_folder_that_cannot_be_made_is_reported()
    {
        await File.WriteAllTextAsync(_standIn.Cache, "a file");
        Assert.Equal("build-folder", (await Fails(Request())).Code);
    }

    [Theory]
    [InlineData("with blank")]
    [InlineData("a$(reboot)")]
    [InlineData("a;b")]
    [InlineData("a#b")]
    public async Task A_path_that_make_would_misread_is_refused(string name)
    {
        var builder = new FirmwareBuilder(_standIn.Open(), Path.Combine(_standIn.Root, name),
            TimeProvider.System)
        { SearchPath = _standIn.SearchPath };
        Assert.Equal("build-path", (await Fails(Request(), builder)).Code);

        var moved = Path.Combine(_standIn.Root, name, "klipper");
        Directory.CreateDirectory(Path.GetDirectoryName(moved)!);
        Directory.Move(_standIn.Folder, moved);
        builder = new FirmwareBuilder(KlipperTree.Open(moved), _standIn.Cache, TimeProvider.System) { SearchPath = _standIn.SearchPath };
        Assert.Equal("build-path", (await Fails(Request(), builder)).Code);
        Directory.Move(moved, _standIn.Folder);
        Assert.Equal(0, _standIn.Compiles);
    }

    [Fact]
    public async Task An_image_for_another_chip_start_or_commit_is_not_taken()
    {
        _standIn.Prebuild(VirtualChip.F407, 0x0800_8000, asChip: "stm32f446xx");
        Assert.Equal("built-other-firmware", (await Fails(Request())).Code);

        var elsewhere = _standIn.Prebuild(VirtualChip.F446, 0x0801_0000);
        await File.WriteAllBytesAsync(Path.Combine(_standIn.Folder, "prebuilt", "stm32f446xx-0x8008000.bin"), elsewhere);
        Assert.Equal("firmware-wrong-offset", (await Fails(Request())).Code);

        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000, "v0.12.0-3-g1234567");
        var other = await Fails(Request());
        Assert.Equal("built-other-firmware", other.Code);
        Assert.Contains("has another version: v0.12.0-3-g1234567", other.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_make_that_may_not_start_programs_says_so()
    {
        _standIn.Write("src/overflow", """
            make: /bin/sh: Operation not permitted
            Makefile:104: out/board-link: No such file or directory
            make: *** [Makefile:101: out/board-link] Error 127

            """);
        var fault = await Fails(Request("caramba", "ay-caramba"));
        Assert.Equal("build-failed", fault.Code);
        Assert.Contains("failed: make: /bin/sh: Operation not permitted", fault.Cause, StringComparison.Ordinal);
        Assert.DoesNotContain("***", fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_build_without_a_file_is_not_taken()
    {
        File.Delete(Path.Combine(_standIn.Folder, "prebuilt", "stm32f446xx-0x8008000.bin"));
        Assert.Equal("build-failed", (await Fails(Request())).Code);
    }

    [Fact]
    public async Task Sources_that_change_in_the_middle_make_no_firmware()
    {
        _standIn.Write("src/during", "echo 'int updated;' >src/part0.c\n");
        _standIn.Commit("an update that comes in the middle");
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
        Assert.Equal("klipper-tree-changed", (await Fails(Request())).Code);
    }

    private async Task<FlashException> Fails(BuildRequest request, FirmwareBuilder? builder = null)
    {
        var fault = await Assert.ThrowsAsync<FlashException>(() =>
            (builder ?? _standIn.Builder()).BuildAsync(request, Quiet, CancellationToken.None));
        var entries = Path.Combine(_standIn.Cache, "entries");
        Assert.True(!Directory.Exists(entries) || !Directory.EnumerateFileSystemEntries(entries).Any());
        return fault;
    }

    private static BuildRequest Request(string name = "octopus", string board = "btt-octopus-11") =>
        new(name, BuildConfig.For(BoardCatalogue.BuiltIn.Find(board)!));

    private static ValueTask Quiet(BuildProgress news) => ValueTask.CompletedTask;
}
