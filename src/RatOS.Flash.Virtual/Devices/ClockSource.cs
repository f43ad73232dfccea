using System.Globalization;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>A clock reference: a board has one, and firmware is built for one.</summary>
/// <param name="Hertz">Frequency of the crystal; 0 for the chip's internal oscillator.</param>
public readonly record struct ClockSource(int Hertz)
{
    /// <summary>No crystal.</summary>
    public static readonly ClockSource Internal = new(0);

    /// <summary>The watch crystal of SAMD boards.</summary>
    public static readonly ClockSource Crystal32K = new(32_768);

    public bool IsInternal => Hertz == 0;

    public static ClockSource Crystal(int megahertz) => new(megahertz * 1_000_000);

    public override string ToString() => this switch
    {
        { IsInternal: true } => "the internal oscillator",
        { Hertz: 32_768 } => "a crystal of 32.768 kHz",
        _ => string.Create(CultureInfo.InvariantCulture, $"a crystal of {Hertz / 1_000_000} MHz"),
    };
}
