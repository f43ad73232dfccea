using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <summary>The answer of every method; never null, and never an error of JSON-RPC.</summary>
/// <param name="Ok">The request was done.</param>
internal sealed record JsonAnswer(bool Ok)
{
    /// <summary>Why it was not done.</summary>
    public JsonFaultReport? Error { get; init; }

    /// <summary>The job that the request made or joined.</summary>
    public string? Job { get; init; }

    /// <summary>The job was open already.</summary>
    public bool? Joined { get; init; }

    /// <summary>With <c>job</c>, <c>history</c> and <c>status</c>: newest last.</summary>
    public JsonJob[]? Jobs { get; init; }

    /// <summary>With <c>follow</c>: the job's result.</summary>
    public JsonResult? Result { get; init; }

    public JsonPlan[]? Plan { get; init; }

    public JsonFinding[]? Findings { get; init; }

    public JsonBoard[]? Boards { get; init; }

    /// <summary>With <c>boards</c>: definitions of an installed RatOS that are not used.</summary>
    public JsonSkipped[]? Skipped { get; init; }

    /// <summary>With <c>doctor</c>.</summary>
    public JsonCheck[]? Checks { get; init; }

    /// <summary>With <c>files</c>.</summary>
    public JsonFile[]? Files { get; init; }

    /// <summary>With <c>options</c>.</summary>
    public JsonOptions? Options { get; init; }

    /// <summary>With <c>bundle</c>: its path.</summary>
    public string? File { get; init; }

    /// <summary>With <c>status</c>: the agent's version.</summary>
    public string? Version { get; init; }

    /// <summary>With <c>status</c>: Klipper's state, and its message.</summary>
    public string? Klippy { get; init; }

    /// <inheritdoc cref="Klippy"/>
    public string? Message { get; init; }

    /// <summary>With <c>status</c>: remote methods that another program registered.</summary>
    public string[]? Taken { get; init; }

    /// <summary>With <c>status</c>: the address of the page for browsers, where Moonraker serves it.</summary>
    public string? Page { get; init; }

    /// <summary>With <c>status</c>: before an update of Klipper after which boards need new firmware.</summary>
    public JsonForecast? Before { get; init; }

    /// <summary>The same in the words of a front end.</summary>
    public JsonAnswer In(FrontEnd frontEnd) => this with
    {
        Error = Error?.In(frontEnd),
        Jobs = Jobs is null ? null : [.. Jobs.Select(job => job.In(frontEnd))],
        Result = Result?.In(frontEnd),
        Plan = Plan is null ? null : [.. Plan.Select(board => board.In(frontEnd))],
        Findings = Findings is null ? null : [.. Findings.Select(finding => finding.In(frontEnd))],
        Boards = Boards is null ? null : [.. Boards.Select(board => board.In(frontEnd))],
        Files = Files is null ? null : [.. Files.Select(file => file.In(frontEnd))],
        Checks = Checks is null ? null : [.. Checks.Select(check => check.In(frontEnd))],
    };

    public static JsonAnswer Of(FlashException fault) => new(false) { Error = JsonFaultReport.Of(FaultReport.Of(fault)) };
}
