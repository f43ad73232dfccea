using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using RatOS.Flash.Firmware;
using RatOS.Flash.Virtual;

namespace RatOS.Flash.Agent;

/// <summary>One JSON object a line. Names and values are part of the product: new ones may come, none changes or goes (README, "For programs").</summary>
internal sealed class JsonOutput(TextWriter writer) : Output
{
    // Lines are read by people too: no \u0027 for an apostrophe. Nothing of it ends in a web page unescaped.
    private static readonly Lines Shapes = new(new JsonSerializerOptions(Lines.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    public override void Plan(FlashPlan plan, string printer)
    {
        foreach (var board in plan.Boards)
        {
            var image = board.Request.Image;
            Write(new JsonPlan(
                "plan", board.Name, board.Board.Id, board.Board.McuName, board.Device?.Port, board.Device?.Node, Name(board.Entry), board.Bootloader is { } kind ? Name(kind) : null, board.RunningVersion,
                image?.Version, image?.Bytes.Length, image?.Sha256, Hex(board.Board.ApplicationStart), board.IsBlocked,
                [.. board.Findings.Select(JsonFinding.Of)]), Shapes.JsonPlan);
        }
        foreach (var finding in plan.Findings)
            Write(JsonFinding.Of(finding), Shapes.JsonFinding);
    }

    public override void Boards(IReadOnlyList<BoardRow> rows, string printer)
    {
        foreach (var row in rows)
            Write(new JsonBoard("board", row.Id, row.Name, row.Description, row.Mcu, row.Port, row.State, row.Running, row.Host), Shapes.JsonBoard);
    }

    public override void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit) => Write(
        new JsonFirmware(
            "firmware", file, Name(image.Container), image.Dictionary.App, image.Version, image.Mcu, Hex(start), image.IsHostProcess ? null : Hex(image.InitialStack),
            image.IsHostProcess ? null : Hex(image.ResetVector), image.Bytes.Length, image.Sha256, image.Dictionary.BuildVersions, image.Dictionary.Config,
            image.Dictionary.Commands.Count, image.Dictionary.Responses.Count, misfit is null ? null : FaultReport.Of(misfit)),
        Shapes.JsonFirmware);

    public override void Scenarios(IReadOnlyList<Scenario> scenarios)
    {
        foreach (var scenario in scenarios)
            Write(new JsonScenario("scenario", scenario.Name, scenario.Description), Shapes.JsonScenario);
    }

    public override void Event(FlashEvent step) => Write(
        new JsonStep(
            step.Kind == FlashEventKind.Verdict ? "verdict" : "step", step.Sequence, Math.Round(step.At.TotalSeconds, 6), step.Board, Name(step.Phase), Name(step.Kind), step.Message,
            step.Total > 0 ? step.Done : null, step.Total > 0 ? step.Total : null, step.Report is { } report ? JsonReport.Of(report) : null),
        Shapes.JsonStep);

    public override void Bus(UsbIpEvent happened) => Write(
        new JsonBus("bus", Name(happened.Kind), happened.Board, happened.Port, happened.State is { } state ? Name(state) : null, happened.Text), Shapes.JsonBus);

    public override void Result(FlashReport report, int exit) => Write(
        new JsonResult("result", report.Ok, exit, Math.Round(report.Elapsed.TotalSeconds, 6), [.. report.Boards.Select(JsonReport.Of)], report.Klippy), Shapes.JsonResult);

    public override void Fault(FlashException fault) => Write(new JsonFault("fault", fault.Code, fault.Cause, fault.Remedy), Shapes.JsonFault);

    public override void Say(string text) => Write(new JsonMessage("message", text), Shapes.JsonMessage);

    /// <summary>An enumeration's value as programs see it: <c>in-bootloader-without-firmware</c>.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString());

    private static string? Hex(uint? address) => address is { } value ? $"0x{value:x8}" : null;

    private void Write<T>(T line, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        writer.WriteLine(JsonSerializer.Serialize(line, type));
        writer.Flush();
    }
}

internal sealed record JsonFinding(string Event, string Severity, string Code, string Text, string Remedy)
{
    public static JsonFinding Of(Finding finding) => new("finding", JsonOutput.Name(finding.Severity), finding.Code, finding.Text, finding.Remedy);
}

internal sealed record JsonPlan(
    string Event, string Board, string Id, string? Mcu, string? Port, string? Node, string Entry, string? Bootloader, string? Running, string? Version,
    int? Size, string? Sha256, string? Start, bool Blocked, JsonFinding[] Findings);

internal sealed record JsonBoard(
    string Event, string? Id, string? Board, string Description, string? Mcu, string? Port, string State, string? Running, string? Host);

internal sealed record JsonFirmware(
    string Event, string File, string Container, string App, string Version, string Mcu, string? Start, string? InitialStack, string? ResetVector, int Size,
    string Sha256, string BuildVersions, IReadOnlyDictionary<string, string> Config, int Commands, int Responses, FaultReport? Fault);

internal sealed record JsonBus(string Event, string Kind, string? Board, string? Port, string? State, string Text);

internal sealed record JsonScenario(string Event, string Name, string Description);

internal sealed record JsonStep(
    string Event, int Seq, double At, string? Board, string Phase, string Kind, string Message, long? Done, long? Total, JsonReport? Report);

internal sealed record JsonReport(
    string Board, bool Ok, bool Refused, string Condition, FaultReport? Fault, string? OldVersion, string? NewVersion, int Size, string? Sha256, string? Route,
    double Elapsed, string[] Notes)
{
    public static JsonReport Of(BoardReport report) => new(
        report.Board, report.Ok, report.Refused, JsonOutput.Name(report.Condition), report.Fault, report.OldVersion, report.NewVersion, report.Size, report.Sha256, report.Route,
        Math.Round(report.Elapsed.TotalSeconds, 6), [.. report.Notes]);
}

internal sealed record JsonResult(string Event, bool Ok, int Exit, double Elapsed, JsonReport[] Boards, FaultReport? Klippy);

internal sealed record JsonFault(string Event, string Code, string Cause, string Remedy);

internal sealed record JsonMessage(string Event, string Text);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(JsonPlan))]
[JsonSerializable(typeof(JsonFinding))]
[JsonSerializable(typeof(JsonBoard))]
[JsonSerializable(typeof(JsonFirmware))]
[JsonSerializable(typeof(JsonBus))]
[JsonSerializable(typeof(JsonScenario))]
[JsonSerializable(typeof(JsonStep))]
[JsonSerializable(typeof(JsonResult))]
[JsonSerializable(typeof(JsonFault))]
[JsonSerializable(typeof(JsonMessage))]
internal sealed partial class Lines : JsonSerializerContext;
