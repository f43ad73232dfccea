using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>The result of a check that something is wrong, or worth a note.</summary>
internal sealed record DoctorFinding(Finding Finding)
{
    /// <summary>Stable kebab-case name.</summary>
    public string Id => Finding.Code;

    /// <summary>A note is no problem.</summary>
    public FindingSeverity Severity => Finding.Severity;

    public string Text => Finding.Text;

    public Remedy Remedy => Finding.Remedy;

    /// <summary>What <c>--fix</c> does; null where the remedy needs root or a user.</summary>
    public DoctorFix? Fix { get; init; }

    public static DoctorFinding Of(FaultReport fault, FindingSeverity severity = FindingSeverity.Blocker) =>
        new(new Finding(severity, fault.Kind, fault.Cause, fault.Remedy));

    public JsonCheck ToJson()
    {
        var severity = Severity == FindingSeverity.Blocker ? "problem" : JsonContract.Name(Severity);
        return new("check", Id, severity, Text, Remedy.In(FrontEnd.CommandLine), Fix is not null) { Browser = Remedy.OnlyInBrowser };
    }
}
