using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Benchmarks;

/// <summary>Boards in no catalogue are asked what they are, all at once.</summary>
internal static class IdentifyBenchmark
{
    private static readonly string[] Machines = ["STM32F446", "STM32G0B1", "STM32H723", "STM32F072", "RP2040"];

    /// <param name="count">Of boards.</param>
    /// <returns>Virtual time from Klipper's stop to the request of its start; MB that the heap had more than before, at most.</returns>
    public static (TimeSpan Klipper, double Megabytes) Measure(int count)
    {
        var boards = Enumerable.Range(0, count).Select(i => new BoardTruth { Machine = Machines[i % Machines.Length] }
            .At($"board{i}", $"{2 + (i / 4)}-1.{1 + (i % 4)}"));
        var time = new VirtualTime();
        return time.Run(async () =>
        {
            var printer = VirtualPrinter.Create(new Scenario("many", "boards", [.. boards]), time);
            var (stopped, started, most) = (TimeSpan.Zero, TimeSpan.Zero, 0L);
            var before = GC.GetTotalMemory(forceFullCollection: true);
            var flasher = new Flasher(printer, printer.Klippy, time, new FlashServices(), step =>
            {
                most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: false));
                if (step is { Phase: FlashPhase.Stop, Kind: FlashEventKind.End })
                    stopped = step.At;
                else if (step is { Phase: FlashPhase.Start, Kind: FlashEventKind.Begin })
                    started = step.At;
                return ValueTask.CompletedTask;
            });
            var requests = printer.PrinterBoards.Select(board => new FlashRequest(board, null) { Job = FlashJob.Identify });
            var report = await flasher.FlashAsync([.. requests], CancellationToken.None);
            return report.Ok ? (started - stopped, (most - before) / 1e6)
                : throw new InvalidOperationException(string.Join('\n', report.Boards.Select(board => board.Fault?.Cause)));
        });
    }
}
