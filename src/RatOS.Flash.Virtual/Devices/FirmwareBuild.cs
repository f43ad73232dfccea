using System.Text.Json;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The choices of a Klipper build (its Kconfig) that leave traces: in the dictionary, in the registers of the running chip, or on the bus.
/// </summary>
/// <param name="Chip">The chip it is for.</param>
/// <param name="Start">The application address it is linked for.</param>
public sealed record FirmwareBuild(VirtualChip Chip, uint Start)
{
    public FirmwareLink Link { get => field ?? FirmwareLink.UsbOf(Chip); init; }

    /// <summary>The clock reference it is built for.</summary>
    public ClockSource Clock { get; init; } = Chip.UsualClock;

    /// <summary>CLOCK_FREQ in Hz: a choice on AVR, HC32F460 and SAMD51, else it follows from chip and clock.</summary>
    public long ClockFrequency { get => field == 0 ? Chip.FrequencyAt(Clock) : field; init; }

    /// <summary>bit/s of a bridge's bus. Of a node it is the <see cref="FirmwareLink.Rate"/>.</summary>
    public int BridgeRate { get; init; } = VirtualCanBus.Bitrate;

    /// <summary>INITIAL_PINS; null for none.</summary>
    public string? InitialPins { get; init; }

    /// <summary>WANT_STEPPER_OPTIMIZED_BOTH_EDGE.</summary>
    public bool OptimizesStepEdges { get; init; } = true;

    /// <summary>Commands that the build leaves out, by first word, with blanks between: <c>config_neopixel config_st7920</c>.</summary>
    public string MissingCommands { get; init; } = "";

    /// <summary>STM32F103GD_DISABLE_SWD, which leaves no trace that can be read.</summary>
    public bool DisablesSwd { get; init; }

    /// <summary>USB or CAN on PA9 and PA10 of an F042 or F070x6, which appear as PA11 and PA12.</summary>
    public bool IsRemapped { get; init; }

    /// <summary>The second-stage boot code of a build for an RP2040 without bootloader.</summary>
    public Boot2Kind Boot2 { get; init; }

    /// <summary>USB_SERIAL_NUMBER; empty for the chip id, null where the image does not say it and the board keeps its own.</summary>
    public string? UsbSerial { get; init; }

    /// <summary>The bit rate of the bus that it takes part in; null without CAN.</summary>
    internal int? CanRate => Link.Kind switch
    {
        FirmwareLinkKind.Can => Link.Rate,
        FirmwareLinkKind.CanBridge => BridgeRate,
        _ => null,
    };

    internal bool HasUsb => Link.Kind is FirmwareLinkKind.Usb or FirmwareLinkKind.CanBridge;

    /// <summary>
    /// What the dictionary does not tell, as an invented image carries it behind its start code: a real image has it in its instructions.
    /// </summary>
    internal byte[] State()
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteNumber("clock", Clock.Hertz);
            json.WriteString("pins", Link.Pins);
            json.WriteNumber("rate", BridgeRate);
            json.WriteBoolean("swd-off", DisablesSwd);
            json.WriteBoolean("remap", IsRemapped);
            json.WriteNumber("boot2", (int)Boot2);
            json.WriteString("serial", UsbSerial);
            json.WriteEndObject();
        }
        return text.ToArray();
    }

    /// <summary>These bytes are what <see cref="State"/> writes.</summary>
    internal static bool IsStatement(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var reader = new Utf8JsonReader(bytes);
            using var json = JsonDocument.ParseValue(ref reader);
            return json.RootElement.ValueKind == JsonValueKind.Object
                && ((string[])["pins", "clock", "rate", "swd-off", "remap", "boot2", "serial"])
                    .All(name => json.RootElement.TryGetProperty(name, out _));
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The build of a running firmware.</summary>
    /// <param name="chip">The chip it runs on.</param>
    /// <param name="firmware">Its dictionary and start.</param>
    /// <param name="statement">What an invented image carries; null for a real image.</param>
    /// <param name="clock">The clock of a real image: nothing in it can be read.</param>
    internal static FirmwareBuild Of(VirtualChip chip, VirtualFirmware firmware, ReadOnlyMemory<byte>? statement, ClockSource clock)
    {
        var build = new FirmwareBuild(chip, firmware.Start)
        {
            Link = firmware.Link,
            Clock = clock,
            ClockFrequency = firmware.ClockFrequency,
            InitialPins = firmware.InitialPins,
        };
        if (statement is not { } text)
            return build;
        using var json = JsonDocument.Parse(text);
        var root = json.RootElement;
        return build with
        {
            Link = build.Link with { Pins = build.Link.Pins ?? root.GetProperty("pins").GetString() },
            Clock = new(root.GetProperty("clock").GetInt32()),
            BridgeRate = root.GetProperty("rate").GetInt32(),
            DisablesSwd = root.GetProperty("swd-off").GetBoolean(),
            IsRemapped = root.GetProperty("remap").GetBoolean(),
            Boot2 = (Boot2Kind)root.GetProperty("boot2").GetInt32(),
            UsbSerial = root.GetProperty("serial").GetString(),
        };
    }
}
