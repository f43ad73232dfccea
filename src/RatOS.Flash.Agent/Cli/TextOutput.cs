using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Results in words.</summary>
internal abstract class TextOutput : Output
{
    private readonly HashSet<string> _shown = new(StringComparer.Ordinal);

    /// <summary>Shows lines; they stay.</summary>
    protected abstract void Write(IEnumerable<Line> lines);

    public override void Plan(PlanView plan, string printer)
    {
        Write([new Line($"RatOS.Flash {Product.Version}, {printer}")]);
        if (IsLive)
            Say("");
        Write(plan.Boards.SelectMany(PlanText.Of));
        Write(plan.Findings.Select(PlanText.Of));
    }

    public override void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit) =>
        Write(FirmwareText.Of(file, image, start, misfit));

    public override void Files(IReadOnlyList<JsonFile> files) => Write(files.Select(FirmwareText.Of));

    public override void Scenarios(IReadOnlyList<Scenario> scenarios) =>
        Write(scenarios.Select(scenario => Line.Of($"{scenario.Name,-23} ", scenario.Description)));

    public override void Event(FlashEvent step)
    {
        if (step.Kind is FlashEventKind.Note or FlashEventKind.Warning)
            _shown.Add(step.Message);
    }

    public override void Watch(FlashEvent step)
    {
        if (step.Kind == FlashEventKind.Progress)
            return;
        _shown.Add(step.Message);
        if (step is { Kind: FlashEventKind.Verdict, Report: { } report })
            Result(new([report], null, report.Elapsed));
        else
            Write([EventText.Of(step)]);
    }

    public override void Bus(UsbIpEvent happened) => Write([BusText.Of(happened)]);

    /// <summary>Warnings that were shown as they came are not shown again.</summary>
    public override void Result(FlashReport report) => Write(ResultText.Of(report, FrontEnd.CommandLine, _shown));

    public override void Jobs(IReadOnlyList<JsonJob> jobs) => Write(jobs.SelectMany(JobText.Of));

    public override void Doctor(IReadOnlyList<DoctorFinding> findings, int checks) => Write(DoctorText.Of(findings, checks));

    public override void Seed(SeededFlash flash)
    {
        if (flash.Trial.Outcome == TrialOutcome.Broken)
            Write(SeedText.Of(flash));
    }

    public override void Seeds(SeedCount count) => Write(SeedText.Of(count));

    public override void Hint(string text) => Say(text);

    public override void Say(string text, int indent = 0) => Write([new Line(text, Tone.Normal, indent)]);
}
