using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>The queue when its own code fails.</summary>
public sealed class FlashQueueTests
{
    [Fact]
    public void A_job_ends_whatever_fails_and_the_next_flash_of_its_board_does_not_join_it()
    {
        var folder = Directory.CreateTempSubdirectory("rf-");
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create("octopus", time);
            using var log = LogFile.Open(Path.Combine(folder.FullName, "log"), static _ => { });
            var place = PrinterAccess.Of(printer, new VirtualPlace("octopus", Path.Combine(folder.FullName, "v"), 0, null));
            var local = new LocalBoards(place, new KnownMcus(place, [], null, log), _ => printer.Klippy, log);
            var queue = new FlashQueue(
                local, Path.Combine(folder.FullName, "jobs"), (_, _) => printer.Klippy,
                token => Task.Delay(Timeout.InfiniteTimeSpan, time, token), log);
            using var over = new CancellationTokenSource();
            var options = new FlashOptions(["octopus"]);
            var broken = new Job("test", options, await local.RequestAsync(options), time);
            broken.Happened += static _ => throw new InvalidOperationException("a follower with a bug");
            queue.Ended += static _ => throw new InvalidOperationException("another one");
            Assert.Same(broken, queue.Add(broken));
            var work = queue.RunAsync(over.Token);
            Assert.Equal("internal-error", Assert.Single((await broken.Done).Boards).Fault!.Code);

            var next = new Job("test", options, await local.RequestAsync(options), time);
            Assert.Same(next, queue.Add(next));
            Assert.True((await next.Done).Ok);
            Assert.Empty(queue.Open);
            over.Cancel();
            await work;
        });
        folder.Delete(recursive: true);
    }
}
