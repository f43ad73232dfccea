using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The findings of <c>doctor</c> in words.</summary>
internal static class DoctorText
{
    public static IEnumerable<Line> Of(IReadOnlyList<DoctorFinding> findings, int checks)
    {
        foreach (var finding in findings.OrderByDescending(finding => finding.Severity))
        {
            var (mark, tone) = finding.Severity switch
            {
                FindingSeverity.Blocker => ("problem  ", Tone.Bad),
                FindingSeverity.Warning => ("warning  ", Tone.Warning),
                _ => ("note     ", Tone.Dim),
            };
            yield return Line.Of(mark, $"{finding.Text} [{finding.Id}]", tone);
            var fix = finding.Fix is null ? "" : " (or: `ratos-flash doctor --fix`)";
            yield return Line.Of("         ", finding.Remedy.In(FrontEnd.CommandLine) + fix);
        }
        var (problems, warnings) = (Count(FindingSeverity.Blocker), Count(FindingSeverity.Warning));
        var counted = warnings == 0 ? "" : $", {Plural(warnings, "warning")}";
        yield return new(
            $"{checks} checks, {(problems == 0 ? "no problems" : Plural(problems, "problem"))}{counted}.",
            problems > 0 ? Tone.Bad : warnings > 0 ? Tone.Warning : Tone.Good);

        static string Plural(int count, string name) => $"{count} {name}{(count == 1 ? "" : "s")}";

        int Count(FindingSeverity severity) => findings.Count(finding => finding.Severity == severity);
    }
}
