using System.Text.Json.Serialization;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>The plan for one board.</summary>
/// <param name="Id">Of its kind in the catalogue.</param>
/// <param name="Start">Application start as hex text.</param>
/// <param name="Description">The kind in words.</param>
/// <param name="Route">The flash method in words; null where there is none.</param>
internal sealed record JsonPlan(
    string Event, string Board, string Id, string? Mcu, string? Port, string? Node, string Entry, string? Bootloader, string? Running,
    string? Version,
    int? Size, string? Sha256, string? Start, bool Blocked, JsonFinding[] Findings, string Description, string? Route)
{
    public static JsonPlan Of(BoardPlan board)
    {
        var image = board.Request.Image;
        return new(
            "plan", board.Name, board.Profile.Kind.Id, board.Profile.Chip?.Value, board.Device?.Port, board.Device?.Node,
            JsonContract.Name(board.Entry),
            board.Bootloader?.Name, board.RunningVersion, image?.Version, image?.Bytes.Length, image?.Sha256,
            JsonContract.Hex(board.Profile.ApplicationStart?.Value), board.IsBlocked, [.. board.Findings.Select(JsonFinding.Of)],
            board.Profile.Kind.DisplayName,
            board is { Entry: FlashEntry.None, TakesCard: false } ? null : board.Route)
        {
            Changed = !board.IsBlocked && board.Request is { SkipReason: null, Job: not (FlashJob.Recover or FlashJob.Identify) },
            LeftOut = board.Request.SkipReason,
        };
    }

    /// <summary>A flash would write the board; missing in a plan of an earlier version.</summary>
    public bool? Changed { get; init; }

    /// <summary>Why a flash would skip the board; missing where it would not.</summary>
    public string? LeftOut { get; init; }

    public JsonPlan In(FrontEnd frontEnd) => this with { Findings = [.. Findings.Select(finding => finding.In(frontEnd))] };

    /// <summary>The user has to agree: there is a warning, apart from operator steps.</summary>
    [JsonIgnore]
    public bool NeedsConsent => !Blocked && Findings.Any(finding => finding.NeedsConsent);
}

/// <summary>A finding of a plan.</summary>
/// <param name="Severity"><c>note</c>, <c>warning</c> or <c>blocker</c>.</param>
internal sealed record JsonFinding(string Event, string Severity, string Code, string Text, string Remedy)
{
    /// <inheritdoc cref="JsonFaultReport.Browser"/>
    public string? Browser { get; init; }

    /// <inheritdoc cref="JsonFaultReport.Question"/>
    public JsonQuestion? Question { get; init; }

    /// <summary>A warning that the user has to accept.</summary>
    [JsonIgnore]
    public bool NeedsConsent => Severity == "warning" && FaultKind.Of(Code).NeedsConsent;

    public static JsonFinding Of(Finding finding) =>
        new("finding", JsonContract.Name(finding.Severity), finding.Code, finding.Text, finding.Remedy.In(FrontEnd.CommandLine))
        {
            Browser = finding.Remedy.OnlyInBrowser,
            Question = JsonQuestion.Of(finding.Question),
        };

    public JsonFinding In(FrontEnd frontEnd) => this with { Remedy = JsonContract.Words(frontEnd, Remedy, Browser), Browser = null };
}
