using System.Collections.Immutable;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>A flash whose printer and whose faults follow from a number, the same everywhere and each time.</summary>
/// <param name="Seed">0 or more.</param>
/// <param name="Scenario">The printer's name.</param>
/// <param name="Trial">What became of it.</param>
public sealed record SeededFlash(int Seed, string Scenario, Trial Trial)
{
    private const int EachOnCan = 25;   // thirty thousand frames each: fewer of them

    private static readonly ImmutableArray<string> Scenarios =
    [
        "octopus", "octopus-in-dfu", "octopus-katapult", "ebb42", "octopus-pro-h723", "manta-m8p", "ebb36-f072", "octopus-half-written",
            "sb2209-rp2040",
        "uart-katapult", "two-octopuses", "h723-katapult", "uart-rom", "uart-rom-g0b1",
    ];

    private static readonly ImmutableArray<string> CanScenarios = ["can-toolhead", "can-bridge", "can-toolheads", "can-bridge-dfu"];

    /// <summary>Every twenty-fifth has boards on CAN.</summary>
    public static bool IsOnCan(int seed) => seed % EachOnCan == EachOnCan - 1;

    public static string ScenarioOf(int seed) =>
        IsOnCan(seed) ? CanScenarios[seed / EachOnCan % CanScenarios.Length] : Scenarios[seed % Scenarios.Length];

    public static SeededFlash Run(int seed) => Run(seed, ScenarioOf(seed));

    /// <summary>The seed's faults on another printer.</summary>
    public static SeededFlash Run(int seed, string scenario)
    {
        var printer = Devices.Scenario.Find(scenario);
        var trial = Trial.Run(printer, InjectedFaults.FromSeed(seed));
        return new(seed, scenario, trial) { IsUndisturbed = trial.IsUndisturbed(printer) };
    }

    /// <summary>Its faults made no difference: drawn for a transfer that never came, or for a thing that this board has not.</summary>
    public bool IsUndisturbed { get; private init; }

    /// <summary>For thousands of them: all but the longest parts.</summary>
    public SeededFlash WithoutTrace() => this with { Trial = Trial with { Trace = "", Transfers = [] } };

    /// <summary>What shows the flash under its faults again.</summary>
    public string Command
    {
        get
        {
            var onWire = Devices.Scenario.Find(Scenario).Boards.FirstOrDefault(board => board is { IsUart: true, State: BoardState.Rom });
            return $"ratos-flash virtual --reset --scenario {Scenario}; ratos-flash flash "
                + $"{(onWire is null ? "all" : $"{onWire.Name} --port {onWire.Port} --bootloader stm32-uart")} --scenario {Scenario} "
                + $"--seed {Seed}";
        }
    }
}
