using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Tests.Seeds;

/// <summary>
/// Power fails for computer and board at every instant of a write, comes back, and the flash is asked for again. Which boards come back
/// by themselves, and what the others take, stands in <c>docs/proof.md</c>.
/// </summary>
[Collection(WholeMachine.Name)]
public sealed class PowerCutTests
{
    // Between two transfers the chip works, most of all while it erases.
    private static readonly TimeSpan LongWork = TimeSpan.FromMilliseconds(50);
    private const int MomentsOfLongWork = 16;

    private static readonly (string Chip, string Bootloader, Scenario Scenario)[] Printers =
    [
        ("F446", "DFU, stock SD bootloader", Scenario.Find("octopus")),
        ("F446", "Katapult", Scenario.Find("octopus-katapult")),
        ("F407", "DFU, stock SD bootloader", Scenario.Find("octopus-407")),
        ("F407", "Katapult", WithKatapult("octopus-407")),
        ("H723", "DFU, stock SD bootloader", Scenario.Find("octopus-pro-h723")),
        ("H723", "Katapult", Scenario.Find("h723-katapult")),
        ("G0B1", "DFU, no bootloader", Scenario.Find("ebb42")),
        ("G0B1", "Katapult", Scenario.Find("manta-m8p")),
        ("RP2040", "Katapult", Scenario.Find("sb2209-rp2040")),
        ("RP2040", "BOOTSEL, no bootloader", Scenario.Find("rp2040")),
        ("RP2040", "BOOTSEL, behind Katapult", Scenario.Find("rp2040-katapult-in-bootsel")),
    ];

    /// <param name="Index">The transfer before it.</param>
    /// <param name="After">How long after that.</param>
    /// <param name="Stands">For so much of the write's time.</param>
    /// <param name="IsLong">The chip does one long thing: it erases.</param>
    private sealed record Moment(int Index, TimeSpan After, TimeSpan Stands, bool IsLong);

    [Fact]
    public void After_a_power_cut_at_any_moment_of_a_write_the_board_recovers_automatically_or_by_one_operator_step()
    {
        var text = new StringBuilder(
            "| chip | flash method | moments | automatically | of those inside an erase | share of the write's time | "
            + "otherwise: reset twice | otherwise: BOOT0 |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var (chip, bootloader, scenario) in Printers)
        {
            var moments = Moments(scenario);
            var ends = new ConcurrentBag<(Moment Moment, FaultTrial Trial)>();
            Parallel.ForEach(moments, moment => ends.Add((moment, FaultTrial.Run(scenario, new InjectedFaults
            {
                Transfers = [new TransferFault(moment.Index, TransferFaultKind.PowerCut,
                        TimeSpan.FromSeconds(-1)) { After = moment.After }],
            }))));
            Assert.All(
                ends,
                end => Assert.True(end.Trial.Problems.IsEmpty, $"{scenario.Name}: {end.Moment}: {string.Join('\n', end.Trial.Problems)}"));
            var alone = ends.Where(end => end.Trial.Outcome is TrialOutcome.Flashed || end.Trial.Step is SimulatedStep.Power
                or SimulatedStep.FlashAgain).ToList();
            var share = alone.Sum(end => end.Moment.Stands.TotalSeconds) / moments.Sum(moment => moment.Stands.TotalSeconds);
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {chip} | {bootloader} | {moments.Count} | {alone.Count} | {alone.Count(end => end.Moment.IsLong)} of "
                + $"{moments.Count(moment => moment.IsLong)} | ");
            text.Append(
                CultureInfo.InvariantCulture,
                $"{share * 100:0.0} % | {ends.Count(end => end.Trial.Step == SimulatedStep.ResetTwice)} | "
                + $"{ends.Count(end => end.Trial.Step == SimulatedStep.Boot0)} |\n");
        }
        Docs.Check("proof.md", "power", text.ToString());
    }

    /// <summary>The middle of the work after each transfer of erase and write; many points of long work.</summary>
    private static List<Moment> Moments(Scenario scenario)
    {
        var transfers = FaultTrial.Without(scenario).Transfers;
        var moments = new List<Moment>();
        for (var i = 0; i < transfers.Length - 1; i++)
        {
            if (transfers[i].Phase is not (FlashPhase.Erase or FlashPhase.Write))
                continue;
            var gap = transfers[i + 1].At - transfers[i].At;
            var points = gap > LongWork ? MomentsOfLongWork : 1;
            for (var point = 0; point < points; point++)
                moments.Add(new(i + 1, gap * ((point + 0.5) / points), gap / points, gap > LongWork));
        }
        return moments;
    }

    private static Scenario WithKatapult(string name)
    {
        var scenario = Scenario.Find(name);
        return scenario with { Name = $"{name}-katapult", Boards = [scenario.Boards[0] with { Stage = BootStage.Katapult }] };
    }
}
