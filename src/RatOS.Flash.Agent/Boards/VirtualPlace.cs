using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Which virtual printer, where it is kept, and how it behaves.</summary>
/// <param name="Scenario">Its name.</param>
/// <param name="Keep">The folder that it is kept in; null for one below the user's state folder.</param>
/// <param name="Pace">Virtual seconds for each real one; 0 does not wait at all.</param>
/// <param name="Seed">Of its faults; null for a printer without faults.</param>
internal sealed record VirtualPlace(string Scenario, string? Keep, double Pace, int? Seed)
{
    /// <summary>Other programs talk to it: its time follows the real clock.</summary>
    public bool IsLive { get; init; }

    /// <summary>Where its computer's processes are shown, in the form of proc(5); null for none.</summary>
    public string? Processes { get; init; }

    public const string DefaultScenario = "octopus";

    /// <summary>Its printer_data, unless another one is named.</summary>
    public string Data => Path.Combine(Folder, "printer_data");

    /// <summary>That folder was made for it: a real printer's is never deleted.</summary>
    public bool HasOwnData => File.Exists(Path.Combine(Data, Mark));

    /// <summary>A file in a printer_data that was made for a virtual printer.</summary>
    public const string Mark = ".ratos-flash-virtual";

    /// <summary>The folder that it is kept in.</summary>
    public string Folder => Keep ?? Path.Combine(Folders.State(), "virtual", Path.GetFileName(Scenario));
}
