namespace RatOS.Flash.Core;

/// <summary>A step that only an operator at the board can do.</summary>
public enum OperatorStep
{
    [ContractName("none")] None,

    /// <summary>Start the chip's bootloader: BOOT0 jumper or button, then reset; a double reset for Katapult alone.</summary>
    [ContractName("start-bootloader")] StartBootloader,

    /// <summary>Check the cable and the power.</summary>
    [ContractName("check-cable")] CheckCable,

    /// <summary>Press reset twice quickly, which starts Katapult.</summary>
    [ContractName("double-reset")] DoubleReset,

    /// <summary>Remove the BOOT0 jumper, then switch the power off and on.</summary>
    [ContractName("remove-boot0-power-cycle")] RemoveBoot0AndPowerCycle,

    /// <summary>Switch the power off and on.</summary>
    [ContractName("power-cycle")] PowerCycle,

    /// <summary>Remove the BOOT0 jumper, then press reset.</summary>
    [ContractName("remove-boot0-reset")] RemoveBoot0AndReset,

    /// <summary>Carry the firmware on an SD card to the board.</summary>
    [ContractName("carry-card")] CarryCard,
}
