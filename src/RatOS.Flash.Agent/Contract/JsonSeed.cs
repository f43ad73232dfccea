using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A seeded flash.</summary>
/// <param name="Code">Of the first fault in the report; null without a fault.</param>
internal sealed record JsonSeed(
    string Event, int Seed, string Scenario, string Faults, string Outcome, string? Step, string? Code, bool Undisturbed,
    string[]? Problems, string? Command)
{
    public static JsonSeed Of(SeededFlash flash)
    {
        var (trial, isBroken) = (flash.Trial, flash.Trial.Outcome == TrialOutcome.Broken);
        return new(
            "seed", flash.Seed, flash.Scenario, InjectedFaults.FromSeed(flash.Seed).ToString(), JsonContract.Name(trial.Outcome),
            trial.Step is { } step ? JsonContract.Name(step) : null,
            trial.Report.Ok ? null : trial.Code, flash.IsUndisturbed, isBroken ? [.. trial.Problems] : null,
            isBroken ? flash.Command : null);
    }
}

internal sealed record JsonSeeds(string Event, bool Ok, int Flashes, int Recovered, int HumanSteps, int Broken, int Undisturbed);

internal sealed record JsonScenario(string Event, string Name, string Description);
