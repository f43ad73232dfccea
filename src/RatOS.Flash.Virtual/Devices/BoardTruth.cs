namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// What a board truly is, for any chip of Klipper's Kconfig: a virtual board is made from it, and nothing of it is in a catalogue.
/// </summary>
public sealed record BoardTruth
{
    /// <summary>The chip, by its symbol in Klipper's Kconfig without MACH_: <c>STM32F446</c>, <c>STM32F103x6</c>, <c>N32G452</c>.</summary>
    public required string Machine { get; init; }

    /// <summary>KiB of flash; null for the usual part.</summary>
    public int? FlashKib { get; init; }

    /// <summary>The clock reference on the board and of its firmware; null for the usual one of the chip.</summary>
    public ClockSource? Clock { get; init; }

    /// <summary>CLOCK_FREQ, where the build has a choice (AVR, HC32F460, SAMD51); null for the usual one.</summary>
    public long? ClockFrequency { get; init; }

    /// <summary>The application start; null for the beginning of the flash, an RP2040's behind its boot code.</summary>
    public uint? Start { get; init; }

    /// <summary>The link of board and firmware; null for USB.</summary>
    public FirmwareLink? Link { get; init; }

    /// <summary>bit/s of a bridge's bus; of a node it is the link's rate.</summary>
    public int BridgeRate { get; init; } = VirtualCanBus.Bitrate;

    public string? InitialPins { get; init; }

    /// <summary>The serial that its firmware shows on USB; empty for the chip's id.</summary>
    public string UsbSerial { get; init; } = "";

    /// <summary>
    /// The unique id, in memory order: 12 bytes on STM32, 8 on RP, 16 on others; null for one that follows from the place.
    /// </summary>
    public ReadOnlyMemory<byte>? Uid { get; init; }

    /// <summary>The bootloader below the start; null for a maker's card bootloader where there is room, else none.</summary>
    public BootStage? Bootloader { get; init; }

    /// <summary>DBGMCU_IDCODE of a clone: 13030410 on a GD32F103; null for what the original chip answers.</summary>
    public uint? CloneId { get; init; }

    /// <inheritdoc cref="FirmwareBuild.OptimizesStepEdges"/>
    public bool OptimizesStepEdges { get; init; } = true;

    /// <inheritdoc cref="FirmwareBuild.MissingCommands"/>
    public string MissingCommands { get; init; } = "";

    /// <inheritdoc cref="FirmwareBuild.DisablesSwd"/>
    public bool DisablesSwd { get; init; }

    /// <inheritdoc cref="FirmwareBuild.IsRemapped"/>
    public bool IsRemapped { get; init; }

    /// <inheritdoc cref="FirmwareBuild.Boot2"/>
    public Boot2Kind Boot2 { get; init; }

    /// <summary>Its chip.</summary>
    /// <exception cref="ArgumentException">Klipper's Kconfig has no such chip.</exception>
    public VirtualChip Chip
    {
        get
        {
            var chip = KconfigChips.Find(Machine);
            if (FlashKib is { } kib)
                chip = chip.WithFlash(kib);
            return CloneId is { } id ? chip with { IdCode = id } : chip;
        }
    }

    /// <summary>The firmware that was built for it.</summary>
    public FirmwareBuild Build
    {
        get
        {
            var chip = Chip;
            var first = chip.FlashBase + (chip.Family == VirtualFamily.Rp2040 ? (uint)Boot2Length : 0);
            var build = new FirmwareBuild(chip, Start ?? first)
            {
                Link = Link ?? FirmwareLink.UsbOf(chip),
                Clock = Clock ?? (chip.Family == VirtualFamily.Avr && ClockFrequency is { } hertz ? new((int)hertz) : chip.UsualClock),
                BridgeRate = BridgeRate,
                InitialPins = InitialPins,
                OptimizesStepEdges = OptimizesStepEdges,
                MissingCommands = MissingCommands,
                DisablesSwd = DisablesSwd,
                IsRemapped = IsRemapped,
                Boot2 = Boot2,
                UsbSerial = UsbSerial,
            };
            return ClockFrequency is { } frequency ? build with { ClockFrequency = frequency } : build;
        }
    }

    private const int Boot2Length = Devices.Boot2.Length;

    /// <summary>A board of a scenario. Its wires are those of its link alone.</summary>
    /// <param name="name">Its name in the printer's configuration.</param>
    /// <param name="port">Its USB port path, or the name of its UART or CAN interface.</param>
    public BoardSetup At(string name, string port)
    {
        var build = Build;
        return new BoardSetup(name, "", build.Chip, build.Start, port)
        {
            BuiltAs = build,
            Clock = build.Clock,
            FirmwareLink = build.Link,
            Wires = WiresOf(build),
            BusRate = build.CanRate ?? VirtualCanBus.Bitrate,
            Serial = UsbSerial,
            Uid = Uid,
            IsUart = build.Link.Kind == FirmwareLinkKind.Uart,
            IsCan = build.Link.Kind == FirmwareLinkKind.Can,
            IsCanBridge = build.Link.Kind == FirmwareLinkKind.CanBridge,
            Stage = Bootloader ?? (build.Start - build.Chip.FlashBase > Boot2Length ? BootStage.StockSd : BootStage.None),
        };
    }

    /// <summary>The link as an image says it: no pins where the family has no constant for them and the image states none.</summary>
    private static FirmwareLink WiresOf(FirmwareBuild build) =>
        build.CanRate is null ? build.Link : build.Link with { Pins = build.Link.CanPinsOn(build.Chip) };
}
