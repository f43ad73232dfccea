using System.Collections.Immutable;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>All checks of a printer's computer. Each is a pure function.</summary>
internal static class DoctorChecks
{
    private static readonly Func<DoctorFacts, IEnumerable<DoctorFinding>>[] All =
    [
        PermissionChecks.Troubles, PermissionChecks.Groups, PermissionChecks.Rules, PermissionChecks.Nodes, PermissionChecks.Drivers,
        PermissionChecks.Can, PermissionChecks.PortGrabbers, BuildChecks.Tools, BuildChecks.Python,
        BuildChecks.Checkout, ComputerChecks.Disk, ComputerChecks.Clock,
        InstallationChecks.Moonraker, InstallationChecks.Services, InstallationChecks.Component, InstallationChecks.Macros,
        InstallationChecks.Lines, InstallationChecks.Agent, InstallationChecks.Files, InstallationChecks.Sandbox,
        InstallationChecks.Settings, InstallationChecks.HostMcu,
        InstallationChecks.RatOs, InstallationChecks.Definitions, InstallationChecks.Starts,
        ComputerChecks.Usb, ComputerChecks.Power,
    ];

    /// <summary>The number of checks.</summary>
    public static int Count => All.Length;

    public static ImmutableArray<DoctorFinding> Run(DoctorFacts facts) => [.. All.SelectMany(check => check(facts))];
}
