using System.Text.Json.Serialization;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

internal sealed record JsonStep(
    string Event, int Seq, double At, string? Board, string Phase, string Kind, string Message, long? Done, long? Total,
    JsonReport? Report)
{
    /// <summary>The message for a browser, in journals only; missing where it is the same.</summary>
    public string? Browser { get; init; }

    /// <summary>At the point of no return: the board's place; missing in other steps.</summary>
    public JsonPlace? Place { get; init; }

    /// <summary>At the point of no return: what is erased and written; missing in other steps.</summary>
    public JsonLayout? Layout { get; init; }

    /// <summary>What an operator does first, as in <see cref="OperatorStep"/>; missing in other steps.</summary>
    public string? Step { get; init; }

    /// <inheritdoc cref="JsonFaultReport.IsWhole"/>
    [JsonIgnore]
    public bool IsWhole => this is { Phase: not null, Kind: not null, Message: not null } && Report is not { IsWhole: false }
        && Json.IsDuration(At);

    public JsonStep In(FrontEnd frontEnd) =>
        this with { Message = JsonContract.Words(frontEnd, Message, Browser), Browser = null, Report = Report?.In(frontEnd) };

    public static JsonStep Of(FlashEvent step) => new(
        step.Kind == FlashEventKind.Verdict ? "verdict" : "step", step.Sequence, Math.Round(step.At.TotalSeconds, 6), step.Board,
        JsonContract.Name(step.Phase), JsonContract.Name(step.Kind),
        step.Message, step.Total > 0 ? step.Done : null, step.Total > 0 ? step.Total : null,
        step.Report is { } report ? JsonReport.Of(report) : null)
    {
        Browser = step.Browser,
        Place = step.Place is { } place ? new(place.Port, place.Controller, place.Uid) : null,
        Layout = JsonLayout.Of(step.Layout),
        Step = step.Step == OperatorStep.None ? null : JsonContract.Name(step.Step),
    };

    public FlashEvent ToEvent() => new(
        Seq, TimeSpan.FromSeconds(At), Board, JsonContract.Value(Phase, FlashPhase.Plan), JsonContract.Value(Kind, FlashEventKind.Note),
        Message, Done ?? 0, Total ?? 0, Report?.ToReport())
    {
        Browser = Browser,
        Place = Place?.ToPlace(),
    };
}

/// <summary>The place of a board.</summary>
/// <param name="Port">A USB port path, a serial port, a CAN interface.</param>
/// <param name="Controller">The host controller of its USB bus; missing where it is unknown.</param>
/// <param name="Uid">The chip's unique id in hex; missing where it was not asked.</param>
internal sealed record JsonPlace(string Port, string? Controller, string? Uid)
{
    /// <summary>Null where it is none: journals may be damaged.</summary>
    public BoardPlace? ToPlace() => Port is null ? null : new(Port, IsHex(Uid) ? Uid : null) { Controller = Controller };

    private static bool IsHex(string? text) => text is { Length: > 0 } && text.Length % 2 == 0 && text.All(char.IsAsciiHexDigit);
}

/// <summary>What a flash erases and writes.</summary>
/// <param name="Start">The address of the first sector.</param>
/// <param name="Size">Bytes of the firmware, as they are read back from <paramref name="Start"/>.</param>
/// <param name="Erases">The sectors are erased before the write; otherwise the bootloader erases each as it is written.</param>
/// <param name="Sectors">Equal sectors in a row, ascending: bytes of each, and their number.</param>
/// <param name="Runs">What is written, in this order: address, and bytes.</param>
internal sealed record JsonLayout(long Start, int Size, bool Erases, int[][] Sectors, long[][] Runs)
{
    public static JsonLayout? Of(FlashLayout? layout) => layout is null ? null : new(
        layout.Start, layout.Data.Length, layout.Erases, InRows(layout),
        [.. layout.Runs.Select(run => new long[] { run.Address, run.Data.Length })]);

    private static int[][] InRows(FlashLayout layout)
    {
        var rows = new List<int[]>();
        foreach (var sector in layout.Sectors)
        {
            if (rows is [.., var last] && last[0] == sector.Size)
                last[1]++;
            else
                rows.Add([sector.Size, 1]);
        }
        return [.. rows];
    }
}
