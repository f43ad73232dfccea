using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Builds;

/// <summary>
/// A board's <c>.config</c> before Klipper completes it, and the values that it must keep. Klipper silently drops symbols that it no longer
/// knows and takes the first choice instead: an old RP2040 file becomes one for an AVR. So the completed file is compared with the intended
/// values before anything is built.
/// </summary>
public sealed class BuildConfig
{
    private readonly ImmutableSortedDictionary<string, string> _symbols;
    private readonly ImmutableSortedDictionary<string, string> _declared;

    private BuildConfig(string board, string mcu, uint? start,
        ImmutableSortedDictionary<string, string> symbols, ImmutableSortedDictionary<string, string> declared) =>
        (Board, Mcu, Start, _symbols, _declared, Text) = (board, mcu, start, symbols, declared, Kconfig.Write(symbols));

    /// <summary>The board's kind, for faults: <c>btt-octopus-11</c>.</summary>
    public string Board { get; }

    /// <summary>The chip as the dictionary of its firmware names it: <c>stm32f446xx</c>, <c>linux</c>.</summary>
    public string Mcu { get; }

    /// <summary>Where the application must begin; null where it does not apply (AVR, the Linux process) or is unknown.</summary>
    public uint? Start { get; }

    /// <summary>The .config that Klipper completes: assignments alone, LF at the line ends.</summary>
    public string Text { get; }

    /// <summary>What must be true of the completed configuration: symbols without CONFIG_, values without quotes.</summary>
    public IEnumerable<(string Symbol, string Value)> Declared => _declared.Select(pair => (pair.Key, Kconfig.Unquoted(pair.Value)));

    /// <summary>Makes the configuration of a kind of board from its known facts, for today's Klipper and for v0.12.</summary>
    /// <param name="kind">Its chip, crystal, application start and link.</param>
    /// <exception cref="FlashException">Too little is known.</exception>
    public static BuildConfig For(Board kind) => For(BoardProfile.Of(kind), kind.UsbSerial);

    /// <summary>Makes the configuration of a board from all that is known of it.</summary>
    /// <param name="board">The board.</param>
    /// <param name="usbSerial">USB serial of the firmware; null for Klipper's own default.</param>
    /// <exception cref="FlashException">Too little is known.</exception>
    public static BuildConfig For(BoardProfile board, string? usbSerial)
    {
        var facts = new BoardSymbols(board, usbSerial);
        return new BuildConfig(board.Kind.Id, facts.Chip, facts.Start, facts.Text.ToImmutableSortedDictionary(StringComparer.Ordinal),
            facts.Declared.ToImmutableSortedDictionary(StringComparer.Ordinal));
    }

    /// <summary>
    /// Takes an existing configuration (RatOS's <c>firmware.config</c>, a result of <c>menuconfig</c>), of any age, with any line ends.
    /// </summary>
    /// <param name="text">At most 64 KiB, assignments and comments alone.</param>
    /// <param name="board">The board that it is for: chip and start must come out as the board has them, the rest as in the text.</param>
    /// <param name="usbSerial">Replaces the USB serial of the text; null leaves it.</param>
    /// <exception cref="FlashException">The text is no configuration, or is for another chip than the board's.</exception>
    public static BuildConfig FromText(string text, Board board, string? usbSerial = null)
    {
        ImmutableSortedDictionary<string, string> symbols;
        try
        {
            symbols = Kconfig.Parse(text);
        }
        catch (FormatException e)
        {
            throw BuildFaults.ConfigUnusable(board.Id, e.Message);
        }
        var name = board.McuName
            ?? (symbols.GetValueOrDefault("MCU") is { } said ? Kconfig.Unquoted(said)
            : IsSet(symbols, "MACH_LINUX") ? "linux"   // Klipper's Linux process has no MCU
            : throw BuildFaults.ConfigUnusable(board.Id, "its chip is not known"));
        var start = BoardSymbols.StartOf(board.ApplicationStart, name);
        var declared = new Dictionary<string, string>(StringComparer.Ordinal);
        var isUsb = IsSet(symbols, "USBSERIAL") || IsSet(symbols, "USBCANBUS")
            || symbols.Any(symbol => symbol.Value == "y" && BuildTransport.IsUsbChoice(symbol.Key));
        foreach (var (symbol, value) in symbols)
        {
            if (Matters(symbol, value, symbols, isUsb))
                declared[symbol] = value;
        }
        if (declared.GetValueOrDefault("MCU") is { } other && !Kconfig.Same(other, name))
            throw BuildFaults.ConfigDrift(board.Id, "MCU", name, Kconfig.Unquoted(other));
        BoardSymbols.Declare(declared, name, start);
        if (board.CrystalHz is { } crystal and > 1 && !declared.ContainsKey("CLOCK_REF_FREQ")
            && name.StartsWith("stm32", StringComparison.Ordinal))
            declared["CLOCK_REF_FREQ"] = $"{crystal}";
        if (usbSerial is not null && (isUsb || board.Comm == "USB"))
        {
            var changed = new Dictionary<string, string>(symbols, StringComparer.Ordinal);
            BoardSymbols.SetSerial(board.Id, usbSerial, changed, declared);
            symbols = changed.ToImmutableSortedDictionary(StringComparer.Ordinal);
        }
        return new BuildConfig(board.Id, name, start, symbols, declared.ToImmutableSortedDictionary(StringComparer.Ordinal));
    }

    /// <summary>The board with the facts of the user's configuration: application start, link and, if it was unknown, chip.</summary>
    /// <param name="text">A completed .config.</param>
    /// <exception cref="FlashException">It is not a configuration.</exception>
    internal static Board Said(string text, Board board)
    {
        try
        {
            var symbols = Kconfig.Parse(text);
            return board with
            {
                McuName = board.McuName ?? (symbols.GetValueOrDefault("MCU") is { } mcu ? Kconfig.Unquoted(mcu) : null),
                FlashStartEffective = (symbols.GetValueOrDefault("FLASH_APPLICATION_ADDRESS") ?? symbols.GetValueOrDefault("FLASH_START"))
                    ?? board.FlashStartEffective,
                CrystalHz = int.TryParse(symbols.GetValueOrDefault("CLOCK_REF_FREQ"), out var crystal) ? crystal : board.CrystalHz,
                Comm = IsSet(symbols, "USBSERIAL") ? "USB" : IsSet(symbols, "CANSERIAL") || IsSet(symbols, "USBCANBUS") ? "CAN"
                    : IsSet(symbols, "SERIAL") ? "UART" : board.Comm,
            };
        }
        catch (FormatException e)
        {
            throw BuildFaults.ConfigUnusable(board.Id, e.Message);
        }
    }

    /// <summary>What the user's own configuration says of a board. The chip counts only where nothing else tells it.</summary>
    /// <param name="text">A completed .config.</param>
    /// <exception cref="FlashException">It is none.</exception>
    internal static BoardFacts Facts(string text, BoardProfile board)
    {
        try
        {
            var facts = BoardFacts.OfConfig(Kconfig.Parse(text)
                .ToDictionary(symbol => symbol.Key, symbol => Kconfig.Unquoted(symbol.Value)));
            return board.Chip is null ? facts : facts with { Chip = null };
        }
        catch (FormatException e)
        {
            throw BuildFaults.ConfigUnusable(board.Kind.Id, e.Message);
        }
    }

    /// <summary>
    /// Where a configuration has another chip than the board, or another application start or link than the board itself said; null for
    /// nowhere.
    /// </summary>
    /// <exception cref="FlashException">It is none of Klipper's.</exception>
    internal static (string Symbol, string Own, string Theirs)? Contradiction(string text, PrinterBoard board)
    {
        // Of an unknown board, so that the chip counts.
        var (chosen, profile) = (Facts(text, new BoardProfile(board.Name, Boards.Board.Unknown(board.Name))), board.Profile);
        // Katapult src/Kconfig: its configurations look the same, and begin where the bootloader does.
        if (Kconfig.Parse(text).Keys.Any(static symbol => symbol is "LAUNCH_APP_ADDRESS" or "BUILD_DEPLOYER"))
            throw BuildFaults.ConfigUnusable(board.Name, "it is one of Katapult, not of Klipper");
        if (profile.Chip?.Value is { } chip && chosen.Chip is { } other && !Kconfig.Same(chip, other))
            return ("MCU", chip, other);
        if (profile.ApplicationStart is { Source: >= FactSource.Bus, Value: var start }
            && chosen.ApplicationStart is { } address && address != start)
            return ("FLASH_APPLICATION_ADDRESS", $"0x{start:x}", $"0x{address:x}");
        var isOnCan = board.CanUuid is not null;
        if (isOnCan && chosen.Link is { Link: not (BuildLink.Can or BuildLink.UsbCanBridge) })
            return ("CANSERIAL", "y", "n");
        return !isOnCan && profile.Link is { Source: >= FactSource.Bus, Value.Link: var link }
            && chosen.Link is { } wanted && wanted.Link != link ? (link == BuildLink.Uart ? "SERIAL" : "USBSERIAL", "y", "n") : null;
    }

    /// <summary>Symbols that are set, and that Klipper left out as it completed the text.</summary>
    internal static IEnumerable<string> Dropped(string text, string completed)
    {
        var became = Kconfig.Parse(completed);
        return Kconfig.Parse(text).Where(symbol => symbol.Value != "n" && !Names(symbol.Key).Any(became.ContainsKey))
            .Select(symbol => symbol.Key);
    }

    /// <summary>Refuses a completed configuration that differs from the intended values.</summary>
    /// <param name="completed">The text that Klipper made of <see cref="Text"/>.</param>
    /// <param name="name">The board's name on this printer, for the fault.</param>
    /// <exception cref="FlashException"><c>config-drift</c>, with the most important symbol.</exception>
    public void Check(string completed, string name)
    {
        if (Difference(completed, name) is var (symbol, wanted, got))
            throw BuildFaults.ConfigDrift(name, symbol, wanted, got);
    }

    /// <summary>Refuses options that a user chose for another chip or another application start than the board's.</summary>
    /// <param name="text">The .config that Klipper completed.</param>
    /// <param name="name">The board's name on this printer, for the fault.</param>
    /// <exception cref="FlashException"><c>config-drift</c>, or the text is no configuration.</exception>
    internal static void CheckChosen(string text, Board board, string name)
    {
        var chosen = FromText(text, board with { McuName = null });
        var difference = board.McuName is { } chip && !Kconfig.Same(chip, chosen.Mcu) ? ("MCU", chip, chosen.Mcu)
            : chosen.Difference(text, name);
        if (difference is var (symbol, wanted, got))
            throw BuildFaults.OptionsOfOtherBoard(name, symbol, wanted, got);
    }

    /// <summary>The most important symbol that is not as intended, and both values; null where there is none.</summary>
    private (string Symbol, string Wanted, string Got)? Difference(string completed, string name)
    {
        ImmutableSortedDictionary<string, string> became;
        try
        {
            became = Kconfig.Parse(completed);
        }
        catch (FormatException e)
        {
            throw BuildFaults.ConfigUnusable(name, $"Klipper's completed file cannot be read: {e.Message}");
        }
        // A lost chip changes everything else: it is named first.
        foreach (var (symbol,
            wanted) in _declared.OrderBy(pair => pair.Key switch { "MCU" or "MACH_LINUX" => 0, "FLASH_APPLICATION_ADDRESS" => 1, _ => 2 }))
        {
            var got = Names(symbol).Select(other => became.GetValueOrDefault(other)).FirstOrDefault(value => value is not null);
            if (!Kconfig.Same(wanted, got ?? "n"))
                return (symbol, Kconfig.Unquoted(wanted), got is null or "n" ? "nothing" : Kconfig.Unquoted(got));
        }
        return null;
    }

    /// <summary>Of a completed configuration: equal for two that build the same firmware from the same sources. 24 hex digits.</summary>
    public static string Hash(string completed) =>
        Convert.ToHexStringLower(
            Sha256.HashData(Encoding.UTF8.GetBytes(Kconfig.Write(Kconfig.Parse(completed).Where(symbol => symbol.Value != "n")))))[..24];

    /// <summary>True for a value that must survive: choices of the user, and values without which the board would be unreachable.</summary>
    private static bool Matters(string symbol, string value, ImmutableSortedDictionary<string, string> all, bool isUsb) => symbol switch
    {
        "MCU" or "FLASH_APPLICATION_ADDRESS" or "CLOCK_REF_FREQ" => true,
        "FLASH_START" => !all.ContainsKey("FLASH_APPLICATION_ADDRESS"),
        "SERIAL" => value == "y" && !isUsb,
        "USBSERIAL" or "CANSERIAL" or "USBCANBUS" => value == "y",
        "INITIAL_PINS" => Kconfig.Unquoted(value).Length > 0,
        "SERIAL_BAUD" => IsSet(all, "SERIAL") && !isUsb,
        "USB_VENDOR_ID" or "USB_DEVICE_ID" or "USB_SERIAL_NUMBER_CHIPID" => isUsb,
        "USB_SERIAL_NUMBER" => isUsb && !IsSet(all, "USB_SERIAL_NUMBER_CHIPID"),
        // In a build for USB or a UART it is a default that Klipper has changed, and of no effect.
        "CANBUS_FREQUENCY" => IsSet(all, "CANSERIAL") || IsSet(all, "USBCANBUS"),
        // The interface and its pins, an RP2040's flash chip: all under the family's name.
        _ => value != "n" && symbol.Split('_', 2) is ["STM32" or "RPXXXX" or "RP2040" or "LPC" or "AVR", var rest]
            && (rest.Contains("CANBUS", StringComparison.Ordinal) || rest.StartsWith("USB_P", StringComparison.Ordinal) || rest is "USB"
                || rest.StartsWith("SERIAL_", StringComparison.Ordinal)
                || rest.StartsWith("FLASH_W", StringComparison.Ordinal) || rest.StartsWith("FLASH_G", StringComparison.Ordinal)),
    };

    /// <summary>A symbol and its former names, newest first.</summary>
    private static IEnumerable<string> Names(string symbol)
    {
        yield return symbol;
        if (symbol is "FLASH_APPLICATION_ADDRESS")
            yield return "FLASH_START";
        if (symbol is "FLASH_START")
            yield return "FLASH_APPLICATION_ADDRESS";
        foreach (var (one, other) in ((string, string)[])[("RP2040_", "RPXXXX_"), ("RPXXXX_", "RP2040_")])
        {
            if (symbol.StartsWith(one, StringComparison.Ordinal))
                yield return other
                    + (symbol.EndsWith("SERIAL_UART0", StringComparison.Ordinal) ? "SERIAL_UART0_PINS_0_1" : symbol[one.Length..]);
        }
    }

    private static bool IsSet(ImmutableSortedDictionary<string, string> symbols, string symbol) => symbols.GetValueOrDefault(symbol) == "y";
}
