namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The printer's activity in Klipper's status objects. Changes are notified to subscribed clients.</summary>
public sealed class VirtualPrintState
{
    /// <summary>
    /// <c>print_stats.state</c>: standby, printing, paused, complete, cancelled, error. Standby again at each start of Klipper.
    /// </summary>
    public string PrintState { get; set; } = "standby";

    /// <summary><c>print_stats.filename</c>; empty for none.</summary>
    public string FileName { get; set; } = "";

    /// <summary>
    /// <c>idle_timeout.state</c>: Idle, Ready, Printing (also while it homes or moves). While a script runs, clients see Printing.
    /// </summary>
    public string IdleState { get; set; } = "Idle";

    /// <summary>By name as in the configuration, in degrees Celsius. A target of 0 is off, as at each start of Klipper.</summary>
    public IDictionary<string, (double Temperature, double Target)> Heaters { get; } =
        new Dictionary<string, (double Temperature, double Target)>(StringComparer.Ordinal)
        {
            ["extruder"] = (22.0, 0.0),
            ["heater_bed"] = (22.0, 0.0),
        };

    internal bool IsPrinting => PrintState == "printing";

    internal void Reset()
    {
        (PrintState, FileName, IdleState) = ("standby", "", "Idle");
        TurnOffHeaters();
    }

    internal void TurnOffHeaters()
    {
        foreach (var (name, (temperature, _)) in Heaters.ToList())
            Heaters[name] = (temperature, 0);
    }
}
