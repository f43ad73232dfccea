using System.Runtime.Versioning;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Tests.Builds;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>
/// An update of Klipper on a printer of RatOS, in a stand-in of its system: its folders and links, its hook in a real repository, and a
/// Moonraker whose configuration pins Klipper. The printer has an Octopus v1.1, an EBB42 and the Raspberry Pi.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class RatOsUpdateStories : IDisposable
{
    private const string Old = "v0.12.0-10-g1f2a9e1c";

    private readonly StandInTree _klipper = null!;

    public RatOsUpdateStories()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        _klipper = new StandInTree();
    }

    public void Dispose() => _klipper?.Dispose();

    /// <summary>
    /// The hook fails at the Octopus, which stays in its ROM, and flashes the others. Its exit code is lost: the update says success.
    /// </summary>
    [Theory]
    [InlineData("ask")]
    [InlineData("changed")]
    public void The_board_that_RatOSs_hook_left_in_its_bootloader_is_found_and_finished(string policy) => AgentStory.Of(async story =>
    {
        var pinned = InstallRatOs(story);
        story.Moonraker.UpdateBusy = "klipper";
        await story.StartAgentAsync();
        Assert.Equal(
            [("octopus", "btt-octopus-11"), ("pi", "klipper_host_mcu"), ("ebb42", "btt-ebb42-12")],
            (await story.RequestAsync("boards")).Items("boards").Where(board => board.Word("board") is not null)
                .Select(board => (board.Word("board"), board.Word("id"))));

        // Moonraker pulls the pinned commit, and git runs RatOS's hook.
        _klipper.Git("merge", "-q", "--ff-only", pinned);
        Assert.Equal("flash\n", await File.ReadAllTextAsync(Path.Combine(story.Home, "hook.log")));
        var script = Path.Combine(story.Processes, "4711");
        Directory.CreateDirectory(script);
        await File.WriteAllTextAsync(
            Path.Combine(script, "cmdline"), "/bin/bash\0/home/pi/scripts/flash-path.sh\0/dev/RatOS/btt-octopus-11\0");
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        story.Printer.Boards[0].ResetWithBoot0();   // make flash asked it for its ROM, and found nothing there
        await story.FlashWithoutAgentAsync("ebb42", "pi");
        await story.Printer.Klippy.StartAsync();
        story.Moonraker.UpdateBusy = null;
        await Task.Delay(TimeSpan.FromMinutes(2), story.Time);
        Assert.Empty(story.Jobs);   // the hook's process is still there
        Directory.Delete(script, recursive: true);

        const string Needs = "1 board needs new firmware before Klipper can work: mcu waits in USB DFU; Klipper is v0.13.0-730-g84104bbbd.";
        if (policy == "ask")
        {
            await story.UntilSaidAsync("prompt_footer_button Flash now|");
            Assert.Contains($"!! RatOS.Flash: {Needs}", story.Moonraker.Console);
            await story.TypeAsync(story.Button("Flash now"));
        }
        // The others are flashed once, by the hook.
        var board = Assert.Single((await story.UntilOverAsync()).Boards);
        Assert.Equal(("octopus", true, "flashed", VirtualPrinter.HostVersion),
            (board.Board, board.Ok, board.Condition, board.NewVersion));
        Assert.Equal(("waits in USB DFU -> write", true), (board.Report!.Route, board.Report.Confirmed));
        Assert.All(story.Printer.Boards, (_, i) => Assert.True(story.Runs(VirtualPrinter.HostVersion, i)));
        var said = string.Join('\n', story.Moonraker.Console.Concat(story.Moonraker.Dialog));
        Assert.Contains("octopus OK: runs v0.13.0-730-g84104bbbd, 43.4 KiB verified", said, StringComparison.Ordinal);
        // The firmware that the Octopus had is kept: rollback can write it.
        Assert.Contains($"Its old firmware is kept: {Old}", story.Log, StringComparison.Ordinal);
        // Nothing is left to be done.
        await story.UntilAsync(() => story.Moonraker.Announcement is null && !File.Exists(story.Data.UpdateNotice), "it is forgotten");
        Assert.Single(story.Jobs);
    }, "octopus-and-pi", settings: new() { Policy = Enum.Parse<FlashPolicy>(policy, ignoreCase: true) }, isAlone: true,
        otherBoards: "ebb42");

    /// <summary>RatOS's folders, links, definitions and hook.</summary>
    /// <returns>The commit that its moonraker.conf pins.</returns>
    private string InstallRatOs(AgentStory story)
    {
        var configuration = Path.Combine(story.Home, "ratos-configurator", "configuration");
        Write("boards/btt-octopus-11/board-definition.json", """{"id": "btt-octopus-11", "name": "Octopus V1.1 F446"}""");
        Write("boards/btt-octopus-11/firmware.config",
            "CONFIG_MACH_STM32=y\nCONFIG_MACH_STM32F446=y\nCONFIG_MCU=\"stm32f446xx\"\nCONFIG_CLOCK_REF_FREQ=12000000\n"
            + "CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000\nCONFIG_STM32_USB_PA11_PA12=y\nCONFIG_USBSERIAL=y\n");
        Write("boards/btt-ebb42-12/board-definition.json", """{"id": "btt-ebb42-12", "name": "EBB42 v1.2", "isToolboard": true}""");
        Write("boards/btt-ebb42-12/firmware.config",
            "CONFIG_MACH_STM32=y\nCONFIG_MACH_STM32G0B1=y\nCONFIG_MCU=\"stm32g0b1xx\"\nCONFIG_CLOCK_REF_FREQ=8000000\n"
            + "CONFIG_FLASH_APPLICATION_ADDRESS=0x8000000\nCONFIG_STM32_USB_PA11_PA12=y\nCONFIG_USBSERIAL=y \n");
        Write("boards/rpi/board-definition.json", """
            {"id": "klipper_host_mcu", "name": "Pi", "isHost": true, "serialPath": "/tmp/klipper_host_mcu", "flashScript": "flash.sh"}
            """);
        Write("boards/rpi/firmware.config", "CONFIG_MACH_LINUX=y\n");
        Write("scripts/klipper-post-merge.sh", $"#!/bin/sh\nsudo=; $sudo {configuration}/scripts/klipper-mcu-update.sh\n");
        Write("scripts/klipper-mcu-update.sh", $"#!/bin/sh\necho flash >>{story.Home}/hook.log\nexit 1\n");
        Directory.CreateSymbolicLink(Path.Combine(story.Data.Root, "config", "RatOS"), configuration);

        var installed = _klipper.Git("rev-parse", "HEAD").Trim();
        _klipper.Write("src/sched.c", "/* newer */\n");
        _klipper.Commit("newer");
        var pinned = _klipper.Git("rev-parse", "HEAD").Trim();
        _klipper.Git("reset", "-q", "--hard", installed);
        var hooks = Directory.CreateDirectory(Path.Combine(_klipper.Folder, ".git", "hooks")).FullName;
        File.CreateSymbolicLink(Path.Combine(hooks, "post-merge"),
            Path.Combine(story.Data.Root, "config", "RatOS", "scripts", "klipper-post-merge.sh"));

        Write("moonraker.conf", $"""
            [update_manager klipper]
            channel: dev
            pinned_commit: {pinned}

            """);
        File.WriteAllText(Path.Combine(story.Data.Root, "config", "moonraker.conf"),
            "[include ratos-flash-moonraker.conf]\n[include RatOS/moonraker.conf]\n");
        File.WriteAllText(
            Path.Combine(story.Data.Root, "config", "printer.cfg"), "[include ratos_flash.cfg]\n[include RatOS.cfg]\n");
        File.WriteAllText(Path.Combine(story.Data.Root, "config", "RatOS.cfg"),
            "[mcu]\nserial: /dev/RatOS/btt-octopus-11\n[mcu toolboard_t0]\nserial: /dev/RatOS/btt-ebb42-12-t0\n");
        return pinned;

        void Write(string path, string text)
        {
            var file = Path.Combine(configuration, path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, text);
            if (path.EndsWith(".sh", StringComparison.Ordinal))
                File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }
}
