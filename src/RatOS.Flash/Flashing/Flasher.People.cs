using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <content>Boards that only a person can help: they are waited for without an end while Klipper runs, and go on by themselves.</content>
public sealed partial class Flasher
{
    // Nobody announces that a printer has become idle.
    private static readonly TimeSpan IdlePoll = TimeSpan.FromSeconds(5);

    private readonly List<Awaited> _awaited = [];

    /// <summary>Somebody is there who can set a jumper; without, such a board is refused, or has failed, at once.</summary>
    public bool HasPerson { get; init; }

    /// <summary>Runs a wait that may take days, so that others can use the printer meanwhile; it completes when it is this flash's turn again. Null where there are no others.</summary>
    public Func<Func<Task>, Task>? Aside { get; init; }

    /// <summary>Completes when what the printer does may have changed; null where nobody tells.</summary>
    public Func<CancellationToken, Task>? PrinterChange { get; init; }

    /// <param name="Plan">The board.</param>
    /// <param name="Fault">What stands unless a person helps.</param>
    /// <param name="Step">What to do.</param>
    /// <param name="Find">The board as it is when that was done.</param>
    /// <param name="Flash">Its flash that goes on then; null for one that has not begun.</param>
    private sealed record Awaited(BoardPlan Plan, FaultReport Fault, string Step, Func<DeviceList, Device?> Find, BoardFlash? Flash)
    {
        public bool IsTold { get; set; }

        /// <summary>Called when it is told: what the board did until then is not what is awaited. Null where that does not matter.</summary>
        public Action? Begin { get; init; }

        /// <summary>As which it came back.</summary>
        public Device? Back { get; set; }

        /// <summary>To be begun, at the port where it is now.</summary>
        public FlashRequest Request => Plan.Request with { Board = Plan.Request.Board with { Port = Back!.Port }, CardWasCarried = Plan.Entry == FlashEntry.SdCard };
    }

    /// <summary>True for a board whose bootloader only a person can start or feed, and for one that is to be recovered and is not there.</summary>
    private async Task<bool> LeaveToPersonAsync(BoardPlan board, FlashLog log, Dictionary<string, BoardReport> reports)
    {
        if (board is { Request.Recovers: true, Blocker: { Code: "board-not-seen" } missing } && HasPerson)
        {
            _awaited.Add(new(
                board, FaultReport.Of(missing), $"See that its cable and its power are connected. If it does not show up then: {BoardPlan.Guide(board.Board)}",
                seen => FlashPlan.Create([board.Request], seen, new(KlippyActivity.Stopped)).Boards[0] is { Blocker: null, Device: { } device } ? device : null, null));
            return true;
        }
        if (board is { Entry: FlashEntry.SdCard, IsBlocked: false, Request.CardWasCarried: false })
        {
            await LeaveToCardAsync(board, log, reports);
            return true;
        }
        if (board.IsBlocked || board.Request.Recovers || board.ByHand is not { } fault)
            return false;
        var port = board.BootloaderPort;
        if (HasPerson)
            _awaited.Add(new(board, FaultReport.Of(fault), BoardPlan.Guide(board.Board), seen => seen.Devices.FirstOrDefault(device => device.Port == port && BoardBus.IsBootloader(device)), null));
        else
            await RefuseAsync([board.Request], fault, log, reports, board);
        return true;
    }

    /// <summary>
    /// Firmware for boards that are to run again and sit in a bootloader: they may need it, and while Klipper is stopped nothing is built. That there is none is said
    /// when it is needed.
    /// </summary>
    private async Task<IReadOnlyList<FlashRequest>> BuildForRecoveryAsync(IReadOnlyList<FlashRequest> requests, FlashLog log, CancellationToken cancel)
    {
        var seen = hardware.Look();
        var needy = requests.Where(request => request is { Recovers: true, Image: null }
            && FlashPlan.Create([request], seen, new(KlippyActivity.Stopped)).Boards[0] is { Device: null } or { Entry: FlashEntry.InBootloader }).ToList();
        if (Build is null || needy.Count == 0 || (await klippy.LookAsync(cancel)).Blocker is not null)
            return requests;
        foreach (var request in needy)
            await log.BeginAsync(request.Board.Name, FlashPhase.Build, "Building the firmware, in case that it is needed");
        var built = await Build([.. needy.Select(request => request.Board)], news => log.ProgressAsync(news.Board, FlashPhase.Build, news.Done, news.Total), cancel);
        foreach (var request in needy)
        {
            var (firmware, fault) = built.GetValueOrDefault(request.Board.Name);
            await (firmware is null ? log.WarnAsync(request.Board.Name, FlashPhase.Build, fault?.Cause ?? "Nothing was built.")
                : log.EndAsync(request.Board.Name, FlashPhase.Build, $"{(firmware.IsFromCache ? "It was built before" : "Built")}: {firmware.Image.Version}"));
        }
        return [.. requests.Select(request => needy.Contains(request) ? request with { Image = built.GetValueOrDefault(request.Board.Name).Firmware?.Image } : request)];
    }

    /// <summary>Gives a board's verdict, unless a person can still change it. Nobody else's verdict waits for that.</summary>
    private async Task ReportAsync(BoardPlan board, BoardFlash flash, BoardReport report, FlashLog log, Dictionary<string, BoardReport> reports)
    {
        if (SwitchPower is not null && flash.PowerToCycle is not null)
        {
            _dark.Add((board, flash, report));
            return;
        }
        if (HasPerson && flash.Step is { } step)
        {
            await OtherWayAsync(board, flash, log);
            _awaited.Add(new(board, report.Fault!, step, flash.FindBack, flash) { Begin = board.Entry == FlashEntry.SdCard ? flash.Remember : null });
            return;
        }
        if (await OtherWayAsync(board, flash, log) is { } way)
            report = report with { Notes = [.. report.Notes, way] };
        reports[board.Name] = report;
        await log.VerdictAsync(report);
    }

    private async Task GoOnAsync(Awaited board, FlashLog log, Dictionary<string, BoardReport> reports, CancellationToken cancel) =>
        await ReportAsync(board.Plan, board.Flash!, await board.Flash!.GoOnAsync(board.Back!, cancel), log, reports);

    /// <summary>Tells what to do, and waits without an end until one of the boards is back; those that are.</summary>
    private async Task<IReadOnlyList<Awaited>> AwaitPeopleAsync(FlashLog log, CancellationToken cancel)
    {
        foreach (var board in _awaited.Where(board => !board.IsTold))
        {
            board.IsTold = true;
            board.Begin?.Invoke();
            await log.BeginAsync(board.Plan.Name, FlashPhase.Person, $"{board.Fault.Cause} Do this now, I go on by myself: {board.Step}");
        }
        Task Wait() => hardware.WaitForAsync(seen => _awaited.Exists(board => board.Find(seen) is not null) ? seen : null, Timeout.InfiniteTimeSpan, time, cancel);
        await (Aside is null ? Wait() : Aside(Wait));
        var seen = hardware.Look();
        var back = _awaited.FindAll(board => (board.Back = board.Find(seen)) is not null);
        foreach (var board in back)
        {
            await log.EndAsync(board.Plan.Name, FlashPhase.Person, $"It was done: {board.Back!.Product ?? "the board"} is at {board.Back.Port}. Going on.");
        }
        // They are awaited until it really goes on: until then a cancel finds them here.
        return back;
    }

    /// <summary>Somebody may have started a print meanwhile: it is never disturbed.</summary>
    private async Task<KlippyState> AwaitIdleAsync(FlashLog log, CancellationToken cancel)
    {
        for (var isTold = false; ; isTold = true)
        {
            var change = PrinterChange?.Invoke(cancel) ?? Task.Delay(IdlePoll, time, cancel);
            var state = await klippy.LookAsync(cancel);
            if (state.Blocker is not { } busy)
                return state;
            if (!isTold)
                await log.WarnAsync(null, FlashPhase.Person, $"{busy.Cause} Going on as soon as that is over.");
            await change;
        }
    }

    /// <summary>Nobody helped: what was found out before stands.</summary>
    private async Task GiveUpAsync(FlashLog log, Dictionary<string, BoardReport> reports)
    {
        foreach (var board in _awaited)
        {
            if (board.Flash?.Last is not { } last)
            {
                await RefuseAsync([board.Plan.Request], new(board.Fault.Code, board.Fault.Cause, board.Fault.Remedy), log, reports, board.Plan);
                continue;
            }
            var report = last with { Notes = [.. last.Notes, "Nobody did what was asked for: the wait was given up."] };
            reports[board.Plan.Name] = report;
            await log.VerdictAsync(report);
        }
    }
}
