namespace RatOS.Flash.Klipper;

/// <summary>Registers of a running board's chip; null for those that could not be read, or contradict each other.</summary>
public sealed record ChipEvidence
{
    /// <summary>Nothing is known: an old firmware, a host process, a chip without such registers.</summary>
    public static readonly ChipEvidence None = new();

    /// <summary>The unique id, 12 bytes in memory order.</summary>
    public ReadOnlyMemory<byte>? Uid { get; init; }

    /// <summary>Flash in KiB.</summary>
    public int? FlashKib { get; init; }

    /// <summary>DBGMCU_IDCODE &amp; fff. Null also when the chip answers 0, as F0, F1 and G0 do: unknown, never wrong.</summary>
    public int? IdCode { get; init; }

    /// <summary>Where the running firmware's vectors are; null also where they are at no address that Klipper offers.</summary>
    public uint? ApplicationStart { get; init; }

    /// <summary>Word 0 of the running firmware: the end of RAM that it was built for.</summary>
    public uint? StackEnd { get; init; }

    /// <summary>Katapult stands below the application, and this firmware's request will reach it.</summary>
    public bool? Katapult { get; init; }

    /// <summary>The crystal in Hz that the clock tree was set up for; 1 for the internal clock.</summary>
    public int? ClockReference { get; init; }

    /// <summary>Bits a second of the CAN bus behind a bridge.</summary>
    public int? CanBitrate { get; init; }

    /// <summary>The UART's pins of an RP2040 or RP2350, as the end of Klipper's symbol: <c>UART0_PINS_0_1</c>.</summary>
    public string? SerialPins { get; init; }

    /// <summary>The flash chip of an RP2040 without bootloader, as the end of Klipper's symbol: <c>W25Q080</c>.</summary>
    public string? FlashChip { get; init; }

    /// <summary>USB or CAN is on PA9 and PA10 of an F042 or F070x6.</summary>
    public bool IsRemapped { get; init; }
}
