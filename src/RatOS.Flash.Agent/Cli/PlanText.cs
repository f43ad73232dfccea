using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The plan in words.</summary>
internal static class PlanText
{
    private const int Indent = 12;

    public static IEnumerable<Line> Of(JsonPlan plan)
    {
        var place = plan.Port is null ? "" : plan.Node is null ? $" at {plan.Port}" : $" at {plan.Node} ({plan.Port})";
        var chip = plan.Mcu is null ? "" : $" ({plan.Mcu})";
        yield return new($"{plan.Board,-(Indent - 1)} {plan.Description}{chip}{place}", Tone.Normal, Indent);
        if (plan.Version is not null)
        {
            var start = plan.Start is { } address ? $" at {address[2..]}" : "";
            var running = plan.Running ?? "unknown version";
            yield return new($"{"",Indent}{running} -> {plan.Version}, {Text.Size(plan.Size ?? 0)}{start}", Tone.Normal, Indent);
        }
        if (plan.Route is { } route)
            yield return new($"{"",Indent}{route}", Tone.Dim, Indent);
        foreach (var finding in plan.Findings)
            yield return Of(finding);
    }

    public static Line Of(JsonFinding finding)
    {
        var (severity, tone) = finding.Severity switch
        {
            "note" => ("note", Tone.Dim),
            "warning" => ("warning", Tone.Warning),
            _ => ("cannot flash", Tone.Bad),
        };
        return new($"{"",Indent}{severity}: {finding.Text} {finding.Remedy} [{finding.Code}]", tone, Indent);
    }
}
