using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>How a board gets into its bootloader.</summary>
public enum FlashEntry
{
    /// <summary>There is no way.</summary>
    [ContractName("none")] None,

    /// <summary>It waits in one already.</summary>
    [ContractName("in-bootloader")] InBootloader,

    /// <summary>Klipper on USB is asked by opening its port at 1200 baud.</summary>
    [ContractName("touch")] Touch,

    /// <summary>Klipper on a UART is asked by a request on the line.</summary>
    [ContractName("uart-request")] UartRequest,

    /// <summary>Klipper on CAN is asked by a request to its uuid.</summary>
    [ContractName("can-request")] CanRequest,

    /// <summary>A person sets BOOT0 or presses reset twice.</summary>
    [ContractName("by-hand")] ByHand,

    /// <summary>It has none: it is a process of this computer, whose program is replaced.</summary>
    [ContractName("replace")] Replace,

    /// <summary>At any reset its maker's bootloader takes a file from the card in its slot, which a person carries there.</summary>
    [ContractName("sd-card")] SdCard,
}
