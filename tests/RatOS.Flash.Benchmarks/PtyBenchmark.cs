using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// The native program and Katapult's own flashtool.py, in turns, on the same virtual board at a real pseudo terminal. Both are timed on the
/// board's clock, from their first command to Katapult to the last: neither the start of Python nor our proof by the running firmware is in
/// it.
/// </summary>
internal static class PtyBenchmark
{
    private const int Rounds = 5;
    private const uint Start = 0x0800_8000;

    /// <summary>Debian's own, which finds Debian's python3-serial.</summary>
    private const string Python = "/usr/bin/python3";

    private sealed record Case(string Name, bool IsUart, bool ChipTimes, double Most);

    private sealed record Run(double Katapult, int Commands, bool IsRight);

    /// <param name="program">The published ratos-flash.</param>
    /// <param name="flashtool">A flashtool.py; null leaves its column out.</param>
    /// <returns>Whether every ratio is as it should be.</returns>
    public static bool Measure(string program, string? flashtool)
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        var isGood = true;
        Console.WriteLine(
            "| Katapult, F446, 43.4 KiB | flashtool.py | ratos-flash | ratio | limit | commands (theirs, ours) | flash right (theirs, "
            + "ours) |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var one in (Case[])[new("USB, no delays", false, false, 1.0), new("USB, chip times", false, true, 0.9),
                new("UART at 250000, chip times", true, true, 1.0)])
        {
            var (theirs, ours) = (new List<Run>(), new List<Run>());
            for (var round = -1; round < Rounds; round++)
            {
                foreach (var isOurs in (bool[])[round % 2 == 0, round % 2 != 0])
                {
                    if (!isOurs && flashtool is null)
                        continue;
                    var run = Flash(one, isOurs ? program : Python, isOurs ? null : flashtool, folder);
                    // The first of each is the compiler's: it is the board that is compiled as it runs.
                    if (round >= 0)
                        (isOurs ? ours : theirs).Add(run);
                }
            }
            var ratio = theirs.Count == 0 ? 0 : Median(ours, run => run.Katapult) / Median(theirs, run => run.Katapult);
            isGood &= ratio <= one.Most && ours.TrueForAll(run => run.IsRight);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {one.Name} | {Of(theirs, run => run.Katapult, " s")} | {Of(ours, run => run.Katapult, " s")} | {ratio:0.00} | "
                + $"{one.Most:0.00} | {Of(theirs, run => run.Commands, "", "0")}, {Of(ours, run => run.Commands, "", "0")} | "
                + $"{Right(theirs)}, {Right(ours)} |"));
        }
        Directory.Delete(folder, recursive: true);
        return isGood & Answers();
    }

    private static Run Flash(Case one, string tool, string? script, string folder)
    {
        var time = new VirtualTime { IsLive = true };
        return time.Run(async () =>
        {
            var scenario = Scenario.Find(one.IsUart ? "uart-katapult" : "octopus-half-written");
            var chip = scenario.Boards[0].Chip;
            if (!one.ChipTimes)
                chip = chip with
                {
                    ProgramTime = TimeSpan.Zero,
                    Sectors = [.. chip.Sectors.Select(sector => sector with { EraseTime = TimeSpan.Zero })]
                };
            var printer =
                VirtualPrinter.Create(scenario with { Boards = [scenario.Boards[0] with { Chip = chip, State = BoardState.Katapult }] },
                    time, null);
            using var ptys = VirtualPtys.Open(printer, $"{folder}/ports");
            var board = printer.Boards[0];
            var image = board.BuildFirmware();
            await File.WriteAllBytesAsync($"{folder}/klipper.bin", image);
            string[] arguments = script is null
                ? ["flash", "btt-octopus-11", "--port", ptys.Ports[0].Terminal, "--firmware", $"{folder}/klipper.bin", "--no-klipper",
                    "--yes", "--log", "/dev/null"]
                : [script, "-d", ptys.Ports[0].Terminal, "-f", $"{folder}/klipper.bin"];
            using var process =
                Process.Start(new ProcessStartInfo(tool,
                    arguments)
                { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
            var said = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
                throw new InvalidOperationException(string.Concat(await said));
            // It resets a moment after the last command.
            await Task.Delay(TimeSpan.FromSeconds(1), time);
            var (first, last, asked) = board.BootloaderCommands
                ?? throw new InvalidOperationException("the board is still in Katapult: " + string.Concat(await said));
            return new Run((last - first).TotalSeconds, asked, board.Flash.Read(Start, image.Length).SequenceEqual(image));
        });
    }

    /// <summary>
    /// How long a request and its answer take through System.IO.Ports, and through our own line, at a pseudo terminal that sends back what
    /// comes.
    /// </summary>
    private static bool Answers()
    {
        const int Exchanges = 500;
        var isOver = false;
        using var pty = Pty.Open();
        var echo = new Thread(() =>
        {
            var buffer = new byte[256];
            while (!Volatile.Read(ref isOver))
                pty.Write(buffer.AsSpan(0, pty.Read(buffer, TimeSpan.FromMilliseconds(50))));
        });
        echo.Start();
        var (theirs, ours) = (new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            theirs.AddRange(TheirsAsync(pty.Path, Exchanges).GetAwaiter().GetResult());
            ours.AddRange(OursAsync(pty.Path, Exchanges).GetAwaiter().GetResult());
        }
        Volatile.Write(ref isOver, true);
        echo.Join();
        var (their, our) = (theirs.Order().ElementAt(theirs.Count / 2), ours.Order().ElementAt(ours.Count / 2));
        Console.WriteLine("\n| a request of 16 bytes and its answer, at a pty (median) | System.IO.Ports | ours | ratio | limit |");
        Console.WriteLine("|---|---|---|---|---|");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| | {their:0.000} ms | {our:0.000} ms | {our / their:0.00} | 1.00 |"));
        return our <= their;
    }

    private static async Task<List<double>> TheirsAsync(string path, int exchanges)
    {
        using var port = new System.IO.Ports.SerialPort(path, 250_000);
        port.Open();
        return await ExchangeAsync(exchanges, bytes => port.BaseStream.WriteAsync(bytes), buffer => port.BaseStream.ReadAsync(buffer));
    }

    private static async Task<List<double>> OursAsync(string path, int exchanges)
    {
        var device = new Device { Port = path, Number = 1, Node = path };
        await using var line = new SerialLine(device, SerialPort.Open(device, SerialMode.Klipper), TimeProvider.System);
        return await ExchangeAsync(exchanges, bytes => line.WriteAsync(bytes), buffer => line.ReadAsync(buffer, TimeSpan.FromSeconds(5)));
    }

    private static async Task<List<double>> ExchangeAsync(int exchanges, Func<ReadOnlyMemory<byte>, ValueTask> write, Func<Memory<byte>,
        ValueTask<int>> read)
    {
        var (took, request, answer) = (new List<double>(), new byte[16], new byte[16]);
        for (var i = -50; i < exchanges; i++)
        {
            request[0] = (byte)i;
            var begin = Stopwatch.GetTimestamp();
            await write(request);
            for (var got = 0; got < answer.Length;)
            {
                var length = await read(answer.AsMemory(got));
                got += length > 0 ? length : throw new InvalidOperationException("no answer");
            }
            if (i >= 0)
                took.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            if (!answer.AsSpan().SequenceEqual(request))
                throw new InvalidOperationException("another answer");
        }
        return took;
    }

    private static string Of(List<Run> runs, Func<Run, double> of, string unit, string format = "0.000") =>
        runs.Count == 0 ? "-" : Median(runs, of).ToString(format, CultureInfo.InvariantCulture) + unit;

    private static string Right(List<Run> runs) => runs.Count == 0 ? "-" : runs.TrueForAll(run => run.IsRight) ? "yes" : "WRONG";

    private static double Median(List<Run> runs, Func<Run, double> of) => runs.Select(of).Order().ElementAt(runs.Count / 2);
}
