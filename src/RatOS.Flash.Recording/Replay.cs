using System.Collections.Immutable;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using static RatOS.Flash.Recording.RecordingWords;

namespace RatOS.Flash.Recording;

/// <summary>The result of replaying a recording against today's engine.</summary>
/// <param name="Report">Its verdicts; null when it diverged before it had any.</param>
/// <param name="Divergence">The first call that differs from the recording; null where none does.</param>
/// <param name="Events">Its events until then.</param>
public sealed record Replay(FlashReport? Report, Divergence? Divergence, ImmutableArray<FlashEvent> Events)
{
    /// <summary>The recording ends too early to continue, and nothing before differs.</summary>
    public bool EndsEarly => Divergence is { Recorded: null, Today: not null };

    /// <summary>Replays a recording on virtual time.</summary>
    /// <exception cref="FlashException">It cannot be replayed.</exception>
    public static Replay Run(JobRecording recording)
    {
        var requests = recording.Requests();
        var time = new VirtualTime();
        var session = new ReplaySession(recording, time);
        var events = new List<FlashEvent>();
        try
        {
            return time.Run(() => FlashAsync(recording, requests, session, time, events));
        }
        catch (InvalidOperationException)
        {
            // The engine waits for something that was not recorded, and no timer is left.
            return new(null, Unasked(session, "waits for what does not come"), [.. events]);
        }
    }

    private static async Task<Replay> FlashAsync(
        JobRecording recording, IReadOnlyList<FlashRequest> requests, ReplaySession session, VirtualTime time, List<FlashEvent> events)
    {
        using var cancel = new CancellationTokenSource();
        var services = new RecordedServices(recording) { HasOperator = recording.Begin!.Words.FirstOrDefault() == "1" };
        var flasher = new Flasher(new ReplayHardware(recording, session), new ReplayKlippy(session), time, services, step =>
        {
            events.Add(step);
            return ValueTask.CompletedTask;
        });
        var flash = flasher.FlashAsync(requests, cancel.Token);
        _ = CancelAsync();
        if (await Task.WhenAny(flash, session.Diverged) != flash)
            return new(null, await session.Diverged, [.. events]);
        var report = await flash;
        return new(report, Unasked(session, null) ?? OtherVerdict(recording, report, session), [.. events]);

        async Task CancelAsync()
        {
            if (recording.Lines.FirstOrDefault(line => line is { Channel: "job", Verb: "cancel" }) is not { } line)
                return;
            await session.UntilAsync(line.At);
            Cancel();
        }

        // CancellationTokenSource.CancelAsync would run the callbacks on another thread, and virtual time has one only.
        void Cancel() => cancel.Cancel();
    }

    private static Divergence? Unasked(ReplaySession session, string? today) =>
        session.Unasked() is { } rest ? rest with { Today = today } : null;

    /// <summary>The calls are the same, and a verdict differs.</summary>
    private static Divergence? OtherVerdict(JobRecording recording, FlashReport report, ReplaySession session)
    {
        foreach (var (board, condition, code) in recording.Verdicts)
        {
            if (report.Boards.FirstOrDefault(one => one.Board == board) is not { } today)
                continue;
            var (todaysCondition, todaysCode) = (Conditions.Of(today.Condition), today.Ok ? "ok" : today.Fault?.Code);
            if ((todaysCondition, todaysCode) != (condition, code))
                return new(
                    session.Of(recording.Lines[^1].At), $"the verdict on {board}: {code}, {condition}",
                    $"the verdict {todaysCode}, {todaysCondition}");
        }
        return null;
    }

    /// <summary>The recorded builds. Old firmware is read out again and dropped.</summary>
    private sealed class RecordedServices(JobRecording recording) : FlashServices
    {
        /// <summary>New names on cards, in the order of the recording.</summary>
        private readonly Queue<string> _cardNames = new(recording.Lines
            .Where(line => line is { Channel: "card", Verb: "put", Words: [not null] }).Select(line => line.Words[0]!.Split('/')[^1]));

        public override bool CanBuild => Builds.Any();

        public override string NewCardName(FirmwareImage image, TimeProvider time) =>
            _cardNames.TryDequeue(out var name) ? name : base.NewCardName(image, time);

        private IEnumerable<RecordedCall> Builds =>
            recording.Lines.Where(line => line is { Channel: "job", Verb: "built", Words: [not null] });

        public override Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
            IReadOnlyList<PrinterBoard> boards, Func<BuildProgress, ValueTask> progress, CancellationToken cancel)
        {
            var built = new Dictionary<string, BuiltOrNot>(StringComparer.Ordinal);
            foreach (var line in Builds.Where(line => boards.Any(board => board.Name == line.Words[0])))
                built[line.Words[0]!] = Of(line.Words[0]!, line.Answer);
            return Task.FromResult<IReadOnlyDictionary<string, BuiltOrNot>>(built);
        }

        public override bool WantsOldFirmware(string board) => recording.Begin!.Words.Skip(1).Contains(board);

        private BuiltOrNot Of(string board, RecordedAnswer answer)
        {
            if (answer.Kind == "fault" && answer.FaultAt(0) is { } fault)
                return new(null, fault);
            var image = recording.Image(Integer(answer.Word(0)), board);
            return new(new BuiltFirmware(image, "", "", "", "", IsFromCache: true, TimeSpan.Zero), null);
        }
    }
}
