using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Moonraker, our files in it and in Klipper, the agent, and RatOS.</summary>
internal static class InstallationChecks
{
    public static IEnumerable<DoctorFinding> Moonraker(DoctorFacts facts)
    {
        if (facts.Moonraker?.Fault is { } fault)
            yield return DoctorFinding.Of(fault);
        if (facts.Moonraker?.Warnings.Any(text => text.Contains("PolicyKit", StringComparison.OrdinalIgnoreCase)) == true)
            yield return new(DoctorFindings.MoonrakerPolicykit());
    }

    public static IEnumerable<DoctorFinding> Services(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        var file = $"{data.Root}/moonraker.asvc";
        foreach (var unit in data.NotAllowed)
            yield return new(DoctorFindings.ServiceNotAllowed(unit, file)) { Fix = new(file, Line: unit) };
    }

    public static IEnumerable<DoctorFinding> Component(DoctorFacts facts)
    {
        if (facts.Data?.Component is { Is: not true } link)
        {
            yield return Linked(link.Is is null
                ? DoctorFindings.ComponentMissing(link.Path, link.Target) : DoctorFindings.ComponentOld(link.Path, link.Target), link);
        }
        else if (facts.Moonraker is { Fault: null, ComponentFailed: true })
            yield return new(DoctorFindings.ComponentFailed());
        else if (facts.Moonraker is { Fault: null, HasComponent: false } && facts.Data?.WithoutSettings is null)
            yield return new(DoctorFindings.ComponentNotLoaded(Installer(facts)));
    }

    /// <summary>A hard recovery of Moonraker takes the line, RatOS's wizard the others.</summary>
    public static IEnumerable<DoctorFinding> Lines(DoctorFacts facts)
    {
        if (facts.Data?.WithoutSettings is { } settings)
        {
            yield return new(DoctorFindings.ComponentNotIncluded(settings))
            {
                Fix = new(settings, Line: "[include ratos-flash-moonraker.conf]", HasBackup: true),
            };
        }
        if (facts.Data?.WithoutExclude is { } exclude)
            yield return new(DoctorFindings.ComponentNotExcluded(exclude, Excluded)) { Fix = new(exclude, Line: Excluded) };
        if (facts.Data?.WithoutMacros is { } macros)
        {
            yield return new(DoctorFindings.MacrosNotIncluded(macros))
            {
                Fix = new(macros, Line: "[include ratos_flash.cfg]", HasBackup: true),
            };
        }
    }

    /// <summary>The component as git ignores it in Moonraker's folder.</summary>
    public const string Excluded = "moonraker/components/ratos_flash.py";

    public static IEnumerable<DoctorFinding> Macros(DoctorFacts facts)
    {
        if (facts.Data?.Macros is { Is: not true } link)
        {
            yield return Linked(link.Is is null
                ? DoctorFindings.MacrosMissing(link.Path, link.Target) : DoctorFindings.MacrosOld(link.Path, link.Target), link);
        }
        else if (facts.Moonraker?.HasMacros == false && facts.Data?.WithoutMacros is null)
            yield return new(DoctorFindings.MacrosNotLoaded(Installer(facts)));
    }

    public static IEnumerable<DoctorFinding> Agent(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        if (data.Agent is null)
            yield return new(DoctorFindings.AgentNotRunning(data.Root, data.Unit));
        else if (data.Agent != Product.Version)
            yield return new(DoctorFindings.AgentOld(data.Agent, Product.Version, data.Unit));
    }

    public static IEnumerable<DoctorFinding> Files(DoctorFacts facts)
    {
        if (facts.OldFiles.Length > 0)
            yield return new(DoctorFindings.InstallationOld(facts.OldFiles, Installer(facts)));
    }

    public static IEnumerable<DoctorFinding> Sandbox(DoctorFacts facts) =>
        facts.HasOldSystemd ? [new(DoctorFindings.SandboxPartial())] : [];

    public static IEnumerable<DoctorFinding> Settings(DoctorFacts facts)
    {
        if (facts.Unconfirmed.Length > 0)
            yield return new(DoctorFindings.SettingsUnconfirmed(string.Join(", ", facts.Unconfirmed)));
    }

    public static IEnumerable<DoctorFinding> HostMcu(DoctorFacts facts)
    {
        if (facts.HostMcu is { IsService: true, HasUnit: false })
            yield return new(DoctorFindings.HostMcuUnit(Installer(facts)));
        if (facts.HostMcu is { HasUnit: true, IsOld: true })
            yield return new(DoctorFindings.HostMcuUnitOld(Installer(facts)));
    }

    public static IEnumerable<DoctorFinding> RatOs(DoctorFacts facts)
    {
        if (facts.RatOsHook is "")
            yield return new(DoctorFindings.RatosHookBroken());
        else if (facts.RatOsHook is { } hook)
            yield return new(DoctorFindings.RatosHook(hook));
    }

    public static IEnumerable<DoctorFinding> Starts(DoctorFacts facts) => facts.OtherStarts.Select(finding => new DoctorFinding(finding));

    /// <summary>A board whose definition is not used is unknown, or known as this version has it.</summary>
    public static IEnumerable<DoctorFinding> Definitions(DoctorFacts facts) =>
        facts.Skipped.Select(definition => new DoctorFinding(definition.ToFinding()));

    private static DoctorFinding Linked(Finding finding, LinkFact link) =>
        new(finding) { Fix = link.IsFile ? null : new(link.Path, link.Target) };

    private static string Installer(DoctorFacts facts) => $"{facts.Folder ?? "~/ratos-flash"}/install.sh";
}
