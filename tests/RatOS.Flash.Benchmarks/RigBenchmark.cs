using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// The native program and the real dfu-util (and Katapult's flashtool.py, if it is named), in turns, on the same virtual board through the
/// same kernel: in the guest of tests/usb-rig. Both are timed on the board's clock, from the first request to the bootloader to the last;
/// what we do beyond that (identify, reset, identify) is a column of its own.
/// </summary>
internal static class RigBenchmark
{
    private const uint Start = 0x0800_8000;

    private sealed record Mode(string Name, bool BusTime, bool ChipTimes, bool PollTimes, double? Most);

    /// <param name="Scenario">The board, in its bootloader.</param>
    /// <param name="Id">What it is on the bus then.</param>
    /// <param name="Tool">The other one: dfu-util, or Python with flashtool.py.</param>
    /// <param name="Arguments">Its arguments, given the port, the node and the file.</param>
    private sealed record Peer(string Scenario, UsbId Id, string Tool, Func<Device, string, string> Arguments);

    private static readonly Peer DfuUtil = new("octopus-in-dfu", DfuSeDriver.Id, "dfu-util", static (device, file) =>
        $"-d 0483:df11 -p {device.Port} -a 0 -s 0x{Start:x8}:leave -D {file}");

    private sealed record Run(double Dfu, double Total, int Requests, bool IsRight);

    /// <param name="program">The published ratos-flash.</param>
    /// <param name="rounds">How often each of them flashes; a machine that does other things as well needs more.</param>
    /// <param name="flashtool">What runs Katapult's flashtool.py, and its path; null leaves it out.</param>
    /// <returns>Whether every ratio is as it should be.</returns>
    public static bool Measure(string program, int rounds, (string Python, string Script)? flashtool)
    {
        var isGood = Measure(program, rounds, "dfu-util", DfuUtil, "DFU requests per KiB",
        [
            new("no delays", false, false, false, 1.0),
            new("the bus's time alone", true, false, false, null),   // reading back carries as many bytes as writing
            new("bus and ROM poll times", true, false, true, 0.5),
            new("bus, poll and chip times", true, true, true, 0.45),
        ]);
        if (flashtool is { } theirs)
        {
            var peer = new Peer("octopus-half-written", KatapultDriver.Id, theirs.Python, (device, file) =>
                $"{theirs.Script} -d {device.Node} -f {file}");
            isGood &= Measure(program, rounds, "flashtool.py", peer, "commands per KiB",
                [new("no delays", false, false, false, 1.0), new("bus and chip times", true, true, false, 0.9)]);
        }
        return isGood & Seen(rounds);
    }

    private static bool Measure(string program, int rounds, string name, Peer peer, string requests, Mode[] modes)
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        var isGood = true;
        Console.WriteLine(
            $"| F446, 43.4 KiB: median (minimum) | {name} | ratos-flash | ratio | limit | {requests} (theirs, ours) | flash right "
            + $"(theirs, ours) | our proof by the firmware |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var mode in modes)
        {
            var (theirs, ours, size) = (new List<Run>(), new List<Run>(), 0);
            for (var round = -1; round < rounds; round++)
            {
                // The first one of each is the compiler's: it is the board that is compiled as it runs.
                foreach (var isOurs in (bool[])[round % 2 == 0, round % 2 != 0])
                {
                    var run = Flash(mode, peer, isOurs ? program : null, folder, out size);
                    if (round >= 0)
                        (isOurs ? ours : theirs).Add(run);
                }
            }
            var ratio = Median(ours, run => run.Dfu) / Median(theirs, run => run.Dfu);
            isGood &= ratio <= (mode.Most ?? ratio) && ours.TrueForAll(run => run.IsRight);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {mode.Name} | {Seconds(theirs)} | {Seconds(ours)} | {ratio:0.00} | "
                + $"{mode.Most?.ToString("0.00", CultureInfo.InvariantCulture) ?? "-"} | "
                + $"{Median(theirs, run => run.Requests) / (size / 1024.0):0.0}, "
                + $"{Median(ours, run => run.Requests) / (size / 1024.0):0.0} | "
                + $"{(theirs.TrueForAll(run => run.IsRight) ? "yes" : "WRONG")}, "
                + $"{(ours.TrueForAll(run => run.IsRight) ? "yes" : "WRONG")} | +{Median(ours, run => run.Total - run.Dfu):0.0} s |"));
        }
        Console.WriteLine();
        return isGood;
    }

    /// <summary>
    /// How long after the kernel's and udev's last announcement of a board it is listed here, beside the whole of its enumeration.
    /// </summary>
    private static bool Seen(int rounds)
    {
        var (delays, enumerations) = (new List<double>(), new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            var time = new VirtualTime { IsLive = true };
            time.Run(async () =>
            {
                var (announced, attached) = (0L, 0L);
                using var events = new Uevents(() => Volatile.Write(ref announced, TimeProvider.System.GetTimestamp()));
                await using var board = await Attached.CreateAsync(Scenario.Find("octopus"), null, () =>
                    attached = TimeProvider.System.GetTimestamp(), UsbId.Klipper, time);
                var seen = TimeProvider.System.GetTimestamp();
                delays.Add(Math.Max(0, TimeProvider.System.GetElapsedTime(Volatile.Read(ref announced), seen).TotalMilliseconds));
                enumerations.Add(TimeProvider.System.GetElapsedTime(attached, seen).TotalMilliseconds);
                return true;
            });
        }
        var (delay, enumeration) = (delays.Order().ElementAt(rounds / 2), enumerations.Order().ElementAt(rounds / 2));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"\nFrom the last announcement of a board until it is listed: {delay:0.0} ms, {delay / enumeration:0.00} of its enumeration "
            + $"of {enumeration:0} ms (at most 0.10)."));
        return delay / enumeration <= 0.1;
    }

    /// <summary>One virtual printer whose boards are in this computer's kernel.</summary>
    private sealed class Attached : IAsyncDisposable
    {
        private readonly UsbIpServer _server;
        private readonly VhciAttacher _attacher;
        private readonly CancellationTokenSource _over = new();
        private readonly LinuxHardware _hardware;
        private readonly Task _attaching;

        private Attached(VirtualPrinter printer, Action attached)
        {
            Printer = printer;
            _hardware = new LinuxHardware(printer.Time);
            _server = UsbIpServer.Start(printer, 0, static _ => { });
            _attacher = new VhciAttacher(printer, _server.Port, _ => attached());
            _attaching = _attacher.RunAsync(_over.Token);
        }

        public VirtualPrinter Printer { get; }

        public Device Device { get; private set; } = null!;

        /// <param name="attached">Called when the kernel was given the device.</param>
        /// <param name="id">What is waited for.</param>
        public static async Task<Attached> CreateAsync(Scenario scenario, InjectedFaults? faults, Action attached,
            UsbId id, VirtualTime time)
        {
            var board = new Attached(VirtualPrinter.Create(scenario, time, faults), attached);
            board.Device = await board._hardware.WaitForAsync(seen => seen.Devices.FirstOrDefault(found => found.Usb == id),
                TimeSpan.FromSeconds(60), time, CancellationToken.None)
                ?? throw new InvalidOperationException("the kernel never listed the board");
            return board;
        }

        public async ValueTask DisposeAsync()
        {
            await _over.CancelAsync();
            await _attaching.ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
            _attacher.Detach();
            await _server.DisposeAsync();
            _hardware.Dispose();
            _over.Dispose();
        }
    }

    private static Run Flash(Mode mode, Peer peer, string? program, string folder, out int size)
    {
        var time = new VirtualTime { IsLive = true };
        var bytes = 0;
        var run = time.Run(async () =>
        {
            var octopus = Scenario.Find(peer.Scenario);
            var chip = mode.ChipTimes ? octopus.Boards[0].Chip : octopus.Boards[0].Chip with
            {
                ProgramTime = TimeSpan.Zero,
                Sectors = [.. octopus.Boards[0].Chip.Sectors.Select(sector => sector with { EraseTime = TimeSpan.Zero })],
            };
            await using var attached = await Attached.CreateAsync(
                octopus with { Boards = [octopus.Boards[0] with { Chip = chip }] },
                mode.PollTimes ? null : new InjectedFaults { PollTime = TimeSpan.Zero }, static () => { }, peer.Id, time);
            var board = attached.Printer.Boards[0];
            attached.Printer.HasBusTime = mode.BusTime;
            var image = board.BuildFirmware();
            bytes = image.Length;
            await File.WriteAllBytesAsync($"{folder}/klipper.bin", image);
            var file = $"{folder}/klipper.bin";
            var arguments = program is null ? peer.Arguments(attached.Device, file)
                : $"flash btt-octopus-11 --port {attached.Device.Port} --firmware {file} --yes --log /dev/null";
            using var process =
                Process.Start(new ProcessStartInfo(program ?? peer.Tool,
                    arguments)
                { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            var said = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.WaitForExitAsync();
            var end = time.Now;
            if (program is not null && process.ExitCode != 0)
                throw new InvalidOperationException(string.Concat(await said));
            // Katapult resets a moment after its last command.
            await Task.Delay(TimeSpan.FromSeconds(1), time);
            var (first, last, asked) = board.BootloaderCommands
                ?? throw new InvalidOperationException("the board is still in its bootloader: " + string.Concat(await said));
            return new Run((last - first).TotalSeconds, (end - first).TotalSeconds, asked,
                board.Flash.Read(Start, image.Length).SequenceEqual(image));
        });
        size = bytes;
        return run;
    }

    private static string Seconds(List<Run> runs) =>
        string.Create(CultureInfo.InvariantCulture, $"{Median(runs, run => run.Dfu):0.00} s ({runs.Min(run => run.Dfu):0.00})");

    private static double Median(List<Run> runs, Func<Run, double> of) => runs.Select(of).Order().ElementAt(runs.Count / 2);
}
