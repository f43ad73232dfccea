using RatOS.Flash.Chips;

namespace RatOS.Flash.Boards;

/// <summary>What a firmware is built to talk over.</summary>
public enum BuildLink
{
    Usb,
    Uart,
    Can,

    /// <summary>On USB, the bridge to a CAN bus of which it is a node itself.</summary>
    UsbCanBridge,
}

/// <summary>What a firmware is built to talk over, with its values.</summary>
/// <param name="Link">The kind.</param>
/// <param name="Pins">
/// Klipper's name for the pins, the end of its Kconfig symbol: <c>PB14_PB15</c> (USB), <c>USART2</c> or <c>USART1_ALT_PB7_PB6</c> (UART),
/// <c>PB8_PB9</c> (CAN and bridge); for an RP2040 or RP2350 <c>UART0_PINS_0_1</c> and, on CAN, <c>4_5</c> (receive, transmit). Null: what
/// the chip's firmware has by default.
/// </param>
/// <param name="Rate">UART: baud. CAN and bridge: bits a second. Null: 250000 and 1000000, Klipper's defaults.</param>
public sealed record BuildTransport(BuildLink Link, string? Pins = null, int? Rate = null)
{
    public static BuildTransport Usb { get; } = new(BuildLink.Usb);

    /// <summary>The pins of USB and CAN on PA9 and PA10 of an F042 or F070x6, which reserve PA11 and PA12 all the same.</summary>
    public const string Remapped = "PA11_PA12_REMAP";

    /// <summary>
    /// A Kconfig symbol chooses USB by its pins, such as <c>STM32_USB_PA11_PA12</c>. USBSERIAL and SERIAL only follow, and one of RatOS's
    /// files has them the wrong way round.
    /// </summary>
    internal static bool IsUsbChoice(string symbol) =>
        symbol.EndsWith("_USB", StringComparison.Ordinal) || symbol.Contains("_USB_P", StringComparison.Ordinal)
            || symbol.Contains("_USBCANBUS_P", StringComparison.Ordinal);

    /// <summary>
    /// The chip has USB of its own. Most AVRs have none, whatever converter is in front of them (Klipper src/avr/Kconfig).
    /// </summary>
    public static bool HasUsb(string chip) => !Mcu.IsAvr(chip) || chip is "at90usb1286" or "at90usb646" or "atmega32u4";

    /// <summary>How a firmware was built, by its own constants; null when they do not show it.</summary>
    /// <remarks>
    /// A build for UART names its baud, a node its bitrate, a bridge itself (Klipper src/generic/serial_irq.c, canbus.c, usb_canbus.c); all
    /// reserve their pins under a name of its own, an RP2040's USB none.
    /// </remarks>
    /// <param name="constants">Of its data dictionary.</param>
    public static BuildTransport? Of(IReadOnlyDictionary<string, string> constants)
    {
        var mcu = constants.GetValueOrDefault("MCU") ?? "";
        if (Number("SERIAL_BAUD") is var baud && (baud is not null || constants.ContainsKey("RESERVE_PINS_serial")))
            return new(BuildLink.Uart, SerialPinsOf(mcu, constants.GetValueOrDefault("RESERVE_PINS_serial")), baud);
        var can = CanPinsOf(constants.GetValueOrDefault("RESERVE_PINS_CAN"));
        var bitrate = Number("CANBUS_FREQUENCY");
        if (constants.GetValueOrDefault("CANBUS_BRIDGE") is not (null or "0"))
            return new(BuildLink.UsbCanBridge, can, bitrate);
        if (can is not null || bitrate is not null)
            return new(BuildLink.Can, can, bitrate);
        if (constants.ContainsKey("RESERVE_PINS_USB1"))
            return new(BuildLink.Usb, "PB14_PB15");
        return constants.ContainsKey("RESERVE_PINS_USB") || HasUsbWithoutPins(mcu) ? Usb : null;

        int? Number(string name) => int.TryParse(constants.GetValueOrDefault(name), out var number) ? number : null;
    }

    /// <summary>Firmware built for one is unreachable over the other. An unknown value differs from no other.</summary>
    public bool Differs(BuildTransport other) => Link != other.Link
        || (Pins ?? UsualPins, other.Pins ?? other.UsualPins) is ({ } these, { } those) && these != those
        || (Rate is { } rate && other.Rate is { } otherRate && rate != otherRate);

    /// <summary>The same, with what it leaves open taken from others of its kind.</summary>
    internal BuildTransport CompletedBy(IEnumerable<BuildTransport> others) => others.Where(other => other.Link == Link)
        .Aggregate(this, (sum, other) => sum with { Pins = sum.Pins ?? other.Pins, Rate = sum.Rate ?? other.Rate });

    // An STM32 has its USB at PA11 and PA12 unless its firmware says otherwise.
    private string? UsualPins => Link == BuildLink.Usb ? "PA11_PA12" : null;

    private static string? CanPinsOf(string? reserved) =>
        reserved?.Replace("gpio", "", StringComparison.Ordinal).Replace(',', '_').Replace('.', '_') switch
        {
            "PH14_PH13" => "PH13_PH14",   // in this order in the dictionary alone (Klipper src/stm32/fdcan.c)
            var pins => pins,
        };

    /// <summary>For people: <c>CAN at 1000000 bit/s on PB8_PB9</c>.</summary>
    public override string ToString() => Link switch
    {
        BuildLink.Usb => "USB" + On,
        BuildLink.Uart => (Rate is { } baud ? $"UART at {baud} baud" : "UART") + On,
        BuildLink.Can => (Rate is { } bitrate ? $"CAN at {bitrate} bit/s" : "CAN") + On,
        _ => "USB, as a bridge to CAN" + On,
    };

    private string On => Pins is null ? "" : $" on {Pins}";

    // These reserve no pins for it: without a line of another kind they are on USB.
    private static bool HasUsbWithoutPins(string mcu) => mcu.StartsWith("rp2", StringComparison.Ordinal)
        || (Mcu.IsAvr(mcu) && HasUsb(mcu)) || mcu.StartsWith("sam3", StringComparison.Ordinal)
        || mcu.StartsWith("same7", StringComparison.Ordinal);

    private static string? SerialPinsOf(string mcu, string? reserved) => reserved switch
    {
        null => null,
        _ when mcu == "HC32F460" => reserved.Replace(',', '_'),
        _ when Mcu.IsAvr(mcu) => AvrSerialPins.GetValueOrDefault(reserved),
        _ => SerialPins.GetValueOrDefault(reserved),
    };

    private static readonly Dictionary<string, string> AvrSerialPins = new(StringComparer.Ordinal)
    {
        ["PE0,PE1"] = "UART0",
        ["PD0,PD1"] = "UART0",
        ["PD2,PD3"] = "UART1",
        ["PH0,PH1"] = "UART2",
        ["PJ0,PJ1"] = "UART3",
    };

    /// <summary>Receive and transmit as STM32 and LPC176x firmware names them, by the end of the Kconfig symbol that chose them.</summary>
    private static readonly Dictionary<string, string> SerialPins = new(StringComparer.Ordinal)
    {
        ["PA10,PA9"] = "USART1",
        ["PB7,PB6"] = "USART1_ALT_PB7_PB6",
        ["PA3,PA2"] = "USART2",
        ["PD6,PD5"] = "USART2_ALT_PD6_PD5",
        ["PA15,PA14"] = "USART2_ALT_PA15_PA14",
        ["PB4,PB3"] = "USART2_ALT_PB4_PB3",
        ["PB11,PB10"] = "USART3",
        ["PC11,PC10"] = "USART3_ALT_PC11_PC10",
        ["PD9,PD8"] = "USART3_ALT_PD9_PD8",
        ["PA1,PA0"] = "UART4",
        ["PD2,PD3"] = "USART5",
        ["PA12,PA11"] = "USART6",
        ["PC7,PC6"] = "USART6_ALT_PC7_PC6",
        ["P0.3,P0.2"] = "UART0_P03_P02",
        ["P4.29,P4.28"] = "UART3_P429_P428",
    };

    /// <summary>The symbol that is set with this transport in every Klipper, whatever the chip.</summary>
    internal string Symbol => Link switch
    {
        BuildLink.Usb => "USBSERIAL",
        BuildLink.Uart => "SERIAL",
        BuildLink.Can => "CANSERIAL",
        _ => "USBCANBUS",
    };

    /// <summary>
    /// The choices to write for a chip: names of today's Klipper and of v0.12 side by side, of which each ignores what it does not know.
    /// </summary>
    /// <param name="name">The chip.</param>
    internal IEnumerable<(string Symbol, string Value)> Choices(string name) => name switch
    {
        _ when name.StartsWith("rp2", StringComparison.Ordinal) => ForRp(Pins),
        _ when name.StartsWith("stm32", StringComparison.Ordinal) => [.. ForStm32()],
        _ when name.StartsWith("lpc", StringComparison.Ordinal) => Link == BuildLink.Uart
            ? [Set($"LPC_SERIAL_{Pins ?? "UART0_P03_P02"}")] : Offered("LPC", "P0_0_P0_1"),
        _ when name.StartsWith("samd", StringComparison.Ordinal) || name.StartsWith("samc", StringComparison.Ordinal)
            || name.StartsWith("same5", StringComparison.Ordinal) => Offered("ATSAMD", "PA23_PA22"),
        _ when name.StartsWith("sam", StringComparison.Ordinal) => Offered("ATSAM", "PC12_PD12"),
        "HC32F460" => [Set($"HC32F460_SERIAL_{Pins ?? "PA7_PA8"}")],
        // The others have one line.
        _ when Link == BuildLink.Uart && Pins is not null && HasAvrChoice(name) => [Set($"AVR_SERIAL_{Pins}")],
        _ when Link == BuildLink.Usb && HasAvrChoice(name) => [Set("AVR_USB")],
        _ => [],
    };

    private static bool HasAvrChoice(string name) => name is "atmega2560" or "atmega1280" or "atmega644p" or "atmega1284p"
        or "at90usb1286" or "at90usb646" or "atmega32u4";

    private IEnumerable<(string, string)> ForStm32() => Link switch
    {
        BuildLink.Usb => [Set($"STM32_USB_{Pins ?? "PA11_PA12"}")],
        BuildLink.Uart => [Set($"STM32_SERIAL_{Pins ?? "USART1"}")],
        // Some pairs are in the menu itself; the others have a hidden symbol of that name (Klipper src/stm32/Kconfig).
        BuildLink.Can when Pins is "PA11_PA12" or "PA11_PB9" or Remapped => [Set($"STM32_CANBUS_{Pins}")],
        BuildLink.Can => [Set($"STM32_MMENU_CANBUS_{Pins ?? "PB8_PB9"}")],
        _ => [Set("STM32_USBCANBUS_PA11_PA12"), Set($"STM32_CMENU_CANBUS_{Pins ?? "PB8_PB9"}")],
    };

    private IEnumerable<(string, string)> Offered(string family, string usualPins) => Link switch
    {
        BuildLink.Usb => [Set($"{family}_USB")],
        BuildLink.Uart => [Set($"{family}_SERIAL")],
        BuildLink.Can => [Set($"{family}_MMENU_CANBUS_{Pins ?? usualPins}")],
        _ => [Set($"{family}_USBCANBUS"), Set($"{family}_CMENU_CANBUS_{Pins ?? usualPins}")],
    };

    private IEnumerable<(string, string)> ForRp(string? pins)
    {
        if (Link == BuildLink.Uart)
        {
            yield return Set($"RPXXXX_SERIAL_{pins ?? "UART0_PINS_0_1"}");
            if (pins is null or "UART0_PINS_0_1")
                yield return Set("RP2040_SERIAL_UART0");
            yield break;
        }
        var kind = Link switch { BuildLink.Usb => "USB", BuildLink.Can => "CANBUS", _ => "USBCANBUS" };
        var gpios = Link != BuildLink.Usb && pins?.Split('_') is [var receive, var transmit] ? (receive, transmit) : default;
        foreach (var family in (string[])["RPXXXX", "RP2040"])
        {
            yield return Set($"{family}_{kind}");
            if (gpios != default)
            {
                yield return ($"{family}_CANBUS_GPIO_RX", gpios.receive);
                yield return ($"{family}_CANBUS_GPIO_TX", gpios.transmit);
            }
        }
    }

    private static (string, string) Set(string symbol) => (symbol, "y");
}
