using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>The condition of a board during its flash. Each step follows from an observation: nothing is assumed.</summary>
/// <param name="begin"><see cref="BoardPlan.Condition"/>.</param>
internal sealed class FirmwareState(BoardCondition begin)
{
    private bool _isErased;
    private BoardCondition _before = begin;

    public BoardCondition Condition { get; private set; } = begin;

    /// <summary>A command that changes flash was sent. It may not have arrived.</summary>
    public bool MayBeChanged { get; private set; }

    /// <summary>Klipper is on the bus. Where this flash has erased something, other firmware was put there since.</summary>
    public void Runs() => Condition = _isErased ? BoardCondition.Unknown : BoardCondition.Unchanged;

    /// <summary>A bootloader answers, which tells nothing of the firmware: only what ran before is known.</summary>
    /// <param name="leftKlipper">Klipper started it at our request.</param>
    public void WaitsInBootloader(bool leftKlipper) => Condition =
        !MayBeChanged && (leftKlipper || Condition == BoardCondition.Unchanged) ? BoardCondition.InBootloaderUnchanged : Condition;

    /// <summary>A recovery saw it; nothing was written.</summary>
    public void Recovers(BoardCondition seen) => Condition = seen;

    /// <summary>The next command changes flash.</summary>
    public void Changes()
    {
        _before = MayBeChanged ? _before : Condition;
        MayBeChanged = true;
        Condition = _isErased || Condition == BoardCondition.InBootloaderWithoutFirmware ? BoardCondition.InBootloaderWithoutFirmware
            : BoardCondition.Unknown;
    }

    /// <summary>A fault that ends the flash.</summary>
    public void Meets(FlashException fault, bool leftKlipper)
    {
        // What the commands should have changed was read, and they left it as it was.
        if (fault.Kind == FaultKind.WriteProtected && !_isErased)
            (MayBeChanged, Condition) = (false, _before);
        if (fault.Kind.BootloaderAnswered)
            WaitsInBootloader(leftKlipper);
    }

    /// <summary>The bootloader acknowledged so many bytes of a write.</summary>
    public void Wrote(long bytes, Mcu mcu)
    {
        // Katapult on an RP2040 acknowledges what it only collects (Katapult src/rp2040/flash.c).
        if (bytes > mcu.WriteUnit)
            Erased();
    }

    /// <summary>The bootloader confirmed such a command.</summary>
    public void Erased() => (_isErased, Condition) = (true, BoardCondition.InBootloaderWithoutFirmware);

    /// <summary>The new firmware is in flash: only the running board can confirm it.</summary>
    public void AwaitsProof() => Condition = BoardCondition.Unconfirmed;

    public void Proven() => Condition = BoardCondition.Flashed;
}
