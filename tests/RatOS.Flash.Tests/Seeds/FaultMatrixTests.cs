using System.Collections.Concurrent;
using System.Text;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Tests.Seeds;

/// <summary>
/// Every kind of fault at every transfer of a flash: DFU and Katapult on an F446 and a G0B1, an RP2040's BOOTSEL. Each one is a
/// <see cref="FaultTrial"/>: no wrong verdict, Klipper runs, the bootloader's area is untouched, and the board recovers without help or
/// by an operator step of its remedy. <c>docs/proof.md</c> has the table.
/// </summary>
[Collection(WholeMachine.Name)]
public sealed class FaultMatrixTests
{
    // Long runs of transfers of one phase repeat the same case: both ends are taken, and every so many between.
    // Control transfers come in rounds of two to four: an odd prime meets all of them.
    private const int LongRun = 16;
    private const int Ends = 4;
    private const int Stride = 32;
    private const int ControlStride = 11;

    private static readonly TimeSpan Time = TimeSpan.FromSeconds(3);   // a late answer's delay; until cable or power are back

    private static readonly (string Name, string Scenario)[] Printers =
    [
        ("F446, DFU", "octopus"), ("G0B1, DFU", "ebb42"), ("F446, Katapult", "octopus-katapult"), ("G0B1, Katapult", "manta-m8p"),
        ("F446, Katapult on a UART", "uart-katapult"), ("RP2040, BOOTSEL", "rp2040"),
    ];

    private static readonly (string Name, InjectedFaults Faults)[] Standing =
    [
        .. new[] { 1, 2, 3, 9 }
            .Select(
                times => ("the request for the bootloader is ignored 1, 2, 3, 9 times", new InjectedFaults { TouchesIgnored = times })),
        .. new[] { 1, 2, 3, 9 }
            .Select(times => ("Klipper starts instead of the bootloader 1, 2, 3, 9 times", new InjectedFaults { TouchesInVain = times })),
        .. new[] { 1, 2, 3, 9 }.Select(times => ("the ROM does not leave 1, 2, 3, 9 times", new InjectedFaults { LeavesIgnored = times })),
        ("the ROM leaves without an answer", new InjectedFaults { LeaveIsSilent = true }),
        .. new[] { 8, 24, 40 }
            .Select(
                seconds => ("the board re-enumerates 8, 24, 40 s late",
                    new InjectedFaults { ReturnsAfter = TimeSpan.FromSeconds(seconds) })),
        .. new[] { 3, 12 }.Select(
            seconds => ("the computer lists the board 3, 12 s after it left",
                new InjectedFaults { Lingers = TimeSpan.FromSeconds(seconds) })),
        ("the ROM does not enumerate on USB", new InjectedFaults { RomMissesUsb = true }),
        ("the board re-enumerates at another port", new InjectedFaults { ReturnsAt = "2-1" }),
        .. new[] { "STM32FxSTM32", "FFFFFFFEFFFF" }
            .Select(serial => ("the ROM shows a dead serial", new InjectedFaults { RomSerial = serial })),
        .. new[] { 0, 10_000 }
            .Select(
                time => ("the ROM announces poll times of 0, 10 s", new InjectedFaults { PollTime = TimeSpan.FromMilliseconds(time) })),
        ("a G0 keeps its empty-flash flag", new InjectedFaults { EmptyMarkSticks = true }),
        ("the chip is read protected", new InjectedFaults { IsReadProtected = true }),
        ("the ROM is stuck in busy until cleared", new InjectedFaults { StuckInBusy = true }),
        .. new[] { TimeSpan.FromSeconds(5), TimeSpan.MaxValue }
            .Select(
                until => ("a program holds the ports for 5 s, permanently",
                    new InjectedFaults { PortsHeldBy = "ModemManager (process 812)", PortsHeldUntil = until })),
        ("no permission to open the devices", new InjectedFaults { NoPermission = true }),
        ("no udev rule for the ROM", new InjectedFaults { HasNoRomRule = true }),
        ("udev sets permissions 3 s late", new InjectedFaults { PermissionDelay = TimeSpan.FromSeconds(3) }),
    ];

    private sealed record Case(string Row, string Printer, Scenario Scenario, InjectedFaults Faults);

    private sealed record End(Case Case, TrialOutcome Outcome, SimulatedStep? Step, bool IsUndisturbed, IReadOnlyList<string> Problems);

    [Fact]
    public void Every_kind_of_fault_at_every_transfer_keeps_the_invariants_and_ends_with_a_running_board_or_one_operator_step()
    {
        var cases = Printers.SelectMany(Cases).ToList();
        var ends = new ConcurrentBag<End>();
        Parallel.ForEach(cases, one =>
        {
            var trial = FaultTrial.Run(one.Scenario, one.Faults);
            ends.Add(
                new(one, trial.Outcome, trial.Step, trial.Outcome == TrialOutcome.Flashed
                    && trial.IsUndisturbed(one.Scenario), trial.Problems));
        });
        var broken = ends.Where(end => end.Outcome == TrialOutcome.Broken).ToList();
        Assert.True(broken.Count == 0, $"{broken.Count} of {ends.Count}:\n"
            + string.Join("\n\n", broken.OrderBy(end => end.Case.Faults.ToString(), StringComparer.Ordinal)
            .DistinctBy(end => (end.Case.Row, end.Case.Printer))
            .Select(end => $"{end.Case.Scenario.Name}: {end.Case.Faults}\n{string.Join('\n', end.Problems)}")));
        // A kind that never made a difference would prove nothing.
        Assert.All(
            Enum.GetValues<TransferFaultKind>(), kind => Assert.Contains(ends, end => end.Case.Row == Name(kind) && !end.IsUndisturbed));

        var text = new StringBuilder();
        Table(
            text, "fault", [.. Enum.GetValues<TransferFaultKind>().Select(Name).Concat(Standing.Select(one => one.Name)).Distinct()], ends,
            end => end.Case.Row);
        text.Append('\n');
        Table(text, "board and flash method", [.. Printers.Select(printer => printer.Name)], ends, end => end.Case.Printer);
        Docs.Check("proof.md", "matrix", text.ToString());
    }

    private static IEnumerable<Case> Cases((string Name, string Scenario) printer)
    {
        var scenario = Scenario.Find(printer.Scenario);
        var isWire = scenario.Boards[0].IsUart;
        var transfers = FaultTrial.Without(scenario).Transfers;
        for (var i = 0; i < transfers.Length; i++)
        {
            foreach (var kind in Enum.GetValues<TransferFaultKind>()
                .Where(kind => Applies(kind, transfers[i].IsControl, isWire) && IsTaken(transfers, i)))
                yield return new(Name(kind), printer.Name, scenario, new InjectedFaults { Transfers = [new(i + 1, kind, Time)] });
        }
        if (isWire)
            yield break;
        foreach (var (name, faults) in Standing)
            yield return new(name, printer.Name, scenario, faults);
    }

    /// <summary>What <see cref="TransferFaultKind"/> says of each kind; the wire is here for what USB's own checksums keep away.</summary>
    private static bool Applies(TransferFaultKind kind, bool isControl, bool isWire) => kind switch
    {
        _ when isWire => kind is TransferFaultKind.Damaged or TransferFaultKind.AnswerDamaged or TransferFaultKind.Lost,
        TransferFaultKind.Damaged or TransferFaultKind.AnswerDamaged => false,
        TransferFaultKind.Late or TransferFaultKind.Unplug or TransferFaultKind.PowerCut or TransferFaultKind.ForeignKlipper => true,
        TransferFaultKind.Lost or TransferFaultKind.Doubled => !isControl,
        _ => isControl,
    };

    private static bool IsTaken(IReadOnlyList<Transfer> transfers, int index)
    {
        var one = transfers[index];
        var (from, to) = (index, index);
        while (from > 0 && IsSame(transfers[from - 1]))
            from--;
        while (to < transfers.Count - 1 && IsSame(transfers[to + 1]))
            to++;
        return to - from < LongRun || index - from < Ends || to - index < Ends
            || (index - from) % (one.IsControl ? ControlStride : Stride) == 0;

        bool IsSame(Transfer other) => other.Phase == one.Phase && other.IsControl == one.IsControl;
    }

    private static string Name(TransferFaultKind kind) => kind switch
    {
        TransferFaultKind.Lost => "answers to a frame are lost (wire: the frame)",
        TransferFaultKind.Doubled => "answers to a frame come twice",
        TransferFaultKind.Late => "the answer is 3 s late",
        TransferFaultKind.Damaged => "wire: a byte of the frame is damaged",
        TransferFaultKind.AnswerDamaged => "wire: a byte of the answer is damaged",
        TransferFaultKind.Stall => "the endpoint stalls",
        TransferFaultKind.Timeout => "no answer, request not executed",
        TransferFaultKind.AnswerLost => "no answer, request executed",
        TransferFaultKind.BusError => "a bus error",
        TransferFaultKind.WrongReadBack => "a wrong bit in the read-back",
        TransferFaultKind.Short => "half of the bytes arrive",
        TransferFaultKind.Unplug => "the cable is unplugged for 3 s",
        TransferFaultKind.PowerCut => "power is off for 3 s",
        TransferFaultKind.ForeignKlipper => "another program starts Klipper",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };

    private static void Table(
        StringBuilder text, string what, IReadOnlyList<string> rows, IReadOnlyCollection<End> ends, Func<End, string> rowOf)
    {
        text.Append(
            $"| {what} | flashes | no difference | new firmware | old firmware | flash again | cable or power | reset twice | BOOT0 | "
            + $"broken |\n|---|---|---|---|---|---|---|---|---|---|\n");
        foreach (var row in rows.Append("**all**"))
        {
            var its = ends.Where(end => row == "**all**" || rowOf(end) == row).ToList();
            int Count(Func<End, bool> holds) => its.Count(holds);
            text.Append(
                $"| {row} | {its.Count} | {Count(end => end.IsUndisturbed)} | "
                + $"{Count(end => end.Outcome == TrialOutcome.Flashed && !end.IsUndisturbed)} | "
                + $"{Count(end => end.Outcome == TrialOutcome.OldFirmware)} | ");
            text.Append(string.Join(" | ", Enum.GetValues<SimulatedStep>().Select(step => Count(end => end.Step == step)))).Append(
                $" | {Count(end => end.Outcome == TrialOutcome.Broken)} |\n");
        }
    }
}
