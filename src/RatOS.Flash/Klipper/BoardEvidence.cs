namespace RatOS.Flash.Klipper;

/// <summary>What a running board told of itself when Klipper was stopped.</summary>
/// <param name="Version">Its firmware's version.</param>
/// <param name="Mcu">Its firmware's chip.</param>
/// <param name="Chip">What the silicon said; null when it could not be asked.</param>
public sealed record BoardEvidence(string Version, string Mcu, ChipEvidence? Chip)
{
    /// <summary>Its firmware is a USB-CAN bridge.</summary>
    public bool IsCanBridge { get; init; }
}
