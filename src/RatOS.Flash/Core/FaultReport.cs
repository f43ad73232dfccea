namespace RatOS.Flash.Core;

/// <summary>The fault of a flash as data.</summary>
public sealed record FaultReport(FaultKind Kind, string Cause, Remedy Remedy)
{
    public string Code => Kind.Code;

    public static FaultReport Of(FlashException fault) => new(fault.Kind, fault.Cause, fault.Remedy);
}
