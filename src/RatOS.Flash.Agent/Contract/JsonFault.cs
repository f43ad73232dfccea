using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

internal sealed record JsonFault(string Event, string Code, string Cause, string Remedy);

/// <summary>A fault inside another shape.</summary>
internal sealed record JsonFaultReport(string Code, string Cause, string Remedy)
{
    /// <summary>False for one from a damaged file.</summary>
    [JsonIgnore]
    public bool IsWhole => this is { Code: not null, Cause: not null, Remedy: not null };

    /// <summary>The remedy for a browser, in journals only; missing where it is the same.</summary>
    public string? Browser { get; init; }

    /// <summary>The fact that is missing; missing where none is. The request <c>answer</c> takes it.</summary>
    public JsonQuestion? Question { get; init; }

    [return: NotNullIfNotNull(nameof(fault))]
    public static JsonFaultReport? Of(FaultReport? fault) =>
        fault is null ? null : new(fault.Code, fault.Cause, fault.Remedy.In(FrontEnd.CommandLine))
        {
            Browser = fault.Remedy.OnlyInBrowser,
            Question = JsonQuestion.Of(fault.Question),
        };

    public JsonFaultReport In(FrontEnd frontEnd) => this with { Remedy = JsonContract.Words(frontEnd, Remedy, Browser), Browser = null };

    public FaultReport ToReport() => new(FaultKind.Of(Code), Cause, Core.Remedy.Of(Remedy, Browser ?? Remedy))
    {
        Question = Question?.ToQuestion(),
    };
}
