using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// The path of one flash, top to bottom: look, plan, stop Klipper, ask the boards, plan again, flash each board, start Klipper, report.
/// What happens to one board is in <see cref="BoardFlash"/>.
/// </summary>
/// <param name="hardware">The buses.</param>
/// <param name="klippy">Klipper's host process.</param>
/// <param name="time">The only clock.</param>
/// <param name="onEvent">Awaited before each step that changes the world.</param>
public sealed partial class Flasher(IHardware hardware, IKlippy klippy, TimeProvider time, Func<FlashEvent, ValueTask> onEvent)
{
    // Each node answers within milliseconds; Katapult's own tool waits 2 s.
    private static readonly TimeSpan SurveyTime = TimeSpan.FromSeconds(0.5);

    private readonly DfuPatience _patience = new();
    private KlippyState? _before;
    private KlippyState? _after;

    /// <summary>Builds what there is no firmware for, given the boards and whom to tell: firmware or fault by the board's name. Null where nothing can be built.</summary>
    public Func<IReadOnlyList<PrinterBoard>, Func<BuildProgress, ValueTask>, CancellationToken, Task<IReadOnlyDictionary<string, BuiltOrNot>>>? Build { get; init; }

    /// <summary>By the name of a board: where the firmware goes that is in it before the flash; null for a board of which it is not wanted.</summary>
    public Func<string, Action<FirmwareImage>?>? KeepOld { get; init; }
    /// <summary>Who may replace the process of this computer that is an MCU; null where nobody can be asked.</summary>
    public HostMcu? HostMcu { get; init; }

    /// <summary>
    /// Flashes the boards in one stop of Klipper. Never throws for what can go wrong in the world: every board has a report, and Klipper was
    /// started again if it was stopped.
    /// </summary>
    /// <param name="requests">Boards with an image each, 1 or more, each name once.</param>
    /// <param name="cancel">Heeded until a board's point of no return.</param>
    public async Task<FlashReport> FlashAsync(IReadOnlyList<FlashRequest> requests, CancellationToken cancel)
    {
        var log = new FlashLog(time, onEvent);
        var reports = new Dictionary<string, BoardReport>();
        FaultReport? klippyFault = null;
        try
        {
            foreach (var request in requests.Where(request => request.LeftOut is not null))
                await LeaveOutAsync(request, log, reports);
            IReadOnlyList<FlashRequest> wanted = [.. requests.Where(request => request.LeftOut is null)];
            var open = wanted.Count == 0 ? [] : await PlanAsync(wanted, log, reports, cancel);
            for (var isFirst = true; ; isFirst = false)
            {
                var back = isFirst ? [] : await AwaitPeopleAsync(log, cancel);
                open = isFirst ? open : [.. back.Where(board => board.Flash is null).Select(board => board.Request)];
                if (open.Count + back.Count > 0)
                    klippyFault = await WhileStoppedAsync(() => FlashAllAsync(open, back, log, reports, cancel), mayWait: !isFirst, log, cancel);
                if (_awaited.Count == 0)
                    break;
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await GiveUpAsync(log, reports);
            await RefuseAsync(requests, Faults.Cancelled(), log, reports, byPlan: false);
        }
        catch (FlashException fault)
        {
            await GiveUpAsync(log, reports);
            await RefuseAsync(requests, fault, log, reports, byPlan: fault.Code != "klipper-would-not-stop");
        }
        return new FlashReport([.. requests.Select(request => reports[request.Board.Name])], klippyFault, log.Elapsed) { Before = _before, After = _after };
    }

    private async Task<IReadOnlyList<FlashRequest>> PlanAsync(
        IReadOnlyList<FlashRequest> requests, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        await log.BeginAsync(null, FlashPhase.Look, "Looking at the printer");
        requests = await BuildAsync(requests, log, reports, cancel);
        var plan = await WithHostMcuAsync(FlashPlan.Create(requests, hardware.Look(), await klippy.LookAsync(cancel)), HostMcu, cancel);
        if (plan.Blocker is { } blocker)
            throw blocker;
        await log.EndAsync(null, FlashPhase.Look, $"{plan.Boards.Count(board => board.Device is not null || board.Entry == FlashEntry.Replace)} of {requests.Count} boards found");

        var open = new List<FlashRequest>();
        foreach (var board in plan.Boards)
        {
            await TellAsync(board, log);
            if (!await LeaveToPersonAsync(board, log, reports) && !await BlockedAsync(board, log, reports))
                open.Add(board.Request);
        }
        return open;
    }

    /// <summary>
    /// The requests that there is firmware for, or can be made: while Klipper runs, but not while it prints (a build takes what a print needs). A board that could not
    /// be flashed anyway is not built for.
    /// </summary>
    private async Task<IReadOnlyList<FlashRequest>> BuildAsync(
        IReadOnlyList<FlashRequest> requests, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        // What runs, or can be started, needs none.
        var missing = requests.Where(request => request.Image is null && !request.Recovers).ToList();
        if (missing.Count == 0)
            return await BuildForRecoveryAsync(requests, log, cancel);
        var plan = await WithHostMcuAsync(FlashPlan.Create(missing, hardware.Look(), await klippy.LookAsync(cancel)), HostMcu, cancel);
        if (plan.Blocker is { } blocker)
            throw blocker;
        // Whoever has to write a board by hand needs the file all the same.
        var byHand = Build is null || Offer is null ? [] : plan.Boards.Where(board => board.Blocker is { Code: "no-road" } && BoardGuide.Of(board.Board).BuildsFile is not null).ToDictionary(board => board.Name);
        foreach (var board in plan.Boards.Where(board => !byHand.ContainsKey(board.Name)))
            await BlockedAsync(board, log, reports);
        missing.RemoveAll(request => reports.ContainsKey(request.Board.Name));
        IReadOnlyDictionary<string, BuiltOrNot>? built = null;
        if (Build is not null && missing.Count > 0)
        {
            foreach (var request in missing)
                await log.BeginAsync(request.Board.Name, FlashPhase.Build, "Building the firmware");
            built = await Build([.. missing.Select(request => request.Board)], news => log.ProgressAsync(news.Board, FlashPhase.Build, news.Done, news.Total), cancel);
        }
        foreach (var request in missing)
        {
            var outcome = built?.GetValueOrDefault(request.Board.Name) ?? default;
            if (byHand.GetValueOrDefault(request.Board.Name) is { } board)
                await RefuseAsync([request], await OfferBuiltAsync(board, outcome, log), log, reports, board);
            else if (outcome.Firmware is not { } made)
                await RefuseAsync([request], outcome.Fault ?? Faults.FirmwareMissing(request.Board.Name), log, reports);
            else
                await log.EndAsync(request.Board.Name, FlashPhase.Build, $"{(made.IsFromCache ? "It was built before" : "Built")}: {made.Image.Version}, {made.Image.Bytes.Length} bytes, {made.Elapsed.TotalSeconds:0.0} s");
        }
        return [.. requests.Where(request => !reports.ContainsKey(request.Board.Name))
            .Select(request => request.Image is not null || request.Recovers ? request : request with { Image = built![request.Board.Name].Firmware!.Image })];
    }

    /// <summary>Klipper is started again however the work ends.</summary>
    private async Task<FaultReport?> WhileStoppedAsync(Func<Task> work, bool mayWait, FlashLog log, CancellationToken cancel)
    {
        // The second look: a print may have been started since the first.
        var state = mayWait ? await AwaitIdleAsync(log, cancel) : await klippy.LookAsync(cancel);
        if (state.Blocker is { } blocker)
            throw blocker;
        if (state.Activity == KlippyActivity.Absent)
        {
            await work();
            return null;
        }
        _before ??= state;
        await log.BeginAsync(null, FlashPhase.Stop, "Stopping Klipper");
        FaultReport? fault;
        try
        {
            await klippy.StopAsync(cancel);
            await log.EndAsync(null, FlashPhase.Stop, "Klipper is stopped");
            await work();
        }
        finally
        {
            fault = await StartAsync(log);
        }
        return fault;
    }

    private async Task<FaultReport?> StartAsync(FlashLog log)
    {
        await log.BeginAsync(null, FlashPhase.Start, "Starting Klipper");
        try
        {
            var state = await klippy.StartAsync();
            _after = state;
            if (state.Activity == KlippyActivity.Ready)
                await log.EndAsync(null, FlashPhase.Start, state.Message.Length == 0 ? "Klipper is ready" : $"Klipper is ready. {state.Message}");
            else
                await log.WarnAsync(null, FlashPhase.Start, $"Klipper runs, but is not ready: {state.Message}");
            return null;
        }
        catch (FlashException fault)
        {
            await log.WarnAsync(null, FlashPhase.Start, fault.Message);
            return FaultReport.Of(fault);
        }
    }

    private async Task FlashAllAsync(
        IReadOnlyList<FlashRequest> requests, IReadOnlyList<Awaited> back, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        // Those that a person brought back go on where they were; all that a plan asks for is known of them.
        _awaited.RemoveAll(back.Contains);
        var going = Task.WhenAll(back.Where(board => board.Flash is not null).Select(board => GoOnAsync(board, log, reports, cancel)));
        try
        {
            if (requests.Count > 0)
                await FlashAllAsync(requests, log, reports, cancel);
        }
        finally
        {
            await going;
            await CyclePowerAsync(log, reports, cancel);
        }
    }

    private async Task FlashAllAsync(IReadOnlyList<FlashRequest> requests, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        var stopped = new KlippyState(KlippyActivity.Stopped);
        var nodes = await SurveyAsync(requests, log, reports, cancel);
        requests = [.. requests.Where(request => !reports.ContainsKey(request.Board.Name))];
        var answers = await Task.WhenAll(
            FlashPlan.Create(requests, Look(nodes), stopped).Boards.Select(board => AskAsync(board, log, cancel)));
        var evidence = answers.Where(answer => answer.Evidence is not null).ToDictionary(answer => answer.Name, answer => answer.Evidence!);

        // Now the boards have told their chip, plan again: what does not fit is refused before anything was touched.
        var open = new List<BoardPlan>();
        var plan = FlashPlan.Create(requests, Look(nodes), stopped, evidence);
        if (plan.Blocker is { } blocker)
            throw blocker;
        foreach (var board in plan.Boards)
        {
            if (!await LeaveToPersonAsync(board, log, reports) && !await BlockedAsync(board, log, reports))
                open.Add(board);
        }
        cancel.ThrowIfCancellationRequested();
        // Side by side, but a bridge only when everything behind it is proven: from then on nothing there can be reached.
        var others = open.Where(board => !board.IsCanBridge).ToDictionary(board => board, board => FlashAsync(board, log, reports, cancel));
        await Task.WhenAll([.. others.Values, .. open.Where(board => board.IsCanBridge).Select(FlashBridgeAsync)]);

        async Task FlashBridgeAsync(BoardPlan bridge)
        {
            await Task.WhenAll(others.Where(other => other.Key.IsBehind(bridge)).Select(other => other.Value));
            var stranded = others.Keys.Where(other => other.IsBehind(bridge) && reports[other.Name] is { Ok: false, Condition: not BoardCondition.Unchanged })
                .Select(other => other.Name).ToList();
            if (stranded.Count > 0)
                await RefuseAsync([bridge.Request], Faults.CanBridgeKept(bridge.Name, stranded), log, reports, bridge, byPlan: false);
            else
                await FlashAsync(bridge, log, reports, cancel);
        }
    }

    private async Task FlashAsync(BoardPlan board, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        await log.NoteAsync(board.Name, FlashPhase.Enter, board.Route);
        if (board.Entry == FlashEntry.Replace)
        {
            var report = await new ProcessFlash(hardware, HostMcu!, time, log, board).RunAsync(cancel);
            reports[board.Name] = report;
            await log.VerdictAsync(report);
            return;
        }
        var flash = new BoardFlash(new BoardBus(hardware, klippy, time, log, board, _patience), time, log, board) { KeepOld = KeepOld?.Invoke(board.Name) };
        await ReportAsync(board, flash, await flash.RunAsync(cancel), log, reports);
    }

    /// <summary>The plan, with what stands against replacing the process of this computer that is an MCU.</summary>
    public static async Task<FlashPlan> WithHostMcuAsync(FlashPlan plan, HostMcu? host, CancellationToken cancel)
    {
        if (plan.Boards.FirstOrDefault(board => board.Entry == FlashEntry.Replace) is not { } process)
            return plan;
        return plan.WithHostMcu(host is null ? Faults.HostMcuUnreachable(BoardGuide.Of(process.Board).Text) : await host.CheckAsync(cancel));
    }

    /// <summary>What the buses show, and the nodes that answered on those that show nothing.</summary>
    private DeviceList Look(IReadOnlyList<Device> nodes)
    {
        var seen = hardware.Look();
        return seen with { Devices = [.. seen.Devices, .. nodes.Where(node => seen.Devices.Any(node.IsSameStay))] };
    }

    /// <summary>
    /// Asks who is on the CAN buses of these boards and has no number: whoever waits in Katapult is among them, whoever runs Klipper may be. The boards of
    /// a bus that is in trouble are refused here, before anything was touched.
    /// </summary>
    private async Task<IReadOnlyList<Device>> SurveyAsync(
        IReadOnlyList<FlashRequest> requests, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel)
    {
        var nodes = new List<Device>();
        var onCan = FlashPlan.Create(requests, hardware.Look(), new(KlippyActivity.Stopped)).Boards.Where(board => board.Device is { Can.IsUp: true });
        foreach (var boards in onCan.GroupBy(board => board.Device!, board => board.Request))
        {
            var can = boards.Key;
            cancel.ThrowIfCancellationRequested();
            await log.NoteAsync(null, FlashPhase.Ask, $"Asking who is on {can.Port}");
            try
            {
                await using var port = await hardware.OpenCanAsync(can);
                // Nobody writes yet: whoever a dead predecessor left with a number answers now as well.
                await port.SendAsync(CanAdmin.ClearKatapult);
                var first = await CanAdmin.QueryAsync(port, SurveyTime, time);
                // An answer can be heard twice (a frame repeated in its last bit); two boards answer twice each time.
                var second = first.Distinct().Count() < first.Length ? await CanAdmin.QueryAsync(port, SurveyTime, time) : first;
                foreach (var node in first.Distinct())
                    nodes.AddRange(Enumerable.Repeat(can with { CanNode = node }, Math.Max(1, second.Count(other => other.Uuid == node.Uuid))));
                if (first.Length == 0 && CanAdmin.TroubleOf(port) is { } trouble)
                    throw trouble;
            }
            catch (FlashException fault)
            {
                await RefuseAsync(boards, fault, log, reports, byPlan: false);
            }
            catch (DeviceGoneException)
            {
                // What is no longer there is not found by the plan either.
            }
        }
        return nodes;
    }

    /// <summary>Chip, unique id and running version, from a board that runs Klipper. One that cannot answer is flashed without: the bootloader is asked too.</summary>
    private async Task<(string Name, BoardEvidence? Evidence)> AskAsync(BoardPlan board, FlashLog log, CancellationToken cancel)
    {
        if (board is not { Entry: FlashEntry.Touch or FlashEntry.CanRequest or FlashEntry.ByHand or FlashEntry.SdCard, Device: { } device, Board: { Mcu: { } mcu, ApplicationStart: { } start } })
            return (board.Name, null);
        await log.BeginAsync(board.Name, FlashPhase.Ask, "Asking the running firmware");
        try
        {
            await using var client = device.Can is not null
                ? await new BoardBus(hardware, klippy, time, log, board, _patience).ConnectAsync(device)
                : await KlipperClient.ConnectAsync(await hardware.OpenSerialAsync(device, SerialMode.Klipper), board.Name, time, cancel);
            var dictionary = await client.IdentifyAsync(cancel);
            // Addresses are only asked of the chip that has them: another one would fault.
            var chip = dictionary.Mcu == mcu.Name ? await client.AskChipAsync(mcu, start, cancel) : null;
            await log.EndAsync(board.Name, FlashPhase.Ask, $"It runs {dictionary.Version} on {dictionary.Mcu}");
            return (board.Name, new BoardEvidence(dictionary.Version, dictionary.Mcu, chip) { IsCanBridge = dictionary.IsCanBridge });
        }
        catch (FlashException fault)
        {
            await log.WarnAsync(board.Name, FlashPhase.Ask, $"The running firmware could not be asked: {fault.Cause}");
        }
        catch (DeviceGoneException)
        {
            await log.WarnAsync(board.Name, FlashPhase.Ask, $"{device} left the bus. Put the cable or power back: I go on by myself.");
            await hardware.WaitForAsync(
                seen => seen.Devices.Any(device.IsSameStay) ? null : seen.Devices.FirstOrDefault(other => other.Port == device.Port && other.Can is not { IsUp: false }), BoardBus.CableLimit, time, cancel);
        }
        return (board.Name, null);
    }

    private static async ValueTask TellAsync(BoardPlan board, FlashLog log)
    {
        foreach (var finding in board.Findings.Where(finding => finding.Severity != FindingSeverity.Blocker && finding.Code != "needs-bootloader-by-hand"))
        {
            var text = $"{finding.Text} {finding.Remedy}";
            await (finding.Severity == FindingSeverity.Warning
                ? log.WarnAsync(board.Name, FlashPhase.Plan, text) : log.NoteAsync(board.Name, FlashPhase.Plan, text));
        }
    }

    private static async Task<bool> BlockedAsync(BoardPlan board, FlashLog log, Dictionary<string, BoardReport> reports)
    {
        if (board.Blocker is not { } blocker)
            return false;
        await RefuseAsync([board.Request], blocker, log, reports, board);
        return true;
    }

    private static async Task LeaveOutAsync(FlashRequest request, FlashLog log, Dictionary<string, BoardReport> reports)
    {
        var report = new BoardReport
        {
            Board = request.Board.Name,
            Condition = BoardCondition.Unchanged,
            LeftOut = request.LeftOut,
            OldVersion = request.Board.RunningVersion,
            NewVersion = request.Board.RunningVersion,
        };
        reports[request.Board.Name] = report;
        await log.VerdictAsync(report);
    }

    /// <summary>Reports boards that were never touched.</summary>
    private static async Task RefuseAsync(
        IEnumerable<FlashRequest> requests, FlashException fault, FlashLog log, Dictionary<string, BoardReport> reports, BoardPlan? plan = null,
        bool byPlan = true)
    {
        foreach (var request in requests.Where(request => !reports.ContainsKey(request.Board.Name)))
        {
            var report = new BoardReport
            {
                Board = request.Board.Name,
                Condition = plan?.Entry == FlashEntry.InBootloader ? BoardCondition.InBootloaderUnchanged : BoardCondition.Unchanged,
                Fault = FaultReport.Of(fault),
                Refused = byPlan,
                OldVersion = plan?.RunningVersion ?? request.Board.RunningVersion,
                NewVersion = request.Image?.Version,
            };
            reports[request.Board.Name] = report;
            await log.VerdictAsync(report);
        }
    }
}
