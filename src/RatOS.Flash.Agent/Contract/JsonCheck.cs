using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A finding of doctor.</summary>
/// <param name="Severity"><c>problem</c>, <c>warning</c> or <c>note</c>; a note is no problem.</param>
/// <param name="Fixable"><c>doctor --fix</c> repairs it.</param>
internal sealed record JsonCheck(string Event, string Id, string Severity, string Text, string Remedy, bool Fixable)
{
    /// <summary>The remedy for a browser; only inside the agent, and missing where it is the same.</summary>
    public string? Browser { get; init; }

    public JsonCheck In(FrontEnd frontEnd) => this with { Remedy = JsonContract.Words(frontEnd, Remedy, Browser), Browser = null };
}

/// <summary>The last line of doctor.</summary>
internal sealed record JsonDoctor(string Event, bool Ok, int Checks, int Wrong);
