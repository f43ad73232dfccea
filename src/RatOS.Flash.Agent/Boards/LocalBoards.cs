using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>The boards of a printer that this process works on by itself.</summary>
/// <param name="printer">The printer.</param>
/// <param name="mcus">Which MCUs it has.</param>
/// <param name="klippy">Its Klipper, given the options of the flash.</param>
/// <param name="log">The log.</param>
internal sealed partial class LocalBoards(PrinterAccess printer, KnownMcus mcus, Func<FlashOptions, IKlippy> klippy, LogFile log) : BoardService
{
    private static readonly string[] Endings = [".bin", ".uf2", ".elf"];

    public override string Description => printer.Description;

    /// <summary>The printer's folder; null for a computer without one.</summary>
    public DataFolder? Data { get; init; }

    /// <summary>Klipper's sources, to build what there is no firmware for; null where nothing is built.</summary>
    public string? KlipperPath { get; init; }

    /// <summary>Asks Klipper for its boards; null where it cannot be asked.</summary>
    public Func<Task>? Refresh { get; init; }

    /// <summary>Who may replace the process of this computer that is an MCU; null where nobody can be asked.</summary>
    public HostMcu? HostMcu { get; init; } = printer.HostMcu;

    /// <summary>Switches the power of boards that somebody named a device for; null where nobody can.</summary>
    public Func<string, bool, Task>? SwitchPower { get; init; }

    /// <summary>The devices that somebody named, by the name of the board.</summary>
    public IReadOnlyDictionary<string, string> PowerDevices { get; init; } = new Dictionary<string, string>();

    /// <summary>Called when everything is known that the flash needs, and nothing was done yet; it may refuse.</summary>
    public Action? BeforeFlash { get; init; }

    internal GoodImages? Good => Data is null ? null : new(Data.Good, printer.Time, log);

    public override async Task<IReadOnlyList<JsonBoard>> ListAsync()
    {
        await (Refresh?.Invoke() ?? Task.CompletedTask);
        var (inventory, seen) = (mcus.Look(), printer.Hardware.Look());
        var rows = new List<JsonBoard>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        var needs = await NeedsAsync([.. inventory.Mcus.Where(mcu => mcu is { Owner: McuOwner.Ours, Board: not null })], null);
        foreach (var mcu in inventory.Mcus)
        {
            var plan = mcu.Board is null ? null : FlashPlan.Create([new FlashRequest(AsChosen(mcu.Board), null)], seen, new(KlippyActivity.Stopped)).Boards[0];
            if ((plan?.Device ?? mcu.Device) is { } device)
                known.UnionWith([device.Port, device.Can?.UsbPort ?? device.Port]);
            var need = needs.GetValueOrDefault(mcu.Name);
            rows.Add(new JsonBoard(
                "board", mcu.Kind?.Id ?? mcu.Name, mcu.Name, mcu.Kind?.DisplayName ?? (mcu.Owner == McuOwner.Ours ? "a board of an unknown kind" : mcu.Device?.Product ?? mcu.Name),
                mcu.Chip, plan?.Device is { Usb: not null } usb ? usb.Port : mcu.Port, StateOf(mcu, plan), mcu.Running, mcu.Host)
            {
                Section = mcu.Section,
                Owner = JsonContract.Name(mcu.Owner),
                Aliases = mcu.Aliases.IsEmpty ? null : [.. mcu.Aliases],
                Need = need is null ? null : JsonContract.Name(need.Level),
                Reason = need?.Reason ?? mcu.Reason,
                Findings = mcu.Findings.IsEmpty ? null : [.. mcu.Findings.Select(JsonFinding.Of)],
            });
        }
        rows.AddRange(seen.Devices.Where(device => !known.Contains(device.Port)).Select(device => new JsonBoard(
            "board", null, null, device.Product ?? device.ToString(), null, device.Port, "none of this printer's boards", null, null)));
        return rows;
    }

    public override async Task<PlanView> PlanAsync(FlashOptions options)
    {
        await (Refresh?.Invoke() ?? Task.CompletedTask);
        var plan = FlashPlan.Create(await RequestAsync(options), printer.Hardware.Look(), await klippy(options).LookAsync(CancellationToken.None));
        plan = await Flasher.WithHostMcuAsync(plan, HostMcu, CancellationToken.None);
        return PlanView.Of(plan with { Findings = [.. plan.Findings, .. mcus.Catalogue.Findings.Where(finding => finding.Severity != FindingSeverity.Note)] });
    }

    public override async Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel) =>
        await FlashAsync(await RequestAsync(options), options, klippy(options), step =>
        {
            tell(step);
            return ValueTask.CompletedTask;
        }, cancel);

    /// <summary>As <see cref="FlashAsync(FlashOptions, Action{FlashEvent}, CancellationToken)"/>, for the agent, which journals what it does, and lets others flash while a person is awaited.</summary>
    public async Task<FlashReport> FlashAsync(
        IReadOnlyList<FlashRequest> requests, FlashOptions options, IKlippy by, Func<FlashEvent, ValueTask> tell, CancellationToken cancel, Func<Func<Task>, Task>? aside = null,
        Func<CancellationToken, Task>? change = null, JobRecorder? flight = null)
    {
        BeforeFlash?.Invoke();
        var last = new FlashEvent(0, TimeSpan.Zero, null, FlashPhase.Look, FlashEventKind.Note, "");
        var before = mcus.Look();
        var unknown = requests.Select(request => request.Board.Name).Where(board => Good?.Of(board).Count == 0).ToHashSet(StringComparer.Ordinal);
        var (hardware, klippy) = flight?.Begin(printer.Hardware, by, requests, options.OperatorPresent, unknown, cancel) ?? (printer.Hardware, by);
        var services = new AgentServices(this)
        {
            HasOperator = options.OperatorPresent,
            HostMcu = HostMcu,
            Aside = aside,
            Change = change,
            Recorder = flight,
            Unknown = unknown,
        };
        var flasher = new Flasher(hardware, klippy, printer.Time, services, step => tell(last = step));
        try
        {
            var report = await flasher.FlashAsync(requests, cancel);
            mcus.Flashed(report, before);
            var failed = RollBack.Of(
                report, board => before.Mcus.FirstOrDefault(mcu => mcu.Name == board)?.Section,
                board => [.. Good?.Of(board).Select(good => good.Image) ?? []]);
            foreach (var board in report.Boards.Where(board => board is { Sha256: not null, Refused: false, Condition: not (BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged) }))
            {
                if (!board.Ok || failed.Any(other => other.Board == board.Board))
                    Good?.Failed(board.Board, board.Sha256!);
            }
            foreach (var board in report.Boards.Where(board => board is { Ok: true, SkipReason: null } && failed.All(other => other.Board != board.Board)))
            {
                var made = services.Made.GetValueOrDefault(board.Board);
                if ((requests.First(request => request.Board.Name == board.Board).Image ?? made?.Image) is { } image)
                    Good?.Keep(board.Board, image, "confirmed", made);
            }
            // A recording holds one flash: that is what it is played against.
            flight?.Dispose();
            return failed.Count == 0 ? report : await PutBackAsync(report, failed, requests, by, last, tell, cancel);
        }
        finally
        {
            printer.Save();
        }
    }

    /// <summary>How a flash would go, as far as the buses tell.</summary>
    public PlanView Plan(IReadOnlyList<FlashRequest> requests) => PlanView.Of(FlashPlan.Create(requests, printer.Hardware.Look(), new(KlippyActivity.Ready)));

    /// <summary>Which boards and which firmware are meant.</summary>
    /// <exception cref="FlashException">A board or a port is not known, or the firmware is none.</exception>
    public async Task<IReadOnlyList<FlashRequest>> RequestAsync(FlashOptions options) => [.. (await FindAsync(options)).Select(request => request with
    {
        Job = options.Job,
        SkipReason = options.Job == FlashJob.Recover && request.Board.Board.McuName == "linux" ? "it is a process of this computer, which its own service starts again." : request.SkipReason,
        Board = PowerDevices.GetValueOrDefault(request.Board.Name) is { } power ? request.Board with { Power = power } : request.Board,
    })];

    private async Task<IReadOnlyList<FlashRequest>> FindAsync(FlashOptions options)
    {
        var isAll = options.NamesAll;
        if (options.NamesPlace && (isAll || options.Boards.Length != 1))
            throw AgentFaults.BadOption("a port and a uuid name one board", "Flash the boards one by one, or leave them out.");
        var given = options.Firmware is { } file ? FirmwareImage.Parse(file.Bytes, file.Name) : null;
        var inventory = mcus.Look();
        if (isAll)
            return await AllAsync(inventory, given, options);
        var requests = options.Boards.Select(name => Find(inventory, name, options.NamesPlace)).DistinctBy(request => request.Board.Name, StringComparer.OrdinalIgnoreCase).ToList();
        var board = requests[0].Board;
        if (options.Uuid is { } uuid)
            board = board with { CanUuid = uuid };
        if (options.Port is { } named)
        {
            // People know their boards by the links below /dev/serial.
            var port = named.StartsWith('/') && File.Exists(named) && File.ResolveLinkTarget(named, returnFinalTarget: true) is { } target ? target.FullName : named;
            var seen = printer.Hardware.Look();
            if (!seen.Devices.Any(device => device.Port == port || device.Node == port))
                throw ComputerFaults.NoSuchPort(Text.Clean(port), seen.Devices.Length == 0 ? "none" : string.Join(", ", seen.Devices.Select(device => device.Port)));
            board = seen.Devices.Any(device => device.Port == port && device.Can is not null) ? board with { CanInterface = port } : board with { Port = port, OnlyByPort = true };
        }
        // Whoever names the place answers for it.
        requests[0] = requests[0] with { Board = board, Findings = options.NamesPlace ? [] : requests[0].Findings };
        if (options.Bootloader is { } driver)
            requests = requests.ConvertAll(request => request with { Board = request.Board with { Bootloader = driver } });
        return requests.ConvertAll(request => request with { Image = options.RollsBack ? BeforeThis(request.Board) : given ?? ImageFor(request.Board) });
    }

    /// <summary>The boards of the printer's configuration; those that would become what they are, are left out.</summary>
    private async Task<IReadOnlyList<FlashRequest>> AllAsync(PrinterInventory inventory, FirmwareImage? given, FlashOptions options)
    {
        var boards = inventory.All.Select(mcu => mcu with { Board = AsChosen(mcu.Board!) }).ToList();
        if (boards.Count == 0)
            throw BoardFaults.NoBoards();
        var needs = options.IncludesUpToDate || options.RollsBack || options.Job == FlashJob.Recover ? ImmutableDictionary<string, FirmwareNeed>.Empty : await NeedsAsync(boards, given);
        var all = boards.ConvertAll(mcu => new FlashRequest(mcu.Board!, options.RollsBack ? BeforeThis(mcu.Board!) : given ?? ImageFor(mcu.Board!))
        {
            Findings = mcu.Findings,
            SkipReason = needs.GetValueOrDefault(mcu.Name) is { Level: NeedLevel.Needless } need ? need.Reason : null,
        });
        // A board that nobody has firmware for is no reason to leave out the others.
        return KlipperPath is null && options.Job != FlashJob.Recover && all.Exists(request => request is { Image: not null, SkipReason: null }) ? all.FindAll(request => request.Image is not null || request.SkipReason is not null) : all;
    }

    private FirmwareImage BeforeThis(PrinterBoard board) => (Good ?? throw FlashFaults.NothingToRollBack(board.Name, "-")).Before(board.Name, board.RunningVersion);

    /// <summary>What this printer's Klipper would build, or what lies in the firmware folder under the board's name or its kind's.</summary>
    private FirmwareImage? ImageFor(PrinterBoard board)
    {
        // A virtual printer has its own Klipper, unless another one is named.
        if (KlipperPath is null && printer.Build(board) is { } built)
            return built;
        if (Data is null)
            return null;
        // Names of boards come from catalogue and configuration, but a path is none.
        return new[] { board.Name, board.Board.Id }.Where(name => name.AsSpan().IndexOfAny('/', '\0') < 0 && name is not (".." or "."))
            .SelectMany(name => Endings, (name, ending) => Path.Combine(Data.Firmware, name + ending)).FirstOrDefault(File.Exists) is { } file
            ? FirmwareImage.Open(file) : null;
    }

    private FlashRequest Find(PrinterInventory inventory, string name, bool hasPlace)
    {
        try
        {
            var mcu = inventory.Find(name);
            return new FlashRequest(AsChosen(mcu.BoardToFlash()), null) { Findings = mcu.Findings };
        }
        catch (FlashException unknown) when (printer.HasKinds && (unknown.Kind == FaultKind.UnknownBoard || (hasPlace && unknown.Kind == FaultKind.BoardsAlike)))
        {
            // A kind may be named though none is seen: with a port, or to hear how it would go.
            if (mcus.Catalogue.Catalogue.Find(name) is { } kind)
                return new FlashRequest(new PrinterBoard(kind.Id, kind), null);
            var near = mcus.Catalogue.Catalogue.Boards.Select(board => board.Id).Where(id => Nearness.IsNear(name, id));
            throw BoardFaults.UnknownBoard(Text.Clean(name), [.. inventory.Mcus.Select(mcu => mcu.Name).Where(candidate => Nearness.IsNear(name, candidate)), .. near], [.. inventory.Mcus.Where(mcu => mcu.Owner != McuOwner.Stranger).Select(mcu => mcu.Name)]);
        }
    }

    private static string StateOf(PrinterMcu mcu, BoardPlan? plan) => mcu.Owner switch
    {
        McuOwner.OwnUpdater => mcu.Device is null ? "not connected" : "updated by its maker",
        McuOwner.Stranger => "none of this printer's boards",
        _ => plan is null ? "not connected" : StateOf(plan),
    };

    private static string StateOf(BoardPlan plan) => plan switch
    {
        { Entry: FlashEntry.Replace } => "a process of this computer",
        { Device: null } => "not connected",
        { Entry: FlashEntry.InBootloader, Bootloader: { } driver } => $"waits in {driver.Place}",
        { Device.Can: not null, IsCanBridge: true } => "runs Klipper as USB-CAN bridge",
        { Device.Can: not null } => "on CAN",
        { Device.Usb: null } => "on a wire",
        _ => "runs Klipper",
    };
}
