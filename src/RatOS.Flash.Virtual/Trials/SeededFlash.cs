using System.Collections.Immutable;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>A flash whose printer and faults follow from a number: it repeats exactly, on every computer.</summary>
/// <param name="Seed">0 or more.</param>
/// <param name="Scenario">The printer's name.</param>
/// <param name="Trial">Its outcome.</param>
public sealed record SeededFlash(int Seed, string Scenario, FaultTrial Trial)
{
    private const int CanInterval = 25;   // a flash over CAN has 30000 frames, so there are fewer of them

    private static readonly ImmutableArray<string> Scenarios =
    [
        "octopus", "octopus-in-dfu", "octopus-katapult", "ebb42", "octopus-pro-h723", "manta-m8p", "ebb36-f072", "octopus-half-written",
            "sb2209-rp2040",
        "uart-katapult", "two-octopuses", "h723-katapult", "uart-rom", "uart-rom-g0b1", "rp2040", "rp2040-katapult-in-bootsel",
    ];

    private static readonly ImmutableArray<string> CanScenarios = ["can-toolhead", "can-bridge", "can-toolheads", "can-bridge-dfu"];

    /// <summary>Every 25th seed has boards on CAN.</summary>
    public static bool IsOnCan(int seed) => seed % CanInterval == CanInterval - 1;

    public static string ScenarioOf(int seed) =>
        IsOnCan(seed) ? CanScenarios[seed / CanInterval % CanScenarios.Length] : Scenarios[seed % Scenarios.Length];

    public static SeededFlash Run(int seed) => Run(seed, ScenarioOf(seed));

    /// <summary>The seed's faults on another printer.</summary>
    public static SeededFlash Run(int seed, string scenario)
    {
        var printer = Devices.Scenario.Find(scenario);
        var trial = FaultTrial.RunEach(printer, InjectedFaults.FromSeed(seed));
        return new(seed, scenario, trial) { IsUndisturbed = trial.IsUndisturbed(printer) };
    }

    /// <summary>Its faults made no difference: drawn for a transfer that never came, or for a part that this board lacks.</summary>
    public bool IsUndisturbed { get; private init; }

    /// <summary>Without its longest parts, to keep thousands of them.</summary>
    public SeededFlash WithoutTrace() => this with { Trial = Trial with { Trace = "", Transfers = [] } };

    /// <summary>The command that repeats the flash with its faults.</summary>
    public string Command
    {
        get
        {
            var inRom = Devices.Scenario.Find(Scenario).Boards.FirstOrDefault(board => board is { IsUart: true, State: BoardState.Rom });
            return $"ratos-flash virtual --reset --scenario {Scenario}; ratos-flash flash "
                + $"{(inRom is null ? "all" : $"{inRom.Name} --port {inRom.Port} --bootloader stm32-uart")} --scenario {Scenario} "
                + $"--seed {Seed}";
        }
    }
}
