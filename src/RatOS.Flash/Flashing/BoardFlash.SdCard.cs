using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <content>A board that its maker's own bootloader has written, or not, from a card.</content>
internal sealed partial class BoardFlash
{
    /// <summary>The firmware could not be brought into it, and a card may do that: the bootloader that it is sold with is still there, as far as anybody knows.</summary>
    public bool MayNeedCard => _image is not null && !_hasKatapult && _plan is { Entry: not FlashEntry.SdCard, Board.SdCard: not null, Evidence: null or { Chip: null or { Katapult: not true } } }
        && _condition != BoardCondition.Unconfirmed && Last is { Ok: false } && (Step is not null || _condition == BoardCondition.InBootloaderWithoutFirmware);

    public void Remember() => _bus.Remember();

    /// <summary>Nobody saw the write, so what runs says whether there was one; then the proof is that of any other flash.</summary>
    private async Task ProveCardAsync(Device running)
    {
        _condition = BoardCondition.Unconfirmed;
        await using (var client = await IdentifyAsync(running))
        {
            if (!client.CompressedDictionary.Span.SequenceEqual(_image.CompressedDictionary.Span) && (_plan.RunningVersion ?? client.Dictionary!.Version) == client.Dictionary!.Version)
            {
                _condition = BoardCondition.Unchanged;
                throw Faults.SdCardNotTaken(_name, client.Dictionary.Version, _plan.Board.SdCard!.RenamedTo, BoardGuide.OneLine(BoardGuide.CardSteps(_plan.Board)));
            }
        }
        await ProveAsync(await ConfirmAsync(running, FlashPhase.Confirm));
    }
}
