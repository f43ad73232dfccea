namespace RatOS.Flash.Core;

public enum FindingSeverity
{
    [ContractName("note")] Note,
    [ContractName("warning")] Warning,

    /// <summary>The flash ends before anything is touched.</summary>
    [ContractName("blocker")] Blocker,
}

/// <summary>A note, warning or refusal of a plan, or a problem that doctor found.</summary>
public sealed record Finding(FindingSeverity Severity, FaultKind Kind, string Text, Remedy Remedy)
{
    public string Code => Kind.Code;

    public static Finding Of(FindingSeverity severity, FlashException fault) => new(severity, fault.Kind, fault.Cause, fault.Remedy);

    public FlashException ToFault() => new(Kind, Text, Remedy);

    internal static Finding Blocker(FlashException fault) => Of(FindingSeverity.Blocker, fault);
}
