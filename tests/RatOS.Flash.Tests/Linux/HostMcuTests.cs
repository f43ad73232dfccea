using System.Diagnostics;
using System.Runtime.Versioning;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Linux;

/// <summary>
/// Klipper's real Linux process, replaced by the very script that the unit runs. Opt-in: <c>RATOS_FLASH_KLIPPER_MCU</c> names a
/// <c>klipper.elf</c> that was built for this computer. The process needs no root without <c>-r</c>.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class HostMcuTests : IDisposable
{
    private readonly string? _program = Environment.GetEnvironmentVariable("RATOS_FLASH_KLIPPER_MCU");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-host-");

    public HostMcuTests()
    {
        Assert.SkipUnless(_program is not null, "RATOS_FLASH_KLIPPER_MCU names no klipper.elf");
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "in"));
        // As root, what lies there is read as another user.
        File.SetUnixFileMode(_folder.FullName, (UnixFileMode)0x1FF);
        File.SetUnixFileMode(Path.Combine(_folder.FullName, "in"), (UnixFileMode)0x1FF);
        File.Copy(_program!, Target);
    }

    private string Target => Path.Combine(_folder.FullName, "klipper_mcu");

    private string Terminal => Path.Combine(_folder.FullName, "klipper_host_mcu");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_real_process_is_replaced_and_proven_and_one_that_dies_at_once_is_put_back()
    {
        using var unit = new Unit(Target, Terminal, Path.Combine(_folder.FullName, "in"));
        await unit.RestartAsync();
        // Its clock begins at a whole second: two that start within one cannot be told apart.
        await Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System);
        using var hardware = new LinuxHardware(TimeProvider.System);
        var board = new PrinterBoard("pi", BoardCatalogue.BuiltIn.Find("klipper_host_mcu")!) { Port = Terminal };
        var image = FirmwareImage.Open(_program!);

        var good = await FlashAsync(hardware, unit, board, image);
        Assert.True(good.Ok, good.Fault?.Cause);
        Assert.Equal((image.Version, image.Version), (good.OldVersion, good.NewVersion));
        Assert.True(File.Exists(Target + ".previous"));

        // The same program with an entry point that leads nowhere: ELF, dictionary and machine are right, and it cannot run.
        var bytes = image.Bytes.ToArray();
        bytes.AsSpan(24, 8).Clear();
        var bad = await FlashAsync(hardware, unit, board, FirmwareImage.Parse(bytes, "klipper.elf"));
        Assert.Equal(("host-mcu-not-up", BoardCondition.Unchanged), (bad.Fault?.Code, bad.Condition));
        Assert.Equal(File.ReadAllBytes(_program!), File.ReadAllBytes(Target));
    }

    private static async Task<BoardReport> FlashAsync(LinuxHardware hardware, Unit unit, PrinterBoard board, FirmwareImage image) =>
        (await new Flasher(hardware, new NoKlippy(), TimeProvider.System, new FlashServices { HostMcu = unit }, static _ =>
            ValueTask.CompletedTask)
            .FlashAsync([new FlashRequest(board, image)], CancellationToken.None)).Boards.Single();

    private sealed class Unit(string target, string terminal, string folder) : HostMcu, IDisposable
    {
        private Process? _process;

        public override Task<FlashException?> CheckAsync(CancellationToken cancel) => Task.FromResult<FlashException?>(null);

        public override async Task InstallAsync(ReadOnlyMemory<byte> program)
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, "klipper_mcu.new"), program.ToArray());
            await AskAsync("install");
        }

        public override Task RestoreAsync() => AskAsync("restore");

        public override async Task RestartAsync()
        {
            await StopAsync();
            _process = Process.Start(new ProcessStartInfo(target,
                    ["-I", terminal])
            { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true })!;
        }

        public void Dispose()
        {
            _process?.Kill();
            _process?.Dispose();
        }

        private async Task StopAsync()
        {
            if (_process is not { } running)
                return;
            running.Kill();
            await running.WaitForExitAsync();
            running.Dispose();
        }

        private async Task AskAsync(string order)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "request"), $"{order} 0123456789abcdef\n");
            var user = Environment.UserName == "root" ? "nobody" : Environment.UserName;
            using var script =
                Process.Start("bash", [Path.Combine(TidyTests.Root, "config", "ratos-flash-host-mcu"), user, folder, target])!;
            await script.WaitForExitAsync();
            var answer = await File.ReadAllTextAsync(Path.Combine(folder, "result"));
            if (!answer.Trim().EndsWith(" done", StringComparison.Ordinal))
                throw HostMcuFaults.HostMcuRefused(answer.Trim());
        }
    }
}
