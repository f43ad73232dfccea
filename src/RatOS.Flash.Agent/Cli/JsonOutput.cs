using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Cli;

/// <summary>One JSON object per line.</summary>
internal sealed class JsonOutput(TextWriter writer) : Output
{
    public override void Plan(PlanView plan, string printer)
    {
        foreach (var board in plan.Boards)
            Write(board.In(FrontEnd.CommandLine), JsonContract.Shapes.JsonPlan);
        foreach (var finding in plan.Findings)
            Write(finding.In(FrontEnd.CommandLine), JsonContract.Shapes.JsonFinding);
    }

    public override void Boards(BoardList list, string printer)
    {
        foreach (var row in list.Boards)
            Write(row.In(FrontEnd.CommandLine), JsonContract.Shapes.JsonBoard);
        Skipped(list.Skipped);
    }

    public override void Kinds(IReadOnlyList<JsonKind> kinds, IReadOnlyList<JsonSkipped> skipped)
    {
        foreach (var kind in kinds)
            Write(kind, JsonContract.Shapes.JsonKind);
        Skipped(skipped);
    }

    private void Skipped(IReadOnlyList<JsonSkipped> skipped)
    {
        foreach (var definition in skipped)
            Write(definition, JsonContract.Shapes.JsonSkipped);
    }

    public override void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit) =>
        Write(JsonFirmware.Of(file, image, start, misfit), JsonContract.Shapes.JsonFirmware);

    public override void Files(IReadOnlyList<JsonFile> files)
    {
        foreach (var file in files)
            Write(file.In(FrontEnd.CommandLine) with { Event = "file" }, JsonContract.Shapes.JsonFile);
    }

    public override void Scenarios(IReadOnlyList<Scenario> scenarios)
    {
        foreach (var scenario in scenarios)
            Write(new JsonScenario("scenario", scenario.Name, scenario.Description), JsonContract.Shapes.JsonScenario);
    }

    public override void Event(FlashEvent step) => Write(JsonStep.Of(step).In(FrontEnd.CommandLine), JsonContract.Shapes.JsonStep);

    public override void Watch(FlashEvent step) => Event(step);

    public override void Bus(UsbIpEvent happened)
    {
        var state = happened.State is { } known ? JsonContract.Name(known) : null;
        var kind = JsonContract.Name(happened.Kind);
        Write(new JsonBus("bus", kind, happened.Board, happened.Port, state, happened.Text), JsonContract.Shapes.JsonBus);
    }

    public override void Result(FlashReport report) =>
        Write(JsonResult.Of(report).In(FrontEnd.CommandLine), JsonContract.Shapes.JsonResult);

    public override void Jobs(IReadOnlyList<JsonJob> jobs)
    {
        foreach (var job in jobs)
            Write(job.In(FrontEnd.CommandLine) with { Event = "job" }, JsonContract.Shapes.JsonJob);
    }

    public override void Doctor(IReadOnlyList<DoctorFinding> findings, int checks)
    {
        foreach (var finding in findings)
            Write(finding.ToJson().In(FrontEnd.CommandLine), JsonContract.Shapes.JsonCheck);
        var wrong = findings.Count(finding => finding.Severity != FindingSeverity.Note);
        Write(new JsonDoctor("doctor", wrong == 0, checks, wrong), JsonContract.Shapes.JsonDoctor);
    }

    public override void Seed(SeededFlash flash) => Write(JsonSeed.Of(flash), JsonContract.Shapes.JsonSeed);

    public override void Seeds(SeedCount count) => Write(
        new JsonSeeds("seeds", count.Broken == 0, count.Flashes, count.Recovered, count.OperatorSteps, count.Broken, count.Undisturbed),
        JsonContract.Shapes.JsonSeeds);

    public override void Fault(FlashException fault) =>
        Write(new JsonFault("fault", fault.Code, fault.Cause, fault.Remedy.In(FrontEnd.CommandLine)), JsonContract.Shapes.JsonFault);

    public override void Say(string text, int indent = 0) => Write(new JsonMessage("message", text), JsonContract.Shapes.JsonMessage);

    private void Write<T>(T line, JsonTypeInfo<T> type)
    {
        writer.WriteLine(JsonSerializer.Serialize(line, type));
        writer.Flush();
    }
}
