using System.Diagnostics;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Tests.Linux;

/// <summary>Programs of others that flash are known by their command lines; what only names them is not.</summary>
public sealed class OtherFlasherTests
{
    [Theory]
    [InlineData("sudo /home/pi/printer_data/config/RatOS/scripts/klipper-mcu-update.sh", "klipper-mcu-update.sh")]
    [InlineData("/bin/bash /home/pi/ratos-configurator/src/scripts/flash-path.sh /dev/RatOS/btt-octopus-11", "flash-path.sh")]
    [InlineData("sudo -u pi -n bash -e board-script.sh btt-octopus-11/flash.sh", "board-script.sh")]
    [InlineData("/home/pi/ratos-configurator/configuration/scripts/ratos-update.sh", "ratos-update.sh")]
    [InlineData("make flash FLASH_DEVICE=/dev/btt-octopus-11", "make flash")]
    [InlineData("sudo nice -n 5 make -j4 FLASH_DEVICE=0483:df11 flash", "make flash")]
    [InlineData("python3 ./scripts/flash_usb.py -t stm32f446xx -d /dev/ttyACM0 out/klipper.bin", "flash_usb.py")]
    [InlineData("/home/pi/klippy-env/bin/python3 -u lib/canboot/flash_can.py -u 1234", "flash_can.py")]
    [InlineData("dfu-util -d ,0483:df11 -R -a 0 -s 0x8008000:leave -D out/klipper.bin", "dfu-util")]
    [InlineData("/bin/bash /usr/local/bin/ratos flash", "ratos flash")]
    [InlineData("node /usr/local/bin/ratos.mjs flash", "ratos flash")]
    [InlineData("dfu-util -l", null)]
    [InlineData("make -j4", null)]
    [InlineData("make clean", null)]
    [InlineData("nano /home/pi/flash-path.sh", null)]
    [InlineData("sudo nano flash-path.sh", null)]
    [InlineData("tail -f ratos-update.sh", null)]
    [InlineData("ratos logs tail", null)]
    [InlineData("/usr/local/bin/ratos-flash flash octopus", null)]
    [InlineData("sudo", null)]
    [InlineData("sudo -u", null)]
    [InlineData("", null)]
    public void A_command_line_flashes_or_does_not(string line, string? name) =>
        Assert.Equal(name, OtherFlasher.Of(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));

    [Fact]
    public async Task A_running_script_is_found_and_its_end_is_told_by_the_kernel()
    {
        var folder = Directory.CreateTempSubdirectory("rf-other-");
        try
        {
            // Under a name of its own: other tests run here too.
            var script = Path.Combine(folder.FullName, "flash-path.sh");
            await File.WriteAllTextAsync(script, "read line\n", TestContext.Current.CancellationToken);
            using var process = Process.Start(
                new ProcessStartInfo("/bin/sh", [script]) { RedirectStandardInput = true, UseShellExecute = false })!;
            var proc = Directory.CreateDirectory(Path.Combine(folder.FullName, "proc")).FullName;
            var entry = Path.Combine(proc, $"{process.Id}");
            Directory.CreateSymbolicLink(entry, $"/proc/{process.Id}");
            Assert.Null(OtherFlasher.Find(proc));   // this program started it: a maker's updater does so, too
            File.Delete(entry);
            Directory.CreateDirectory(entry);
            File.CreateSymbolicLink(Path.Combine(entry, "cmdline"), $"/proc/{process.Id}/cmdline");
            await File.WriteAllTextAsync(
                Path.Combine(entry, "stat"), $"{process.Id} (a ) name) S 1 1", TestContext.Current.CancellationToken);
            var found = OtherFlasher.Find(proc);
            Assert.Equal(new OtherFlasher(process.Id, "flash-path.sh"), found);
            var ended = found!.ExitedAsync();
            Assert.False(ended.IsCompleted);
            process.StandardInput.Close();
            await ended.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Null(OtherFlasher.Find(proc));
            await found.ExitedAsync().WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Where_processes_are_not_shown_none_is_found() => Assert.Null(OtherFlasher.Find("/nowhere"));
}
