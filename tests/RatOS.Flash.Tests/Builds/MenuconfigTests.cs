using System.Diagnostics;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Builds;

/// <summary>A person chooses how a board is built, in the menu of Klipper's own build, on a terminal.</summary>
public sealed class MenuconfigTests : IDisposable
{
    private readonly StandInTree _standIn = null!;
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("rf-menu-");

    public MenuconfigTests()
    {
        Assert.SkipUnless(StandInTree.CanBuild && File.Exists("/usr/bin/script"), "make, python3, git, setsid, nice or script is missing");
        _standIn = new StandInTree();
        Directory.CreateDirectory(Path.Combine(Data, "config"));
        File.WriteAllText(Path.Combine(Data, "config", "ratos-flash.conf"), $"[agent]\nklipper_path: {_standIn.Folder}\n");
        ConfirmedSettings.Confirm(new DataFolder(Data));
    }

    private string Data => Path.Combine(_home.FullName, "p");

    private string Kept => Path.Combine(Data, "ratos-flash", "configs", "octopus.config");

    private static PrinterBoard Octopus => new("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);

    public void Dispose()
    {
        _standIn?.Dispose();
        _home.Delete(recursive: true);
    }

    /// <summary>Runs the program on a pseudo terminal, types a line there, and returns what the terminal showed.</summary>
    private async Task<(int Exit, string Shown)> AskAsync(string typed, string board = "octopus", bool hasTerminal = true)
    {
        string[] program = ["dotnet", Path.Combine(AppContext.BaseDirectory, "ratos-flash.dll"), "menuconfig", board, "--virtual",
            "--folder", Path.Combine(_home.FullName, "v"), "--data", Data];
        var start = new ProcessStartInfo(hasTerminal ? "script" : program[0],
            hasTerminal ? ["-qec", string.Join(' ', program), "/dev/null"] : program[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        (start.Environment["HOME"], start.Environment["XDG_STATE_HOME"], start.Environment["TERM"]) =
            (_home.FullName, _home.FullName, "vt100");
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var killed = limit.Token.Register(() => process.Kill(entireProcessTree: true));
        var (shown, buffer, isTyped) = ("", new char[1024], false);
        for (int came; (came = await process.StandardOutput.ReadAsync(buffer)) > 0;)
        {
            shown += new string(buffer, 0, came);
            // As a person does: what is typed before there is a menu may be lost when the terminal changes hands.
            if (isTyped || !shown.Contains("MENU of", StringComparison.Ordinal) || !shown.EndsWith("> ", StringComparison.Ordinal))
                continue;
            isTyped = true;
            await process.StandardInput.WriteLineAsync(typed);
            await process.StandardInput.FlushAsync();
        }
        await process.WaitForExitAsync();
        return (process.ExitCode, shown + await errors);
    }

    [Fact]
    public async Task What_a_person_saves_is_kept_for_that_board_and_built_from_then_on()
    {
        var before = _standIn.Snapshot();
        var (exit, shown) = await AskAsync("CONFIG_USB_SERIAL_NUMBER=\"mine\"");
        Assert.True(exit == 0, shown);
        Assert.Contains("MENU of config TERM vt100", shown, StringComparison.Ordinal);
        Assert.Contains("CONFIG_MACH_STM32F446=y", shown, StringComparison.Ordinal);
        Assert.Contains("Saved for octopus", shown, StringComparison.Ordinal);
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"mine\"", await File.ReadAllTextAsync(Kept), StringComparison.Ordinal);
        Assert.Equal(before, _standIn.Snapshot());
        Assert.Equal([Kept], Directory.GetFileSystemEntries(Path.GetDirectoryName(Kept)!));

        var config = Menuconfig.Kept(Path.GetDirectoryName(Kept), Octopus)!;
        Assert.Contains(("USB_SERIAL_NUMBER", "mine"), config.Declared);
        _standIn.Prebuild(VirtualChip.F446, 0x0800_8000);
        var built = await _standIn.Builder().BuildAsync(new BuildRequest("octopus", config), static _ => ValueTask.CompletedTask,
            CancellationToken.None);
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"mine\"", built.ConfigText, StringComparison.Ordinal);

        // The next time the menu begins with it.
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"mine\"", (await AskAsync("")).Shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Leaving_without_saving_changes_nothing()
    {
        var (exit, shown) = await AskAsync("");
        Assert.True(exit == 0 && shown.Contains("Nothing was saved", StringComparison.Ordinal), shown);
        Assert.False(File.Exists(Kept));
        Assert.Null(Menuconfig.Kept(Path.GetDirectoryName(Kept), Octopus));
    }

    [Theory]
    [InlineData("CONFIG_MACH_STM32F446=n CONFIG_MACH_STM32G0B1=y", "config-drift")]   // another chip
    [InlineData("CONFIG_STM32_FLASH_START_8000=n CONFIG_STM32_FLASH_START_0000=y", "config-drift")]   // over the bootloader
    [InlineData("fail", "menuconfig-failed")]
    public async Task What_is_not_for_this_board_is_not_kept(string typed, string code)
    {
        var (exit, shown) = await AskAsync(typed);
        Assert.True(exit != 0 && shown.Contains($"[{code}]", StringComparison.Ordinal), shown);
        Assert.False(File.Exists(Kept));
    }

    [Fact]
    public async Task Without_a_terminal_a_fault_says_so()
    {
        var (exit, shown) = await AskAsync("", hasTerminal: false);
        Assert.True(exit == 3 && shown.Contains("[terminal-missing]", StringComparison.Ordinal), shown);
    }

    [Fact]
    public void A_configuration_for_another_chip_is_refused_and_no_name_leads_out_of_the_folder()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Kept)!);
        File.WriteAllText(Kept, BuildConfig.For(BoardCatalogue.BuiltIn.Find("btt-ebb42-12")!).Text + "CONFIG_MCU=\"stm32g0b1xx\"\n");
        Assert.Equal("config-drift", Assert.Throws<FlashException>(() => Menuconfig.Kept(Path.GetDirectoryName(Kept), Octopus)).Code);
        File.WriteAllText(Kept, new string('#', 100_000));
        Assert.Equal("config-unusable", Assert.Throws<FlashException>(() => Menuconfig.Kept(Path.GetDirectoryName(Kept), Octopus)).Code);
        Assert.All((string[])["", ".", "..", "../octopus", "a/b", ".hidden"], name => Assert.Null(Menuconfig.FileOf(Data, name)));
    }
}
