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
/// Klipper's name for the pins, the end of its Kconfig symbol: <c>USART2</c> or <c>USART1_ALT_PB7_PB6</c> (UART), <c>PB8_PB9</c> (CAN and
/// bridge); for an RP2040 or RP2350 <c>UART0_PINS_0_1</c> and, on CAN, <c>4_5</c> (receive, transmit). Null: what the chip's firmware has
/// by default.
/// </param>
/// <param name="Rate">UART: baud. CAN and bridge: bits a second. Null: 250000 and 1000000, Klipper's defaults.</param>
public sealed record BuildTransport(BuildLink Link, string? Pins = null, int? Rate = null)
{
    public static BuildTransport Usb { get; } = new(BuildLink.Usb);

    /// <summary>How a running firmware says that it was built; null when it does not say enough.</summary>
    /// <remarks>Klipper reserves the pins it talks over and names them among its constants, RESERVE_PINS_CAN=PB8,PB9 for one.</remarks>
    /// <param name="constants">Of its data dictionary.</param>
    public static BuildTransport? Of(IReadOnlyDictionary<string, string> constants)
    {
        var can = constants.GetValueOrDefault("RESERVE_PINS_CAN")?.Replace(',', '_').Replace("gpio", "", StringComparison.Ordinal);
        int? rate = int.TryParse(constants.GetValueOrDefault("CANBUS_FREQUENCY"), out var frequency) ? frequency : null;
        if (constants.GetValueOrDefault("CANBUS_BRIDGE") is not (null or "0"))
            return new BuildTransport(BuildLink.UsbCanBridge, can, rate);
        if (can is not null)
            return new BuildTransport(BuildLink.Can, can, rate);
        if (constants.ContainsKey("RESERVE_PINS_USB"))
            return Usb;
        return constants.GetValueOrDefault("RESERVE_PINS_serial") is { } pins && SerialPins.TryGetValue(pins, out var port)
            ? new BuildTransport(BuildLink.Uart, port,
                int.TryParse(constants.GetValueOrDefault("SERIAL_BAUD"), out var baud) ? baud : null) : null;
    }

    /// <summary>Receive and transmit of STM32s as their firmware names them, by the end of the Kconfig symbol that chose them.</summary>
    private static readonly Dictionary<string, string> SerialPins = new(StringComparer.Ordinal)
    {
        ["PA10,PA9"] = "USART1",
        ["PB7,PB6"] = "USART1_ALT_PB7_PB6",
        ["PA3,PA2"] = "USART2",
        ["PD6,PD5"] = "USART2_ALT_PD6_PD5",
        ["PA15,PA14"] = "USART2_ALT_PA15_PA14",
        ["PB4,PB3"] = "USART2_ALT_PB4_PB3",
        ["PB11,PB10"] = "USART3",
        ["PD9,PD8"] = "USART3_ALT_PD9_PD8",
        ["PA1,PA0"] = "UART4",
        ["PD2,PD3"] = "USART5",
        ["PA12,PA11"] = "USART6",
        ["PC7,PC6"] = "USART6_ALT_PC7_PC6",
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
    internal IEnumerable<(string Symbol, string Value)> Choices(Mcu? mcu, string name)
    {
        if (name.StartsWith("rp2", StringComparison.Ordinal))
            return ForRp(Pins);
        if (name.StartsWith("lpc", StringComparison.Ordinal))
        {
            return Link switch
            {
                BuildLink.Usb => [Set("LPC_USB")],
                BuildLink.Uart => [Set($"LPC_SERIAL_{Pins ?? "UART0_P03_P02"}")],
                BuildLink.Can => [Set($"LPC_MMENU_CANBUS_{Pins ?? "P0_0_P0_1"}")],
                _ => [Set("LPC_USBCANBUS"), Set($"LPC_CMENU_CANBUS_{Pins ?? "P0_0_P0_1"}")],
            };
        }
        if (mcu?.IsStm32 != true && !name.StartsWith("stm32", StringComparison.Ordinal))
            return [];
        return Link switch
        {
            BuildLink.Usb => [Set("STM32_USB_PA11_PA12")],
            BuildLink.Uart => [Set($"STM32_SERIAL_{Pins ?? "USART1"}")],
            // Two pairs are in the menu itself; the others have a hidden symbol of that name (Klipper src/stm32/Kconfig).
            BuildLink.Can when Pins is "PA11_PA12" or "PA11_PB9" => [Set($"STM32_CANBUS_{Pins}")],
            BuildLink.Can => [Set($"STM32_MMENU_CANBUS_{Pins ?? "PB8_PB9"}")],
            _ => [Set("STM32_USBCANBUS_PA11_PA12"), Set($"STM32_CMENU_CANBUS_{Pins ?? "PB8_PB9"}")],
        };
    }

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
