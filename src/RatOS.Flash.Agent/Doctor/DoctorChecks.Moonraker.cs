using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <content>Moonraker, what it was given of ours, and RatOS.</content>
internal static partial class DoctorChecks
{
    private static IEnumerable<DoctorFinding> Moonraker(DoctorFacts facts)
    {
        if (facts.Moonraker?.Fault is { } fault)
            yield return Of(fault);
        if (facts.Moonraker?.Warnings.FirstOrDefault(text => text.Contains("PolicyKit", StringComparison.OrdinalIgnoreCase)) is not null)
        {
            yield return Wrong("moonraker-policykit", "Moonraker may not start and stop services: its PolicyKit rules are missing.",
                "~/moonraker/scripts/set-policykit-rules.sh && sudo systemctl restart moonraker");
        }
    }

    private static IEnumerable<DoctorFinding> Services(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        var file = $"{data.Root}/moonraker.asvc";
        foreach (var unit in data.NotAllowed)
        {
            yield return Doubtful("service-not-allowed", $"Moonraker may not start or stop {unit}: the name is missing in moonraker.asvc (RatOS rewrites that file at times).",
                $"sed -i '1i {unit}' {file} && sudo systemctl restart moonraker") with
            { Fix = new(file, Line: unit) };
        }
    }

    private static IEnumerable<DoctorFinding> Component(DoctorFacts facts)
    {
        if (facts.Data?.Component is { Is: not true } component)
        {
            yield return Doubtful(
                component.Is is null ? "component-missing" : "component-old",
                component.Is is null ? "Moonraker's component is not installed: a flash is not shown while Klipper is stopped." : $"{component.Path} is not the component of this version.",
                $"ln -sfn {component.Target} {component.Path} && sudo systemctl restart moonraker") with
            { Fix = FixOf(component) };
        }
        else if (facts.Moonraker is { Fault: null, ComponentFailed: true })
            yield return Wrong("component-failed", "Moonraker could not load the component ratos_flash.", "grep -A 20 ratos_flash ~/printer_data/logs/moonraker.log | tail -n 40");
        else if (facts.Moonraker is { Fault: null, HasComponent: false })
            yield return Doubtful("component-not-loaded", "Moonraker has not loaded the component ratos_flash: a flash is not shown while Klipper is stopped.", Installer(facts));
    }

    private static IEnumerable<DoctorFinding> Macros(DoctorFacts facts)
    {
        if (facts.Data?.Macros is { Is: not true } macros)
        {
            yield return Doubtful(
                macros.Is is null ? "macros-missing" : "macros-old", macros.Is is null ? $"The macros are not there: {macros.Path} is missing." : $"{macros.Path} is not the file of this version.",
                $"ln -sfn {macros.Target} {macros.Path}") with
            { Fix = FixOf(macros) };
        }
        else if (facts.Moonraker?.HasMacros == false)
            yield return Doubtful("macros-not-loaded", "Klipper does not know FLASH_MCU: it was not restarted since, or printer.cfg does not include ratos_flash.cfg.", $"{Installer(facts)}; then press Restart");
    }

    private static DoctorFix? FixOf(LinkFact link) => link.IsFile ? null : new(link.Path, link.Target);

    private static IEnumerable<DoctorFinding> Agent(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        if (data.Agent is null)
            yield return Wrong("agent-not-running", $"No agent runs for {data.Root}: macros, buttons and updates reach nobody.", $"sudo systemctl enable --now {data.Unit}");
        else if (data.Agent != Product.Version)
            yield return Doubtful("agent-old", $"The running agent is {data.Agent}, this program {Product.Version}.", $"sudo systemctl restart {data.Unit}");
    }

    private static IEnumerable<DoctorFinding> HostMcu(DoctorFacts facts)
    {
        if (facts.HostMcu is { IsService: true, HasUnit: false })
        {
            yield return new("host-mcu-unit", FindingSeverity.Note, "Klipper's process on this computer (the Raspberry Pi as MCU) is a service, and the unit that may replace it is not installed.",
                $"{Installer(facts)} --host-mcu");
        }
    }

    private static IEnumerable<DoctorFinding> RatOs(DoctorFacts facts) => facts.RatOsHook switch
    {
        null => [],
        "" => [Doubtful("ratos-hook-broken", "RatOS's hook of Klipper's repository leads nowhere: an update of Klipper ends with an error there.", "rm ~/klipper/.git/hooks/post-merge (RatOS puts it there anew when it is updated)")],
        var hook => [new("ratos-hook", FindingSeverity.Note, $"RatOS flashes boards by itself during an update of Klipper ({hook}); what is current afterwards is not flashed again.", "Nothing to do.")],
    };
}
