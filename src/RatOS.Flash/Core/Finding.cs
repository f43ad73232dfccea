namespace RatOS.Flash.Core;

public enum FindingSeverity
{
    Note,
    Warning,

    /// <summary>The flash ends before anything is touched.</summary>
    Blocker,
}

/// <summary>Something that the plan found out.</summary>
public sealed record Finding(FindingSeverity Severity, string Code, string Text, string Remedy)
{
    internal static Finding Of(FindingSeverity severity, FlashException fault) => new(severity, fault.Code, fault.Cause, fault.Remedy);

    internal FlashException ToFault() => new(Code, Text, Remedy);

    internal static Finding Blocker(FlashException fault) => Of(FindingSeverity.Blocker, fault);
}
