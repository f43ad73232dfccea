using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>The result of a check that something is wrong, or worth a note.</summary>
/// <param name="Id">Stable kebab-case name.</param>
/// <param name="Severity">A note is no problem.</param>
/// <param name="Text">The cause.</param>
/// <param name="Remedy">One command, or one thing to do.</param>
internal sealed record DoctorFinding(string Id, FindingSeverity Severity, string Text, Remedy Remedy)
{
    /// <summary>What <c>--fix</c> does; null where the remedy needs root or a user.</summary>
    public DoctorFix? Fix { get; init; }

    public static DoctorFinding Problem(string id, string text, Remedy remedy) => new(id, FindingSeverity.Blocker, text, remedy);

    public static DoctorFinding Warning(string id, string text, Remedy remedy) => new(id, FindingSeverity.Warning, text, remedy);

    public static DoctorFinding Note(string id, string text, Remedy remedy) => new(id, FindingSeverity.Note, text, remedy);

    public static DoctorFinding Of(FaultReport fault, FindingSeverity severity = FindingSeverity.Blocker) =>
        new(fault.Code, severity, fault.Cause, fault.Remedy);

    public JsonCheck ToJson()
    {
        var severity = Severity == FindingSeverity.Blocker ? "problem" : JsonContract.Name(Severity);
        return new("check", Id, severity, Text, Remedy.In(FrontEnd.CommandLine), Fix is not null) { Browser = Remedy.OnlyInBrowser };
    }
}
