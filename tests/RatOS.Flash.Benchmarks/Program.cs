using System.Diagnostics;
using System.Globalization;
using RatOS.Flash.Benchmarks;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

if (args is ["rig", var program, var rounds, .. var flashtool])
    return RigBenchmark.Measure(program, int.Parse(rounds, CultureInfo.InvariantCulture),
        flashtool is [var python, var path] ? (python, path) : null) ? 0 : 1;
if (args is ["pty", var native, .. var rest])
    return PtyBenchmark.Measure(native, rest is ["--flashtool", var script] ? script : null) ? 0 : 1;
if (args is ["agent", var published])
    return await AgentBenchmark.MeasureAsync(published) ? 0 : 1;
if (args is ["page", var shown])
    return await PageBenchmark.MeasureAsync(shown) ? 0 : 1;
if (args is ["load", var loaded, .. var span])
    return await LoadBenchmark.MeasureAsync(loaded, span is [var seconds] ? int.Parse(seconds, CultureInfo.InvariantCulture) : 60) ? 0 : 1;
if (args is ["hold"])
{
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{HoldBenchmark.Measure()}"));
    return 0;
}
if (args is ["pins"])
{
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{PinBenchmark.Measure()}"));
    return 0;
}
if (args is ["identify", var many])
{
    var asked = IdentifyBenchmark.Measure(int.Parse(many, CultureInfo.InvariantCulture));
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{asked}"));
    return 0;
}
if (args is ["build", "--klipper", var klipper])
    return await BuildBenchmark.MeasureAsync(klipper) ? 0 : 1;

// Figures as ratios beside a floor that no tool can go below on the same model. With `--binary PATH` the start of the published program
// too.
var rows = new List<(string What, string Ours, string Beside, double Ratio, double Most)>();
Add("DFU, F446: erase + write + read back", Measure("octopus"), Floors.Dfu(VirtualChip.F446, 0x0800_8000, Size("octopus")), "floor", 1.25);
Add("Katapult, F446 on USB: the same, in the safe order", Measure("octopus-katapult"),
    Floors.KatapultUsb(VirtualChip.F446, 0x0800_8000, Size("octopus")), "floor", 1.15);
Add("Katapult, F446 on a UART at 250000", Measure("uart-katapult"),
    Floors.KatapultUartOneByOne(VirtualChip.F446, 0x0800_8000, Size("octopus")), "one by one", 0.95);
Add("PICOBOOT, RP2040: erase + write + read back", Measure("rp2040"),
    Floors.Picoboot(VirtualChip.Rp2040, 0x1000_0000, Size("rp2040")), "flash chip", 1.25);

var alone = Enumerable.Range(0, 3).Max(board => Down("voron", board));
Add("Klipper's down time, F446, G0B1 and H723 in one stop", Down("voron", null), alone, "the slowest alone", 1.15);

const int Flashes = 2000;
for (var seed = 0; seed < 200; seed++)
    Seeded(seed);   // warm-up
var process = Process.GetCurrentProcess();
var before = process.TotalProcessorTime;
for (var seed = 0; seed < Flashes; seed++)
    Seeded(seed);
process.Refresh();
var cpu = (process.TotalProcessorTime - before) / Flashes;
rows.Add(($"A full seeded flash, CPU (mean of {Flashes})", $"{cpu.TotalMilliseconds:0.00} ms", "5 ms", cpu.TotalMilliseconds / 5, 1));

var (worst, hold) = HoldBenchmark.Measure();
rows.Add(($"Longest hold of the agent's thread by a crafted file ({worst})", $"{hold:0.0} ms", "50 ms", hold / 50, 1));

var (_, matched) = PinBenchmark.Measure();
rows.Add(("Pins of 4 MCUs against 250 configurations of Klipper", $"{matched:0.00} ms", "50 ms", matched / 50, 1));

var (asking, _) = IdentifyBenchmark.Measure(3);
rows.Add(("Asking three boards, from Klipper's stop to its start", $"{asking.TotalSeconds:0.00} s", "3 s", asking.TotalSeconds / 3, 1));
var (_, heap) = IdentifyBenchmark.Measure(46);
rows.Add(("Asking 46 boards: the heap grows by", $"{heap:0.0} MB", "40 MB", heap / 40, 1));

if (args is ["--binary", var binary])
{
    var starts = new List<double>();
    for (var i = 0; i < 30; i++)
    {
        var begin = Stopwatch.GetTimestamp();
        using var started =
            Process.Start(new ProcessStartInfo(binary, "--version") { RedirectStandardOutput = true, UseShellExecute = false })!;
        started.WaitForExit();
        starts.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
    }
    starts.Sort();
    rows.Add(("Cold start of the native program (`--version`, median of 30)", $"{starts[15]:0.0} ms", "15 ms", starts[15] / 15, 1));
}

Console.WriteLine("| measurement | ours | compared with | ratio | limit |");
Console.WriteLine("|---|---|---|---|---|");
foreach (var (what, ours, beside, ratio, most) in rows)
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {what} | {ours} | {beside} | {ratio:0.00} | {most:0.00} |"));
return rows.TrueForAll(row => row.Ratio <= row.Most) ? 0 : 1;

void Add(string what, TimeSpan ours, TimeSpan beside, string name, double most) =>
    rows.Add((what, $"{ours.TotalSeconds:0.000} s", $"{beside.TotalSeconds:0.000} s ({name})", ours / beside, most));

// From the first erase (Katapult: the first block) to the end of the read-back, on the board's clock.
static TimeSpan Measure(string scenario)
{
    var (begin, end) = (TimeSpan.Zero, TimeSpan.Zero);
    Flash(scenario, InjectedFaults.None, step =>
    {
        if (step.Kind == FlashEventKind.PointOfNoReturn)
            begin = step.At;
        if (step is { Phase: FlashPhase.Verify, Kind: FlashEventKind.End })
            end = step.At;
    });
    return end - begin;
}

// From the stop of Klipper until it is ready again; one board of the printer, or all of them.
static TimeSpan Down(string scenario, int? only)
{
    var (begin, end) = (TimeSpan.Zero, TimeSpan.Zero);
    FlashBoards(scenario, InjectedFaults.None, step =>
    {
        if (step is { Phase: FlashPhase.Stop, Kind: FlashEventKind.Begin })
            begin = step.At;
        if (step is { Phase: FlashPhase.Start, Kind: FlashEventKind.End })
            end = step.At;
    }, only);
    return end - begin;
}

static int Size(string scenario)
{
    var size = 0;
    VirtualTime.Run(time =>
    {
        size = VirtualPrinter.Create(scenario, time).Boards[0].BuildFirmware().Length;
        return Task.CompletedTask;
    });
    return size;
}

static void Seeded(int seed) => Flash(seed % 2 == 0 ? "octopus" : "octopus-katapult", InjectedFaults.FromSeed(seed), static _ => { });

static void Flash(string scenario, InjectedFaults faults, Action<FlashEvent> onEvent) => FlashBoards(scenario, faults, onEvent, 0);

static void FlashBoards(string scenario, InjectedFaults faults, Action<FlashEvent> onEvent, int? only) => VirtualTime.Run(async time =>
{
    var printer = VirtualPrinter.Create(scenario, time, faults);
    var flasher = new Flasher(printer, printer.Klippy, time, new FlashServices(), step =>
    {
        onEvent(step);
        return ValueTask.CompletedTask;
    });
    var requests = printer.Boards.Zip(printer.PrinterBoards, (board, known) =>
        new FlashRequest(known, FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin")));
    var report = await flasher.FlashAsync([.. only is { } one ? requests.Skip(one).Take(1) : requests], CancellationToken.None);
    if (faults == InjectedFaults.None && !report.Ok)
        throw new InvalidOperationException(report.Boards[0].Fault?.Cause);
});
