namespace RatOS.Flash.Virtual.Devices;

/// <summary>Chips that share a memory map and Klipper's start-up code.</summary>
public enum VirtualFamily
{
    F0,
    F1,
    F2,
    F4,
    F7,
    G0,
    G4,
    H7,
    L4,
    Rp2040,
    Rp2350,
    Lpc176x,
    Hc32f460,
    Samd21,
    Samc21,

    /// <summary>SAMD51, SAME51 and SAME54.</summary>
    Samd51,
    Sam3,
    Sam4,
    Same70,
    Avr,

    /// <summary>No chip but a process.</summary>
    Linux,
}
