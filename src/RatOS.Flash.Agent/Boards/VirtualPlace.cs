using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Which virtual printer, where it is kept, and how it behaves.</summary>
/// <param name="Scenario">Its name.</param>
/// <param name="Pace">Virtual seconds for each real one; 0 for as fast as it can.</param>
/// <param name="Seed">Null for one that behaves.</param>
internal sealed record VirtualPlace(string Scenario, string? Keep, double Pace, int? Seed)
{
    /// <summary>Other programs talk to it: its time follows the real clock.</summary>
    public bool IsLive { get; init; }

    public const string DefaultScenario = "octopus";

    public string Folder => Keep ?? Path.Combine(Folders.State(), "virtual", Path.GetFileName(Scenario));
}
