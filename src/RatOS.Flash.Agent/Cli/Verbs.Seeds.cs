using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Agent.Cli;

/// <content>Faulty flashes by the thousand.</content>
internal sealed partial class Verbs
{
    /// <summary>
    /// Runs seeded faulty flashes on virtual printers, in virtual time, and counts how they ended. Of each flash <i>recovered</i>, <i>human step</i> and <i>broken</i> is the first
    /// that holds, read from the last:
    /// <list type="bullet">
    /// <item>broken: something that must hold did not (<see cref="Truth"/>), or nothing that the remedy names mended the board;</item>
    /// <item>human step: a board needed a person, who did what its remedy says, and then it ran the new firmware, proven, with Klipper ready;</item>
    /// <item>recovered: the faults made a difference, and by itself every board ran the new firmware, confirmed, or its old one, untouched, with Klipper ready.</item>
    /// </list>
    /// What is left met none of the faults that were drawn for it; their number is in the line before the last.
    /// </summary>
    /// <param name="count">How many, 1 or more.</param>
    /// <param name="from">The first seed, 0 or more.</param>
    /// <returns>Failed when something is broken; each such flash is told with its seed and what shows it again.</returns>
    public static int Seeds(int count, int from, Output output)
    {
        var ends = new Dictionary<(TrialOutcome Outcome, HumanStep? Step, bool Undisturbed), int>();
        Parallel.For(0, count, i =>
        {
            var flash = SeededFlash.Run(from + i);
            lock (ends)
            {
                var end = (flash.Trial.Outcome, flash.Trial.Step, flash.IsUndisturbed);
                ends[end] = ends.GetValueOrDefault(end) + 1;
                output.Seed(flash);
            }
        });
        output.Seeds(new SeedCount(count, Count(TrialOutcome.Flashed), Count(TrialOutcome.OldFirmware), Count(TrialOutcome.HumanStep), Count(TrialOutcome.Broken))
        {
            Undisturbed = ends.Where(end => end.Key.Undisturbed).Sum(end => end.Value),
            Steps = Enum.GetValues<HumanStep>().ToDictionary(step => step, step => ends.Where(end => end.Key.Step == step).Sum(end => end.Value)),
        });
        return Count(TrialOutcome.Broken) == 0 ? ExitCode.Done : ExitCode.Failed;

        int Count(TrialOutcome outcome) => ends.Where(end => end.Key.Outcome == outcome && !end.Key.Undisturbed).Sum(end => end.Value);
    }
}

/// <summary>How many seeded flashes ended how. Those that nothing disturbed are counted apart.</summary>
internal sealed record SeedCount(int Flashes, int Flashed, int OldFirmware, int HumanSteps, int Broken)
{
    public int Undisturbed { get; init; }

    public required IReadOnlyDictionary<HumanStep, int> Steps { get; init; }

    public int Recovered => Flashed + OldFirmware;
}

/// <summary>The end of seeded flashes in words.</summary>
internal static class SeedText
{
    public static IEnumerable<string> Of(SeededFlash flash)
    {
        yield return $"seed {flash.Seed} is broken: {InjectedFaults.FromSeed(flash.Seed)}";
        foreach (var problem in flash.Trial.Problems)
            yield return $"  {problem}";
        yield return $"  {flash.Command}";
    }

    public static IEnumerable<string> Of(SeedCount count)
    {
        yield return $"recovered by itself: {count.Flashed} run the new firmware, {count.OldFirmware} their old one; {count.Undisturbed} met none of the faults drawn for them";
        yield return $"mended by a person: {count.Steps[HumanStep.FlashAgain]} by flashing again, {count.Steps[HumanStep.Power]} by cable or power, "
            + $"{count.Steps[HumanStep.ResetTwice]} by the reset button pressed twice, {count.Steps[HumanStep.Boot0]} by BOOT0";
        yield return $"{count.Flashes} flashes, {count.Recovered} recovered, {count.HumanSteps} human steps, {count.Broken} broken";
    }
}
