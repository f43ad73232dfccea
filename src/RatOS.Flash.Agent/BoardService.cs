using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent;

/// <summary>What a caller named, at whichever door.</summary>
/// <param name="Boards">Names; <c>all</c> stands for all of the printer's boards that there is firmware for.</param>
internal sealed record Asked(ImmutableArray<string> Boards)
{
    public GivenFirmware? Firmware { get; init; }

    public string? Port { get; init; }

    public CanUuid? Uuid { get; init; }

    public BootloaderKind? Bootloader { get; init; }

    /// <summary>Flash despite warnings. It overrides no refusal.</summary>
    public bool Force { get; init; }

    /// <summary>Hot heaters are the caller's responsibility, for this one flash.</summary>
    public bool Hot { get; init; }

    /// <summary>Somebody is there who can set a jumper.</summary>
    public bool HasPerson { get; init; }

    /// <summary>The boards are to run again, whatever they run then; they are flashed only where nothing less helps.</summary>
    public bool Recover { get; init; }
}

/// <summary>A firmware file as it was read by whoever named it.</summary>
internal sealed record GivenFirmware(string Name, ReadOnlyMemory<byte> Bytes);

/// <summary>How a flash would go.</summary>
internal sealed record PlanView(JsonPlan[] Boards, JsonFinding[] Findings)
{
    public bool IsBlocked => Findings.Any(finding => finding.Severity == "blocker") || Boards.All(board => board.Blocked);

    public static PlanView Of(FlashPlan plan) => new([.. plan.Boards.Select(JsonPlan.Of)], [.. plan.Findings.Select(JsonFinding.Of)]);
}

/// <summary>What can be asked about a printer's boards: of the boards themselves, or of the agent that works on them.</summary>
internal abstract class BoardService
{
    /// <summary>Which printer this is, in a few words.</summary>
    public abstract string Description { get; }

    public abstract Task<IReadOnlyList<JsonBoard>> ListAsync();

    /// <exception cref="FlashException">A board or a port is not known, or the firmware is none.</exception>
    public abstract Task<PlanView> PlanAsync(Asked asked);

    /// <param name="asked">What to flash.</param>
    /// <param name="tell">Called for each event, on this thread.</param>
    /// <param name="cancel">Heeded until the point of no return.</param>
    /// <exception cref="FlashException">As for <see cref="PlanAsync"/>, or somebody else works on the boards.</exception>
    public abstract Task<FlashReport> FlashAsync(Asked asked, Action<FlashEvent> tell, CancellationToken cancel);
}

/// <summary>The boards of a printer that this process works on by itself.</summary>
/// <param name="printer">The printer.</param>
/// <param name="klippy">Its Klipper, given whether hot heaters are allowed.</param>
internal sealed class LocalBoards(Printer printer, Func<bool, IKlippy> klippy) : BoardService
{
    private static readonly string[] Endings = [".bin", ".uf2", ".elf"];

    public override string Description => printer.Description;

    /// <summary>Folder in which firmware lies under the name of its board or kind; null where there is none.</summary>
    public string? FirmwareFolder { get; init; }

    /// <summary>Klipper's sources, to build what there is no firmware for; null where nothing is built.</summary>
    public string? KlipperPath { get; init; }

    /// <summary>Where builds are kept.</summary>
    public string? BuildFolder { get; init; }

    /// <summary>Switches the power of boards that somebody named a device for; null where nobody can.</summary>
    public Func<string, bool, Task>? SwitchPower { get; init; }

    /// <summary>The devices that somebody named, by the name of the board.</summary>
    public IReadOnlyDictionary<string, string> PowerDevices { get; init; } = new Dictionary<string, string>();

    /// <summary>Called when everything is known that is asked for, and nothing was done yet; it may refuse.</summary>
    public Action? BeforeFlash { get; init; }

    public override Task<IReadOnlyList<JsonBoard>> ListAsync()
    {
        var seen = printer.Hardware.Look();
        var rows = new List<JsonBoard>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var board in printer.Boards)
        {
            var plan = FlashPlan.Create([new FlashRequest(board, null)], seen, new(KlippyActivity.Stopped)).Boards[0];
            if (plan.Device is { } device)
                known.UnionWith([device.Port, device.Can?.UsbPort ?? device.Port]);
            var where = board.CanUuid is { } uuid && plan.Device is not { Usb: not null } ? $"{board.CanInterface} {uuid}" : plan.Device?.Port ?? board.Port;
            rows.Add(new JsonBoard(
                "board", board.Board.Id, board.Name, board.Board.DisplayName, board.Board.McuName, where, StateOf(plan), board.RunningVersion, printer.HostVersion));
        }
        rows.AddRange(seen.Devices.Where(device => !known.Contains(device.Port)).Select(device => new JsonBoard(
            "board", null, null, device.Product ?? device.ToString(), null, device.Port, "none of this printer's boards", null, null)));
        return Task.FromResult<IReadOnlyList<JsonBoard>>(rows);
    }

    public override async Task<PlanView> PlanAsync(Asked asked) =>
        PlanView.Of(FlashPlan.Create(Request(asked), printer.Hardware.Look(), await klippy(asked.Hot).LookAsync(CancellationToken.None)));

    public override async Task<FlashReport> FlashAsync(Asked asked, Action<FlashEvent> tell, CancellationToken cancel) =>
        await FlashAsync(Request(asked), klippy(asked.Hot), asked.HasPerson, step =>
        {
            tell(step);
            return ValueTask.CompletedTask;
        }, cancel);

    /// <summary>As <see cref="FlashAsync(Asked, Action{FlashEvent}, CancellationToken)"/>, for the agent, which journals what it does, and lets others flash while a person is awaited.</summary>
    public async Task<FlashReport> FlashAsync(
        IReadOnlyList<FlashRequest> requests, IKlippy by, bool hasPerson, Func<FlashEvent, ValueTask> tell, CancellationToken cancel, Func<Func<Task>, Task>? aside = null,
        Func<CancellationToken, Task>? change = null)
    {
        BeforeFlash?.Invoke();
        var flasher = new Flasher(printer.Hardware, by, printer.Time, tell)
        {
            HasPerson = hasPerson,
            Aside = aside,
            PrinterChange = change,
            SwitchPower = SwitchPower,
            Build = KlipperPath is null || BuildFolder is null ? null : BuildAsync,
        };
        try
        {
            return await flasher.FlashAsync(requests, cancel);
        }
        finally
        {
            printer.Save();
        }
    }

    /// <summary>Which boards and which firmware are meant.</summary>
    /// <exception cref="FlashException">A board or a port is not known, or the firmware is none.</exception>
    public IReadOnlyList<FlashRequest> Request(Asked asked) => [.. Find(asked).Select(request =>
        PowerDevices.GetValueOrDefault(request.Board.Name) is { } power ? request with { Board = request.Board with { Power = power } } : request)];

    private List<FlashRequest> Find(Asked asked)
    {
        var isAll = asked.Boards.Any(name => string.Equals(name, "all", StringComparison.OrdinalIgnoreCase));
        if ((asked.Port ?? asked.Uuid?.ToString()) is not null && (isAll || asked.Boards.Length != 1))
            throw Faults.BadOption("a port and a uuid name one board", "Flash the boards one by one, or leave them out.");
        var given = asked.Firmware is { } file ? FirmwareImage.Parse(file.Bytes, file.Name) : null;
        if (isAll)
        {
            // A board that nobody has firmware for is no reason to leave out the others.
            var all = printer.Boards.Select(board => new FlashRequest(board, given ?? ImageFor(board))).ToList();
            if (all.Count == 0)
                throw Faults.NoBoards();
            if (asked.Recover)
                return [.. all.Select(request => request with { Recovers = true })];
            return KlipperPath is null && all.Exists(request => request.Image is not null) ? all.FindAll(request => request.Image is not null) : all;
        }
        var boards = asked.Boards.Distinct(StringComparer.OrdinalIgnoreCase).Select(Find).ToList();
        if (asked.Uuid is { } uuid)
            boards[0] = boards[0] with { CanUuid = uuid };
        if (asked.Port is { } named)
        {
            // People know their boards by the links below /dev/serial.
            var port = named.StartsWith('/') && File.Exists(named) && File.ResolveLinkTarget(named, returnFinalTarget: true) is { } target ? target.FullName : named;
            var seen = printer.Hardware.Look();
            if (!seen.Devices.Any(device => device.Port == port || device.Node == port))
                throw Faults.NoSuchPort(Text.Clean(port), seen.Devices.Length == 0 ? "none" : string.Join(", ", seen.Devices.Select(device => device.Port)));
            boards[0] = seen.Devices.Any(device => device.Port == port && device.Can is not null)
                ? boards[0] with { CanInterface = port } : boards[0] with { Port = port, OnlyByPort = true };
        }
        if (asked.Bootloader is { } kind)
            boards = boards.ConvertAll(board => board with { Bootloader = kind });
        return [.. boards.Select(board => new FlashRequest(board, given ?? ImageFor(board)) { Recovers = asked.Recover })];
    }

    private async Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(IReadOnlyList<PrinterBoard> boards, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        var (wanted, built) = (new List<BuildRequest>(), new Dictionary<string, BuiltOrNot>(StringComparer.Ordinal));
        foreach (var board in boards)
        {
            try
            {
                // What a board on CAN is wired to (pins, bitrate, a bridge or not) nobody has said.
                if (board.CanUuid is not null)
                    throw Faults.ConfigUnusable(board.Name, "its pins and bitrate on CAN are not known here; put its firmware into the firmware folder");
                wanted.Add(new BuildRequest(board.Name, BuildConfig.For(board.Board, board.Serial)));
            }
            catch (FlashException fault)
            {
                built[board.Name] = new(null, fault);
            }
        }
        if (wanted.Count > 0)
        {
            var builder = new FirmwareBuilder(KlipperTree.Open(KlipperPath!), BuildFolder!, printer.Time);
            foreach (var outcome in await builder.BuildAllAsync(wanted, tell, cancel))
                built[outcome.Request.Board] = new(outcome.Firmware, outcome.Fault);
        }
        return built;
    }

    /// <summary>What this printer's Klipper would build, or what lies in the firmware folder under the board's name or its kind's.</summary>
    private FirmwareImage? ImageFor(PrinterBoard board)
    {
        // A virtual printer has its own Klipper, unless another one is named.
        if (KlipperPath is null && printer.Build(board) is { } built)
            return built;
        if (FirmwareFolder is null)
            return null;
        // Names of boards come from catalogue and configuration, but a path is none.
        return new[] { board.Name, board.Board.Id }.Where(name => name.AsSpan().IndexOfAny('/', '\0') < 0 && name is not (".." or "."))
            .SelectMany(name => Endings, (name, ending) => Path.Combine(FirmwareFolder, name + ending)).FirstOrDefault(File.Exists) is { } file
            ? FirmwareImage.Open(file) : null;
    }

    private PrinterBoard Find(string name)
    {
        var boards = printer.Boards;
        var found = boards.FirstOrDefault(board => string.Equals(board.Name, name, StringComparison.OrdinalIgnoreCase));
        if (found is not null)
            return found;
        // A kind's id is as good as a name, unless two boards are of that kind.
        var kind = boards.Where(board => string.Equals(board.Board.Id, name, StringComparison.OrdinalIgnoreCase)).ToList();
        if (kind.Count == 1)
            return kind[0];
        var others = printer.Kinds.ToList();
        if (kind.Count == 0 && others.Find(board => string.Equals(board.Name, name, StringComparison.OrdinalIgnoreCase)) is { } other)
            return other;
        var nearest = kind.Count > 1
            ? kind.ConvertAll(board => board.Name)
            : [.. boards.Concat(others).Select(board => board.Name).Distinct().Where(candidate => Nearness.IsNear(name, candidate))];
        throw Faults.UnknownBoard(Text.Clean(name), nearest, [.. boards.Select(board => board.Name)]);
    }

    private static string StateOf(BoardPlan plan) => plan switch
    {
        { Device: null } => "not connected",
        { Entry: FlashEntry.InBootloader, Bootloader: BootloaderKind.Katapult } => "waits in Katapult",
        { Entry: FlashEntry.InBootloader } => "waits in USB DFU",
        { Device.Can: not null, IsCanBridge: true } => "runs Klipper as USB-CAN bridge",
        { Device.Can: not null } => "on CAN",
        { Device.Usb: null } => "on a wire",
        _ => "runs Klipper",
    };
}
