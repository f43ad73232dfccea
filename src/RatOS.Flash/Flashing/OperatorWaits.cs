using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>Boards that only an operator can help. They are awaited without a limit while Klipper runs, and resume automatically.</summary>
internal sealed class OperatorWaits(IHardware hardware, IKlippy klippy, TimeProvider time, FlashServices services, FlashLog log)
{
    private readonly List<OperatorWait> _waits = [];

    public bool IsIdle => _waits.Count == 0;

    /// <summary>Flashes that are under way and wait.</summary>
    public IEnumerable<BoardFlash> Flashes => _waits.Select(wait => wait.Flash).OfType<BoardFlash>();

    public void Add(OperatorWait wait) => _waits.Add(wait);

    public void Remove(IReadOnlyList<OperatorWait> resumed) => _waits.RemoveAll(resumed.Contains);

    /// <summary>
    /// Announces each step once, and waits until one of the boards is back. Those that are stay listed until they resume, so a cancel finds
    /// them.
    /// </summary>
    public async Task<IReadOnlyList<OperatorWait>> WaitAsync(CancellationToken cancel)
    {
        foreach (var wait in _waits)
        {
            if (wait.Begin(hardware.Look()))
                await log.BeginWaitAsync(wait.Plan.Name, $"{wait.Fault.Cause} Do this now; the flash then continues automatically:",
                    wait.Step);
        }
        await services.WaitAsideAsync(
            () => hardware.WaitForAsync(
                seen => _waits.Exists(wait => wait.Find(seen) is not null) ? seen : null, Timeout.InfiniteTimeSpan, time, cancel));
        var now = hardware.Look();
        var back = _waits.FindAll(wait => (wait.Returned = wait.Find(now)) is not null);
        foreach (var wait in back)
            await log.EndAsync(wait.Plan.Name, FlashPhase.Operator,
                $"{wait.Returned!.DisplayName ?? "The board"} is at {wait.Returned.Port}. Continuing.");
        return back;
    }

    /// <summary>A print may have started during the wait: it is never disturbed.</summary>
    public async Task<KlippyState> AwaitIdleAsync(CancellationToken cancel)
    {
        for (var isFirst = true; ; isFirst = false)
        {
            var change = services.NextPrinterChangeAsync(time, cancel);
            var state = await klippy.LookAsync(cancel);
            if (state.Blocker is not { } busy)
                return state;
            if (isFirst)
                await log.WarnAsync(null, FlashPhase.Operator, $"{busy.Cause} The flash continues as soon as that is over.");
            await change;
        }
    }

    /// <summary>The wait is over without help: what was found out before it stands.</summary>
    public async Task GiveUpAsync()
    {
        foreach (var wait in _waits)
        {
            if (wait.Flash?.Last is { } last)
                await log.VerdictAsync(last with { Notes = [.. last.Notes, "The operator step was not done: the wait was given up."] });
            else
                // The card may have been carried: of a board that left the bus since, nothing is known.
                await log.RefuseAsync(wait.Plan.Request, wait.Fault, wait.Plan.Entry != FlashEntry.SdCard ? wait.Plan
                    : FlashPlan.Create([wait.Plan.Request], hardware.Look(), new(KlippyActivity.Stopped)).Boards[0]);
        }
    }
}

/// <summary>One board that an operator can help.</summary>
/// <param name="plan">The board.</param>
/// <param name="fault">What stands unless the step is done.</param>
/// <param name="step">What to do.</param>
/// <param name="flash">Its flash, which resumes; null for one that has not begun.</param>
internal sealed class OperatorWait(BoardPlan plan, FlashException fault, Remedy step, BoardFlash? flash = null)
{
    private HashSet<(string Port, int Number)>? _known;

    public BoardPlan Plan => plan;

    public FlashException Fault => fault;

    public Remedy Step => step;

    public BoardFlash? Flash => flash;

    /// <summary>False where nothing shows that the step was done, or no operator is there.</summary>
    public bool CanWait { get; init; } = true;

    /// <summary>The session with which the board came back.</summary>
    public Device? Returned { get; set; }

    /// <summary>To begin at the port where the board is now.</summary>
    public FlashRequest Resumed => plan.Request with
    {
        Board = plan.Request.Board with { Port = Returned!.Port },
        Job = plan.Entry == FlashEntry.SdCard ? FlashJob.ConfirmSdCard : plan.Request.Job,
    };

    /// <summary>The operator step of a board that cannot be flashed as it is; null where there is none.</summary>
    public static OperatorWait? For(BoardPlan board, bool hasOperator) => board switch
    {
        { Request.Job: FlashJob.Recover, Blocker: { } missing } when missing.Kind == FaultKind.BoardNotSeen && hasOperator =>
            new(board, missing, OperatorSteps.Of(OperatorStep.CheckCable, board.ManualSteps)!),
        { IsBlocked: false, Request.Job: not FlashJob.Recover, ManualEntry: { } fault } =>
            new(board, fault, board.ManualSteps) { CanWait = hasOperator },
        _ => null,
    };

    /// <summary>What an operator can do after a flash failed; null where nothing helps.</summary>
    public static Remedy? StepAfter(FlashException fault, BoardPlan board) => fault.Kind.OperatorStep == OperatorStep.CarryCard
        ? fault.Remedy
        : OperatorSteps.Of(fault.Kind.OperatorStep, board.ManualSteps, board.Profile.NeedsEmptySlot);

    /// <summary>From here on a new session of the board counts. False when it had begun before.</summary>
    public bool Begin(DeviceList seen)
    {
        if (_known is not null)
            return false;
        _known = [.. seen.Devices.Select(device => (device.Port, device.Number))];
        // While a card is carried, what the board did until now is not what is awaited.
        if (plan.Entry == FlashEntry.SdCard)
            flash?.Remember();
        return true;
    }

    /// <summary>The board as the step brings it back; null before.</summary>
    public Device? Find(DeviceList seen)
    {
        if (flash is not null)
            return flash.FindReturned(seen);
        if (plan.Request.Job == FlashJob.Recover)
            return FlashPlan.Create([plan.Request], seen, new(KlippyActivity.Stopped)).Boards[0] is { Blocker: null, Device: { } found }
                ? found : null;
        if (plan.Entry != FlashEntry.SdCard)
            return seen.Devices.FirstOrDefault(device => device.Port == plan.BootloaderPort && plan.IsBootloader(device));
        var (port, serial) = (plan.Device?.Port ?? plan.Request.Board.Port, plan.Request.Board.Serial);
        return seen.Devices.FirstOrDefault(device => device.RunsKlipper && _known?.Contains((device.Port, device.Number)) == false
            && (port is null ? device.Serial == serial : device.Port == port));
    }
}
