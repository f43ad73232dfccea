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

    /// <inheritdoc cref="FlashException.Question"/>
    public FactQuestion? Question { get; init; }

    public static Finding Of(FindingSeverity severity, FlashException fault) =>
        new(severity, fault.Kind, fault.Cause, fault.Remedy) { Question = fault.Question };

    public FlashException ToFault() => new(Kind, Text, Remedy) { Question = Question };

    internal static Finding Blocker(FlashException fault) => Of(FindingSeverity.Blocker, fault);
}
