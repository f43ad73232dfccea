using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>Firmware as a file under the right name, for an operator: on the card in this computer, or to download.</summary>
internal sealed class SdCardFiles(IHardware hardware, FlashServices services, TimeProvider time, FlashLog log)
{
    /// <summary>Puts the file onto the card in this computer and where users can download it; the rest is the operator's step.</summary>
    public async Task<OperatorWait> PrepareCardAsync(BoardPlan board)
    {
        var image = board.Request.Image!;
        var card = CardOf(board);
        var file = await OfferForCardAsync(board, card.Value);
        string? place = null;
        try
        {
            var bytes = Encode(board, card.Value);
            place = await hardware.PutOnCardAsync(card.Value.Path, bytes, back => back.Span.SequenceEqual(bytes));
            if (place is not null)
                await log.NoteAsync(board.Name, FlashPhase.Operator,
                    $"{card.Value.Path} ({image.Version}) is on the card at {place}, verified");
        }
        catch (FlashException unusable)
        {
            await log.WarnAsync(board.Name, FlashPhase.Operator, unusable);
        }
        var fault = SdCardFaults.SdCardByHand(board.Name,
            Remedy.Numbered(BoardGuide.CardSteps(card, place, file), OperatorStep.CarryCard));
        // On CAN and on a wire nothing shows that the step was done.
        return new(board, fault,
            fault.Remedy)
        { CanWait = services.HasOperator && board.Device is not ({ Usb: null } or { Can: not null }) };
    }

    /// <summary>
    /// A second way for a board that may be without firmware and has its stock bootloader: what to say of it; null where there is no file.
    /// </summary>
    public async Task<string?> OfferSdCardAsync(BoardPlan board)
    {
        var card = CardOf(board);
        if (await OfferForCardAsync(board, card.Value) is not { } place)
            return null;
        var folder = card.Value.Folder is { } name ? $" in a folder called {name}" : "";
        var evidence = card.Source == FactSource.Catalogue ? "" : $" Its stock bootloader is known by {card.Where}.";
        return $"Another way: {place}{folder}, on a card of 32 GB or less with FAT32 in the board's SD slot, and a reset.{evidence}";
    }

    /// <summary>
    /// For a board without a flash method: its manual steps need the file that was built. Why it is refused, with the place of that file.
    /// </summary>
    public async Task<FlashException> OfferBuiltAsync(BoardPlan board, BuiltOrNot built)
    {
        var refusal = board.Blocker!;
        var more = built switch
        {
            { Firmware: { File.Length: > 0 } firmware } when BoardGuide.Of(board.Profile).FileName is { } name =>
                await OfferAsync(board.Name, name, () => Read(firmware.File)) is { } place ? $" It was built: {place}." : "",
            { Fault: { } fault } => $" It could not be built: {fault.Cause}",
            _ => "",
        };
        return new(refusal.Kind, refusal.Cause + more, refusal.Remedy);
    }

    /// <summary>The file that the board's bootloader takes, with the name that it gets now.</summary>
    private Fact<CardFile> CardOf(BoardPlan board) => board.Profile.SdCard! is { Value.NeedsNewName: true } card
        ? card with { Value = card.Value with { Name = services.NewCardName(board.Request.Image!, time) } } : board.Profile.SdCard!;

    private Task<string?> OfferForCardAsync(BoardPlan board, CardFile card) =>
        OfferAsync(board.Name, card.Name!, () => Encode(board, card));

    private static byte[] Encode(BoardPlan board, CardFile card)
    {
        var (image, start) = (board.Request.Image!.Bytes, board.Profile.ApplicationStart!.Value);
        var file = CardEncoder.Encode(card.Encoding, image.Span, start, card.Name!);
        return CardEncoder.Holds(card.Encoding, file, image.Span, start) ? file
            : throw SdCardFaults.SdCardUnwritable(card.Name!, "it does not decode to the firmware");
    }

    private static byte[] Read(string built)
    {
        try
        {
            return File.ReadAllBytes(built);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw FirmwareFaults.FirmwareUnreadable(built, fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>The file's place; null where it could not be written.</summary>
    private async Task<string?> OfferAsync(string board, string name, Func<ReadOnlyMemory<byte>> file)
    {
        try
        {
            if (services.Offer(board, name, file()) is not { } place)
                return null;
            await log.NoteAsync(
                board, FlashPhase.Operator, $"Download {place}: Mainsail and Fluidd list it among the configuration files.");
            return place;
        }
        catch (FlashException fault)
        {
            await log.WarnAsync(board, FlashPhase.Operator, fault);
            return null;
        }
    }
}
