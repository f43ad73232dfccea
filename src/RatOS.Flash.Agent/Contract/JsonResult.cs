using System.Text.Json.Serialization;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

internal sealed record JsonResult(string Event, bool Ok, int Exit, double Elapsed, JsonReport[] Boards, JsonFaultReport? Klippy)
{
    /// <summary>The firmware of one board or more has changed.</summary>
    public bool Changed { get; init; }

    public static JsonResult Of(FlashReport report) => new(
        "result", report.Ok, ExitCode.Of(report), Math.Round(report.Elapsed.TotalSeconds, 6), [.. report.Boards.Select(JsonReport.Of)],
        JsonFaultReport.Of(report.Klippy))
    {
        Changed = report.Boards.Any(board => board.IsChanged),
    };

    public JsonResult In(FrontEnd frontEnd) =>
        this with { Boards = [.. Boards.Select(board => board.In(frontEnd))], Klippy = Klippy?.In(frontEnd) };

    /// <inheritdoc cref="JsonFaultReport.IsWhole"/>
    [JsonIgnore]
    public bool IsWhole => Boards is not null && Array.TrueForAll(Boards, board => board is { IsWhole: true })
        && Klippy is not { IsWhole: false } && Json.IsDuration(Elapsed);

    public FlashReport ToReport() =>
        new([.. Boards.Select(board => board.ToReport())], Klippy?.ToReport(), TimeSpan.FromSeconds(Elapsed));
}

internal sealed record JsonReport(
    string Board, bool Ok, bool Refused, string Condition, JsonFaultReport? Fault, string? OldVersion, string? NewVersion, int Size,
    string? Sha256, string? Route,
    double Elapsed, string[] Notes)
{
    /// <summary>Why the board was skipped; missing where it was not.</summary>
    public string? LeftOut { get; init; }

    /// <summary>The firmware to roll back to, where the new one does not run.</summary>
    public JsonBack? Back { get; init; }

    /// <summary>This flash has changed its firmware; missing where it has not.</summary>
    public bool? Changed { get; init; }

    /// <summary>What the board said that it is; missing where it was not asked for that.</summary>
    public string? Identity { get; init; }

    /// <summary>It is a process of this computer; missing for a board.</summary>
    public bool? Process { get; init; }

    /// <summary>The updater of a probe's maker was called, and nothing was read back; missing for others.</summary>
    public bool? OwnUpdater { get; init; }

    /// <summary>It was flashed from an SD card; missing for others.</summary>
    public bool? SdCard { get; init; }

    /// <summary>The running board returned the new dictionary at least once; missing where it did not.</summary>
    public bool? Confirmed { get; init; }

    public static JsonReport Of(BoardReport report) => new(
        report.Board, report.Ok, report.Refused, JsonContract.Name(report.Condition), JsonFaultReport.Of(report.Fault), report.OldVersion,
        report.NewVersion, report.Size, report.Sha256, report.Route,
        Math.Round(report.Elapsed.TotalSeconds, 6), [.. report.Notes])
    {
        LeftOut = report.SkipReason,
        Changed = report.IsChanged ? true : null,
        Identity = report.Identity,
        Process = report.IsProcess ? true : null,
        OwnUpdater = report.IsByOwnUpdater ? true : null,
        SdCard = report.IsBySdCard ? true : null,
        Confirmed = report.IsConfirmed ? true : null,
        Back = report.Rollback is { } back ? new(back.Version, back.Asks, back.Report is { } came ? Of(came) : null) : null,
    };

    public JsonReport In(FrontEnd frontEnd) => this with
    {
        Fault = Fault?.In(frontEnd),
        Back = Back is { Report: { } came } ? Back with { Report = came.In(frontEnd) } : Back,
    };

    /// <inheritdoc cref="JsonFaultReport.IsWhole"/>
    [JsonIgnore]
    public bool IsWhole => this is { Board: not null, Condition: not null, Notes: not null } && !Notes.Contains(null)
        && Fault is not { IsWhole: false } && Back?.Report is not { IsWhole: false } && Json.IsDuration(Elapsed);

    public BoardReport ToReport() => new()
    {
        Board = Board,
        Condition = JsonContract.Value(Condition, BoardCondition.Unknown),
        Fault = Fault?.ToReport(),
        IsProcess = Process == true,
        IsByOwnUpdater = OwnUpdater == true,
        IsBySdCard = SdCard == true,
        IsConfirmed = Confirmed == true,
        Refused = Refused,
        OldVersion = OldVersion,
        NewVersion = NewVersion,
        Size = Size,
        Sha256 = Sha256,
        Route = Route,
        Elapsed = TimeSpan.FromSeconds(Elapsed),
        Notes = [.. Notes],
        SkipReason = LeftOut,
        IsChanged = Changed == true,
        Identity = Identity,
        Rollback = Back is { Version: not null } ? new(Back.Version, Back.Asks, Back.Report?.ToReport()) : null,
    };
}

/// <summary>A rollback, possible or done.</summary>
/// <param name="Version">Of the firmware from before.</param>
/// <param name="Asks">The user is asked; the request is <c>flash</c> with <c>rollback</c>.</param>
/// <param name="Report">Its result; missing where it was not tried.</param>
internal sealed record JsonBack(string Version, bool Asks, JsonReport? Report);
