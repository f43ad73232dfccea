using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Virtual;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// The native program and the real dfu-util, in turns, on the same virtual board through the same kernel: in the guest of tests/usb-rig. Both are timed on the
/// board's clock, from the first DFU request to the last; what we do beyond that (identify, reset, identify) is a column of its own.
/// </summary>
internal static class RigBenchmark
{
    private const int Rounds = 5;
    private const uint Start = 0x0800_8000;

    private sealed record Mode(string Name, bool ChipTimes, bool PollTimes, double Most);

    private sealed record Run(double Dfu, double Total, int Transfers, bool IsRight);

    /// <param name="program">The published ratos-flash.</param>
    /// <returns>Whether every ratio is as it should be.</returns>
    public static bool Measure(string program)
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        var isGood = true;
        Console.WriteLine("| F446, 43.4 KiB | dfu-util | ratos-flash | ratio | at most | transfers per KiB (theirs, ours) | reads back | our proof by the firmware |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var mode in (Mode[])[new("no delays", false, false, 1.0), new("ROM poll times", false, true, 0.5), new("chip times", true, true, 0.45)])
        {
            var (theirs, ours, size) = (new List<Run>(), new List<Run>(), 0);
            for (var round = 0; round < Rounds; round++)
            {
                foreach (var isOurs in (bool[])[round % 2 == 0, round % 2 != 0])
                {
                    var run = Flash(mode, isOurs ? program : "dfu-util", isOurs, folder, out size);
                    (isOurs ? ours : theirs).Add(run);
                }
            }
            var ratio = Median(ours, run => run.Dfu) / Median(theirs, run => run.Dfu);
            isGood &= ratio <= mode.Most && ours.TrueForAll(run => run.IsRight);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {mode.Name} | {Median(theirs, run => run.Dfu):0.00} s | {Median(ours, run => run.Dfu):0.00} s | {ratio:0.00} | {mode.Most:0.00} | "
                + $"{Median(theirs, run => run.Transfers) / (size / 1024.0):0.0}, {Median(ours, run => run.Transfers) / (size / 1024.0):0.0} | "
                + $"{(theirs.TrueForAll(run => run.IsRight) ? "no" : "WRONG")}, {(ours.TrueForAll(run => run.IsRight) ? "yes" : "WRONG")} | +{Median(ours, run => run.Total - run.Dfu):0.0} s |"));
        }
        return isGood;
    }

    private static Run Flash(Mode mode, string tool, bool isOurs, string folder, out int size)
    {
        var time = new VirtualTime { IsLive = true };
        var bytes = 0;
        var run = time.Run(async () =>
        {
            var octopus = Scenario.Find("octopus-in-dfu");
            var chip = mode.ChipTimes ? octopus.Boards[0].Chip : octopus.Boards[0].Chip with
            {
                ProgramTime = TimeSpan.Zero,
                Sectors = [.. octopus.Boards[0].Chip.Sectors.Select(sector => sector with { EraseTime = TimeSpan.Zero })],
            };
            var printer = VirtualPrinter.Create(
                octopus with { Boards = [octopus.Boards[0] with { Chip = chip }] }, time, mode.PollTimes ? null : new Faultiness { PollTime = TimeSpan.Zero });
            var board = printer.Boards[0];
            var image = board.BuildFirmware();
            bytes = image.Length;
            await File.WriteAllBytesAsync($"{folder}/klipper.bin", image);

            await using var server = UsbIpServer.Start(printer, 0, static _ => { });
            using var over = new CancellationTokenSource();
            var attacher = new VhciAttacher(printer, server.Port, static _ => { });
            var attaching = attacher.RunAsync(over.Token);
            using var hardware = new LinuxHardware(time);
            var device = await hardware.WaitForAsync(seen => seen.Devices.FirstOrDefault(found => found.Usb == UsbId.StmDfu), TimeSpan.FromSeconds(60), time, over.Token)
                ?? throw new InvalidOperationException("the kernel never listed the board");
            var arguments = isOurs
                ? $"flash btt-octopus-11 --port {device.Port} --firmware {folder}/klipper.bin --yes --log /dev/null"
                : $"-d 0483:df11 -p {device.Port} -a 0 -s 0x{Start:x8}:leave -D {folder}/klipper.bin";
            using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            var said = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.WaitForExitAsync();
            var end = time.Now;
            if (isOurs && process.ExitCode != 0)
                throw new InvalidOperationException(string.Concat(await said));
            var (first, last) = board.RomAsked ?? throw new InvalidOperationException("the board is still in its ROM: " + string.Concat(await said));
            await over.CancelAsync();
            await attaching.ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
            attacher.Detach();
            return new Run((last - first).TotalSeconds, (end - first).TotalSeconds, printer.Transfers, board.Flash.Read(Start, image.Length).SequenceEqual(image));
        });
        size = bytes;
        return run;
    }

    private static double Median(List<Run> runs, Func<Run, double> of) => runs.Select(of).Order().ElementAt(runs.Count / 2);
}
