using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Builds;

/// <summary>From what is known of a board to symbols of Klipper's Kconfig (Klipper src/stm32/Kconfig and its siblings).</summary>
internal sealed class BoardSymbols
{
    /// <param name="board">The board.</param>
    /// <param name="usbSerial">USB serial of the firmware; null for Klipper's own default.</param>
    /// <exception cref="FlashException">Too little is known, or no build takes it.</exception>
    public BoardSymbols(BoardProfile board, string? usbSerial)
    {
        Chip = board.Chip?.Value ?? throw BuildFaults.ConfigUnusable(board.Kind.Id, "its chip is not known");
        Start = StartOf(board.ApplicationStart?.Value, Chip);
        Text[LowLevelOptions] = "y";
        foreach (var symbol in Machine(board))
            Text[symbol] = "y";
        Declare(Declared, Chip, Start);
        if (Start is { } start)
            SetStart(start);
        SetClock(board);
        if (board.StackEnd?.Value is { } stack && Variant(stack) is { } variant)
            Keep(variant, "y");
        if (Start == 0x1000_0100 && board.FlashChip?.Value is { } flash)
            Keep($"RP2040_FLASH_{flash}", "y");
        if (Chip == "stm32f103xe" && board.DisablesSwd)
            Keep("STM32F103GD_DISABLE_SWD", "y");
        foreach (var symbol in board.LeavesOut?.Value ?? [])
            Keep(symbol, "n");
        if (board.InitialPins?.Value is { Length: > 0 } pins)
            Keep("INITIAL_PINS", Kconfig.Quoted(pins));
        if (Chip != "linux")
            Connect(board, usbSerial, board.Link?.Value is { } link && (link.Link == BuildLink.Uart || BuildTransport.HasUsb(Chip))
                ? link : new BuildTransport(BuildLink.Uart));
    }

    /// <summary>It shows the other options, and changes no firmware.</summary>
    public const string LowLevelOptions = "LOW_LEVEL_OPTIONS";

    /// <summary>The chip, as the dictionary of its firmware will name it.</summary>
    public string Chip { get; }

    /// <inheritdoc cref="BuildConfig.Start"/>
    public uint? Start { get; }

    /// <summary>All symbols to write, without CONFIG_; values as Kconfig has them.</summary>
    public Dictionary<string, string> Text { get; } = new(StringComparer.Ordinal);

    /// <summary>Those that must come out so.</summary>
    public Dictionary<string, string> Declared { get; } = new(StringComparer.Ordinal);

    /// <summary>What is known of the board behind each symbol, with its source: <c>12 MHz crystal, by its running firmware</c>.</summary>
    /// <returns>Nothing where too little is known for a build.</returns>
    public static IReadOnlyDictionary<string, string> InWords(BoardProfile board, string? usbSerial)
    {
        var words = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            foreach (var symbol in new BoardSymbols(board, usbSerial).Text.Keys)
            {
                if (FactBehind(symbol) is { } fact && board.InWords(fact) is { } said)
                    words[symbol] = $"{said.Value}, by {said.Where}";
            }
        }
        catch (FlashException)
        {
            // The build reports it.
        }
        return words;
    }

    /// <summary>The start where nothing else is known: the only one that the chip has.</summary>
    public static uint? StartOf(uint? known, string chip) => known ?? chip switch
    {
        // Without a bootloader: behind the second-stage boot code (Klipper src/rp2040/Kconfig).
        "rp2040" => 0x1000_0100,
        "rp2350" => 0x1000_0000,
        _ => null,
    };

    public static void Declare(Dictionary<string, string> declared, string chip, uint? start)
    {
        if (chip == "linux")
            declared["MACH_LINUX"] = "y";
        else
            declared["MCU"] = chip;
        declared.Remove("FLASH_START");
        if (start is { } address)
            declared["FLASH_APPLICATION_ADDRESS"] = $"0x{address:x}";
    }

    public static void SetSerial(string board, string serial, Dictionary<string, string> text, Dictionary<string, string> declared)
    {
        // udev makes links from it and users write it into printer.cfg, so other characters are refused.
        if (serial.Length is 0 or > 64 || !serial.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            throw BuildFaults.ConfigUnusable(board, "the USB serial may have letters, digits, '-', '_' and '.' alone, 64 at most");
        text["LOW_LEVEL_OPTIONS"] = "y";
        text["USB_SERIAL_NUMBER_CHIPID"] = "n";
        text["USB_SERIAL_NUMBER"] = declared["USB_SERIAL_NUMBER"] = Kconfig.Quoted(serial);
        declared.Remove("USB_SERIAL_NUMBER_CHIPID");
    }

    private static BoardFact? FactBehind(string symbol) => symbol switch
    {
        "INITIAL_PINS" => BoardFact.InitialPins,
        "SERIAL_BAUD" => BoardFact.Link,
        "USB_VENDOR_ID" or "USB_DEVICE_ID" => null,
        _ when symbol.StartsWith("MACH_", StringComparison.Ordinal) => BoardFact.Chip,
        _ when symbol.StartsWith("USB_SERIAL_NUMBER", StringComparison.Ordinal) => BoardFact.UsbSerial,
        _ when symbol.Contains("FLASH_START_", StringComparison.Ordinal)
            || symbol.Contains("FLASH_APPLICATION_ADDRESS", StringComparison.Ordinal) => BoardFact.ApplicationStart,
        _ when symbol.Contains("CLOCK_REF_", StringComparison.Ordinal) => BoardFact.ClockReference,
        _ when ((string[])["_USB", "_SERIAL", "CANBUS"]).Any(part => symbol.Contains(part, StringComparison.Ordinal)) => BoardFact.Link,
        _ => null,
    };

    private IEnumerable<string> Machine(BoardProfile board) => Chip switch
    {
        "linux" => ["MACH_LINUX"],
        "rp2040" or "rp2350" => ["MACH_RPXXXX", $"MACH_{Chip.ToUpperInvariant()}"],
        "HC32F460" => ["MACH_HC32F460"],
        "stm32f103xe" when board.StackEnd?.Value == Mcu.N32RamEnd => ["MACH_STM32", "MACH_N32G452"],
        _ when Chip.StartsWith("stm32", StringComparison.Ordinal) && Chip.Length >= 9 =>
            ["MACH_STM32", $"MACH_{Chip[..9].ToUpperInvariant()}"],
        _ when Chip.StartsWith("lpc17", StringComparison.Ordinal) => ["MACH_LPC176X", $"MACH_{Chip.ToUpperInvariant()}"],
        _ when Mcu.Find(Chip)?.Family == ChipFamily.Samd => ["MACH_ATSAMD", $"MACH_{Chip[..^1].ToUpperInvariant()}"],
        _ when Mcu.Find(Chip)?.Family == ChipFamily.Sam => ["MACH_ATSAM", $"MACH_{Chip.ToUpperInvariant()}"],
        _ when Mcu.IsAvr(Chip) => ["MACH_AVR", $"MACH_{Chip}"],
        _ => throw BuildFaults.ConfigUnusable(board.Kind.Id, $"how a {Chip} is chosen is not known; give a .config"),
    };

    private void SetStart(uint start)
    {
        if (Mcu.Find(Chip) is not { } mcu || mcu.Family == ChipFamily.Sam)
            return;
        var offset = start - mcu.FlashBase;
        if (mcu.Family == ChipFamily.Hc32F460)
        {
            Text[$"HC32F460_FLASH_APPLICATION_ADDRESS_0x{offset:X6}"] = "y";
            return;
        }
        var digits = offset is 0 or 0x100 ? $"{offset:X4}" : $"{offset:X}";
        foreach (var family in mcu.Family switch
        {
            ChipFamily.Rp => (string[])["RPXXXX", "RP2040"],
            ChipFamily.Lpc176x => ["LPC"],
            ChipFamily.Samd => ["SAMD"],
            _ => ["STM32"],
        })
        {
            Text[$"{family}_FLASH_START_{digits}"] = "y";
        }
    }

    private void SetClock(BoardProfile board)
    {
        if (board.ClockReference?.Value is { } crystal && Chip.StartsWith("stm32", StringComparison.Ordinal))
        {
            if (crystal > ClockTree.Internal && crystal % 1_000_000 != 0)
                throw BuildFaults.ConfigUnusable(board.Kind.Id, $"Klipper knows no crystal of {crystal} Hz");
            Text[crystal > ClockTree.Internal ? $"STM32_CLOCK_REF_{crystal / 1_000_000}M" : "STM32_CLOCK_REF_INTERNAL"] = "y";
            Declared["CLOCK_REF_FREQ"] = $"{Math.Max(crystal, ClockTree.Internal)}";
        }
        else if (board.ClockReference?.Value is { } reference && Mcu.Find(Chip)?.Family == ChipFamily.Samd)
        {
            Keep(reference switch
            {
                ClockTree.Internal => "CLOCK_REF_INTERNAL",
                32_768 => "CLOCK_REF_X32K",
                _ => $"CLOCK_REF_X{reference / 1_000_000}M",
            }, "y");
        }
        if (board.ClockFrequency?.Value is not { } frequency)
            return;
        if (Mcu.IsAvr(Chip))
            Keep($"AVR_FREQ_{frequency}", "y");
        else if (Chip == "HC32F460")
            Keep($"HC32F460_CLOCK_SPEED_{frequency / 1_000_000}M", "y");
        else if (Chip.StartsWith("samd51", StringComparison.Ordinal) || Chip.StartsWith("same5", StringComparison.Ordinal))
            Keep($"SAMD51_FREQ_{frequency / 1_000_000}", "y");
    }

    private string? Variant(uint stack) => (Chip, stack) switch
    {
        ("stm32f103xe", Mcu.F103x6RamEnd) => "MACH_STM32F103x6",
        ("stm32f070xb", Mcu.F070x6RamEnd) => "MACH_STM32F070x6",
        _ => null,
    };

    private void Connect(BoardProfile board, string? usbSerial, BuildTransport link)
    {
        if (link.Pins is { } pins && !pins.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_'))
            throw BuildFaults.ConfigUnusable(board.Kind.Id, $"'{pins}' names no pins");
        foreach (var (symbol, value) in link.Choices(Chip))
            Text[symbol] = value;
        Declared[link.Symbol] = "y";
        if (link.Pins is not null)
        {
            // A value that is requested by name must come out: of old and new names, the new one.
            foreach (var (symbol, value) in link.Choices(Chip)
                .Where(choice => !choice.Symbol.StartsWith("RP2040", StringComparison.Ordinal)))
                Declared[symbol] = value;
        }
        switch (link.Link)
        {
            case BuildLink.Uart:
                Keep("SERIAL_BAUD", $"{link.Rate ?? 250_000}");
                break;
            case BuildLink.UsbCanBridge when link.Rate is null:
                throw BoardFaults.FactMissing(MissingFact.OfBridge(board));
            case BuildLink.Can or BuildLink.UsbCanBridge:
                Keep("CANBUS_FREQUENCY", $"{link.Rate ?? 1_000_000}");
                break;
        }
        if (link.Link != BuildLink.Usb)
            return;
        if (board.UsbId?.Value is { } id && id != UsbId.Klipper)
        {
            Keep("USB_VENDOR_ID", $"0x{id.Vendor:x}");
            Keep("USB_DEVICE_ID", $"0x{id.Product:x}");
        }
        if (usbSerial is null)
            return;
        if (IsOfChip(usbSerial))
            Keep("USB_SERIAL_NUMBER_CHIPID", "y");
        else
            SetSerial(board.Kind.Id, usbSerial, Text, Declared);
    }

    /// <summary>Klipper shows the chip's unique id as upper-case hex (Klipper src/generic/usb_cdc.c, usb_fill_serial).</summary>
    private bool IsOfChip(string serial) => serial.Length == Mcu.Find(Chip)?.Family switch
    {
        null => -1,
        ChipFamily.Rp => 16,
        ChipFamily.Lpc176x or ChipFamily.Sam or ChipFamily.Samd => 32,
        ChipFamily.Hc32F460 => -1,
        _ => 24,
    } && serial.All(char.IsAsciiHexDigitUpper);

    private void Keep(string symbol, string value) => Text[symbol] = Declared[symbol] = value;
}
