using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A job at this moment.</summary>
/// <param name="State">
/// <c>queued</c>, <c>waiting</c> (for an idle printer), <c>running</c>, <c>person</c> (for an operator step, see the boards' messages),
/// <c>done</c>.
/// </param>
/// <param name="Ok">Null until it is done.</param>
/// <param name="By">One of <see cref="JobOrigin"/>.</param>
/// <param name="Klippy">Why Klipper could not be started again; null where it was.</param>
internal sealed record JsonJob(
    string Job, string State, bool? Ok, string By, string Created, double Elapsed, JsonJobBoard[] Boards, JsonFaultReport? Klippy)
{
    /// <summary><c>job</c> in a line of <c>--json</c>.</summary>
    public string? Event { get; init; }

    /// <summary>One of <see cref="JobKind"/>; missing for a job of an earlier version.</summary>
    public string? Kind { get; init; }

    /// <summary>Seconds that Klipper has been stopped for this job; missing where it was not.</summary>
    public double? Down { get; init; }

    /// <summary>The firmware of one board or more has changed; missing until it is done.</summary>
    public bool? Changed { get; init; }

    /// <summary>Klipper is stopped for it now; missing otherwise.</summary>
    public bool? Stopped { get; init; }

    public JsonJob In(FrontEnd frontEnd) =>
        this with { Boards = [.. Boards.Select(board => board.In(frontEnd))], Klippy = Klippy?.In(frontEnd) };
}

/// <summary>A board of a job at this moment.</summary>
/// <param name="Percent">Of the phase, 0 to 100; null where it is unknown.</param>
/// <param name="Condition">The board's condition; null until its verdict.</param>
internal sealed record JsonJobBoard(
    string Board, string Phase, int? Percent, string Message, bool? Ok, string? Condition, JsonFaultReport? Fault, string? OldVersion,
    string? NewVersion)
{
    /// <inheritdoc cref="JsonStep.Browser"/>
    public string? Browser { get; init; }

    /// <summary>Bytes of the phase that are done, of <see cref="Total"/>; missing where the phase has no measure.</summary>
    public long? Done { get; init; }

    /// <inheritdoc cref="Done"/>
    public long? Total { get; init; }

    /// <summary>From the point of no return to the verdict: what is erased and written.</summary>
    public JsonLayout? Layout { get; init; }

    /// <summary>While an operator is awaited: what to do first, one of <see cref="OperatorStep"/>.</summary>
    public string? Step { get; init; }

    /// <summary>With the verdict.</summary>
    public JsonReport? Report { get; init; }

    /// <summary>With the verdict: <see cref="Condition"/> in words.</summary>
    public string? Now { get; init; }

    public JsonJobBoard In(FrontEnd frontEnd) => this with
    {
        Message = JsonContract.Words(frontEnd, Message, Browser),
        Browser = null,
        Fault = Fault?.In(frontEnd),
        Report = Report?.In(frontEnd),
    };
}

/// <summary>One board of a running job, after a step of it.</summary>
/// <param name="Elapsed">Of the job, in seconds.</param>
internal sealed record JsonJobStep(string Job, double Elapsed, JsonJobBoard Board)
{
    public JsonJobStep In(FrontEnd frontEnd) => this with { Board = Board.In(frontEnd) };
}

/// <summary>The first line of a journal: the request.</summary>
/// <param name="By">One of <see cref="JobOrigin"/>.</param>
/// <param name="Created">UTC, ISO 8601.</param>
/// <param name="Images">The SHA-256 of the firmware, by board.</param>
/// <param name="Version">The agent's.</param>
internal sealed record JsonHeader(
    string Event, string Job, string By, string Created, string[] Boards, Dictionary<string, string> Images, string Version)
{
    /// <summary>Boards that are flashed from an SD card; missing where there are none.</summary>
    public string[]? SdCard { get; init; }

    /// <inheritdoc cref="JsonJob.Kind"/>
    public string? Kind { get; init; }

    /// <summary>The port as the user named it; missing where they did not.</summary>
    public string? Port { get; init; }
}

/// <summary>A journal's line about Klipper's service: <c>stopping</c> before a stop, <c>started</c> after a start.</summary>
internal sealed record JsonService(string Event, string Service, string State);
