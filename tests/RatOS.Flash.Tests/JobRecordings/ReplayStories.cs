using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>A recording replays, and a divergence of the engine is reported.</summary>
public sealed class ReplayStories
{
    public static TheoryData<string> Scenarios => [.. Scenario.All.Select(scenario => scenario.Name)];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Every_scenario_replays_as_recorded(string scenario)
    {
        var (bytes, report, _) = RecordedJob.Record(scenario);
        RecordedJob.PlayedAlike(bytes, report);
    }

    [Theory]
    [InlineData("octopus")]
    [InlineData("octopus-katapult")]
    [InlineData("uart-rom")]
    [InlineData("can-bridge")]
    [InlineData("voron")]
    public void Flashes_with_faults_replay_as_recorded(string scenario)
    {
        for (var seed = 1; seed <= 40; seed++)
        {
            var (bytes, report, _) = RecordedJob.Record(scenario, InjectedFaults.FromSeed(seed));
            RecordedJob.PlayedAlike(bytes, report);
        }
    }

    /// <summary>The name follows from the date, and a replay has another one.</summary>
    [Fact]
    public void A_card_for_a_board_known_by_its_pins_replays_with_the_recorded_name()
    {
        var board = new BoardSetup("manta-m8p", "btt-manta-m8p", VirtualChip.G0B1, 0x0800_2000, "1-1.1")
        {
            CardFile = new(null) { Folder = "UPDATE", NeedsNewName = true, Encoding = CardEncoding.MksRobin },
            PinsIn = "generic-x.cfg",
        };
        var scenario = new Scenario("new-name", "", board) { HasCard = true, Faults = new() { OperatorAfter = TimeSpan.FromMinutes(1) } };
        var (bytes, report, _) = RecordedJob.Record(scenario);
        Assert.True(report.Ok, report.Boards[0].Fault?.Cause);
        Assert.Contains(RecordedJob.PlayedAlike(bytes, report).Events, step => step.Kind == FlashEventKind.Note
            && step.Message.Contains("the stock bootloader, known by its pins in generic-x.cfg, installs a file with a new name",
                StringComparison.Ordinal));
    }

    [Fact]
    public void The_same_flash_gives_the_same_recording_which_holds_the_image_once()
    {
        var (first, report, _) = RecordedJob.Record("octopus-katapult");
        Assert.Equal(first, RecordedJob.Record("octopus-katapult").Bytes);
        // 43.4 KiB are written and read back: as hex that would be 178 KiB besides the image.
        Assert.InRange(first.Length, 1000, 360_000);
        Assert.True(report.Ok);
    }

    [Fact]
    public void An_engine_with_another_call_diverges_at_it()
    {
        var text = Encoding.UTF8.GetString(RecordedJob.Record("octopus").Bytes).Split('\n');
        // The engine of that day read a status (request 3) where ours writes a block (request 1).
        var at = Array.FindIndex(
            text, line => line.Contains(" control ", StringComparison.Ordinal) && line.Split(' ') is [_, _, _, _, "33", "1", "3", ..]);
        var words = text[at].Split(' ');
        (words[4], words[5]) = ("161", "3");
        text[at] = string.Join(' ', words[..9]) + " = ok Ok 0";
        var recording = RecordedJob.Read(Encoding.UTF8.GetBytes(string.Join('\n', text)));
        var replay = Replay.Run(recording);
        Assert.Null(replay.Report);
        Assert.Contains("type 161, request 3, value 3", replay.Divergence!.Recorded, StringComparison.Ordinal);
        Assert.Contains("type 33, request 1, value 3", replay.Divergence.Today, StringComparison.Ordinal);
        Assert.Equal(
            recording.Lines.First(line => line.Data is null && line.Verb == "control" && line.Words is ["161", "3", "3", ..]).Begun,
            recording.Begin!.At + replay.Divergence.At.Ticks);
        Assert.Contains(replay.Events, step => step.Phase == FlashPhase.Write);
        Assert.False(replay.EndsEarly);
    }

    [Theory]
    [InlineData("octopus")]
    [InlineData("octopus-katapult")]
    public void Where_the_engine_is_slower_today_boards_leave_and_answer_later_too(string scenario)
    {
        var (bytes, report, _) = RecordedJob.Record(scenario);
        var text = Encoding.UTF8.GetString(bytes).Split('\n');
        // As if Klipper had taken seven seconds more to stop: all later calls are that much later.
        var at = Array.FindIndex(text, line => line.Contains(" klippy stop ", StringComparison.Ordinal));
        var words = text[at].Split(' ');
        words[3] = words[0];
        text[at] = string.Join(' ', words);
        RecordedJob.PlayedAlike(Encoding.UTF8.GetBytes(string.Join('\n', text)), report);
    }

    [Fact]
    public void Another_verdict_is_a_divergence()
    {
        var text = Encoding.UTF8.GetString(RecordedJob.Record("octopus").Bytes).Replace(
            "octopus ok Flashed", "octopus failed Unconfirmed", StringComparison.Ordinal);
        var replay = Replay.Run(RecordedJob.Read(Encoding.UTF8.GetBytes(text)));
        Assert.Contains("Unconfirmed", replay.Divergence!.Recorded, StringComparison.Ordinal);
        Assert.Contains("Flashed", replay.Divergence.Today, StringComparison.Ordinal);
    }

    [Fact]
    public void A_truncated_recording_replays_to_its_end()
    {
        var text = Encoding.UTF8.GetString(RecordedJob.Record("octopus").Bytes);
        // In the middle of a word, so that the last line is torn too.
        var end = text.IndexOf(" write ", text.Length * 9 / 10, StringComparison.Ordinal) + 3;
        var recording = RecordedJob.Read(Encoding.UTF8.GetBytes(text[..end]));
        Assert.Equal("it is torn", recording.Damage?.Split(": ")[1]);
        var replay = Replay.Run(recording);
        Assert.True(replay.EndsEarly, $"{replay.Divergence}");
        Assert.Contains(replay.Events, step => step.Phase == FlashPhase.Write);
    }

    [Fact]
    public void A_cancel_is_replayed_too()
    {
        var bytes = RecordedJob.Record("octopus", onEvent: (recorder, step) =>
        {
            if (step is { Phase: FlashPhase.Enter, Kind: FlashEventKind.Begin })
                recorder.Cancel();
        }).Bytes;
        // The recording has a cancel that its engine ignored.
        var replay = Replay.Run(RecordedJob.Read(bytes));
        Assert.NotNull(replay.Divergence);
        Assert.Contains(replay.Events, step => step.Phase == FlashPhase.Ask);
        Assert.DoesNotContain(replay.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
    }

    [Fact]
    public void Lines_between_jobs_are_kept_and_precede_the_next_job()
    {
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create("octopus", time);
            var told = new List<string>();
            var recorder = new CallRecorder(time) { BetweenJobs = told.Add };
            recorder.Record(printer);
            for (var i = 0; i < 200; i++)
            {
                printer.Boards[0].Unplug();
                await Task.Delay(TimeSpan.FromSeconds(1), time);
                printer.Boards[0].Plug();
                await Task.Delay(TimeSpan.FromSeconds(3), time);
            }
            var file = new MemoryStream();
            recorder.Begin(file, "0.1.0", [], hasOperator: false, readOut: []);
            recorder.End();
            var lines = Encoding.UTF8.GetString(file.ToArray()).Split('\n');
            Assert.True(told.Count > 800, $"{told.Count}");
            Assert.Contains(told, line => line.Contains(" bus left ", StringComparison.Ordinal));
            Assert.Equal(told.TakeLast(256), lines[1..257]);
            Assert.DoesNotContain(told[^257], lines);
            Assert.True(RecordedJob.Read(file.ToArray()).IsWhole);
        });
    }

    [Fact]
    public void A_timeline_shows_events_devices_faults_and_amounts()
    {
        var bytes = RecordedJob.Record("octopus",
            new InjectedFaults { Transfers = [new(180, TransferFaultKind.Unplug, TimeSpan.FromSeconds(5))] }).Bytes;
        var timeline = string.Join('\n', RecordingTimeline.Of(RecordedJob.Read(bytes)));
        foreach (var told in (string[])["octopus Enter Begin", "0483:df11 at 1-1.1 came", "1-1.1 2 left", "klippy: stop", "touch 1200",
                "gone:", "out with", "octopus is Flashed, ok"])
            Assert.Contains(told, timeline, StringComparison.Ordinal);
        Assert.True(timeline.Split('\n').Length < 250, $"{timeline.Split('\n').Length} lines");
    }
}
