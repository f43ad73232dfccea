using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>
/// The invariants of every flash, failed or not: a reported success is in flash memory and on the line, the bootloader's area is unchanged,
/// every fault has a remedy, the reported condition is the real one, Klipper runs, and the time is bounded.
/// </summary>
public sealed class FlashInvariants
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(20);

    private readonly VirtualPrinter _printer;
    private readonly ImmutableArray<(byte[] Boot, byte[] Application, bool WasWhole)> _before;
    private readonly bool _klippyRan;
    private readonly List<string> _violations = [];

    private FlashInvariants(VirtualPrinter printer)
    {
        _printer = printer;
        _before = [.. printer.Boards.Select(board => (BootArea(board), Application(board), WasWhole(board)))];
        _klippyRan = printer.Klippy.IsRunning;
    }

    /// <summary>Remembers what the boards hold before they are flashed.</summary>
    public static FlashInvariants Before(VirtualPrinter printer) => new(printer);

    /// <summary>The violations, a line each; none when every invariant holds.</summary>
    public ImmutableArray<string> Check(IReadOnlyList<FlashRequest> requests, FlashReport report, IReadOnlyList<FlashEvent> events)
    {
        _violations.Clear();
        Require(requests.Select(request => request.Board.Name).SequenceEqual(report.Boards.Select(board => board.Board)),
            "the report names other boards than the request");
        Require(report.Elapsed < Longest, $"it took {report.Elapsed}");
        Require(events.Select(step => step.Sequence).SequenceEqual(Enumerable.Range(1, events.Count)), "an event is missing");
        Require(!_klippyRan || _printer.Klippy.IsRunning || report.Klippy is not null,
            "Klipper does not run, and the report does not say so");
        for (var i = 0; i < _printer.Boards.Length; i++)
        {
            var board = _printer.Boards[i];
            Require(BootArea(board).AsSpan().SequenceEqual(_before[i].Boot), $"the bootloader's area of {board.Name} was changed");
            Require(!board.WasMassErased, $"{board.Name} was mass erased");
            if (report.Boards.FirstOrDefault(one => one.Board == board.Name) is { } its)
                Check(board, requests.First(request => request.Board.Name == board.Name).Image, IsUntouched(i), _before[i].WasWhole, its);
            else
                Require(IsUntouched(i), $"{board.Name} was not in the request and was changed");
        }
        return [.. _violations];
    }

    /// <summary>The board's application is, bit by bit, the one from before the flash.</summary>
    public bool IsUntouched(VirtualBoard board) => IsUntouched(_printer.Boards.IndexOf(board));

    private bool IsUntouched(int index) => Application(_printer.Boards[index]).AsSpan().SequenceEqual(_before[index].Application);

    private void Check(VirtualBoard board, FirmwareImage? image, bool isUntouched, bool wasWhole, BoardReport report)
    {
        var start = board.ImageStart;
        var holdsImage = image is not null && board.Flash.Contains(start, image.Bytes.Length)
            && board.Flash.Read(start, image.Bytes.Length).SequenceEqual(image.Bytes.Span);
        Require(report.Ok == report.Fault is null, $"{board.Name} is no success and has no fault");
        if (report.Fault is { } fault)
        {
            Require(fault.Kind != FaultKind.InternalError, fault.Cause);
            Require(fault.Cause.Length > 10 && fault.Remedy.ToString().Length > 10, $"{fault.Code} has no cause or no remedy");
        }
        switch (report.Condition)
        {
            case BoardCondition.Flashed:
                Require(holdsImage, "success was claimed, and flash holds something else");
                Require(
                    board.RunningFirmware is { } running && running.Version == image?.Version
                        && running.CompressedDictionary.Span.SequenceEqual(image.CompressedDictionary.Span),
                    $"success was claimed, and {board.RunningFirmware?.Version ?? "nothing"} runs");
                break;
            case BoardCondition.Running:
                Require(isUntouched && board.State == BoardState.Klipper && board.RunningFirmware?.Version == report.NewVersion,
                    "'it runs what it had' was claimed, and that is not so");
                break;
            case BoardCondition.Unconfirmed:
                // A card in the slot may have installed other firmware since; then the fault says so.
                Require(holdsImage || report.Fault?.Kind == FaultKind.OtherFirmwareRuns,
                    "'written and verified' was claimed, but flash holds something else");
                break;
            case BoardCondition.InBootloaderWithoutFirmware:
                Require(!isUntouched || !wasWhole, "'erased or half written' was claimed, and the old firmware is whole");
                break;
            case BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged:
                Require(isUntouched && wasWhole, $"'{report.Condition}' was claimed, and flash was changed, or was half written before");
                if (report.Condition == BoardCondition.Unchanged && !report.Refused && report.Fault?.Kind.MayHideBootloader != true)
                    Require(board.State is not (BoardState.Katapult or BoardState.Rom),
                        $"'Unchanged' was claimed, and {board.Name} is in {board.State}: {report.Fault?.Cause}");
                else if (report.Condition == BoardCondition.InBootloaderUnchanged && !report.Refused)
                    Require(board.State != BoardState.Klipper || board.Port is null,
                        "'in its bootloader' was claimed, and it runs Klipper");
                break;
        }
    }

    private void Require(bool holds, string violation)
    {
        if (!holds)
            _violations.Add(violation);
    }

    private static bool WasWhole(VirtualBoard board) =>
        board.Setup.IsProcess || VirtualFirmware.WouldStart(board.Flash, board.Chip, board.ApplicationStart).Running is not null;

    private static byte[] BootArea(VirtualBoard board) =>
        board.Flash.Read(board.Flash.Base, (int)(board.ImageStart - board.Flash.Base)).ToArray();

    private static byte[] Application(VirtualBoard board) =>
        board.Flash.Read(board.ImageStart, (int)(board.Flash.End - board.ImageStart)).ToArray();
}
