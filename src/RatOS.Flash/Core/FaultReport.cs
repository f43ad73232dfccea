namespace RatOS.Flash.Core;

/// <summary>The fault of a flash as data.</summary>
public sealed record FaultReport(FaultKind Kind, string Cause, Remedy Remedy)
{
    public string Code => Kind.Code;

    /// <inheritdoc cref="FlashException.Question"/>
    public FactQuestion? Question { get; init; }

    public static FaultReport Of(FlashException fault) => new(fault.Kind, fault.Cause, fault.Remedy) { Question = fault.Question };
}
