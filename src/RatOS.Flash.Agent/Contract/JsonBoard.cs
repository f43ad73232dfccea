using RatOS.Flash.Boards;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <summary>One MCU of the printer (<c>event</c> is <c>board</c>), or another device on its buses.</summary>
/// <param name="Id">Of its kind in the catalogue; of an unknown kind, its name.</param>
/// <param name="Board">Its name on this printer; null for another device.</param>
/// <param name="State">Its state in words.</param>
/// <param name="Running">The version that it runs.</param>
/// <param name="Host">Klipper's version.</param>
internal sealed record JsonBoard(
    string Event, string? Id, string? Board, string Description, string? Mcu, string? Port, string State, string? Running, string? Host)
{
    /// <summary>Its section of printer.cfg.</summary>
    public string? Section { get; init; }

    /// <summary>
    /// Who flashes it: <c>ours</c>, <c>own-updater</c> (its maker's program), <c>stranger</c> (none of this printer's boards).
    /// </summary>
    public string? Owner { get; init; }

    /// <summary>Other names for it.</summary>
    public string[]? Aliases { get; init; }

    /// <summary>
    /// Whether it needs a flash: <c>required</c>, <c>useful</c>, <c>needless</c>, <c>unknown</c>; and the reason in a sentence.
    /// </summary>
    public string? Need { get; init; }

    /// <inheritdoc cref="Need"/>
    public string? Reason { get; init; }

    /// <summary>What is known of it, and by whom.</summary>
    public JsonFact[]? Facts { get; init; }

    public JsonFinding[]? Findings { get; init; }

    /// <summary>Boards with the pins of this one, whose kind is not known.</summary>
    public JsonKnownByPins? KnownByPins { get; init; }

    public JsonBoard In(FrontEnd frontEnd) =>
        Findings is null ? this : this with { Findings = [.. Findings.Select(finding => finding.In(frontEnd))] };
}

/// <summary>Boards with the pins that a printer uses.</summary>
/// <param name="Name">What people call them; null where they differ in what matters for a flash.</param>
/// <param name="Score">The part of the printer's features that they have: 0.85 to 1.</param>
/// <param name="Configs">The configurations that describe them, Klipper's by their files.</param>
/// <param name="CardFile">The file that the stock bootloader takes from a card, in words.</param>
internal sealed record JsonKnownByPins(string? Name, double Score, string[] Configs, string? CardFile)
{
    public static JsonKnownByPins Of(PinMatch match) => new(
        match.Name, Math.Round(match.Score, 2), [.. match.Configs.Select(config => config.File)], match.Head.CardFile?.ToString());
}

/// <summary>A statement about a board.</summary>
/// <param name="Says">In words: <c>application at 08008000</c>.</param>
/// <param name="By">Its source, behind "by": <c>its running firmware</c>.</param>
internal sealed record JsonFact(string Says, string By);

/// <summary>A kind of board in the catalogue.</summary>
/// <param name="Road">Its flash method: <c>engine</c> for a flash by this program, others as in <c>docs/boards.md</c>.</param>
internal sealed record JsonKind(string Event, string Id, string? Name, string Description, string? Mcu, string Kind, string Road)
{
    public static JsonKind Of(Board board) =>
        new("kind", board.Id, board.ShortName, board.DisplayName, board.McuName, board.Kind,
        JsonContract.Name(BoardGuide.Of(board).Method));
}

/// <summary>Firmware that a board has run, in the file beside its bytes.</summary>
/// <param name="Source">
/// <c>confirmed</c>: the running board confirmed it. <c>read-out</c>: it was in the board before the first flash.
/// </param>
internal sealed record JsonGood(
    string Event, string Board, string File, string Version, string Mcu, string Sha256, int Size, string Source, string? ConfigHash,
    string? SourceId, string? Config);

/// <summary>What Klipper said of the printer's MCUs, kept for when it does not answer.</summary>
internal sealed record JsonMcus(string? Host, string? State, string? Message, JsonMcu[] Mcus)
{
    /// <summary>What boards told of themselves when they were asked.</summary>
    public JsonIdentity[]? Identities { get; init; }

    /// <summary>The user's answers, by board and fact.</summary>
    public Dictionary<string, Dictionary<string, string>>? Answers { get; init; }
}

/// <summary>One of them.</summary>
/// <param name="Section"><c>mcu</c> or <c>mcu NAME</c>. Without options it is the MCU of a Klipper module and no section.</param>
/// <param name="Port">Its last port.</param>
internal sealed record JsonMcu(
    string Section, string? Serial, string? Baud, string? CanbusUuid, string? CanbusInterface, string? RestartMethod, string? Version,
    string? Chip,
    IReadOnlyDictionary<string, string>? Constants, string? Port, bool NonCritical = false)
{
    /// <summary>The host controller of that port's bus; null where it is unknown.</summary>
    public string? Controller { get; init; }

    /// <summary>The features of its pins: <c>Driver PF13 PF12 PF14</c>.</summary>
    public string[]? Pins { get; init; }

    /// <summary>PA13 or PA14 is among its pins.</summary>
    public bool? UsesDebugPins { get; init; }

    /// <summary>Features that its firmware lacks and that Klipper will soon insist on.</summary>
    public string[]? MissingFeatures { get; init; }
}

/// <summary>The answers of one running board.</summary>
/// <param name="At">When it was asked, ISO 8601.</param>
/// <param name="Serial">USB serial.</param>
/// <param name="Uuid">CAN uuid.</param>
/// <param name="Port">Serial port of a board on a UART.</param>
internal sealed record JsonIdentity(
    string At, string? Serial, string? Uuid, string? Port, string Version, string Chip, bool IsCanBridge,
    IReadOnlyDictionary<string, string>? Constants, string[]? LeavesOut, JsonRegisters? Registers);

/// <summary>What the registers of its chip say, addresses and sizes as numbers.</summary>
/// <param name="Uid">24 hex digits.</param>
internal sealed record JsonRegisters(
    string? Uid, int? FlashKib, int? IdCode, long? ApplicationStart, long? StackEnd, bool? Katapult, int? ClockReference, int? CanBitrate,
    string? SerialPins, string? FlashChip, bool IsRemapped);
