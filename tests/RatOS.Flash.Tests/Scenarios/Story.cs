using RatOS.Flash.Builds;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// A printer and its flashes. After every flash all of <see cref="FlashInvariants"/> are checked, beside the story's own assertions.
/// </summary>
internal sealed class Story
{
    private readonly List<FlashEvent> _events = [];
    private readonly Dictionary<string, FirmwareImage?> _built = [];

    private Story(VirtualPrinter printer, IHardware hardware) => (Printer, Hardware) = (printer, hardware);

    public VirtualPrinter Printer { get; }

    /// <summary>The bus of the boards: the virtual printer's own, or a real kernel's.</summary>
    public IHardware Hardware { get; }

    public VirtualTime Time => Printer.Time;

    public IReadOnlyList<FlashEvent> Events => _events;

    /// <summary>Called with every event before its step: here a story pulls the cable.</summary>
    public Action<FlashEvent>? OnEvent { get; set; }

    /// <summary>The operator's answer to an operator step, a while later; null without an operator.</summary>
    public Action<FlashEvent>? Operator { get; set; }

    /// <summary>Switches a power supply by its name; null if none can be switched.</summary>
    public Func<string, bool, Task>? SwitchPower { get; set; }

    /// <summary>Locks a board against other processes; null where nothing does.</summary>
    public Func<string, string, IDisposable?>? LockBoard { get; set; }

    /// <summary>Builds firmware for a board; null where nothing is built.</summary>
    public Func<PrinterBoard, BuiltOrNot>? Builds { get; set; }

    /// <summary>Files that were offered for download: the board, the name, the bytes.</summary>
    public List<(string Board, string Name, byte[] File)> Offered { get; } = [];

    /// <summary>The time for an operator step: finding the jumper takes some.</summary>
    public static TimeSpan OperatorTime => Rig.IsHere ? TimeSpan.FromSeconds(10) : TimeSpan.FromMinutes(3);

    public VirtualBoard Board => Printer.Boards[0];

    public static void Of(string scenario, Func<Story, Task> tell) => Of(scenario, InjectedFaults.None, tell);

    public static void Of(string scenario, InjectedFaults faults, Func<Story, Task> tell)
    {
        // Boards on a UART have no USB.
        if (Rig.IsHere && Scenario.Find(scenario).Boards.All(board => !board.IsUart))
        {
            Rig.Run(scenario, faults, (printer, rig) => tell(new Story(printer, rig)));
            return;
        }
        Of(Scenario.Find(scenario), faults, tell);
    }

    /// <summary>A scenario that is not in the list: always in memory.</summary>
    public static void Of(Scenario scenario, InjectedFaults faults, Func<Story, Task> tell) => VirtualTime.Run(time =>
    {
        var printer = VirtualPrinter.Create(scenario, time, faults);
        return tell(new Story(printer, printer));
    });

    /// <summary>Waits, and lets the kernel catch up with the boards.</summary>
    public async Task PassAsync(TimeSpan time)
    {
        await Task.Delay(time, Time);
        if (Hardware is Rig rig)
            await rig.CatchUpAsync();
    }

    /// <summary>The firmware that this printer's Klipper builds for the board.</summary>
    public FirmwareImage Build(VirtualBoard board) => FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin");

    public FirmwareImage Build(string board) => Build(Find(board));

    public VirtualBoard Find(string name) => Printer.Boards.Single(board => board.Name == name);

    /// <inheritdoc cref="FaultTrial.Known"/>
    public PrinterBoard Known(string name) => FaultTrial.Known(Printer, Find(name));

    public Task<FlashReport> FlashAsync(params string[] boards) =>
        FlashAsync(CancellationToken.None, [.. boards.Select(name => new FlashRequest(Known(name), Build(name)))]);

    public async Task<FlashReport> FlashAsync(CancellationToken cancel, params FlashRequest[] requests)
    {
        _events.Clear();
        var invariants = FlashInvariants.Before(Printer);
        var flasher = new Flasher(Hardware, Printer.Klippy, Time, new Services(this), step =>
        {
            _events.Add(step);
            OnEvent?.Invoke(step);
            if (step is { Phase: FlashPhase.Operator, Kind: FlashEventKind.Begin } && Operator is { } act)
            {
                Assert.True(Printer.Klippy.IsRunning, "the flash waits for an operator, and Klipper does not run");
                Time.Schedule(OperatorTime, () => act(step));
            }
            return ValueTask.CompletedTask;
        });
        var report = await flasher.FlashAsync(requests, cancel);
        var written = requests.Select(request => request with { Image = request.Image ?? _built.GetValueOrDefault(request.Board.Name) });
        var violations = invariants.Check([.. written], report, _events);
        Assert.True(violations.IsEmpty, string.Join('\n', violations));
        return report;
    }

    /// <summary>Recovers a board, with or without a firmware file.</summary>
    public async Task<BoardReport> RecoverAsync(string board, bool hasFirmware = true) =>
        (await FlashAsync(CancellationToken.None,
            new FlashRequest(Known(board), hasFirmware ? Build(board) : null) { Job = FlashJob.Recover })).Boards.Single();

    /// <summary>Flashes one board and expects that it runs the new firmware.</summary>
    public async Task<BoardReport> FlashedAsync(string board) => (await AllFlashedAsync(board)).Boards.Single();

    /// <summary>Flashes boards and expects that all of them run the new firmware.</summary>
    public async Task<FlashReport> AllFlashedAsync(params string[] boards)
    {
        var report = await FlashAsync(boards);
        Assert.True(report.Ok,
            $"{string.Join('\n', report.Boards.Select(board => $"{board.Board}: [{board.Fault?.Code}] {board.Fault?.Cause}"))}\n"
            + Transcript);
        return report;
    }

    /// <summary>The messages of the last flash, to find out why a story failed.</summary>
    public string Transcript => string.Join('\n', _events.Where(step => step.Kind != FlashEventKind.Progress)
        .Select(step => $"{step.At.TotalSeconds:0.000} {step.Board} {step.Phase} {step.Kind} {step.Message}"));

    /// <summary>
    /// After every cable was pulled for a while: the mainboards, with their own power, are flashed. An EBB42 is powered by the cable. While
    /// its first page is written it holds no firmware that its chip recognises, and the report says so.
    /// </summary>
    public static void CheckAfterDrop(FlashReport report, string when)
    {
        foreach (var board in report.Boards)
        {
            var isKnown = board is { Board: "ebb42", Fault.Code: "device-lost", Condition: BoardCondition.InBootloaderWithoutFirmware };
            Assert.True(board.Ok || isKnown, $"{when}: {board.Board}: [{board.Fault?.Code}] {board.Fault?.Cause}");
        }
    }

    /// <summary>Flashes one board and expects this fault and this condition.</summary>
    public async Task<BoardReport> FailedAsync(string board, string code, BoardCondition condition, FirmwareImage? image = null)
    {
        var report = (await FlashAsync(CancellationToken.None, new FlashRequest(Known(board), image ?? Build(board)))).Boards.Single();
        Assert.Equal((code, condition), (report.Fault?.Code ?? "ok", report.Condition));
        return report;
    }

    private sealed class Services : FlashServices
    {
        private readonly Story _story;

        public Services(Story story)
        {
            _story = story;
            HasOperator = story.Operator is not null;
            HostMcu = story.Printer.HostMcu;
            Probes = story.Printer.Probe;
        }

        public override bool CanBuild => _story.Builds is not null;

        public override Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
            IReadOnlyList<PrinterBoard> boards, Func<BuildProgress, ValueTask> progress, CancellationToken cancel) =>
            Task.FromResult<IReadOnlyDictionary<string, BuiltOrNot>>(boards.ToDictionary(board => board.Name, board =>
            {
                var built = _story.Builds!(board);
                _story._built[board.Name] = built.Firmware?.Image;
                return built;
            }));

        public override IDisposable? LockBoard(string place, string board) => _story.LockBoard?.Invoke(place, board);

        public override bool CanSwitchPower => _story.SwitchPower is not null;

        public override Task SwitchPowerAsync(string device, bool on) => _story.SwitchPower!(device, on);

        public override string? Offer(string board, string fileName, ReadOnlyMemory<byte> file)
        {
            _story.Offered.Add((board, fileName, file.ToArray()));
            return $"{board}/{fileName}";
        }
    }
}
