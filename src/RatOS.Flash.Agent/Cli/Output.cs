using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Where results go: to a person at a terminal, to a pipe, or to a program.</summary>
internal abstract class Output
{
    /// <summary>Somebody watches, so virtual time passes as real time does.</summary>
    public virtual bool IsLive => false;

    /// <summary>Somebody can be asked to do something with the board.</summary>
    public virtual bool HasPerson => false;

    public static Output ForConsole() =>
        Console.IsOutputRedirected || Console.IsInputRedirected || Environment.GetEnvironmentVariable("TERM") is null or "dumb" ? new PlainOutput(Console.Out) : new LiveOutput();

    public abstract void Plan(PlanView plan, string printer);

    public abstract void Boards(IReadOnlyList<JsonBoard> rows, string printer);

    /// <summary>Every kind of board that the product knows.</summary>
    public abstract void Kinds(IReadOnlyList<JsonKind> kinds);

    /// <param name="file">As the user named it.</param>
    /// <param name="image">What is in it.</param>
    /// <param name="start">Application start it was built for, when that can be told.</param>
    /// <param name="misfit">What is wrong with its vector table; null when nothing.</param>
    public abstract void Firmware(string file, FirmwareImage image, uint? start, FlashException? misfit);

    public abstract void Scenarios(IReadOnlyList<Scenario> scenarios);

    /// <summary>A flash of so many boards begins: events follow until <see cref="End"/>.</summary>
    public virtual void Begin(int boards)
    {
    }

    public abstract void Event(FlashEvent step);

    /// <summary>The plan was shown before the flash: its findings are not said twice.</summary>
    protected static bool WasInPlan(FlashEvent step) => step is { Phase: FlashPhase.Plan, Kind: FlashEventKind.Note or FlashEventKind.Warning };

    public virtual void End()
    {
    }

    /// <summary>A served board came, went, or was imported.</summary>
    public abstract void Bus(UsbIpEvent happened);

    public abstract void Result(FlashReport report);

    public abstract void Jobs(IReadOnlyList<JsonJob> jobs);

    /// <param name="findings">What was found.</param>
    /// <param name="checks">How many things were looked at.</param>
    public abstract void Doctor(IReadOnlyList<DoctorFinding> findings, int checks);

    /// <summary>One of many seeded flashes is over; people are told of those that are broken.</summary>
    public virtual void Seed(SeededFlash flash)
    {
        if (flash.Trial.Outcome != TrialOutcome.Broken)
            return;
        foreach (var line in SeedText.Of(flash))
            Say(line);
    }

    public virtual void Seeds(SeedCount count)
    {
        foreach (var line in SeedText.Of(count))
            Say(line);
    }

    public abstract void Fault(FlashException fault);

    public abstract void Say(string text);

    /// <summary>Asks a person; without one the answer is no.</summary>
    public virtual bool Confirm(string question) => false;
}
