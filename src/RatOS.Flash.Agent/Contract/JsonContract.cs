using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Agent.Contract;

/// <summary>
/// What goes to programs: lines of <c>--json</c>, answers of the agent, its events and its journal are made of the same shapes. Names and values are part of the
/// product: new ones may come, none changes or goes (README, "For programs").
/// </summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(JsonPlan))]
[JsonSerializable(typeof(JsonFinding))]
[JsonSerializable(typeof(JsonBus))]
[JsonSerializable(typeof(JsonBoard))]
[JsonSerializable(typeof(JsonFirmware))]
[JsonSerializable(typeof(JsonScenario))]
[JsonSerializable(typeof(JsonSeed))]
[JsonSerializable(typeof(JsonSeeds))]
[JsonSerializable(typeof(JsonStep))]
[JsonSerializable(typeof(JsonResult))]
[JsonSerializable(typeof(JsonFault))]
[JsonSerializable(typeof(JsonMessage))]
[JsonSerializable(typeof(JsonCheck))]
[JsonSerializable(typeof(JsonDoctor))]
[JsonSerializable(typeof(JsonJob))]
[JsonSerializable(typeof(JsonJob[]))]
[JsonSerializable(typeof(JsonHeader))]
[JsonSerializable(typeof(JsonService))]
[JsonSerializable(typeof(JsonAnswer))]
[JsonSerializable(typeof(JsonKind))]
[JsonSerializable(typeof(JsonGood))]
[JsonSerializable(typeof(JsonMcus))]
internal sealed partial class JsonShapes : JsonSerializerContext;

/// <inheritdoc cref="JsonShapes"/>
internal static class JsonContract
{
    // Lines are read by people too: no \u0027 for an apostrophe. Nothing of it ends in a web page unescaped.
    public static readonly JsonShapes Shapes = new(new JsonSerializerOptions(JsonShapes.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <inheritdoc cref="ContractNameAttribute.Of"/>
    public static string Name<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>(T value)
        where T : struct, Enum => ContractNameAttribute.Of(value);

    /// <summary>And back; a value of a newer version is the given one.</summary>
    public static T Value<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>(string name, T unknown)
        where T : struct, Enum => ContractNameAttribute.Find<T>(name) ?? unknown;

    /// <summary>Of two wordings the one for a front end.</summary>
    /// <param name="commandLine">For a terminal.</param>
    /// <param name="browser">For a browser; null where it is the same.</param>
    public static string Words(FrontEnd frontEnd, string commandLine, string? browser) => frontEnd == FrontEnd.Browser ? browser ?? commandLine : commandLine;

    public static string? Hex(uint? address) => address is { } value ? $"0x{value:x8}" : null;
}

internal sealed record JsonFinding(string Event, string Severity, string Code, string Text, string Remedy)
{
    /// <inheritdoc cref="JsonFaultReport.Browser"/>
    public string? Browser { get; init; }

    public static JsonFinding Of(Finding finding) => new("finding", JsonContract.Name(finding.Severity), finding.Code, finding.Text, finding.Remedy.In(FrontEnd.CommandLine))
    {
        Browser = finding.Remedy.OnlyInBrowser,
    };

    public JsonFinding In(FrontEnd frontEnd) => this with { Remedy = JsonContract.Words(frontEnd, Remedy, Browser), Browser = null };
}

/// <param name="Id">Of its kind in the catalogue.</param>
/// <param name="Start">Application start as hex text.</param>
/// <param name="Description">The kind in words.</param>
/// <param name="Route">The road in words; null where there is none.</param>
internal sealed record JsonPlan(
    string Event, string Board, string Id, string? Mcu, string? Port, string? Node, string Entry, string? Bootloader, string? Running, string? Version,
    int? Size, string? Sha256, string? Start, bool Blocked, JsonFinding[] Findings, string Description, string? Route)
{
    public static JsonPlan Of(BoardPlan board)
    {
        var image = board.Request.Image;
        return new(
            "plan", board.Name, board.Profile.Kind.Id, board.Profile.Chip?.Value, board.Device?.Port, board.Device?.Node, JsonContract.Name(board.Entry),
            board.Bootloader?.Name, board.RunningVersion, image?.Version, image?.Bytes.Length, image?.Sha256,
            JsonContract.Hex(board.Profile.ApplicationStart?.Value), board.IsBlocked, [.. board.Findings.Select(JsonFinding.Of)], board.Profile.Kind.DisplayName,
            board.Entry == FlashEntry.None ? null : board.Route);
    }

    public JsonPlan In(FrontEnd frontEnd) => this with { Findings = [.. Findings.Select(finding => finding.In(frontEnd))] };

    /// <summary>A person has to agree: there is a warning that is not merely about what the person will be asked to do.</summary>
    [JsonIgnore]
    public bool NeedsConsent => !Blocked && Findings.Any(finding => finding.Severity == "warning" && FaultKind.Of(finding.Code).NeedsConsent);
}

/// <summary>One MCU of the printer (<c>event</c> is <c>board</c>), or something else on its buses.</summary>
/// <param name="Id">Of its kind in the catalogue; of a kind that nobody knows, its name.</param>
/// <param name="Board">Its name on this printer; null for what is none of its boards.</param>
/// <param name="State">What it does, in words.</param>
/// <param name="Running">The version that it runs, and Klipper's own.</param>
internal sealed record JsonBoard(
    string Event, string? Id, string? Board, string Description, string? Mcu, string? Port, string State, string? Running, string? Host)
{
    /// <summary>Its section of printer.cfg.</summary>
    public string? Section { get; init; }

    /// <summary>Whose firmware it runs: <c>ours</c>, <c>own-updater</c>, <c>stranger</c>.</summary>
    public string? Owner { get; init; }

    /// <summary>Other names for it.</summary>
    public string[]? Aliases { get; init; }

    /// <summary><c>required</c>, <c>useful</c>, <c>needless</c>, <c>unknown</c>, and why, in a sentence.</summary>
    public string? Need { get; init; }

    /// <inheritdoc cref="Need"/>
    public string? Reason { get; init; }

    public JsonFinding[]? Findings { get; init; }

    public JsonBoard In(FrontEnd frontEnd) => Findings is null ? this : this with { Findings = [.. Findings.Select(finding => finding.In(frontEnd))] };
}

/// <summary>A kind of board that the product knows.</summary>
/// <param name="Road">How firmware gets onto it: <c>engine</c> for a flash by this program, else the way that <c>docs/boards.md</c> describes.</param>
internal sealed record JsonKind(string Event, string Id, string? Name, string Description, string? Mcu, string Kind, string Road)
{
    public static JsonKind Of(Board board) => new("kind", board.Id, board.ShortName, board.DisplayName, board.McuName, board.Kind, JsonContract.Name(BoardGuide.Of(board).Method));
}

/// <summary>A firmware that a board has run, beside its bytes.</summary>
/// <param name="Source"><c>confirmed</c>: the running board proved it. <c>read-out</c>: it was in the board before the first flash.</param>
internal sealed record JsonGood(
    string Event, string Board, string File, string Version, string Mcu, string Sha256, int Size, string Source, string? ConfigHash, string? SourceId, string? Config);

/// <summary>What is known of the printer's MCUs, kept for when nobody can be asked.</summary>
internal sealed record JsonMcus(string? Host, string? State, string? Message, JsonMcu[] Mcus);

/// <param name="Section"><c>mcu</c> or <c>mcu NAME</c>; one without any option is no section, but an MCU that a module of Klipper brought.</param>
/// <param name="Port">Where it was last seen.</param>
internal sealed record JsonMcu(
    string Section, string? Serial, string? Baud, string? CanbusUuid, string? CanbusInterface, string? RestartMethod, string? Version, string? Chip,
    IReadOnlyDictionary<string, string>? Constants, string? Port);

internal sealed record JsonFirmware(
    string Event, string File, string Container, string App, string Version, string Mcu, string? Start, string? InitialStack, string? ResetVector, int Size,
    string Sha256, string BuildVersions, IReadOnlyDictionary<string, string> Config, int Commands, int Responses, JsonFaultReport? Fault)
{
    public static JsonFirmware Of(string file, FirmwareImage image, uint? start, FlashException? misfit) => new(
        "firmware", file, JsonContract.Name(image.Container), image.Dictionary.App, image.Version, image.Mcu, JsonContract.Hex(start),
        image.IsHostProcess ? null : JsonContract.Hex(image.InitialStack), image.IsHostProcess ? null : JsonContract.Hex(image.ResetVector), image.Bytes.Length, image.Sha256,
        image.Dictionary.BuildVersions, image.Dictionary.Config, image.Dictionary.Commands.Count, image.Dictionary.Responses.Count,
        misfit is null ? null : JsonFaultReport.Of(FaultReport.Of(misfit)).In(FrontEnd.CommandLine));
}

internal sealed record JsonBus(string Event, string Kind, string? Board, string? Port, string? State, string Text);

internal sealed record JsonScenario(string Event, string Name, string Description);

/// <param name="Code">Of the first fault that was reported; null when there was none.</param>
internal sealed record JsonSeed(string Event, int Seed, string Scenario, string Faults, string Outcome, string? Step, string? Code, bool Undisturbed, string[]? Problems, string? Command)
{
    public static JsonSeed Of(SeededFlash flash)
    {
        var (trial, isBroken) = (flash.Trial, flash.Trial.Outcome == TrialOutcome.Broken);
        return new(
            "seed", flash.Seed, flash.Scenario, InjectedFaults.FromSeed(flash.Seed).ToString(), JsonContract.Name(trial.Outcome), trial.Step is { } step ? JsonContract.Name(step) : null,
            trial.Report.Ok ? null : trial.Code, flash.IsUndisturbed, isBroken ? [.. trial.Problems] : null, isBroken ? flash.Command : null);
    }
}

internal sealed record JsonSeeds(string Event, bool Ok, int Flashes, int Recovered, int HumanSteps, int Broken, int Undisturbed);

internal sealed record JsonStep(
    string Event, int Seq, double At, string? Board, string Phase, string Kind, string Message, long? Done, long? Total, JsonReport? Report)
{
    /// <summary>The message in the words of a browser, in journals only; missing where they are the same.</summary>
    public string? Browser { get; init; }

    public JsonStep In(FrontEnd frontEnd) => this with { Message = JsonContract.Words(frontEnd, Message, Browser), Browser = null, Report = Report?.In(frontEnd) };

    public static JsonStep Of(FlashEvent step) => new(
        step.Kind == FlashEventKind.Verdict ? "verdict" : "step", step.Sequence, Math.Round(step.At.TotalSeconds, 6), step.Board, JsonContract.Name(step.Phase), JsonContract.Name(step.Kind),
        step.Message, step.Total > 0 ? step.Done : null, step.Total > 0 ? step.Total : null, step.Report is { } report ? JsonReport.Of(report) : null)
    {
        Browser = step.Browser,
    };

    public FlashEvent ToEvent() => new(
        Seq, TimeSpan.FromSeconds(At), Board, JsonContract.Value(Phase, FlashPhase.Plan), JsonContract.Value(Kind, FlashEventKind.Note), Message, Done ?? 0, Total ?? 0, Report?.ToReport())
    {
        Browser = Browser,
    };
}

internal sealed record JsonReport(
    string Board, bool Ok, bool Refused, string Condition, JsonFaultReport? Fault, string? OldVersion, string? NewVersion, int Size, string? Sha256, string? Route,
    double Elapsed, string[] Notes)
{
    /// <summary>Why nothing had to be done.</summary>
    public string? LeftOut { get; init; }

    /// <summary>The last good firmware, where the new one does not do.</summary>
    public JsonBack? Back { get; init; }

    /// <summary>It is a process of this computer; missing for a board.</summary>
    public bool? Process { get; init; }

    /// <summary>Its firmware was carried on a card; missing for any other.</summary>
    public bool? SdCard { get; init; }

    /// <summary>The running board returned the new dictionary at least once; missing where it did not.</summary>
    public bool? Confirmed { get; init; }

    public static JsonReport Of(BoardReport report) => new(
        report.Board, report.Ok, report.Refused, JsonContract.Name(report.Condition), JsonFaultReport.Of(report.Fault), report.OldVersion, report.NewVersion, report.Size, report.Sha256, report.Route,
        Math.Round(report.Elapsed.TotalSeconds, 6), [.. report.Notes])
    {
        LeftOut = report.SkipReason,
        Process = report.IsProcess ? true : null,
        SdCard = report.IsBySdCard ? true : null,
        Confirmed = report.IsConfirmed ? true : null,
        Back = report.Back is { } back ? new(back.Version, back.Asks, back.Report is { } came ? Of(came) : null) : null,
    };

    public JsonReport In(FrontEnd frontEnd) => this with
    {
        Fault = Fault?.In(frontEnd),
        Back = Back is { Report: { } came } ? Back with { Report = came.In(frontEnd) } : Back,
    };

    public BoardReport ToReport() => new()
    {
        Board = Board,
        Condition = JsonContract.Value(Condition, BoardCondition.Unconfirmed),
        Fault = Fault?.ToReport(),
        IsProcess = Process == true,
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
        Back = Back is { Version: not null } ? new(Back.Version, Back.Asks, Back.Report?.ToReport()) : null,
    };
}

/// <param name="Version">Of what can go back, or went.</param>
/// <param name="Asks">A person is to be asked; the request for it is <c>flash</c> with <c>rollback</c>.</param>
/// <param name="Report">What came of it; missing when it was not tried.</param>
internal sealed record JsonBack(string Version, bool Asks, JsonReport? Report);

internal sealed record JsonResult(string Event, bool Ok, int Exit, double Elapsed, JsonReport[] Boards, JsonFaultReport? Klippy)
{
    public static JsonResult Of(FlashReport report) => new(
        "result", report.Ok, ExitCode.Of(report), Math.Round(report.Elapsed.TotalSeconds, 6), [.. report.Boards.Select(JsonReport.Of)], JsonFaultReport.Of(report.Klippy));

    public JsonResult In(FrontEnd frontEnd) => this with { Boards = [.. Boards.Select(board => board.In(frontEnd))], Klippy = Klippy?.In(frontEnd) };

    public FlashReport ToReport() => new([.. Boards.Select(board => board.ToReport())], Klippy?.ToReport(), TimeSpan.FromSeconds(Elapsed));
}

/// <param name="Severity"><c>problem</c>, <c>warning</c> or <c>note</c>; a note is nothing wrong.</param>
/// <param name="Fixable"><c>doctor --fix</c> mends it.</param>
internal sealed record JsonCheck(string Event, string Id, string Severity, string Text, string Remedy, bool Fixable)
{
    /// <summary>The remedy in the words of a browser; missing where they are the same, and at every door, which has its own words in the remedy.</summary>
    public string? Browser { get; init; }

    public JsonCheck In(FrontEnd frontEnd) => this with { Remedy = JsonContract.Words(frontEnd, Remedy, Browser), Browser = null };
}

/// <summary>The last line of doctor.</summary>
internal sealed record JsonDoctor(string Event, bool Ok, int Checks, int Wrong);

internal sealed record JsonFault(string Event, string Code, string Cause, string Remedy);

/// <summary>A fault inside another shape.</summary>
internal sealed record JsonFaultReport(string Code, string Cause, string Remedy)
{
    /// <summary>The remedy in the words of a browser, in journals only; missing where they are the same. Every other door has its own words in the remedy.</summary>
    public string? Browser { get; init; }

    [return: NotNullIfNotNull(nameof(fault))]
    public static JsonFaultReport? Of(FaultReport? fault) => fault is null ? null : new(fault.Code, fault.Cause, fault.Remedy.In(FrontEnd.CommandLine))
    {
        Browser = fault.Remedy.OnlyInBrowser,
    };

    public JsonFaultReport In(FrontEnd frontEnd) => this with { Remedy = JsonContract.Words(frontEnd, Remedy, Browser), Browser = null };

    public FaultReport ToReport() => new(FaultKind.Of(Code), Cause, Core.Remedy.Of(Remedy, Browser ?? Remedy));
}

internal sealed record JsonMessage(string Event, string Text);

/// <summary>The first line of a journal: what was asked for.</summary>
/// <param name="By">Who asked: <c>macro</c>, <c>request</c>, <c>command-line</c>, <c>screen</c>, <c>prompt</c>, <c>update</c>.</param>
/// <param name="Created">UTC, ISO 8601.</param>
/// <param name="Images">By board, the SHA-256 of what is to be written.</param>
internal sealed record JsonHeader(string Event, string Job, string By, string Created, string[] Boards, Dictionary<string, string> Images, string Version)
{
    /// <summary>Boards whose firmware a person carries on a card; missing where there are none.</summary>
    public string[]? SdCard { get; init; }
}

/// <summary>A journal's line about Klipper's service: <c>stopping</c> is written before it is stopped by us, <c>started</c> when it runs again.</summary>
internal sealed record JsonService(string Event, string Service, string State);

/// <summary>A job as it stands.</summary>
/// <param name="State"><c>queued</c>, <c>waiting</c> (for an idle printer), <c>running</c>, <c>person</c> (waits for one: what to do is in the boards' messages), <c>done</c>.</param>
/// <param name="Ok">Null until it is done.</param>
/// <param name="Klippy">Why Klipper could not be started again; null when it could.</param>
internal sealed record JsonJob(string Job, string State, bool? Ok, string By, string Created, double Elapsed, JsonJobBoard[] Boards, JsonFaultReport? Klippy)
{
    /// <summary><c>job</c> in a line of <c>--json</c>.</summary>
    public string? Event { get; init; }

    public JsonJob In(FrontEnd frontEnd) => this with { Boards = [.. Boards.Select(board => board.In(frontEnd))], Klippy = Klippy?.In(frontEnd) };
}

/// <param name="Percent">Of the phase, 0 to 100; null where it has no measure.</param>
/// <param name="Condition">What the board is; null until there is a verdict.</param>
internal sealed record JsonJobBoard(
    string Board, string Phase, int? Percent, string Message, bool? Ok, string? Condition, JsonFaultReport? Fault, string? OldVersion, string? NewVersion)
{
    /// <inheritdoc cref="JsonStep.Browser"/>
    public string? Browser { get; init; }

    public JsonJobBoard In(FrontEnd frontEnd) => this with { Message = JsonContract.Words(frontEnd, Message, Browser), Browser = null, Fault = Fault?.In(frontEnd) };
}

/// <summary>What every door answers; never null, never an error of JSON-RPC.</summary>
/// <param name="Ok">It was done as asked.</param>
internal sealed record JsonAnswer(bool Ok)
{
    /// <summary>Why not.</summary>
    public JsonFaultReport? Error { get; init; }

    /// <summary>The job that the request made or joined.</summary>
    public string? Job { get; init; }

    /// <summary>The job was there already.</summary>
    public bool? Joined { get; init; }

    /// <summary>With <c>job</c>, <c>history</c> and <c>status</c>: newest last.</summary>
    public JsonJob[]? Jobs { get; init; }

    /// <summary>With <c>follow</c>: how the job ended.</summary>
    public JsonResult? Result { get; init; }

    public JsonPlan[]? Plan { get; init; }

    public JsonFinding[]? Findings { get; init; }

    public JsonBoard[]? Boards { get; init; }

    /// <summary>With <c>doctor</c>.</summary>
    public JsonCheck[]? Checks { get; init; }
    /// <summary>With <c>bundle</c>: its path.</summary>
    public string? File { get; init; }

    /// <summary>With <c>status</c>: the agent's version.</summary>
    public string? Version { get; init; }

    /// <summary>With <c>status</c>: what Klipper does, and its own words for it.</summary>
    public string? Klippy { get; init; }

    /// <inheritdoc cref="Klippy"/>
    public string? Message { get; init; }

    /// <summary>With <c>status</c>: remote methods that belong to another program.</summary>
    public string[]? Taken { get; init; }

    /// <summary>The same in the words of a front end.</summary>
    public JsonAnswer In(FrontEnd frontEnd) => this with
    {
        Error = Error?.In(frontEnd),
        Jobs = Jobs is null ? null : [.. Jobs.Select(job => job.In(frontEnd))],
        Result = Result?.In(frontEnd),
        Plan = Plan is null ? null : [.. Plan.Select(board => board.In(frontEnd))],
        Findings = Findings is null ? null : [.. Findings.Select(finding => finding.In(frontEnd))],
        Boards = Boards is null ? null : [.. Boards.Select(board => board.In(frontEnd))],
        Checks = Checks is null ? null : [.. Checks.Select(check => check.In(frontEnd))],
    };

    public static JsonAnswer Of(FlashException fault) => new(false) { Error = JsonFaultReport.Of(FaultReport.Of(fault)) };
}
