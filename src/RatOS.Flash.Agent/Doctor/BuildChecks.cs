using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Whether firmware can be built here.</summary>
internal static class BuildChecks
{
    public static IEnumerable<DoctorFinding> Tools(DoctorFacts facts) => facts.Tools.Select(fault => DoctorFinding.Of(fault));

    public static IEnumerable<DoctorFinding> Python(DoctorFacts facts)
    {
        // A missing Python is among the tools.
        if (facts.Python is { Length: > 0 } error)
            yield return new(DoctorFindings.PythonBroken(error));
    }

    public static IEnumerable<DoctorFinding> Checkout(DoctorFacts facts) =>
        facts.Sources is { } fault ? [DoctorFinding.Of(fault, FindingSeverity.Warning)] : [];
}
