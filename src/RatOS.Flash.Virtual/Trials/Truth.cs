using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Trials;

/// <summary>
/// What must hold after every flash, however it went: a success is one in the flash memory and on the line, the bootloader's area is as it
/// was, every fault has a remedy, the condition is the real one, Klipper runs, and time is bounded.
/// </summary>
public sealed class Truth
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(20);

    private readonly VirtualPrinter _printer;
    private readonly ImmutableArray<(byte[] Boot, byte[] Application)> _before;
    private readonly bool _klippyRan;
    private readonly List<string> _lies = [];

    private Truth(VirtualPrinter printer)
    {
        _printer = printer;
        _before = [.. printer.Boards.Select(board => (BootArea(board), Application(board)))];
        _klippyRan = printer.Klippy.IsRunning;
    }

    /// <summary>Remembers what the boards hold before they are flashed.</summary>
    public static Truth Before(VirtualPrinter printer) => new(printer);

    /// <summary>What does not hold, a line each; none when all does.</summary>
    public ImmutableArray<string> Check(IReadOnlyList<FlashRequest> requests, FlashReport report, IReadOnlyList<FlashEvent> events)
    {
        _lies.Clear();
        Must(requests.Select(request => request.Board.Name).SequenceEqual(report.Boards.Select(board => board.Board)),
            "the report is of other boards than those asked for");
        Must(report.Elapsed < Longest, $"it took {report.Elapsed}");
        Must(events.Select(step => step.Sequence).SequenceEqual(Enumerable.Range(1, events.Count)), "an event is missing");
        Must(!_klippyRan || _printer.Klippy.IsRunning || report.Klippy is not null, "Klipper does not run, and nobody said so");
        for (var i = 0; i < _printer.Boards.Length; i++)
        {
            var board = _printer.Boards[i];
            Must(BootArea(board).AsSpan().SequenceEqual(_before[i].Boot), $"the bootloader's area of {board.Name} was changed");
            Must(!board.WasMassErased, $"{board.Name} was mass erased");
            if (report.Boards.FirstOrDefault(one => one.Board == board.Name) is { } its)
                Check(board, requests.First(request => request.Board.Name == board.Name).Image, IsUntouched(i), its);
            else
                Must(IsUntouched(i), $"{board.Name} was not asked for and was changed");
        }
        return [.. _lies];
    }

    /// <summary>The board's application is, bit by bit, the one that it had.</summary>
    public bool IsUntouched(VirtualBoard board) => IsUntouched(_printer.Boards.IndexOf(board));

    private bool IsUntouched(int index) => Application(_printer.Boards[index]).AsSpan().SequenceEqual(_before[index].Application);

    private void Check(VirtualBoard board, FirmwareImage? image, bool isUntouched, BoardReport report)
    {
        var start = board.ApplicationStart;
        var holdsImage = image is not null && board.Flash.Contains(start, image.Bytes.Length)
            && board.Flash.Read(start, image.Bytes.Length).SequenceEqual(image.Bytes.Span);
        Must(report.Ok == report.Fault is null, $"{board.Name} is no success and has no fault");
        if (report.Fault is { } fault)
        {
            Must(fault.Kind != FaultKind.InternalError, fault.Cause);
            Must(fault.Cause.Length > 10 && fault.Remedy.ToString().Length > 10, $"{fault.Code} has no cause or no remedy");
        }
        switch (report.Condition)
        {
            case BoardCondition.Flashed:
                Must(holdsImage, "success was claimed, and flash holds something else");
                Must(
                    board.RunningFirmware is { } running && running.Version == image?.Version
                        && running.CompressedDictionary.Span.SequenceEqual(image.CompressedDictionary.Span),
                    $"success was claimed, and {board.RunningFirmware?.Version ?? "nothing"} runs");
                break;
            case BoardCondition.Running:
                Must(isUntouched && board.State == BoardState.Klipper && board.RunningFirmware?.Version == report.NewVersion,
                    "'it runs what it had' was claimed, and that is not so");
                break;
            case BoardCondition.Unconfirmed:
                // A card in the slot may have brought other firmware since; that is what the fault says then.
                Must(holdsImage || report.Fault?.Kind == FaultKind.OtherFirmwareRuns,
                    "'written and read back equal' was claimed, and flash holds something else");
                break;
            case BoardCondition.Unchanged or BoardCondition.InBootloaderUnchanged:
                Must(isUntouched, $"'{report.Condition}' was claimed, and flash was changed");
                if (report.Condition == BoardCondition.Unchanged && !report.Refused && report.Fault?.Kind.MayHideBootloader != true)
                    Must(board.State is not (BoardState.Katapult or BoardState.Rom),
                        $"'Unchanged' was claimed, and {board.Name} is in {board.State}: {report.Fault?.Cause}");
                else if (report.Condition == BoardCondition.InBootloaderUnchanged && !report.Refused)
                    Must(board.State != BoardState.Klipper || board.Port is null, "'in its bootloader' was claimed, and it runs Klipper");
                break;
        }
    }

    private void Must(bool holds, string lie)
    {
        if (!holds)
            _lies.Add(lie);
    }

    private static byte[] BootArea(VirtualBoard board) =>
        board.Flash.Read(board.Flash.Base, (int)(board.ApplicationStart - board.Flash.Base)).ToArray();

    private static byte[] Application(VirtualBoard board) =>
        board.Flash.Read(board.ApplicationStart, (int)(board.Flash.End - board.ApplicationStart)).ToArray();
}
