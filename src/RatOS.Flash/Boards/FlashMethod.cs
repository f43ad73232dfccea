using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>How firmware gets onto a board.</summary>
public enum FlashMethod
{
    /// <summary>This program; the running Klipper starts the bootloader.</summary>
    [ContractName("engine")] Engine,

    /// <summary>
    /// This program, once an operator has started the chip's ROM. With Katapult below the firmware no operator is needed.
    /// </summary>
    [ContractName("engine-by-hand")] EngineManual,

    /// <summary>A .uf2 is copied onto the drive of the chip's ROM.</summary>
    [ContractName("uf2")] Uf2,

    /// <summary>The stock bootloader installs a file from the board's SD card.</summary>
    [ContractName("sd-card")] SdCard,

    /// <summary>avrdude.</summary>
    [ContractName("avrdude")] Avrdude,

    /// <summary>dfu-util: the firmware begins inside a flash sector, of which this program leaves the other part alone.</summary>
    [ContractName("dfu-util")] DfuUtil,

    /// <summary>It is a program on this computer.</summary>
    [ContractName("process")] Process,

    /// <summary>Its maker's updater.</summary>
    [ContractName("own-updater")] OwnUpdater,

    /// <summary>Too little is known about it.</summary>
    [ContractName("unknown")] Unknown,
}
