namespace RatOS.Flash.Core;

/// <summary>A step that only an operator at the board can do.</summary>
public enum OperatorStep
{
    None,

    /// <summary>Start the chip's bootloader: BOOT0 jumper or button, then reset; a double reset for Katapult alone.</summary>
    StartBootloader,

    /// <summary>Check the cable and the power.</summary>
    CheckCable,

    /// <summary>Press reset twice quickly, which starts Katapult.</summary>
    DoubleReset,

    /// <summary>Remove the BOOT0 jumper, then switch the power off and on.</summary>
    RemoveBoot0AndPowerCycle,

    /// <summary>Switch the power off and on.</summary>
    PowerCycle,

    /// <summary>Remove the BOOT0 jumper, then press reset.</summary>
    RemoveBoot0AndReset,

    /// <summary>Carry the firmware on an SD card to the board.</summary>
    CarryCard,
}
