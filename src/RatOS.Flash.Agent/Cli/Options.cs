using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Options and arguments that more than one verb has, or that are checked as they are parsed.</summary>
internal static class Options
{
    // ---- of every verb

    public static readonly Option<DirectoryInfo?> Data = new("--data")
    {
        Description = "The printer's data folder (default: ~/printer_data)",
        HelpName = "DIR",
        Recursive = true,
    };

    public static readonly Option<bool> Json = new("--json") { Description = "Print one JSON object per line", Recursive = true };

    public static readonly Option<bool> Verbose = new("--verbose", "-v")
    {
        Description = "Write the log to standard error, too",
        Recursive = true,
    };

    public static readonly Option<FileInfo?> Log = new("--log")
    {
        Description = "Log file (default: ratos-flash.log in the printer's logs folder or in the user's state folder)",
        HelpName = "FILE",
        Recursive = true,
    };

    // ---- of every verb, for the virtual printer

    public static readonly Option<bool> Virtual = new("--virtual")
    {
        Description = "Use the virtual printer; no hardware is touched",
        Recursive = true,
    };

    public static readonly Option<string?> Scenario = new("--scenario")
    {
        Description = "Use this virtual printer (`ratos-flash virtual --list` shows them)",
        HelpName = "NAME",
        Recursive = true,
    };

    public static readonly Option<DirectoryInfo?> Folder = new("--folder")
    {
        Description = "Folder that keeps the virtual printer between runs (default: the user's state folder)",
        HelpName = "DIR",
        Recursive = true,
    };

    public static readonly Option<double?> Pace = new("--pace")
    {
        Description = "Virtual seconds per real second; 0 never waits (default: 1 on a terminal, else 0)",
        HelpName = "FACTOR",
        Recursive = true,
        Validators =
        {
            static given => Check(
                given, text => TryNumber(text, out var factor) && factor is >= 0 and <= 1000, "a factor from 0 to 1000"),
        },
    };

    public static readonly Option<int?> Seed = new("--seed")
    {
        Description = "Inject faults; the same number injects the same faults",
        HelpName = "NUMBER",
        Recursive = true,
        Validators = { static given => Check(given, text => int.TryParse(text, out _), "a whole number") },
    };

    // ---- of the verbs that flash

    public static readonly Option<string?> Firmware = new("--firmware", "-f")
    {
        Description = "Firmware file: klipper.bin, klipper.uf2 or klipper.elf (default: built from your Klipper checkout)",
        HelpName = "FILE",
    };

    public static readonly Option<string?> FirmwareSha256 = new("--firmware-sha256")
    {
        Description = "Refuse the firmware file unless it has this SHA-256",
        HelpName = "HEX",
        Validators =
        {
            static given => Check(given, FlashArguments.IsSha256, "64 hex digits"),
        },
    };

    public static readonly Option<int?> Timeout = new("--timeout")
    {
        Description = "With --when-idle: give up after this time, in seconds (default: wait forever)",
        HelpName = "SECONDS",
        Validators = { static given => IsNumber(given, 1, FlashArguments.LongestIdleWait) },
    };

    public static readonly Option<string?> Port = new("--port", "-p")
    {
        Description = "Port of the board: USB port path (1-1.3), serial port or CAN interface",
        HelpName = "PORT",
    };

    public static readonly Option<string?> Uuid = new("--uuid")
    {
        Description = "CAN uuid of the board, as `canbus_uuid` in printer.cfg; --port then names the interface (default: can0)",
        HelpName = "UUID",
        Validators =
        {
            static given => Check(given, text => CanUuid.TryParse(text) is not null, "12 hex digits, as `canbus_uuid` in printer.cfg"),
        },
    };

    public static readonly Option<string?> Bootloader = new Option<string?>("--bootloader")
    {
        Description = "Bootloader of the board. stm32-uart is the STM32 ROM on the serial port --port: set BOOT0, then reset",
        HelpName = string.Join('|', FlashArguments.Bootloaders.Keys),
    }.AcceptOnlyFromAmong([.. FlashArguments.Bootloaders.Keys]);

    public static readonly Option<string?> ChangeLink = new Option<string?>("--change-link")
    {
        Description = "The firmware moves the board to another link; the flash is then verified there",
        HelpName = string.Join('|', LinkChange.Known.Keys),
    }.AcceptOnlyFromAmong([.. LinkChange.Known.Keys]);

    public static readonly Option<bool> NoKlipper = new("--no-klipper")
    {
        Description = "Do not stop and start Klipper; no other program may use the board's port",
    };

    /// <summary>The flags of a flash that the command line has, by their row of the table.</summary>
    public static readonly IReadOnlyDictionary<FlashFlag, Option<bool>> Flags = FlashFlag.Every.Where(static flag => flag.Cli is not null)
        .ToDictionary(static flag => flag, static flag => new Option<bool>(flag.Cli!) { Description = flag.Meaning });

    static Options() => Flags[FlashFlag.Consent].Aliases.Add("-y");

    public static readonly Argument<string[]> BoardNames = new("BOARD")
    {
        Description = "Board names as listed by `ratos-flash boards`, or `all`",
        Arity = ArgumentArity.OneOrMore,
        Validators =
        {
            static given =>
            {
                if (given.Tokens.FirstOrDefault(token => token.Value.StartsWith('-')) is { } option)
                    given.AddError($"Unknown option '{option.Value}'.");
            },
        },
    };

    // ---- of one verb

    public static readonly Option<DirectoryInfo?> Pty = new("--pty")
    {
        Description = "Offer each board's serial line as pseudo terminal DIR/BOARD, until Ctrl-C",
        HelpName = "DIR",
    };

    public static readonly Option<int?> UsbIp = new("--usbip")
    {
        Description = "Serve the boards by USB/IP on this TCP port of 127.0.0.1, in real time (usual: 3240; 0: any free port)",
        HelpName = "PORT",
        Validators = { IsTcpPort },
    };

    public static readonly Option<bool> Attach = new("--attach")
    {
        Description = "With --usbip: attach the boards to this computer's kernel (vhci-hcd); needs root",
    };

    public static readonly Option<int?> MoonrakerPort = new("--moonraker")
    {
        Description = "TCP port of the virtual Moonraker on 127.0.0.1 (default: 7125; 0: any free port)",
        HelpName = "PORT",
        Validators = { IsTcpPort },
    };

    public static readonly Option<string?> Login = new("--login")
    {
        Description = "The virtual Moonraker requires this login from browsers",
        HelpName = "USER:PASSWORD",
        Validators =
        {
            static given => Check(
                given, static text => text.Split(':', 2) is [{ Length: > 0 }, { Length: > 0 }], "a user, a colon and a password"),
        },
    };

    public static readonly Option<int> Count = new("--count")
    {
        Description = "Number of flashes, 1 to 1000000 (default: 10000)",
        HelpName = "N",
        DefaultValueFactory = static _ => 10_000,
        Validators = { static given => IsNumber(given, 1, 1_000_000) },
    };

    public static readonly Option<int> From = new("--from")
    {
        Description = "First seed (default: 0)",
        HelpName = "S",
        Validators = { static given => IsNumber(given, 0, int.MaxValue - 1_000_000) },
    };

    /// <summary>A share from 0 to 1, 0 by default.</summary>
    public static Option<double> Share(string name, string description) => new(name)
    {
        Description = $"{description}, 0 to 1 (default: 0)",
        HelpName = "SHARE",
        Validators =
        {
            static given => Check(
                given, static text => TryNumber(text, out var share) && share is >= 0 and <= 1, "a share from 0 to 1"),
        },
    };

    /// <summary>As it is parsed later: without a comma for thousands.</summary>
    private static bool TryNumber(string text, out double number) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);

    private static void IsTcpPort(OptionResult given) => Check(given, text => ushort.TryParse(text, out _), "a TCP port from 0 to 65535");

    public static void IsNumber(OptionResult given, int least, int most) =>
        Check(given, text => int.TryParse(text, out var number) && number >= least && number <= most, $"a number from {least} to {most}");

    private static void Check(OptionResult given, Func<string, bool> isValid, string what)
    {
        // A default has no token.
        if (!given.Implicit && (given.Tokens is not [{ Value: var text }] || !isValid(text)))
            given.AddError($"{given.Option.Name} takes {what}.");
    }
}
