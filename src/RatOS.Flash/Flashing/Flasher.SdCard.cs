using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <content>Firmware as a file under the right name: for a card that a person carries, and for boards that only a person can write.</content>
public sealed partial class Flasher
{
    /// <summary>Lays a file where people can fetch it, given the board's name and the file's own; its path. Null where there is no such place.</summary>
    /// <exception cref="FlashException">It could not be written.</exception>
    public Func<string, string, ReadOnlyMemory<byte>, string>? Offer { get; init; }

    /// <summary>The file goes onto the card in this computer, and where people can fetch it; the rest is a person's.</summary>
    private async Task LeaveToCardAsync(BoardPlan board, FlashLog log, Dictionary<string, BoardReport> reports)
    {
        var image = board.Request.Image!;
        var file = await OfferForCardAsync(board, log);
        string? card = null;
        try
        {
            card = await hardware.PutOnCardAsync(SdCardBootloader.FileName, image.Bytes);
            if (card is not null)
                await log.NoteAsync(board.Name, FlashPhase.Person, $"{SdCardBootloader.FileName} ({image.Version}) is on the card at {card}, and was read back from it: equal");
        }
        catch (FlashException unusable)
        {
            await log.WarnAsync(board.Name, FlashPhase.Person, unusable.Message);
        }
        var fault = Faults.SdCardByHand(board.Name, BoardGuide.OneLine(BoardGuide.CardSteps(board.Board, card, file)));
        // On CAN and on a wire nothing shows that it was done.
        if (!HasPerson || board.Device is { Usb: null } or { Can: not null })
        {
            await RefuseAsync([board.Request], fault, log, reports, board);
            return;
        }
        var (port, serial, known) = (board.Device?.Port ?? board.Request.Board.Port, board.Request.Board.Serial, new HashSet<(string Port, int Number)>());
        _awaited.Add(new(board, FaultReport.Of(fault), fault.Remedy, Find, null) { Begin = () => known.UnionWith(hardware.Look().Devices.Select(Stay)) });

        Device? Find(DeviceList seen) => seen.Devices.FirstOrDefault(device =>
            device.Usb == UsbId.Klipper && !known.Contains(Stay(device)) && (port is null ? device.Serial == serial : device.Port == port));

        static (string, int) Stay(Device device) => (device.Port, device.Number);
    }

    /// <summary>For a board that may be without firmware: another way that a person has, where it has its maker's bootloader. What to say of it; null where there is none.</summary>
    private async Task<string?> OtherWayAsync(BoardPlan board, BoardFlash flash, FlashLog log) =>
        flash.MayNeedCard && await OfferForCardAsync(board, log) is { } place
            ? $"Another way: {place}, on a card of 32 GB or less with FAT32 in the board's SD slot, and a reset." : null;

    /// <summary>A board that there is no road to is built for all the same: its steps want the file. Why it is refused, with what became of that.</summary>
    private async Task<FlashException> OfferBuiltAsync(BoardPlan board, BuiltOrNot built, FlashLog log)
    {
        var noRoad = board.Blocker!;
        var more = built switch
        {
            { Firmware: { File.Length: > 0 } firmware } when BoardGuide.Of(board.Board).FileName is { } name =>
                await OfferAsync(board.Name, name, () => Read(firmware.File), log) is { } place ? $" It was built: {place}." : "",
            { Fault: { } fault } => $" It could not be built: {fault.Cause}",
            _ => "",
        };
        return new(noRoad.Code, noRoad.Cause + more, noRoad.Remedy);
    }

    private Task<string?> OfferForCardAsync(BoardPlan board, FlashLog log) => OfferAsync(board.Name, SdCardBootloader.FileName, () => board.Request.Image!.Bytes, log);

    private static byte[] Read(string built)
    {
        try
        {
            return File.ReadAllBytes(built);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Faults.FirmwareUnreadable(built, fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>Where the file lies now; null where it could not be laid.</summary>
    private async Task<string?> OfferAsync(string board, string name, Func<ReadOnlyMemory<byte>> file, FlashLog log)
    {
        try
        {
            if (Offer?.Invoke(board, name, file()) is not { } place)
                return null;
            await log.NoteAsync(board, FlashPhase.Person, $"The file to fetch is {place}; Mainsail and Fluidd offer it among the configuration files.");
            return place;
        }
        catch (FlashException fault)
        {
            await log.WarnAsync(board, FlashPhase.Person, fault.Message);
            return null;
        }
    }
}
