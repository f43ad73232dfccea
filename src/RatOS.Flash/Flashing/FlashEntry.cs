using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>How a board gets into its bootloader.</summary>
public enum FlashEntry
{
    /// <summary>There is no way.</summary>
    [ContractName("none")] None,

    /// <summary>It waits there already.</summary>
    [ContractName("in-bootloader")] InBootloader,

    /// <summary>Klipper on USB is requested by opening its port at 1200 baud (Klipper src/generic/usb_cdc.c).</summary>
    [ContractName("touch")] Touch,

    /// <summary>Klipper on a UART is requested by a message on the line (Klipper src/generic/serial_irq.c).</summary>
    [ContractName("uart-request")] UartRequest,

    /// <summary>Klipper on CAN is requested by a message to its uuid (Klipper src/generic/canserial.c).</summary>
    [ContractName("can-request")] CanRequest,

    /// <summary>An operator sets BOOT0 or presses reset twice.</summary>
    [ContractName("by-hand")] Manual,

    /// <summary>It has none: it is a process of this computer, whose program is replaced.</summary>
    [ContractName("replace")] Replace,

    /// <summary>Its stock bootloader installs a file from the card in its slot at any reset; an operator carries the card there.</summary>
    [ContractName("sd-card")] SdCard,

    /// <summary>A probe's maker has a program that does everything.</summary>
    [ContractName("own-updater")] OwnUpdater,
}
