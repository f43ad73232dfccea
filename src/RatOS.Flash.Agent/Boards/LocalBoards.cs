using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>The boards of a printer that this process flashes itself.</summary>
/// <param name="printer">The printer.</param>
/// <param name="mcus">Its MCUs.</param>
/// <param name="klippy">Its Klipper, for a flash with these options.</param>
/// <param name="log">The log.</param>
internal sealed class LocalBoards(PrinterAccess printer, KnownMcus mcus, Func<FlashOptions, IKlippy> klippy, LogFile log) : BoardService
{
    private const int MostFiles = 64;

    public override string Description => printer.Description;

    public PrinterAccess Printer => printer;

    /// <summary>The printer's folder; null for a computer without one.</summary>
    public DataFolder? Data { get; init; }

    /// <summary>The Klipper checkout that missing firmware is built from; null where nothing is built.</summary>
    public string? KlipperPath { get; init; }

    /// <summary>Asks Klipper for its MCUs; null where that is impossible.</summary>
    public Func<Task>? Refresh { get; init; }

    /// <summary>Replaces the process of this computer that is an MCU; null where that is impossible.</summary>
    public HostMcu? HostMcu { get; init; } = printer.HostMcu;

    /// <summary>Calls the updater of a probe's maker; null where it is not called.</summary>
    public ProbeUpdater? Probes { get; init; } = printer.Probes(new());

    /// <summary>Asks for Klipper's state, for a plan; null to ask the Klipper of a flash.</summary>
    public Func<FlashOptions, Task<KlippyState>>? LookAtKlippy { get; init; }

    /// <summary>Switches a power device; null where there is none.</summary>
    public Func<string, bool, Task>? SwitchPower { get; init; }

    /// <summary>The power devices of the settings, by the board's name.</summary>
    public IReadOnlyDictionary<string, string> PowerDevices { get; init; } = new Dictionary<string, string>();

    /// <summary>Called before the first step of a flash; it may refuse the flash.</summary>
    public Action? BeforeFlash { get; init; }

    /// <summary>The last flash that wrote a board, by its name, if the board does not run since; null where no journal tells.</summary>
    public Func<string, EarlierFlash?>? Earlier { get; init; }

    /// <summary>What happens to a board whose new firmware does not run.</summary>
    public RollbackPolicy Rollback { get; init; }

    public BoardFirmware Firmware => field ??= new(printer, mcus, Data, KlipperPath, log);

    public override async Task<BoardList> ListAsync()
    {
        await (Refresh?.Invoke() ?? Task.CompletedTask);
        var (inventory, seen) = (mcus.Look(), printer.Hardware.Look());
        var rows = new List<JsonBoard>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        var needs = await Firmware.NeedsAsync([.. inventory.Mcus.Where(mcu => mcu is { Owner: McuOwner.Ours, Board: not null })], null);
        foreach (var mcu in inventory.Mcus)
        {
            var plan = mcu.Board is { } board ? PlanOf(Firmware.AsConfigured(board), seen) : null;
            if ((plan?.Device ?? mcu.Device) is { } device)
                known.UnionWith([device.Port, device.Can?.UsbPort ?? device.Port]);
            rows.Add(RowOf(mcu, plan, needs.GetValueOrDefault(mcu.Name)));
        }
        rows.AddRange(seen.Devices.Where(device => !known.Contains(device.Port)).Select(device => new JsonBoard(
            "board", null, null, device.DisplayName ?? device.ToString(), null, device.Port, "none of this printer's boards", null, null)));
        return new(rows, [.. mcus.Catalogue.Skipped.Select(JsonSkipped.Of)]);
    }

    public override async Task<PlanView> PlanAsync(FlashOptions options)
    {
        await (Refresh?.Invoke() ?? Task.CompletedTask);
        var state = await (LookAtKlippy?.Invoke(options) ?? klippy(options).LookAsync(CancellationToken.None));
        var plan = FlashPlan.Create(await RequestAsync(options), printer.Hardware.Look(), state);
        plan = await Flasher.WithHostMcuAsync(plan.WithProbes(Probes), HostMcu, CancellationToken.None);
        plan = await AccessCheck.ApplyAsync(plan, printer.Hardware, printer.Time, patience: TimeSpan.Zero);
        var ofCatalogue = mcus.Catalogue.Findings.Where(finding => finding.Severity != FindingSeverity.Note);
        return PlanView.Of(plan with { Findings = [.. plan.Findings, .. ofCatalogue] });
    }

    public override async Task AnswerAsync(string board, string fact, string? value)
    {
        await (Refresh?.Invoke() ?? Task.CompletedTask);
        mcus.Answer(board, fact, value);
    }

    /// <summary>Klipper's menu for a board as a form.</summary>
    /// <exception cref="FlashException">The board is unknown, the menu cannot be evaluated, or the options are not the board's.</exception>
    public async Task<JsonOptions> OptionsAsync(OptionsRequest request)
    {
        await (Refresh?.Invoke() ?? Task.CompletedTask);
        // A kept configuration is below the form, and no fact of the board.
        var board = mcus.Look().Find(request.Board).BoardToFlash();
        return JsonOptions.Of(board.Name, await Firmware.FillFormAsync(board, request.Set, request.Saves));
    }

    /// <summary>The printer's boards that wait in their bootloader, by their section: their name, and where they wait.</summary>
    public IReadOnlyDictionary<string, (string Name, string Place)> Waiting()
    {
        var seen = printer.Hardware.Look();
        return mcus.Look().All
            .Select(mcu => (Mcu: mcu, Plan: PlanOf(Firmware.AsConfigured(mcu.Board!), seen)))
            // An unlisted bootloader is the user's word, not what the bus shows.
            .Where(board => board.Plan is { Entry: FlashEntry.InBootloader, Bootloader.IsUnlisted: false })
            .ToDictionary(board => board.Mcu.Section!, board => (board.Mcu.Name, board.Plan.Bootloader!.Place), StringComparer.Ordinal);
    }

    /// <summary>The plan of a flash, as far as the buses show it.</summary>
    public PlanView Plan(IReadOnlyList<FlashRequest> requests) =>
        PlanView.Of(FlashPlan.Create(requests, printer.Hardware.Look(), new(KlippyActivity.Ready)));

    /// <inheritdoc cref="BoardPlan.Condition"/>
    public BoardCondition ConditionOf(FlashRequest request) =>
        FlashPlan.Create([request], printer.Hardware.Look(), new(KlippyActivity.Stopped)).Boards[0].Condition;

    public override async Task<IReadOnlyList<JsonFile>> FilesAsync()
    {
        var folder = Data?.Firmware;
        var files = new List<JsonFile>();
        var seen = printer.Hardware.Look();
        var ours = mcus.Look().Mcus.Where(mcu => mcu is { Owner: McuOwner.Ours, Board: not null })
            .Select(mcu => Firmware.AsConfigured(mcu.Board!)).ToList();
        var paths = Directory.Exists(folder) ? Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal).Take(MostFiles) : [];
        foreach (var path in paths.ToList())
        {
            await Task.Yield();   // each may take milliseconds
            var (name, size) = (Path.GetFileName(path), new FileInfo(path).Length);
            try
            {
                var image = FirmwareImage.Open(path);
                var start = Mcu.Find(image.Mcu) is { } mcu ? image.BuiltFor(mcu) : null;
                files.Add(new(name, size, JsonFirmware.Of(name, image, start, misfit: null), null,
                    [.. ours.Where(board => Fits(board, image, seen)).Select(board => board.Name)]));
            }
            catch (Exception fault) when (fault is FlashException or IOException)
            {
                var known = fault as FlashException ?? FirmwareFaults.FirmwareUnreadable(Text.Clean(name), fault.Message);
                files.Add(new(name, size, null, JsonFaultReport.Of(FaultReport.Of(known)), []));
            }
        }
        return files;
    }

    /// <summary>No blocker of its plan comes from the firmware.</summary>
    private static bool Fits(PrinterBoard board, FirmwareImage image, DeviceList seen)
    {
        var (with, without) = (BlockersOf(image), BlockersOf(null));
        return with.All(without.Contains);

        HashSet<FaultKind> BlockersOf(FirmwareImage? firmware) =>
            [.. FlashPlan.Create([new FlashRequest(board, firmware)], seen, new(KlippyActivity.Ready)).Boards[0].Findings
                .Where(finding => finding.Severity == FindingSeverity.Blocker).Select(finding => finding.Kind)];
    }

    /// <inheritdoc cref="BoardSelection.RequestAsync"/>
    public Task<IReadOnlyList<FlashRequest>> RequestAsync(FlashOptions options) =>
        new BoardSelection(printer, mcus, Firmware, PowerDevices)
        {
            Earlier = Earlier,
            CallsUpdaters = Probes is not null,
        }.RequestAsync(options);

    public override async Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel) =>
        await FlashAsync(new FlashWork(await RequestAsync(options), options, klippy(options)), step =>
        {
            tell(step);
            return ValueTask.CompletedTask;
        }, cancel);

    /// <summary>Flashes the boards, keeps what they proved to run, and deals with firmware that does not run.</summary>
    /// <param name="work">The flash.</param>
    /// <param name="tell">Awaited for each event.</param>
    /// <param name="cancel">Ends the flash until its point of no return.</param>
    /// <exception cref="FlashException"><see cref="BeforeFlash"/> refused it.</exception>
    public async Task<FlashReport> FlashAsync(FlashWork work, Func<FlashEvent, ValueTask> tell, CancellationToken cancel)
    {
        BeforeFlash?.Invoke();
        var last = new FlashEvent(0, TimeSpan.Zero, null, FlashPhase.Look, FlashEventKind.Note, "");
        var before = mcus.Look();
        var unknown = work.Requests.Select(request => request.Board.Name).Where(board => Firmware.Good?.Of(board).Count == 0)
            .ToHashSet(StringComparer.Ordinal);
        var (hardware, klippy) = work.Recorder?.Begin(printer.Hardware, work, unknown, cancel) ?? (printer.Hardware, work.Klippy);
        var services = new AgentServices(this, work)
        {
            HasOperator = work.Options.OperatorPresent,
            HostMcu = HostMcu,
            Probes = Probes,
            Unknown = unknown,
        };
        try
        {
            var flasher = new Flasher(hardware, klippy, printer.Time, services, step => tell(last = step));
            var report = await flasher.FlashAsync(work.Requests, cancel);
            mcus.Flashed(report, before);
            var failed = FailedFirmware.Of(
                report, board => before.Mcus.FirstOrDefault(mcu => mcu.Name == board)?.Section,
                board => [.. Firmware.Good?.Of(board).Select(good => good.Image) ?? []]);
            Remember(report, failed, work, services);
            // A recording holds one flash, so that it can be replayed; a rollback is not part of it.
            work.Recorder?.Dispose();
            return failed.Count == 0 ? report
                : await new AutomaticRollback(printer, mcus, this, tell, last).RunAsync(report, failed, work, cancel);
        }
        finally
        {
            printer.Save();
        }
    }

    /// <inheritdoc cref="KnownMcus.Learn"/>
    public void Learn(PrinterBoard board, BoardEvidence evidence) => mcus.Learn(board, evidence);

    /// <summary>Keeps firmware that was proved to run, and marks firmware that was written and does not run.</summary>
    private void Remember(FlashReport report, IReadOnlyList<FailedFirmware> failed, FlashWork work, AgentServices services)
    {
        foreach (var board in report.Boards)
        {
            var isFailed = !board.Ok || failed.Any(other => other.Board == board.Board);
            var isUntouched = board.Refused
                || board.Condition is BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged or BoardCondition.Unknown;
            if (isFailed && !isUntouched && board.Sha256 is { } sha256)
                Firmware.Good?.Failed(board.Board, sha256);
            var made = services.Made.GetValueOrDefault(board.Board);
            var image = work.Requests.First(request => request.Board.Name == board.Board).Image ?? made?.Image;
            if (!isFailed && board.SkipReason is null && image is not null)
                Firmware.Good?.Keep(board.Board, image, "confirmed", made);
        }
    }

    private static BoardPlan PlanOf(PrinterBoard board, DeviceList seen) =>
        FlashPlan.Create([new FlashRequest(board, null)], seen, new(KlippyActivity.Stopped)).Boards[0];

    /// <summary>How the updater of a probe's maker is called, or why it cannot be.</summary>
    private IEnumerable<Finding> AboutUpdater(PrinterMcu mcu) =>
        Probes is not { } updater || !BoardSelection.IsProbe(mcu) ? []
            : [updater.Check(mcu.Name) is { } missing ? Finding.Of(FindingSeverity.Note, missing)
                : PlanFindings.OwnUpdater(mcu.Name, updater.CommandFor(mcu.Device!))];

    private IEnumerable<Finding> AboutStart(PrinterMcu mcu) => mcu is { Owner: McuOwner.Ours, Board: { } board }
        && mcus.Catalogue.AboutStart(Firmware.AsConfigured(board).Profile) is { } finding ? [finding] : [];

    private JsonBoard RowOf(PrinterMcu mcu, BoardPlan? plan, FirmwareNeed? need)
    {
        var description = mcu.Kind?.DisplayName ?? mcu.KnownByPins?.Name
            ?? (mcu.Owner == McuOwner.Ours ? "a board of an unknown kind" : mcu.Device?.DisplayName ?? mcu.Name);
        var port = plan?.Device is { Usb: not null } usb ? usb.Port : mcu.Port;
        ImmutableArray<Finding> findings = [.. mcu.Findings, .. AboutUpdater(mcu), .. AboutStart(mcu)];
        return new JsonBoard(
            "board", mcu.Kind?.Id ?? mcu.Name, mcu.Name, description, mcu.Chip, port, StateOf(mcu, plan), mcu.Running, mcu.Host)
        {
            Section = mcu.Section,
            Owner = JsonContract.Name(mcu.Owner),
            Aliases = mcu.Aliases.IsEmpty ? null : [.. mcu.Aliases],
            Need = need is null ? null : JsonContract.Name(need.Level),
            Reason = need?.Reason ?? mcu.Reason,
            Facts = mcu is { Owner: McuOwner.Ours, Board.Profile: { } known } && (plan?.Profile ?? known) is { } profile
                ? [.. profile.Statements.Select(statement => new JsonFact(statement.Value, statement.Where))] : null,
            Findings = findings.IsEmpty ? null : [.. findings.Select(JsonFinding.Of)],
            KnownByPins = mcu.KnownByPins is { } match ? JsonKnownByPins.Of(match) : null,
        };
    }

    private static string StateOf(PrinterMcu mcu, BoardPlan? plan) => mcu.Owner switch
    {
        McuOwner.OwnUpdater => mcu.Device is null ? "not connected" : "updated by its maker",
        McuOwner.Foreign => "none of this printer's boards",
        _ => plan is null ? "not connected" : StateOf(plan),
    };

    private static string StateOf(BoardPlan plan) => plan switch
    {
        { Entry: FlashEntry.Replace } => "a process of this computer",
        { Device: null } => "not connected",
        { Device.LacksSerialDriver: true } => "has no serial port: the driver cdc_acm is missing",
        { Entry: FlashEntry.InBootloader, Bootloader: { } driver } => $"waits in {driver.Place}",
        { Device.Can: not null, IsCanBridge: true } => "runs Klipper as USB-CAN bridge",
        { Device.Can: not null } => "on CAN",
        { Device.Usb: null } => "on UART",
        _ => "runs Klipper",
    };
}
