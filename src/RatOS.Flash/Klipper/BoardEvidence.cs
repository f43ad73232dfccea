namespace RatOS.Flash.Klipper;

/// <summary>Answers of a running board while Klipper is stopped.</summary>
/// <param name="Version">Its firmware's version.</param>
/// <param name="Mcu">Its firmware's chip.</param>
/// <param name="Chip">Its registers; null when they could not be read.</param>
public sealed record BoardEvidence(string Version, string Mcu, ChipEvidence? Chip)
{
    /// <summary>Its firmware is a USB-CAN bridge.</summary>
    public bool IsCanBridge { get; init; }
}
