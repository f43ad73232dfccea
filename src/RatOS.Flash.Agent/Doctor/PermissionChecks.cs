using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Whether this user can open the boards, and no other program does.</summary>
internal static class PermissionChecks
{
    private static readonly string[] OwnGroups = ["dialout", "plugdev"];

    public static IEnumerable<DoctorFinding> Troubles(DoctorFacts facts) => facts.Troubles.Select(fault => DoctorFinding.Of(fault));

    public static IEnumerable<DoctorFinding> Groups(DoctorFacts facts)
    {
        if (facts.UserId == 0)
            yield break;
        foreach (var name in OwnGroups.Where(name => facts.Groups.Count > 0 && !facts.Groups.ContainsKey(name)))
            yield return new(DoctorFindings.NoSuchGroup(name));
        string[] wanted = facts.HostMcu.IsService ? [.. OwnGroups, "tty"] : OwnGroups;
        var missing = wanted.Where(name => facts.Groups.TryGetValue(name, out var id) && !facts.GroupIds.Contains(id)).ToList();
        if (missing.Count > 0)
            yield return new(DoctorFindings.NotInGroup(facts.User, missing));
    }

    public static IEnumerable<DoctorFinding> Rules(DoctorFacts facts)
    {
        var source = facts.RulesFile;
        if (facts.Rules is null)
            yield return new(DoctorFindings.UdevRulesMissing(source));
        else if (facts.OwnRules is { } own && own.Trim() != facts.Rules.Trim())
            yield return new(DoctorFindings.UdevRulesOld(source));
    }

    public static IEnumerable<DoctorFinding> Nodes(DoctorFacts facts)
    {
        foreach (var node in facts.Nodes.Where(node => !CanOpen(facts, node)))
        {
            var group = facts.Groups.FirstOrDefault(group => group.Value == node.Owner.Group).Key;
            var groupHelps = group is not (null or "root") && node.Owner.Mode.HasFlag(UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
            yield return new(DoctorFindings.NodeClosed(node.Path, node.Device, facts.User, groupHelps ? group : null));
        }
    }

    public static IEnumerable<DoctorFinding> Drivers(DoctorFacts facts) =>
        facts.WithoutDriver.Select(device => new DoctorFinding(DoctorFindings.NoSerialDriver(device, facts.HasModules)));

    public static IEnumerable<DoctorFinding> Can(DoctorFacts facts) =>
        facts.CanDown.Select(name => DoctorFinding.Of(FaultReport.Of(CanFaults.CanDown(name))));

    /// <summary>A byte of theirs can hang a bootloader. The udev rules keep them off.</summary>
    public static IEnumerable<DoctorFinding> PortGrabbers(DoctorFacts facts)
    {
        foreach (var name in facts.Grabbers)
        {
            var hasRules = facts.Rules is not null;
            yield return new(name == "brltty" ? DoctorFindings.Brltty(hasRules) : DoctorFindings.ModemManager(hasRules));
        }
    }

    private static bool CanOpen(DoctorFacts facts, NodeFact node)
    {
        var (owner, group, mode) = (node.Owner.Owner, node.Owner.Group, node.Owner.Mode);
        // As in the kernel, only the first class that applies counts (path_resolution(7)).
        return facts.UserId == 0 || mode.HasFlag(
            owner == facts.UserId ? UnixFileMode.UserRead | UnixFileMode.UserWrite
            : facts.GroupIds.Contains(group)
                ? UnixFileMode.GroupRead | UnixFileMode.GroupWrite : UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
    }
}
