using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

internal sealed record JsonStep(
    string Event, int Seq, double At, string? Board, string Phase, string Kind, string Message, long? Done, long? Total,
    JsonReport? Report)
{
    /// <summary>The message for a browser, in journals only; missing where it is the same.</summary>
    public string? Browser { get; init; }

    public JsonStep In(FrontEnd frontEnd) =>
        this with { Message = JsonContract.Words(frontEnd, Message, Browser), Browser = null, Report = Report?.In(frontEnd) };

    public static JsonStep Of(FlashEvent step) => new(
        step.Kind == FlashEventKind.Verdict ? "verdict" : "step", step.Sequence, Math.Round(step.At.TotalSeconds, 6), step.Board,
        JsonContract.Name(step.Phase), JsonContract.Name(step.Kind),
        step.Message, step.Total > 0 ? step.Done : null, step.Total > 0 ? step.Total : null,
        step.Report is { } report ? JsonReport.Of(report) : null)
    {
        Browser = step.Browser,
    };

    public FlashEvent ToEvent() => new(
        Seq, TimeSpan.FromSeconds(At), Board, JsonContract.Value(Phase, FlashPhase.Plan), JsonContract.Value(Kind, FlashEventKind.Note),
        Message, Done ?? 0, Total ?? 0, Report?.ToReport())
    {
        Browser = Browser,
    };
}
