using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// One flash of a printer, top to bottom: look, build, stop Klipper, ask the boards, plan again, flash each board, start Klipper, report.
/// <see cref="BoardFlash"/> flashes one board. An instance is used once.
/// </summary>
public sealed class Flasher
{
    private readonly IHardware _hardware;
    private readonly IKlippy _klippy;
    private readonly TimeProvider _time;
    private readonly FlashServices _services;
    private readonly FlashLog _log;
    private readonly OperatorWaits _operator;
    private readonly PowerCycles _power;
    private readonly SdCardFiles _files;
    private readonly BoardLocks _locks;
    private readonly BoardQuestions _questions;
    private readonly EarlyPolling _polling = new();

    private KlippyState? _before, _after;
    private FaultReport? _klippyFault;   // of the last start

    /// <param name="hardware">The buses.</param>
    /// <param name="klippy">Klipper's host process.</param>
    /// <param name="time">The only clock.</param>
    /// <param name="services">Builds, operator, power and the rest.</param>
    /// <param name="onEvent">Awaited before each step that changes the world.</param>
    public Flasher(IHardware hardware, IKlippy klippy, TimeProvider time, FlashServices services, Func<FlashEvent, ValueTask> onEvent)
    {
        (_hardware, _klippy, _time, _services) = (hardware, klippy, time, services);
        _log = new(time, onEvent);
        _operator = new(hardware, klippy, time, services, _log);
        _power = new(time, services, _log);
        (_files, _locks) = (new(hardware, services, time, _log), new(services));
        _questions = new(hardware, time, services, _log, Bus);
    }

    /// <summary>
    /// Flashes the boards in one stop of Klipper. Never throws for what can go wrong in the world: every board has a report, and Klipper
    /// was started again if it was stopped.
    /// </summary>
    /// <param name="requests">1 or more, each name once.</param>
    /// <param name="cancel">Effective until a board's point of no return.</param>
    public async Task<FlashReport> FlashAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        using var locks = _locks;
        try
        {
            foreach (var request in requests.Where(request => request.SkipReason is not null))
                await _log.SkipAsync(request);
            var open = await PrepareAsync([.. requests.Where(request => request.SkipReason is null)], cancel);
            IReadOnlyList<OperatorWait> resumed = [];
            while (true)
            {
                if (open.Count + resumed.Count > 0)
                    await WhileStoppedAsync(open, resumed, cancel);
                if (_operator.IsIdle)
                    break;
                resumed = await _operator.WaitAsync(cancel);
                open = [.. resumed.Where(wait => wait.Flash is null).Select(wait => wait.Resumed)];
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await RefuseAllAsync(requests, FlashFaults.Cancelled(), byPlan: false);
        }
        catch (FlashException fault)
        {
            await RefuseAllAsync(requests, fault, byPlan: fault.Kind != FaultKind.KlipperWouldNotStop);
        }
        return new FlashReport([.. requests.Select(request => _log.Reports[request.Board.Name])], _klippyFault, _log.Elapsed)
        {
            Before = _before,
            After = _after,
        };
    }

    private async Task RefuseAllAsync(IReadOnlyList<FlashRequest> requests, FlashException fault, bool byPlan)
    {
        await _operator.GiveUpAsync();
        foreach (var board in FlashPlan.Create(requests, _hardware.Look(), new(KlippyActivity.Stopped)).Boards)
            await _log.RefuseAsync(board.Request, fault, board, byPlan);
    }

    // ---- look and build, while Klipper runs

    /// <summary>The boards that can be flashed, with their firmware. The others have their verdict, or wait for an operator.</summary>
    private async Task<IReadOnlyList<FlashRequest>> PrepareAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        if (requests.Count == 0)
            return [];
        await _log.BeginAsync(null, FlashPhase.Look, "Looking at the printer");
        requests = await IdentifyAsync(requests, cancel);
        if (requests.Count == 0)
        {
            await _log.EndAsync(null, FlashPhase.Look, "Nothing is to be written");
            return [];
        }
        requests = await BuildAsync(requests, cancel);
        var plan = await PlanAsync(requests, cancel);
        var found = plan.Boards.Count(board => board.Device is not null || board.Entry == FlashEntry.Replace);
        await _log.EndAsync(null, FlashPhase.Look, found == requests.Count
            ? $"Found {Counts.Of(found, "board")}" : $"Found {found} of {Counts.Of(requests.Count, "board")}");
        foreach (var board in plan.Boards)
            await ReportFindingsAsync(board);
        return [.. (await OpenAsync(plan)).Select(board => board.Request)];
    }

    /// <summary>
    /// Boards that no source describes are asked what they are, in a stop of Klipper of its own: their firmware is built while Klipper
    /// runs. Those that were to be identified alone have their verdict then.
    /// </summary>
    private async Task<IReadOnlyList<FlashRequest>> IdentifyAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        var plan = FlashPlan.Create(requests, _hardware.Look(), new(KlippyActivity.Stopped));
        if (plan.Boards.Any(board => board.IsAskedFirst))
            plan = await PlanAsync(requests, cancel);   // Klipper is not stopped in a print, or for a board that may not be opened
        var asked = plan.Boards.Where(board => board.IsAskedFirst && !board.IsBlocked).Select(board => board.Request).ToList();
        IReadOnlyDictionary<string, BoardEvidence> answers = new Dictionary<string, BoardEvidence>();
        if (asked.Count > 0)
        {
            await _log.NoteAsync(
                null, FlashPhase.Ask, $"Klipper stops. Asking {Counts.Of(asked.Count, "board")} about the running firmware");
            await WhileStoppedAsync(async () => answers = await _questions.AskAsync(
                asked, await CanSurvey.RunAsync(asked, _hardware, _time, _log, cancel), cancel), await _klippy.LookAsync(cancel), cancel);
        }
        foreach (var board in plan.Boards.Where(board => board.Request.Job == FlashJob.Identify))
            await _questions.ReportAsync(board, answers.GetValueOrDefault(board.Name));
        return [.. requests.Where(request => !HasVerdict(request)).Select(request =>
            answers.GetValueOrDefault(request.Board.Name) is not { } evidence ? request
                : request with { Board = request.Board.Described(evidence) })];
    }

    /// <exception cref="FlashException">Nothing at all can be flashed now.</exception>
    private async Task<FlashPlan> PlanAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        var plan = await WithHostMcuAsync(
            FlashPlan.Create(requests, _hardware.Look(), await _klippy.LookAsync(cancel)).WithProbes(_services.Probes), _services.HostMcu,
            cancel);
        return plan.Blocker is { } blocker ? throw blocker : await AccessCheck.ApplyAsync(plan, _hardware, _time);
    }

    /// <summary>The plan, with the reason why a host process that is an MCU cannot be replaced.</summary>
    public static async Task<FlashPlan> WithHostMcuAsync(FlashPlan plan, HostMcu? host, CancellationToken cancel)
    {
        if (plan.Boards.FirstOrDefault(board => board.Entry == FlashEntry.Replace) is not { } process)
            return plan;
        return plan.WithHostMcu(host is null ? HostMcuFaults.HostMcuUnreachable(BoardGuide.Of(process.Profile).Remedy)
            : await host.CheckAsync(cancel));
    }

    /// <summary>
    /// The requests that have firmware, or for which it can be built: while Klipper runs, but not while it prints (a build takes what a
    /// print needs). Nothing is built for a board that could not be flashed anyway.
    /// </summary>
    private async Task<IReadOnlyList<FlashRequest>> BuildAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        var missing = requests.Where(request => request.LacksImage).ToList();
        if (missing.Count == 0)
            return await BuildForRecoveryAsync(requests, cancel);
        var plan = await PlanAsync(missing, cancel);
        // An operator who writes a board manually needs the file all the same.
        var manual = !_services.CanBuild ? [] : plan.Boards
            .Where(board => board.Blocker?.Kind == FaultKind.NoRoad && BoardGuide.Of(board.Profile).BuildsFile is not null)
                .ToDictionary(board => board.Name);
        foreach (var board in plan.Boards.Where(board => board.Blocker is not null && !manual.ContainsKey(board.Name)))
            await _log.RefuseAsync(board.Request, board.Blocker!, board);
        missing.RemoveAll(HasVerdict);
        var built = _services.CanBuild && missing.Count > 0 ? await BuildAsync(missing, "Building the firmware", cancel) : null;
        foreach (var request in missing)
        {
            var outcome = built?.GetValueOrDefault(request.Board.Name) ?? default;
            if (manual.GetValueOrDefault(request.Board.Name) is { } board)
                await _log.RefuseAsync(request, await _files.OfferBuiltAsync(board, outcome), board);
            else if (outcome.Firmware is not { } made)
                await _log.RefuseAsync(request, outcome.Fault ?? FirmwareFaults.FirmwareMissing(request.Board.Name),
                    plan.Boards.First(planned => planned.Name == request.Board.Name));
            else
                await _log.EndAsync(request.Board.Name, FlashPhase.Build,
                    $"{Built(made)}, {made.Image.Bytes.Length} bytes, {made.Elapsed.TotalSeconds:0.0} s");
        }
        return [.. requests.Where(request => !HasVerdict(request)).Select(request => request.LacksImage
            ? request with { Image = built![request.Board.Name].Firmware!.Image } : request)];
    }

    /// <summary>
    /// Firmware for boards to recover that are absent or in a bootloader: they may need it, and nothing is built while Klipper is stopped.
    /// </summary>
    private async Task<IReadOnlyList<FlashRequest>> BuildForRecoveryAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        var seen = _hardware.Look();
        var needy = requests.Where(request => request is { Job: FlashJob.Recover, Image: null }
            && FlashPlan.Create([request], seen, new(KlippyActivity.Stopped)).Boards[0] is { Device: null }
                or { Entry: FlashEntry.InBootloader }).ToList();
        if (!_services.CanBuild || needy.Count == 0 || (await _klippy.LookAsync(cancel)).Blocker is not null)
            return requests;
        var built = await BuildAsync(needy, "Building the firmware in case it is needed", cancel);
        foreach (var request in needy)
        {
            var (firmware, fault) = built.GetValueOrDefault(request.Board.Name);
            await (firmware is null ? _log.WarnAsync(request.Board.Name, FlashPhase.Build, fault?.Cause ?? "Nothing was built.")
                : _log.EndAsync(request.Board.Name, FlashPhase.Build, Built(firmware)));
        }
        return [.. requests.Select(request => needy.Contains(request)
            ? request with { Image = built.GetValueOrDefault(request.Board.Name).Firmware?.Image } : request)];
    }

    private async Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(List<FlashRequest> requests, string message,
        CancellationToken cancel)
    {
        foreach (var request in requests)
            await _log.BeginAsync(request.Board.Name, FlashPhase.Build, message);
        return await _services.BuildAsync(
            [.. requests.Select(request => request.Board)],
                step => _log.ProgressAsync(step.Board, FlashPhase.Build, step.Done, step.Total), cancel);
    }

    private static string Built(BuiltFirmware firmware) => $"{(firmware.IsFromCache ? "Built before" : "Built")}: {firmware.Image.Version}";

    // ---- Klipper is stopped, and started again however the work ends

    private async Task WhileStoppedAsync(IReadOnlyList<FlashRequest> open, IReadOnlyList<OperatorWait> resumed, CancellationToken cancel) =>
        await WhileStoppedAsync(() => FlashAllAsync(open, resumed, cancel),
            resumed.Count > 0 ? await _operator.AwaitIdleAsync(cancel) : await _klippy.LookAsync(cancel), cancel);

    /// <param name="work">What needs the ports.</param>
    /// <param name="state">The second look: a print may have started since the first.</param>
    /// <param name="cancel">Ends the stop.</param>
    private async Task WhileStoppedAsync(Func<Task> work, KlippyState state, CancellationToken cancel)
    {
        if (state.Blocker is { } blocker)
            throw blocker;
        if (state.Activity == KlippyActivity.Absent)
        {
            await work();
            return;
        }
        _before ??= state;
        await _log.BeginAsync(null, FlashPhase.Stop, "Stopping Klipper");
        try
        {
            await _klippy.StopAsync(cancel);
            await _log.EndAsync(null, FlashPhase.Stop, "Klipper is stopped");
            await work();
        }
        finally
        {
            await StartKlipperAsync();
        }
    }

    private async Task StartKlipperAsync()
    {
        _klippyFault = null;
        await _log.BeginAsync(null, FlashPhase.Start, "Starting Klipper");
        try
        {
            var state = await _klippy.StartAsync();
            _after = state;
            if (state.Activity == KlippyActivity.Ready)
                await _log.EndAsync(null, FlashPhase.Start,
                    state.Message.Length == 0 ? "Klipper is ready" : $"Klipper is ready. {state.Message}");
            else
                await _log.WarnAsync(null, FlashPhase.Start, $"Klipper runs, but is not ready: {state.Message}");
        }
        catch (FlashException fault)
        {
            await _log.WarnAsync(null, FlashPhase.Start, fault);
            _klippyFault = FaultReport.Of(fault);
        }
    }

    /// <summary>Boards that an operator brought back resume beside the others. Power is cycled when all are done.</summary>
    private async Task FlashAllAsync(IReadOnlyList<FlashRequest> open, IReadOnlyList<OperatorWait> resumed, CancellationToken cancel)
    {
        _operator.Remove(resumed);
        var resuming = Task.WhenAll(resumed.Where(wait => wait.Flash is not null).Select(ResumeAsync));
        try
        {
            if (open.Count > 0)
                await FlashAllAsync(open, cancel);
        }
        finally
        {
            await resuming;
            foreach (var (flash, report) in await _power.RunAsync(_operator.Flashes, cancel))
                await FinishAsync(flash, report);
        }

        async Task ResumeAsync(OperatorWait wait) => await FinishAsync(wait.Flash!, await wait.Flash!.ResumeAsync(wait.Returned!, cancel));
    }

    private async Task FlashAllAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        var stopped = new KlippyState(KlippyActivity.Stopped);
        var survey = await CanSurvey.RunAsync(requests, _hardware, _time, _log, cancel);
        requests = [.. requests.Where(request => !HasVerdict(request))];
        var evidence = await _questions.AskAsync(requests, survey, cancel);

        // The boards have reported their chip: plan again, and refuse what does not fit before anything is touched.
        var plan = FlashPlan.Create(requests, survey.Look(), stopped, evidence);
        if (plan.Blocker is { } blocker)
            throw blocker;
        var open = await OpenAsync(await AccessCheck.ApplyAsync(plan, _hardware, _time, isLast: true));
        cancel.ThrowIfCancellationRequested();
        // Side by side, but a bridge only when every board behind it is proven: from then on they are out of reach.
        var others = open.Where(board => !board.IsCanBridge).ToDictionary(board => board, board => FlashAsync(board, cancel));
        await Task.WhenAll([.. others.Values, .. open.Where(board => board.IsCanBridge).Select(FlashBridgeAsync)]);

        async Task FlashBridgeAsync(BoardPlan bridge)
        {
            await Task.WhenAll(others.Where(other => other.Key.IsBehind(bridge)).Select(other => other.Value));
            var stranded = others.Keys.Where(other => other.IsBehind(bridge)
                && _log.Reports[other.Name] is { Ok: false, Condition: not BoardCondition.Unchanged }).Select(other => other.Name).ToList();
            if (stranded.Count > 0)
                await _log.RefuseAsync(bridge.Request, CanFaults.CanBridgeKept(bridge.Name, stranded), bridge, byPlan: false);
            else
                await FlashAsync(bridge, cancel);
        }
    }

    // ---- flash and report

    /// <summary>The boards that can be flashed now. The others get their verdict, or wait for an operator.</summary>
    private async Task<List<BoardPlan>> OpenAsync(FlashPlan plan)
    {
        var open = new List<BoardPlan>();
        foreach (var board in plan.Boards)
        {
            var wait = board is { Entry: FlashEntry.SdCard, IsBlocked: false, Request.Job: not FlashJob.ConfirmSdCard }
                ? await _files.PrepareCardAsync(board) : OperatorWait.For(board, _services.HasOperator);
            if (wait is { CanWait: true })
                _operator.Add(wait);
            else if ((wait?.Fault ?? board.Blocker ?? _locks.Take(board)) is { } fault)
                await _log.RefuseAsync(board.Request, fault, board);
            else
                open.Add(board);
        }
        return open;
    }

    private async Task FlashAsync(BoardPlan board, CancellationToken cancel)
    {
        await _log.NoteAsync(board.Name, FlashPhase.Enter, board.Route);
        if (board.Entry == FlashEntry.Replace)
        {
            await _log.VerdictAsync(await new ProcessFlash(_hardware, _services.HostMcu!, _time, _log, board).RunAsync(cancel));
            return;
        }
        if (board.Entry == FlashEntry.OwnUpdater)
        {
            await _log.VerdictAsync(await new ProbeUpdate(_hardware, _services.Probes!, _time, _log, board).RunAsync(cancel));
            return;
        }
        var flash = new BoardFlash(Bus(board), _time, _log, board, _services);
        await FinishAsync(flash, await flash.RunAsync(cancel));
    }

    /// <summary>
    /// Gives a board's verdict, unless a power cycle or an operator can still change it. No other board's verdict waits for that.
    /// </summary>
    private async Task FinishAsync(BoardFlash flash, BoardReport report)
    {
        if (_services.CanSwitchPower && flash.PowerToCycle is not null)
        {
            _power.Add(flash, report);
            return;
        }
        var way = flash.MayNeedCard ? await _files.OfferSdCardAsync(flash.Plan) : null;
        if (_services.HasOperator && flash.Step is { } step)
            _operator.Add(new(flash.Plan, flash.Fault!, step, flash));
        else
            await _log.VerdictAsync(way is null ? report : report with { Notes = [.. report.Notes, way] });
    }

    private BoardBus Bus(BoardPlan board) =>
        new(_hardware, new BoardPorts(_hardware, _klippy, _time, _log, board.Name), _time, board, _polling);

    private bool HasVerdict(FlashRequest request) => _log.Reports.ContainsKey(request.Board.Name);

    private async ValueTask ReportFindingsAsync(BoardPlan board)
    {
        foreach (var finding in board.Findings.Where(finding =>
            finding.Severity != FindingSeverity.Blocker && finding.Kind != FaultKind.NeedsBootloaderByHand))
            await _log.FindingAsync(board.Name, finding);
    }
}
