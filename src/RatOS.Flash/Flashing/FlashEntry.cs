namespace RatOS.Flash.Flashing;

/// <summary>How a board gets into its bootloader.</summary>
public enum FlashEntry
{
    /// <summary>There is no way.</summary>
    None,

    /// <summary>It waits in one already.</summary>
    InBootloader,

    /// <summary>Klipper on USB is asked by opening its port at 1200 baud.</summary>
    Touch,

    /// <summary>Klipper on a UART is asked by a request on the line.</summary>
    UartRequest,

    /// <summary>Klipper on CAN is asked by a request to its uuid.</summary>
    CanRequest,

    /// <summary>A person sets BOOT0 or presses reset twice.</summary>
    ByHand,

    /// <summary>It has none: it is a process of this computer, whose program is replaced.</summary>
    Replace,

    /// <summary>At any reset its maker's bootloader takes a file from the card in its slot, which a person carries there.</summary>
    SdCard,
}
