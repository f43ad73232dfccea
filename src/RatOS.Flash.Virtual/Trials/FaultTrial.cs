using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>The outcome of a flash under faults. With several boards the worst one counts.</summary>
public enum TrialOutcome
{
    /// <summary>The new firmware runs, confirmed before and after a reset, and Klipper is ready.</summary>
    [ContractName("flashed")] Flashed,

    /// <summary>The flash failed; the old firmware, untouched, runs again by itself, and Klipper is ready.</summary>
    [ContractName("old-firmware")] OldFirmware,

    /// <summary>
    /// The flash failed; after the operator steps of its remedy, and another flash if it names one, the new firmware was confirmed (on a
    /// chip that cannot be written: the old one ran) and Klipper was ready.
    /// </summary>
    [ContractName("human-step")] OperatorStep,

    /// <summary>An invariant was violated (see <see cref="FlashInvariants"/>), or no operator step of the remedy helped.</summary>
    [ContractName("broken")] Broken,
}

/// <param name="At">When it was made.</param>
/// <param name="Phase">Of the flash.</param>
/// <param name="IsControl">To a bootloader on USB's endpoint 0; else a frame to a serial line or to CAN.</param>
public readonly record struct Transfer(TimeSpan At, FlashPhase Phase, bool IsControl);

/// <summary>
/// One flash of all boards of a virtual printer, under faults, and its outcome. <see cref="FlashInvariants"/> checks every one.
/// </summary>
public sealed record FaultTrial
{
    // A board that returns within this time needs no operator. The longest power cut and the slowest return that seeds draw are shorter.
    private static readonly TimeSpan SettleTime = TimeSpan.FromMinutes(1);

    private static readonly ConcurrentDictionary<string, Lazy<FaultTrial>> Undisturbed = new();

    public required TrialOutcome Outcome { get; init; }

    /// <summary>The operator step that helped, with <see cref="TrialOutcome.OperatorStep"/>.</summary>
    public SimulatedStep? Step { get; init; }

    /// <summary>The violations, a line each; none unless <see cref="TrialOutcome.Broken"/>.</summary>
    public ImmutableArray<string> Problems { get; init; } = [];

    /// <summary>Of the flash under faults.</summary>
    public required FlashReport Report { get; init; }

    /// <summary>Every event of that flash, with its time.</summary>
    public required string Trace { get; init; }

    /// <summary>Every transfer of that flash, as <see cref="TransferFault.Index"/> counts them.</summary>
    public required ImmutableArray<Transfer> Transfers { get; init; }

    /// <summary>The first fault of its boards; <c>flashed</c> without one.</summary>
    public string Code => Report.Boards.Select(board => board.Fault?.Code).FirstOrDefault(code => code is not null) ?? "flashed";

    /// <summary>The faults made no difference: every event came as it does without them, at the very same time.</summary>
    public bool IsUndisturbed(Scenario scenario) => Trace == Without(scenario).Trace;

    /// <summary>The same printer's flash without faults.</summary>
    public static FaultTrial Without(Scenario scenario) =>
        Undisturbed.GetOrAdd(scenario.Name, _ => new(() => Run(scenario, InjectedFaults.None))).Value;

    /// <param name="scenario">All of its boards are flashed at once.</param>
    /// <param name="faults">They strike in the first flash only, not after an operator step.</param>
    /// <param name="only">The one step of the remedies that the operator does; null for all of them, in their order.</param>
    public static FaultTrial Run(Scenario scenario, InjectedFaults faults, SimulatedStep? only = null)
    {
        FaultTrial? trial = null;
        VirtualTime.Run(async time => trial = await RunAsync(VirtualPrinter.Create(scenario, time, faults), only));
        return trial!;
    }

    /// <summary>
    /// The same, and of one board that needed an operator step each further step of its remedy alone: an operator may begin with it.
    /// </summary>
    public static FaultTrial RunEach(Scenario scenario, InjectedFaults faults)
    {
        var trial = Run(scenario, faults);
        if (trial.Outcome != TrialOutcome.OperatorStep || trial.Report.Boards.Where(board => !board.Ok).ToList() is not [var failed])
            return trial;
        // Those before the one that helped were done, and did no harm. A look at the cable starts nothing.
        var steps = SimulatedOperator.StepsOf(failed.Fault!.Remedy);
        var cable = failed.Fault.Remedy.Actions.Any(action => action.Step == OperatorStep.PowerCycle) ? (SimulatedStep?)null
            : SimulatedStep.Power;
        // BOOT0 is for a board that is flashed by its ROM on a UART, as the remedy says.
        var rom = failed.Fault.Kind == FaultKind.KlipperSilent && scenario.Boards.Single(board => board.Name == failed.Board).Stage
            == BootStage.Katapult ? SimulatedStep.Boot0 : (SimulatedStep?)null;
        foreach (var step in steps[(steps.IndexOf(trial.Step!.Value) + 1)..].Where(step => step != cable && step != rom))
        {
            if (Run(scenario, faults, step) is { Outcome: TrialOutcome.Broken, Problems: var problems })
                return trial with { Outcome = TrialOutcome.Broken, Problems = [.. problems.Select(problem => $"{step} alone: {problem}")] };
        }
        return trial;
    }

    private static async Task<FaultTrial> RunAsync(VirtualPrinter printer, SimulatedStep? only)
    {
        var (events, transfers) = (new List<FlashEvent>(), new List<Transfer>());
        printer.Injector.OnTransfer = isControl =>
            transfers.Add(new(printer.Time.Now, events.Count > 0 ? events[^1].Phase : FlashPhase.Look, isControl));
        var invariants = FlashInvariants.Before(printer);
        var (report, problems) = await FlashAsync(printer, printer.Boards, events, invariants);
        var trial = new FaultTrial
        {
            Outcome = TrialOutcome.Flashed,
            Problems = problems,
            Report = report,
            Trace = TraceOf(events),
            Transfers = [.. transfers],
        };
        printer.Injector.OnTransfer = null;
        if (problems.Length > 0)
            return trial with { Outcome = TrialOutcome.Broken };
        if (report.Ok && IsReady(printer))
            return trial;

        await Task.Delay(SettleTime, printer.Time);
        var failed = report.Boards.Where(board => !board.Ok).ToList();
        if (failed.TrueForAll(RunsOld) && IsReady(printer))
            return trial with { Outcome = failed.Count == 0 ? TrialOutcome.Flashed : TrialOutcome.OldFirmware };
        // A board that runs but was stopped, or returned too late, keeps Klipper from being ready too: it gets its operator steps as well.
        return await FollowRemediesAsync(trial, printer, failed, RunsOld, only);

        bool RunsOld(BoardReport one)
        {
            var board = printer.Boards.Single(board => board.Name == one.Board);
            return board.State == BoardState.Klipper && printer.IsListed(board) && invariants.IsUntouched(board);
        }
    }

    /// <summary>The simulated operator does the steps of the remedies, in their order, until one helps. No more faults strike.</summary>
    private static async Task<FaultTrial> FollowRemediesAsync(
        FaultTrial trial, VirtualPrinter printer, List<BoardReport> open, Predicate<BoardReport> runsOld, SimulatedStep? only)
    {
        printer.Heal();
        var tried = new StringBuilder();
        var steps = open.SelectMany(report => SimulatedOperator.StepsOf(report.Fault!.Remedy)).Distinct()
            .Where(step => only is null || step == only);
        foreach (var step in steps.ToList())
        {
            foreach (var report in open.Where(report => SimulatedOperator.StepsOf(report.Fault!.Remedy).Contains(step)))
                await SimulatedOperator.DoAsync(step, printer, Find(report));
            // Without another flash in the remedy, the firmware is in place and only has to start; on a chip that cannot be written, the
            // old one has to.
            open.RemoveAll(report => !SimulatedOperator.FlashesAgain(report.Fault!.Remedy) && (RunsNew(Find(report)) || runsOld(report)));
            if (open.Count > 0)
            {
                var (again, problems) = await FlashAsync(printer, open.Select(Find), [], FlashInvariants.Before(printer));
                if (problems.Length > 0)
                    return trial with
                    {
                        Outcome = TrialOutcome.Broken,
                        Problems = [.. problems.Select(problem => $"after {step}: {problem}")]
                    };
                open.RemoveAll(report => again.Boards.Single(board => board.Board == report.Board).Ok);
                var failed = again.Boards.Where(board => !board.Ok)
                    .Select(board => $"{board.Board} [{board.Fault!.Code}] {board.Fault.Cause}");
                tried.Append($" After {step}: {string.Join(", ", failed)}");
            }
            if (open.Count > 0)
                continue;
            if (!IsReady(printer))
                await RestartKlipperAsync(printer);
            return IsReady(printer) ? trial with { Outcome = TrialOutcome.OperatorStep, Step = step }
                : Broken("all boards run, and Klipper is not ready");
        }
        return Broken(
            $"[{trial.Code}] no operator step of the remedy helped: {string.Join(" ", open.Select(report => report.Fault!.Remedy))}{tried}"
            + $" Now: {string.Join(", ", open.Select(report => $"{report.Board} {Find(report).State}"))}.");

        VirtualBoard Find(BoardReport report) => printer.Boards.Single(board => board.Name == report.Board);

        FaultTrial Broken(string why) => trial with { Outcome = TrialOutcome.Broken, Problems = [why] };
    }

    private static bool RunsNew(VirtualBoard board) => board.RunningFirmware is { } running
        && running.CompressedDictionary.Span.SequenceEqual(
            FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin").CompressedDictionary.Span);

    /// <summary>As Klipper's own message asks for.</summary>
    private static async Task RestartKlipperAsync(VirtualPrinter printer)
    {
        await printer.Klippy.StopAsync(CancellationToken.None);
        await printer.Klippy.StartAsync();
    }

    private static async Task<(FlashReport Report, ImmutableArray<string> Problems)> FlashAsync(
        VirtualPrinter printer, IEnumerable<VirtualBoard> boards, List<FlashEvent> events, FlashInvariants invariants)
    {
        var requests =
            boards.Select(board => new FlashRequest(Known(printer, board), FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin")))
            .ToList();
        var flasher = new Flasher(printer, printer.Klippy, printer.Time, new FlashServices(), step =>
        {
            events.Add(step);
            return ValueTask.CompletedTask;
        });
        var report = await flasher.FlashAsync(requests, CancellationToken.None);
        return (report, invariants.Check(requests, report, events));
    }

    /// <summary>A board as its owner knows it, with a ROM bootloader on a UART: no other source can tell that.</summary>
    public static PrinterBoard Known(VirtualPrinter printer, VirtualBoard board) =>
        printer.PrinterBoards.Single(known => known.Name == board.Name) with
        {
            Bootloader = board.Setup is { IsUart: true, State: BoardState.Rom } ? Drivers.Find("stm32-uart") : null,
        };

    private static bool IsReady(VirtualPrinter printer) => printer.Klippy.State.Activity == Klipper.KlippyActivity.Ready;

    private static string TraceOf(List<FlashEvent> events)
    {
        var trace = new StringBuilder();
        foreach (var step in events)
            trace.Append($"{step.At.Ticks} {step.Board} {step.Phase} {step.Kind} {step.Message} {step.Done}\n");
        return trace.ToString();
    }
}
