using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The destination of results: a terminal, a pipe, or a program.</summary>
internal abstract class Output
{
    /// <summary>A user watches, so virtual time passes as fast as real time.</summary>
    public virtual bool IsLive => false;

    /// <summary>A user can be asked to do an operator step.</summary>
    public virtual bool HasOperator => false;

    public static Output ForTerminal() => Terminal.IsInteractive ? new LiveOutput() : new PlainOutput(Terminal.Out, Terminal.Error);

    public abstract void Plan(PlanView plan, string printer);

    public abstract void Boards(BoardList list, string printer);

    /// <summary>Every kind of board that the product knows, and definitions of an installed RatOS that are not used.</summary>
    public abstract void Kinds(IReadOnlyList<JsonKind> kinds, IReadOnlyList<JsonSkipped> skipped);

    /// <param name="file">As the user named it.</param>
    /// <param name="image">Its firmware.</param>
    /// <param name="start">Application start that it was built for; null if unknown.</param>
    /// <param name="misfit">The fault of its vector table; null for none.</param>
    public abstract void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit);

    /// <summary>The files of the firmware folder.</summary>
    public abstract void Files(IReadOnlyList<JsonFile> files);

    public abstract void Scenarios(IReadOnlyList<Scenario> scenarios);

    /// <summary>A flash of these boards begins: events follow until <see cref="End"/>.</summary>
    public virtual void Begin(IReadOnlyList<string> boards)
    {
    }

    public abstract void Event(FlashEvent step);

    /// <summary>The plan was shown before the flash: its findings are not shown again.</summary>
    protected static bool WasInPlan(FlashEvent step) =>
        step is { Phase: FlashPhase.Plan, Kind: FlashEventKind.Note or FlashEventKind.Warning };

    public virtual void End()
    {
    }

    /// <summary>An event of a flash by the agent, which may have begun before; its verdicts are the only results.</summary>
    public abstract void Watch(FlashEvent step);

    /// <summary>A served board came, left, or was imported.</summary>
    public abstract void Bus(UsbIpEvent happened);

    public abstract void Result(FlashReport report);

    public abstract void Jobs(IReadOnlyList<JsonJob> jobs);

    /// <param name="findings">The findings.</param>
    /// <param name="checks">The number of checks.</param>
    public abstract void Doctor(IReadOnlyList<DoctorFinding> findings, int checks);

    /// <summary>One of many seeded flashes is over.</summary>
    public abstract void Seed(SeededFlash flash);

    public abstract void Seeds(SeedCount count);

    public abstract void Fault(FlashException fault);

    /// <param name="text">A line.</param>
    /// <param name="indent">Columns before what a terminal wraps.</param>
    public abstract void Say(string text, int indent = 0);

    /// <summary>What only a person needs.</summary>
    public virtual void Hint(string text)
    {
    }

    /// <summary>Shows a line of the log on standard error.</summary>
    public virtual void Log(string line) => Terminal.Error.WriteLine(line);

    /// <summary>Asks the user; without a terminal the answer is no.</summary>
    public virtual bool Confirm(string question) => false;

    /// <summary>Asks the user for a fact; null for no answer, and without a terminal.</summary>
    public virtual string? Choose(FactQuestion question) => null;
}
