using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Lines of text without colour or movement, for pipes, files and <c>TERM=dumb</c>.</summary>
internal sealed class PlainOutput(TextWriter writer) : Output
{
    public override void Plan(PlanView plan, string printer)
    {
        writer.WriteLine($"RatOS.Flash {Product.Version}, {printer}");
        foreach (var board in plan.Boards)
        {
            foreach (var line in PlanText.Of(board))
                writer.WriteLine(line.Text);
        }
        foreach (var finding in plan.Findings)
            writer.WriteLine(PlanText.Of(finding).Text);
    }

    public override void Boards(IReadOnlyList<JsonBoard> rows, string printer)
    {
        writer.WriteLine(printer);
        foreach (var row in rows)
            writer.WriteLine(string.Join('\t', row.Board ?? "-", row.Description, row.Mcu ?? "-", row.Port ?? "-", row.State, row.Running ?? "-", row.Host ?? "-", BoardText.Need(row) ?? "-"));
        foreach (var line in rows.SelectMany(BoardText.Of))
            writer.WriteLine(line.Text);
    }

    public override void Kinds(IReadOnlyList<JsonKind> kinds)
    {
        foreach (var kind in kinds)
            writer.WriteLine(string.Join('\t', kind.Id, kind.Description, kind.Mcu ?? "-", kind.Kind, kind.Road));
    }

    public override void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit)
    {
        foreach (var (key, value) in FirmwareText.Of(file, image, start, misfit))
            writer.WriteLine($"{key + ":",-13} {value}");
    }

    public override void Scenarios(IReadOnlyList<Scenario> scenarios)
    {
        foreach (var scenario in scenarios)
            writer.WriteLine($"{scenario.Name,-20} {scenario.Description}");
    }

    public override void Event(FlashEvent step)
    {
        if (WasInPlan(step) || step.Kind is FlashEventKind.Progress or FlashEventKind.Verdict)
            return;
        var mark = step.Kind switch { FlashEventKind.Warning => "! ", FlashEventKind.End => "= ", _ => "  " };
        writer.WriteLine($"{step.At.TotalSeconds,8:0.00} {step.Board ?? "printer",-12} {JsonContract.Name(step.Phase),-8} {mark}{step.Message}");
    }

    public override void Bus(UsbIpEvent happened) => writer.WriteLine(BusText.Of(happened));

    public override void Result(FlashReport report)
    {
        foreach (var line in ResultText.Of(report, FrontEnd.CommandLine))
            writer.WriteLine(line.Text);
    }

    public override void Jobs(IReadOnlyList<JsonJob> jobs)
    {
        foreach (var line in jobs.SelectMany(JobText.Of))
            writer.WriteLine(line.Text);
    }

    public override void Doctor(IReadOnlyList<DoctorFinding> findings, int checks)
    {
        foreach (var line in DoctorText.Of(findings, checks))
            writer.WriteLine(line.Text);
    }

    public override void Fault(FlashException fault)
    {
        Console.Error.WriteLine($"ratos-flash: {fault.Cause} [{fault.Code}]");
        Console.Error.WriteLine($"What to do: {fault.Remedy}");
    }

    public override void Say(string text) => writer.WriteLine(text);
}

/// <summary>The plan in words, the same on a terminal and in a pipe.</summary>
internal static class PlanText
{
    private const int Indent = 12;

    public static IEnumerable<(string Text, Tone Tone)> Of(JsonPlan plan)
    {
        var where = plan.Port is null ? "" : $" at {plan.Node ?? plan.Port}{(plan.Node is null ? "" : $" ({plan.Port})")}";
        yield return ($"{plan.Board,-(Indent - 1)} {plan.Description} ({plan.Mcu}){where}", Tone.Normal);
        if (plan.Version is not null)
        {
            yield return ($"{"",Indent}{plan.Running ?? "unknown version"} -> {plan.Version}, {Text.Size(plan.Size ?? 0)}"
                + (plan.Start is { } start ? $" at {start[2..]}" : ""), Tone.Normal);
        }
        if (plan.Route is { } route)
            yield return ($"{"",Indent}{route}", Tone.Dim);
        foreach (var finding in plan.Findings)
            yield return Of(finding);
    }

    public static (string Text, Tone Tone) Of(JsonFinding finding) => (
        $"{"",Indent}{(finding.Severity == "blocker" ? "cannot flash" : finding.Severity)}: {finding.Text} {finding.Remedy} [{finding.Code}]",
        finding.Severity switch { "note" => Tone.Dim, "warning" => Tone.Warning, _ => Tone.Bad });
}

/// <summary>What there is to say of a board beside the table.</summary>
internal static class BoardText
{
    /// <summary>Whether it needs a flash, in a word.</summary>
    public static string? Need(JsonBoard row) => row.Need == "unknown" ? "possible" : row.Need;

    public static IEnumerable<(string Text, Tone Tone)> Of(JsonBoard row)
    {
        if (row.Board is null)
            yield break;
        yield return ($"{row.Board}: {(row.Need is null ? row.Reason : $"a flash is {Need(row)}. {row.Reason}")}", row.Need == "required" ? Tone.Warning : Tone.Dim);
        foreach (var finding in row.Findings ?? [])
            yield return PlanText.Of(finding);
    }
}

/// <summary>What doctor found, in words.</summary>
internal static class DoctorText
{
    public static IEnumerable<(string Text, Tone Tone)> Of(IReadOnlyList<DoctorFinding> findings, int checks)
    {
        foreach (var finding in findings.OrderByDescending(finding => finding.Severity))
        {
            var (mark, tone) = finding.Severity switch { FindingSeverity.Blocker => ("WRONG", Tone.Bad), FindingSeverity.Warning => ("CARE ", Tone.Warning), _ => ("note ", Tone.Dim) };
            yield return ($"{mark}  {finding.Text} [{finding.Id}]", tone);
            yield return ($"       {finding.Remedy}{(finding.Fix is null ? "" : "   (or: ratos-flash doctor --fix)")}", Tone.Normal);
        }
        var wrong = findings.Count(finding => finding.Severity != FindingSeverity.Note);
        yield return wrong == 0 ? ($"{checks} things were looked at: nothing is wrong.", Tone.Good) : ($"{checks} things were looked at: {wrong} to mend.", Tone.Bad);
    }
}

/// <summary>What happens to a served board, in words.</summary>
internal static class BusText
{
    public static string Of(UsbIpEvent happened) => happened.State is { } state ? $"{happened.Text} (it is in state {JsonContract.Name(state)})" : happened.Text;
}

/// <summary>A firmware file in words.</summary>
internal static class FirmwareText
{
    public static IEnumerable<(string Key, string Value)> Of(string file, FirmwareImage image, uint? start, FlashException? misfit)
    {
        yield return ("file", Text.Clean(file));
        yield return ("kind", $"{image.Dictionary.App} firmware ({JsonContract.Name(image.Container)})");
        yield return ("version", image.Version);
        yield return ("chip", image.Mcu + (Mcu.Find(image.Mcu) is null && !image.IsHostProcess ? " (not known to this version)" : ""));
        if (start is { } address)
            yield return ("built for", $"application start {address:x8}");
        if (!image.IsHostProcess)
            yield return ("vectors", $"stack {image.InitialStack:x8}, reset {image.ResetVector:x8}" + (misfit is null ? "" : $" - {misfit.Cause}"));
        yield return ("size", $"{image.Bytes.Length} bytes");
        yield return ("sha256", image.Sha256);
        yield return ("dictionary", $"{image.Dictionary.Commands.Count} commands, {image.Dictionary.Responses.Count} responses, {image.CompressedDictionary.Length} bytes compressed");
        yield return ("compiler", image.Dictionary.BuildVersions);
        if (misfit is not null)
            yield return ("what to do", misfit.Remedy.In(FrontEnd.CommandLine));
    }
}
