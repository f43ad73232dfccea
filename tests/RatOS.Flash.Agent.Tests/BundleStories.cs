using System.IO.Compression;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A client requests a bundle from the running agent.</summary>
public sealed class BundleStories
{
    [Fact]
    public void A_screen_requests_a_bundle_and_it_replays_on_another_computer() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        var job = await story.UntilOverAsync();
        var answer = await story.RequestAsync("bundle", ("job", job.Job));
        var file = answer.Word("file")!;
        Assert.Equal(Path.Combine(story.Data.Root, "logs"), Path.GetDirectoryName(file));
        using (var zip = ZipFile.OpenRead(file))
        {
            using var reader = new StreamReader(zip.GetEntry("recording.txt")!.Open());
            var recording = await reader.ReadToEndAsync();
            // What Moonraker says is there while the job runs, and only then.
            Assert.Contains(" moonraker call 0 machine.services.stop ", recording, StringComparison.Ordinal);
            Assert.Contains(" moonraker said 0 notify_klippy_ready ", recording, StringComparison.Ordinal);
            Assert.DoesNotContain("server.connection.identify", recording, StringComparison.Ordinal);
        }
        var replay = Replay.Run(BundleFile.Read(file));
        Assert.True(replay.Divergence is null, $"{replay.Divergence}");
        Assert.True(replay.Report!.Ok);
        Assert.Equal("unknown-job", (await story.RequestAsync("bundle", ("job", "../../etc"))).Word("error", "code"));
    });

    [Fact]
    public void A_board_that_left_between_two_jobs_is_in_the_bundle() => AgentStory.Of(async story =>
    {
        story.Printer.Boards[0].Unplug();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        story.Printer.Boards[0].Plug();
        await Task.Delay(TimeSpan.FromSeconds(5), story.Time);
        using var zip = ZipFile.OpenRead((await story.RequestAsync("bundle")).Word("file")!);
        using var reader = new StreamReader(zip.GetEntry("between-jobs/between.log")!.Open());
        var lines = await reader.ReadToEndAsync();
        Assert.Contains(" bus left 0 1-1.1 ", lines, StringComparison.Ordinal);
        Assert.Contains(" bus came 0 1-1.1 ", lines, StringComparison.Ordinal);
        Assert.DoesNotContain(" moonraker ", lines, StringComparison.Ordinal);
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        await story.Printer.Klippy.StartAsync();
        // For the next agent.
        await story.StopAgentsAsync();
        Assert.Contains(" bus left 0 1-1.1 ", await File.ReadAllTextAsync(story.Data.Between), StringComparison.Ordinal);
    });
}
