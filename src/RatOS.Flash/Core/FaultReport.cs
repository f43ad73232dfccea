namespace RatOS.Flash.Core;

/// <summary>The fault of a flash as data.</summary>
public sealed record FaultReport(string Code, string Cause, string Remedy)
{
    public static FaultReport Of(FlashException fault) => new(fault.Code, fault.Cause, fault.Remedy);
}
