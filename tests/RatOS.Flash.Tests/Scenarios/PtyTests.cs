using System.Diagnostics;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// Virtual boards on pseudo terminals, with foreign programs at the other end. Debian's stm32flash is an oracle for the virtual ROM: it
/// shares no code with this project.
/// </summary>
[VirtualOnly("a pseudo terminal is the same everywhere, and time is coarse in emulation")]
public sealed class PtyTests : IDisposable
{
    // Real seconds: a program that hangs ends the test.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ratos-flash-pty");

    public void Dispose() => _folder.Delete(recursive: true);

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>A virtual printer on live time, far faster than real, whose boards are on pseudo terminals.</summary>
    private void OnPtys(string scenario, Func<VirtualPrinter, VirtualTime, Task> tell, double pace = 50) =>
        OnPtys(Scenario.Find(scenario), tell, pace);

    private void OnPtys(Scenario scenario, Func<VirtualPrinter, VirtualTime, Task> tell, double pace)
    {
        var time = new VirtualTime { IsLive = true, Pace = pace, YieldsToLoad = true };
        time.Run(async () =>
        {
            var printer = VirtualPrinter.Create(scenario, time);
            using var ptys = VirtualPtys.Open(printer, PathOf("ports"));
            await tell(printer, time);
            return true;
        });
    }

    private static async Task<(int Exit, string Output)> RunAsync(string program, params string[] args)
    {
        using var limit = new CancellationTokenSource(Patience);
        var start = new ProcessStartInfo(program, args)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
        return (process.ExitCode, await output + await error);
    }

    // A pty has no parity, and stm32flash insists on what it sets: without it the bytes are the same.
    private Task<(int Exit, string Output)> Stm32FlashAsync(params string[] args) =>
        RunAsync("stm32flash", ["-b", "115200", "-m", "8n1", .. args, PathOf("ports/octopus")]);

    private static void NeedStm32Flash() => Assert.SkipUnless(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "stm32flash"))),
        "stm32flash is not installed (Debian: apt-get install stm32flash)");

    private string FileOf(byte[] bytes)
    {
        var path = PathOf($"{Guid.NewGuid():N}.bin");
        File.WriteAllBytes(path, bytes);
        return path;
    }

    [Fact]
    public void Stm32flash_finds_the_chip()
    {
        NeedStm32Flash();
        OnPtys("uart-rom", async (printer, _) =>
        {
            var (exit, output) = await Stm32FlashAsync();
            Assert.Equal(0, exit);
            Assert.Contains("Version      : 0x31", output, StringComparison.Ordinal);
            Assert.Contains("Device ID    : 0x0421 (STM32F446xx)", output, StringComparison.Ordinal);
            // A second program in a row meets a ROM that has its speed already.
            Assert.Equal(0, (await Stm32FlashAsync()).Exit);
            Assert.Empty(printer.Boards[0].IllegalRequests);
        });
    }

    [Fact]
    public void Stm32flash_writes_verifies_and_reads_and_the_flash_holds_it_byte_for_byte()
    {
        NeedStm32Flash();
        OnPtys("uart-rom", async (printer, _) =>
        {
            var board = printer.Boards[0];
            var image = new byte[40_003];   // not a multiple of anything
            new Random(7).NextBytes(image);
            var (exit, output) = await Stm32FlashAsync("-w", FileOf(image), "-v", "-S", "0x08000000:65536");
            Assert.True(exit == 0, output);
            Assert.Equal(image, board.Flash.Read(0x0800_0000, image.Length));

            var read = PathOf("read.bin");
            Assert.Equal(0, (await Stm32FlashAsync("-r", read, "-S", "0x08000100:1000")).Exit);
            Assert.Equal(image[0x100..(0x100 + 1000)], File.ReadAllBytes(read));
            Assert.Empty(board.IllegalRequests);
            Assert.False(board.WasMassErased);
        });
    }

    [Fact]
    public void Stm32flash_erases_the_pages_it_names_and_no_others()
    {
        NeedStm32Flash();
        OnPtys("uart-rom", async (printer, _) =>
        {
            var board = printer.Boards[0];
            board.Flash.Preset(board.Flash.Base, Enumerable.Repeat((byte)0x55, board.Chip.FlashSize).ToArray());
            var (exit, output) = await Stm32FlashAsync("-o", "-S", "0x08004000:32768");
            Assert.True(exit == 0, output);
            Assert.Equal([0, 1, 1, 0, 0, 0, 0, 0], board.Flash.Erases);
            Assert.Equal(-1, board.Flash.Read(0x0800_4000, 0x8000).IndexOfAnyExcept((byte)0xFF));
            Assert.Equal(-1, board.Flash.Read(0x0800_C000, 0x1000).IndexOfAnyExcept((byte)0x55));
            Assert.Empty(board.IllegalRequests);
        });
    }

    [Fact]
    public void Stm32flash_starts_the_firmware_that_it_wrote()
    {
        NeedStm32Flash();
        OnPtys("uart-rom", async (printer, time) =>
        {
            var board = printer.Boards[0];
            var (exit, output) = await Stm32FlashAsync("-w", FileOf(board.BuildFirmware()), "-S", "0x08000000:65536", "-g", "0x08000000");
            Assert.True(exit == 0, output);
            await Task.Delay(TimeSpan.FromSeconds(1), time);
            Assert.Equal((BoardState.Klipper, VirtualPrinter.HostVersion), (board.State, board.RunningFirmware?.Version));
        });
    }

    /// <summary>This project never does it, and its virtual board must notice it.</summary>
    [Fact]
    public void Stm32flash_without_an_address_mass_erases_the_chip_and_the_board_remembers()
    {
        NeedStm32Flash();
        OnPtys("uart-rom", async (printer, _) =>
        {
            Assert.Equal(0, (await Stm32FlashAsync("-o")).Exit);
            Assert.True(printer.Boards[0].WasMassErased);
        });
    }

    [Fact]
    public void Stm32flash_is_refused_by_a_read_protected_chip()
    {
        NeedStm32Flash();
        var time = new VirtualTime { IsLive = true, Pace = 50, YieldsToLoad = true };
        time.Run(async () =>
        {
            var printer = VirtualPrinter.Create("uart-rom", time, new InjectedFaults { IsReadProtected = true });
            using var ptys = VirtualPtys.Open(printer, PathOf("ports"));
            var (exit, output) = await Stm32FlashAsync("-r", PathOf("read.bin"), "-S", "0x08000000:256");
            Assert.NotEqual(0, exit);
            Assert.Contains("NACK", output, StringComparison.OrdinalIgnoreCase);
            return true;
        });
    }

    [Fact]
    public void A_program_at_another_speed_than_the_first_byte_had_is_not_understood() => OnPtys("uart-rom", async (_, _) =>
    {
        var port = PathOf("ports/octopus");
        Assert.Equal("79", await AskAsync(port, "57600", "7F", 1));
        Assert.Equal("79", (await AskAsync(port, "57600", "02FD", 5))[..2]);
        Assert.NotEqual("7901042179", await AskAsync(port, "115200", "02FD02FD", 2));
    });

    [Fact]
    public void A_board_on_USB_is_touched_at_1200_baud() => OnPtys("octopus-katapult", async (printer, time) =>
    {
        Assert.Equal(0, (await RunAsync("stty", "-F", PathOf("ports/octopus"), "1200")).Exit);
        var katapult = await printer.WaitForAsync(
            seen => seen.Devices.FirstOrDefault(device => device.Usb == KatapultDriver.Id),
            TimeSpan.FromMinutes(5), time, CancellationToken.None);
        Assert.NotNull(katapult);
        Assert.Equal(BoardState.Katapult, printer.Boards[0].State);
    });

    /// <summary>A port that another program has open is refused. The virtual board's own side must not count as one.</summary>
    [Theory]
    [InlineData(250_000, 250_000)]
    [InlineData(115_200, 115_200)]
    [InlineData(230_400, 250_000)]
    [InlineData(500_000, 250_000)]
    public void The_engine_flashes_a_board_over_a_real_serial_line(int baud, int katapult) => OnPtys(new Scenario(
        "wired", "an F446 on a UART", Scenario.Find("uart-katapult").Boards[0] with
        {
            FirmwareLink = FirmwareLink.Uart with { Rate = baud },
            KatapultBaud = katapult,
        }), async (printer, time) =>
    {
        var board = printer.Boards[0];
        var port = new FileInfo(PathOf("ports/octopus")).LinkTarget!;
        using var hardware = new LinuxHardware(time, port);
        var flasher = new Flasher(hardware, printer.Klippy, time, new FlashServices(), static _ => ValueTask.CompletedTask);
        var known = printer.PrinterBoards[0] with { Port = port };
        var image = FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin");
        var report = await flasher.FlashAsync([new FlashRequest(known, image)], CancellationToken.None);
        Assert.True(report.Ok, report.Boards[0].Fault?.Cause);
        Assert.Equal((BoardState.Klipper, VirtualPrinter.HostVersion), (board.State, board.RunningFirmware?.Version));
    }, pace: 2);

    [Fact]
    public void Programs_come_and_go_and_a_speed_that_was_set_stays() => OnPtys("uart-rom", async (_, _) =>
    {
        Assert.Equal(0, (await RunAsync("stty", "-F", PathOf("ports/octopus"), "57600")).Exit);
        // No program has it open now, and the board's side polls it more often than this.
        await Task.Delay(TimeSpan.FromMilliseconds(200));
        Assert.Contains("speed 57600", (await RunAsync("stty", "-F", PathOf("ports/octopus"))).Output, StringComparison.Ordinal);
        Assert.Equal("79", await AskAsync(PathOf("ports/octopus"), "57600", "7F", 1));
    });

    [Fact]
    public void A_folder_in_which_a_file_has_a_boards_name_is_left_alone()
    {
        Directory.CreateDirectory(PathOf("ports"));
        File.WriteAllText(PathOf("ports/octopus"), "mine");
        Assert.Equal("no-pty", Assert.Throws<FlashException>(() => OnPtys("uart-rom", (_, _) => Task.CompletedTask)).Code);
        Assert.Equal("mine", File.ReadAllText(PathOf("ports/octopus")));
    }

    /// <summary>As a program does it: sets the speed, writes bytes, and reads so many.</summary>
    private static async Task<string> AskAsync(string port, string baud, string hex, int length)
    {
        Assert.Equal(0, (await RunAsync("stty", "-F", port, baud, "raw", "-echo")).Exit);
        using var limit = new CancellationTokenSource(Patience);
        await using var file = new FileStream(
            port, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0, useAsync: true);
        await file.WriteAsync(Convert.FromHexString(hex), limit.Token);
        var answer = new byte[length];
        await file.ReadExactlyAsync(answer, limit.Token);
        return Convert.ToHexString(answer);
    }
}
