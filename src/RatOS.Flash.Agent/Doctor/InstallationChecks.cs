using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Moonraker, our files in it and in Klipper, the agent, and RatOS.</summary>
internal static class InstallationChecks
{
    private const string NotShown = "flashes are not shown while Klipper is stopped.";

    public static IEnumerable<DoctorFinding> Moonraker(DoctorFacts facts)
    {
        if (facts.Moonraker?.Fault is { } fault)
            yield return DoctorFinding.Of(fault);
        if (facts.Moonraker?.Warnings.Any(text => text.Contains("PolicyKit", StringComparison.OrdinalIgnoreCase)) == true)
        {
            yield return DoctorFinding.Problem(
                "moonraker-policykit", "Moonraker may not start and stop services: its PolicyKit rules are missing.",
                "~/moonraker/scripts/set-policykit-rules.sh && sudo systemctl restart moonraker");
        }
    }

    public static IEnumerable<DoctorFinding> Services(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        var file = $"{data.Root}/moonraker.asvc";
        foreach (var unit in data.NotAllowed)
        {
            var finding = DoctorFinding.Warning(
                "service-not-allowed",
                $"Moonraker may not start or stop {unit}: moonraker.asvc does not list it (RatOS rewrites that file at times).",
                $"sed -i '1i {unit}' {file} && sudo systemctl restart moonraker");
            yield return finding with { Fix = new(file, Line: unit) };
        }
    }

    public static IEnumerable<DoctorFinding> Component(DoctorFacts facts)
    {
        if (facts.Data?.Component is { Is: not true } link)
        {
            var (id, text) = link.Is is null
                ? ("component-missing", $"Moonraker's component ratos_flash is not installed: {NotShown}")
                : ("component-old", $"{link.Path} is not the component of this version.");
            yield return Linked(id, text, link, " && sudo systemctl restart moonraker");
        }
        else if (facts.Moonraker is { Fault: null, ComponentFailed: true })
        {
            yield return DoctorFinding.Problem(
                "component-failed", "Moonraker could not load the component ratos_flash.",
                "grep -A 20 ratos_flash ~/printer_data/logs/moonraker.log | tail -n 40");
        }
        else if (facts.Moonraker is { Fault: null, HasComponent: false })
            yield return DoctorFinding.Warning(
                "component-not-loaded", $"Moonraker has not loaded the component ratos_flash: {NotShown}", Installer(facts));
    }

    public static IEnumerable<DoctorFinding> Macros(DoctorFacts facts)
    {
        if (facts.Data?.Macros is { Is: not true } link)
        {
            var (id, text) = link.Is is null
                ? ("macros-missing", $"The macros are not installed: {link.Path} is missing.") : (
                    "macros-old", $"{link.Path} is not the file of this version.");
            yield return Linked(id, text, link, "");
        }
        else if (facts.Moonraker?.HasMacros == false)
        {
            yield return DoctorFinding.Warning(
                "macros-not-loaded",
                "Klipper does not know FLASH_MCU: it was not restarted since, or printer.cfg does not include ratos_flash.cfg.",
                $"{Installer(facts)}; then press Restart");
        }
    }

    public static IEnumerable<DoctorFinding> Agent(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        if (data.Agent is null)
        {
            yield return DoctorFinding.Problem(
                "agent-not-running", $"No agent runs for {data.Root}: macros, buttons and updates do nothing.",
                $"sudo systemctl enable --now {data.Unit}");
        }
        else if (data.Agent != Product.Version)
        {
            yield return DoctorFinding.Warning(
                "agent-old", $"The running agent is {data.Agent}, this program {Product.Version}.",
                $"sudo systemctl restart {data.Unit}");
        }
    }

    public static IEnumerable<DoctorFinding> HostMcu(DoctorFacts facts)
    {
        if (facts.HostMcu is { IsService: true, HasUnit: false })
        {
            yield return DoctorFinding.Note(
                "host-mcu-unit",
                "Klipper's process on this computer (Raspberry Pi as MCU) is a service. The unit that replaces it is not installed.",
                $"{Installer(facts)} --host-mcu");
        }
    }

    public static IEnumerable<DoctorFinding> RatOs(DoctorFacts facts)
    {
        if (facts.RatOsHook is "")
        {
            yield return DoctorFinding.Warning(
                "ratos-hook-broken", "RatOS's hook in Klipper's repository leads nowhere: an update of Klipper ends with an error.",
                "rm ~/klipper/.git/hooks/post-merge (RatOS restores it at its next update)");
        }
        else if (facts.RatOsHook is { } hook)
        {
            yield return DoctorFinding.Note(
                "ratos-hook",
                $"RatOS flashes boards itself during an update of Klipper ({hook}). Those boards are not flashed again.",
                "Nothing to do.");
        }
    }

    private static DoctorFinding Linked(string id, string text, LinkFact link, string andThen) =>
        DoctorFinding.Warning(id, text, $"ln -sfn {link.Target} {link.Path}{andThen}") with
        {
            Fix = link.IsFile
            ? null : new(link.Path, link.Target)
        };

    private static string Installer(DoctorFacts facts) => $"{facts.Folder ?? "~/ratos-flash"}/install.sh";
}
