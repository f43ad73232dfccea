using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The outcomes of seeded flashes, counted. Those that met no fault are counted apart.</summary>
internal sealed record SeedCount(int Flashes, int Flashed, int OldFirmware, int OperatorSteps, int Broken)
{
    public int Undisturbed { get; init; }

    public required IReadOnlyDictionary<SimulatedStep, int> Steps { get; init; }

    public int Recovered => Flashed + OldFirmware;
}

/// <summary>The outcomes of seeded flashes in words.</summary>
internal static class SeedText
{
    public static IEnumerable<Line> Of(SeededFlash flash)
    {
        yield return new($"seed {flash.Seed} is broken: {InjectedFaults.FromSeed(flash.Seed)}", Tone.Bad, Indent: 2);
        foreach (var problem in flash.Trial.Problems)
            yield return new($"  {problem}", Indent: 2);
        yield return new($"  {flash.Command}", Indent: 2);
    }

    public static IEnumerable<Line> Of(SeedCount count)
    {
        var steps = count.Steps;
        yield return Line.Of(
            "recovered:      ",
            $"{count.Flashed} run the new firmware, {count.OldFirmware} the old one; {count.Undisturbed} met no fault");
        yield return Line.Of(
            "operator steps: ", $"{steps[SimulatedStep.FlashAgain]} flashed again, {steps[SimulatedStep.Power]} cable or power, "
            + $"{steps[SimulatedStep.ResetTwice]} reset pressed twice, {steps[SimulatedStep.Boot0]} BOOT0");
        yield return new(
            $"{count.Flashes} flashes, {count.Recovered} recovered, {count.OperatorSteps} operator steps, {count.Broken} broken",
            count.Broken > 0 ? Tone.Bad : Tone.Good);
    }
}
