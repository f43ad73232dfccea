using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Something that doctor says.</summary>
/// <param name="Id">Stable kebab-case name.</param>
/// <param name="Severity">A note is nothing wrong.</param>
/// <param name="Text">What is so.</param>
/// <param name="Remedy">One command, or one thing to do.</param>
internal sealed record DoctorFinding(string Id, FindingSeverity Severity, string Text, Remedy Remedy)
{
    /// <summary>What <c>--fix</c> does about it, without root; null where it takes root or a person.</summary>
    public DoctorFix? Fix { get; init; }

    public JsonCheck ToJson() => new(
        "check", Id, Severity == FindingSeverity.Blocker ? "problem" : JsonContract.Name(Severity), Text, Remedy.In(FrontEnd.CommandLine), Fix is not null)
    {
        Browser = Remedy.OnlyInBrowser,
    };
}

/// <summary>A repair that the printer's user may do.</summary>
/// <param name="Path">A file of the user's.</param>
/// <param name="Target">What the link there is to lead to; null: a line is added.</param>
/// <param name="Line">The line.</param>
internal sealed record DoctorFix(string Path, string? Target = null, string? Line = null);
