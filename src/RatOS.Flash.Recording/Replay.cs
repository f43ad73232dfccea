using System.Collections.Immutable;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Recording;

/// <summary>What today's engine does with a recording.</summary>
/// <param name="Report">Its verdicts; null when it left the recording before it had any.</param>
/// <param name="Departure">Where it left the recording; null when it did all that was recorded, and nothing else.</param>
/// <param name="Events">What it told until then.</param>
public sealed record Replay(FlashReport? Report, Departure? Departure, ImmutableArray<FlashEvent> Events)
{
    /// <summary>The recording itself ends too early to go on; that is nothing that the engine does otherwise.</summary>
    public bool EndsEarly => Departure is { Recorded: null, Today: not null };

    /// <summary>Plays a recording against today's engine, on virtual time.</summary>
    /// <exception cref="FlashException">It cannot be played.</exception>
    public static Replay Run(JobRecording recording)
    {
        var requests = recording.Requests();
        var time = new VirtualTime();
        var tape = new Tape(recording, time);
        var events = new List<FlashEvent>();
        try
        {
            return time.Run(() => PlayAsync(recording, requests, tape, time, events));
        }
        catch (InvalidOperationException)
        {
            // Everybody waits for something that was not recorded.
            return new(null, Behind(tape, "waits for what does not come"), [.. events]);
        }
    }

    private static async Task<Replay> PlayAsync(JobRecording recording, IReadOnlyList<FlashRequest> requests, Tape tape, VirtualTime time, List<FlashEvent> events)
    {
        using var cancel = new CancellationTokenSource();
        var services = new RecordedServices(recording) { HasOperator = recording.Begin!.Words.FirstOrDefault() == "1" };
        var flasher = new Flasher(new ReplayHardware(recording, tape), new ReplayKlippy(tape), time, services, step =>
        {
            events.Add(step);
            return ValueTask.CompletedTask;
        });
        var flash = flasher.FlashAsync(requests, cancel.Token);
        _ = CancelAsync();
        if (await Task.WhenAny(flash, tape.Departed) != flash)
            return new(null, await tape.Departed, [.. events]);
        var report = await flash;
        return new(report, Behind(tape, null) ?? Other(recording, report, tape), [.. events]);

        async Task CancelAsync()
        {
            if (recording.Lines.FirstOrDefault(line => line is { Channel: "job", Verb: "cancel" }) is not { } line)
                return;
            await tape.UntilAsync(line.At);
            Cancel();
        }

        // Here and now: CancelAsync would do it on another thread, and this time has one alone.
        void Cancel() => cancel.Cancel();
    }

    private static Departure? Behind(Tape tape, string? today) => tape.Rest() is { } rest ? rest with { Today = today } : null;

    /// <summary>The same was done, and something else made of it.</summary>
    private static Departure? Other(JobRecording recording, FlashReport report, Tape tape)
    {
        foreach (var (board, condition, code) in recording.Verdicts)
        {
            if (report.Boards.FirstOrDefault(one => one.Board == board) is { } today && ($"{today.Condition}", today.Ok ? "ok" : today.Fault?.Code) != (condition, code))
                return new(tape.Of(recording.Lines[^1].At), $"the verdict on {board}: {code}, {condition}", $"the verdict {(today.Ok ? "ok" : today.Fault?.Code)}, {today.Condition}");
        }
        return null;
    }

    /// <summary>Builds as they were recorded; old firmware is read out again, and dropped.</summary>
    private sealed class RecordedServices(JobRecording recording) : FlashServices
    {
        public override bool CanBuild => recording.Lines.Any(line => line is { Channel: "job", Verb: "built" });

        public override Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
            IReadOnlyList<PrinterBoard> boards, Func<BuildProgress, ValueTask> progress, CancellationToken cancel)
        {
            var built = new Dictionary<string, BuiltOrNot>(StringComparer.Ordinal);
            foreach (var line in recording.Lines.Where(line => line is { Channel: "job", Verb: "built" }))
            {
                if (line.Words is not [{ } name] || boards.All(board => board.Name != name))
                    continue;
                built[name] = line.Answer is { Kind: "fault", Words: [{ } code, { } cause, { } remedy] }
                    ? new(null, new FlashException(code, cause, remedy))
                    : new(new BuiltFirmware(recording.Image(DeviceWords.Int(line.Answer.Word(0)), name), "", "", "", "", IsFromCache: true, TimeSpan.Zero), null);
            }
            return Task.FromResult<IReadOnlyDictionary<string, BuiltOrNot>>(built);
        }

        public override bool WantsOldFirmware(string board) => recording.Begin!.Words.Skip(1).Contains(board);
    }
}
