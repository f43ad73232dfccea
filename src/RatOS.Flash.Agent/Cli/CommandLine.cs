using System.CommandLine;
using System.CommandLine.Parsing;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs and options; what they do is in <see cref="Verbs"/>.</summary>
internal static class CommandLine
{
    private static readonly Option<bool> Virtual = new("--virtual") { Description = "Use the virtual printer: no hardware is needed or touched", Recursive = true };

    private static readonly Option<string?> Scenario = new("--scenario")
    {
        Description = "Which virtual printer (implies --virtual); `ratos-flash virtual --list` shows them",
        HelpName = "NAME",
        Recursive = true,
    };

    private static readonly Option<DirectoryInfo?> Folder = new("--folder")
    {
        Description = "Where the virtual printer is kept between calls (default: the user's state folder)",
        HelpName = "DIR",
        Recursive = true,
    };

    private static readonly Option<double?> Pace = new("--pace")
    {
        Description = "Virtual seconds for each real one; 0 does not wait at all (default: 1 on a terminal, else 0)",
        HelpName = "FACTOR",
        Recursive = true,
        Validators =
        {
            static given =>
            {
                if (given.Tokens is not [{ Value: var text }] || !double.TryParse(text, out var factor) || factor is not (>= 0 and <= 1000))
                    given.AddError("--pace takes a factor of 0 to 1000.");
            },
        },
    };

    private static readonly Option<int?> Seed = new("--seed")
    {
        Description = "Let the virtual printer misbehave, the same way each time for the same number",
        HelpName = "NUMBER",
        Recursive = true,
    };

    private static readonly Option<DirectoryInfo?> Data = new("--data")
    {
        Description = "The printer's folder, by which its agent is found (default: ~/printer_data)",
        HelpName = "DIR",
        Recursive = true,
    };

    private static readonly Option<bool> Json = new("--json") { Description = "One JSON object a line instead of text", Recursive = true };

    private static readonly Option<bool> Verbose = new("--verbose", "-v") { Description = "Log to standard error as well", Recursive = true };

    private static readonly Option<FileInfo?> Log = new("--log")
    {
        Description = "The log file (default: ratos-flash.log in the printer's logs folder, or in the user's state folder)",
        HelpName = "FILE",
        Recursive = true,
    };

    private static readonly Option<string?> Firmware = new("--firmware", "-f")
    {
        Description = "The firmware to write: klipper.bin, klipper.uf2 or klipper.elf",
        HelpName = "FILE",
    };

    private static readonly Option<DirectoryInfo?> Pty = new("--pty")
    {
        Description = "Offer each board's serial line as a pseudo terminal DIR/BOARD to other programs, until Ctrl-C",
        HelpName = "DIR",
    };

    private static readonly Option<string?> Port = new("--port", "-p")
    {
        Description = "Where the board is: its USB port path (1-1.3), its serial port, or its CAN interface",
        HelpName = "PORT",
    };

    private static readonly Option<string?> Bootloader = new Option<string?>("--bootloader")
    {
        Description = "The bootloader that the board has; stm32-uart: its ROM waits on the wire at --port (BOOT0 set, then reset)",
        HelpName = string.Join('|', FlashArguments.Bootloaders.Keys),
    }.AcceptOnlyFromAmong([.. FlashArguments.Bootloaders.Keys]);

    private static readonly Option<string?> Uuid = new("--uuid")
    {
        Description = "The board is on CAN: its uuid, as `canbus_uuid` in printer.cfg; --port is then its interface (default: can0)",
        HelpName = "UUID",
        Validators =
        {
            static given =>
            {
                if (given.Tokens is not [{ Value: var text }] || CanUuid.TryParse(text) is null)
                    given.AddError("--uuid takes 12 hex digits, as `canbus_uuid` in printer.cfg.");
            },
        },
    };

    private static readonly Option<bool> NoKlipper = new("--no-klipper") { Description = "Leave Klipper alone: nobody uses the board's port" };

    /// <summary>The flags of a flash that the command line has, by their row of the table.</summary>
    private static readonly Dictionary<FlashFlag, Option<bool>> Flags = FlashFlag.Every.Where(flag => flag.Cli is not null)
        .ToDictionary(flag => flag, flag => new Option<bool>(flag.Cli!, [.. flag == FlashFlag.Consent ? (string[])["-y"] : []]) { Description = flag.Meaning });

    private static readonly Option<int?> UsbIp = new("--usbip")
    {
        Description = "Serve the virtual boards to real kernels by USB/IP on this TCP port of 127.0.0.1, in real time, until Ctrl-C (the usual port is 3240; 0 takes any)",
        HelpName = "PORT",
        Validators =
        {
            static given =>
            {
                if (given.Tokens is not [{ Value: var text }] || !ushort.TryParse(text, out _))
                    given.AddError("--usbip takes a TCP port, 0 to 65535.");
            },
        },
    };

    private const int StandardMoonrakerPort = 7125;

    private static readonly Option<int?> MoonrakerPort = new("--moonraker")
    {
        Description = "TCP port of the virtual printer's Moonraker on 127.0.0.1 (default: 7125; 0 takes any)",
        HelpName = "PORT",
        Validators =
        {
            static given =>
            {
                if (given.Tokens is not [{ Value: var text }] || !ushort.TryParse(text, out _))
                    given.AddError("--moonraker takes a TCP port, 0 to 65535.");
            },
        },
    };

    private static readonly Option<bool> NoAgent = new("--no-agent") { Description = "The virtual printer without an agent, for one that is run by hand" };

    private static readonly Option<bool> Attach = new("--attach") { Description = "With --usbip: plug the boards into this computer's own kernel (vhci-hcd), as root" };

    private static readonly Argument<string[]> Boards = new("BOARD")
    {
        Description = "Names of this printer's boards, as `ratos-flash boards` lists them; `all` for every one",
        Arity = ArgumentArity.OneOrMore,
        Validators =
        {
            static given =>
            {
                if (given.Tokens.FirstOrDefault(token => token.Value.StartsWith('-')) is { } option)
                    given.AddError($"There is no option '{option.Value}'.");
            },
        },
    };

    /// <summary>Parses, does it, and returns the exit code.</summary>
    public static int Run(string[] args)
    {
        var parsed = Build().Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
                Console.Error.WriteLine(error.Message);
            Console.Error.WriteLine("`ratos-flash --help` shows how it is used.");
            return ExitCode.Usage;
        }
        return parsed.Invoke(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
    }

    internal static RootCommand Build()
    {
        var root = new RootCommand("Flashes the firmware of a Klipper printer's boards, proves it, and tells the truth.")
        {
            Virtual, Scenario, Folder, Data, Pace, Seed, Json, Verbose, Log,
        };

        var flash = new Command("flash", "Write firmware to boards, read it back, and prove that it runs") { Boards, Firmware, Port, Uuid, Bootloader, Flags[FlashFlag.SdCard], NoKlipper, Flags[FlashFlag.Hot], Flags[FlashFlag.Consent], Flags[FlashFlag.Force] };
        flash.SetAction(parsed => Run(parsed, verbs => verbs.FlashAsync(Ask(parsed), parsed.GetValue(NoKlipper))));

        var some = new Argument<string[]>("BOARD") { Description = "Which (default: all)", Arity = ArgumentArity.ZeroOrMore };
        var recover = new Command("recover", "Get boards running again, in whatever state they are; flashes only where nothing less helps") { some, Firmware, Port, Uuid, Bootloader, NoKlipper, Flags[FlashFlag.Hot] };
        recover.SetAction(parsed => Run(
            parsed, verbs => verbs.FlashAsync(Ask(parsed) with { Boards = parsed.GetValue(some) is { Length: > 0 } named ? [.. named] : [FlashOptions.All], Job = FlashJob.Recover }, parsed.GetValue(NoKlipper))));
        var one = new Argument<string>("BOARD") { Description = "A board's name, or a kind's id" };
        var guide = new Command("guide", "The manual way into a board's bootloader, step by step, while the bus is watched") { one, Port };
        guide.SetAction(parsed => Run(parsed, verbs => verbs.GuideAsync(new FlashOptions([parsed.GetValue(one)!]) { Port = parsed.GetValue(Port) })));

        var plan = new Command("plan", "Show what `flash` would do, without touching anything") { Boards, Firmware, Port, Uuid, Bootloader, Flags[FlashFlag.SdCard], Flags[FlashFlag.Force] };
        plan.SetAction(parsed => Run(parsed, verbs => verbs.PlanAsync(Ask(parsed))));

        var catalogue = new Option<bool>("--catalogue") { Description = "List every kind of board that is known instead" };
        var boards = new Command("boards", "List this printer's boards, whether they need a flash, and everything else on the bus") { catalogue };
        boards.SetAction(parsed => Run(parsed, verbs => parsed.GetValue(catalogue) ? verbs.KindsAsync() : verbs.BoardsAsync()));

        var rollback = new Command("rollback", "Write the firmware that boards ran before") { Boards, NoKlipper, Flags[FlashFlag.Hot], Flags[FlashFlag.Consent] };
        rollback.SetAction(parsed => Run(parsed, verbs => verbs.FlashAsync(Ask(parsed) with { RollsBack = true }, parsed.GetValue(NoKlipper))));

        var which = new Argument<string>("BOARD") { Description = "Name of the board, as `ratos-flash boards` lists it" };
        var menuconfig = new Command("menuconfig", "Choose how a board's firmware is built, in Klipper's own menu; it is kept for that board") { which };
        menuconfig.SetAction(parsed => Run(parsed, verbs => verbs.MenuconfigAsync(parsed.GetValue(which)!), isLive: true));

        var fix = new Option<bool>("--fix") { Description = "Mend what takes no root: our links and our line in moonraker.asvc" };
        var doctor = new Command("doctor", "Look at everything that a flash needs, and say what is wrong and how it is mended") { fix };
        doctor.SetAction(parsed => Run(parsed, verbs => verbs.DoctorAsync(parsed.GetValue(fix)), isLive: true));

        var file = new Argument<string>("FILE") { Description = "klipper.bin, klipper.uf2 or klipper.elf" };
        var inspect = new Command("inspect", "Show what a firmware file says about itself") { file };
        inspect.SetAction(parsed => Run(parsed, verbs => verbs.InspectAsync(parsed.GetValue(file)!)));
        var firmware = new Command("firmware", "Look into firmware files") { inspect };

        var agent = new Command("agent", "Run as the printer's agent: plugs into Moonraker, until SIGTERM");
        agent.SetAction(parsed => Run(parsed, verbs => verbs.AgentAsync(), isLive: true));
        var status = new Command("status", "Show what the agent is doing");
        status.SetAction(parsed => Run(parsed, verbs => verbs.StatusAsync()));
        var watch = new Command("watch", "Show what the agent does as it happens, until Ctrl-C");
        watch.SetAction(parsed => Run(parsed, verbs => verbs.WatchAsync()));
        var history = new Command("history", "Show the last flashes");
        history.SetAction(parsed => Run(parsed, verbs => verbs.HistoryAsync()));
        var job = new Argument<string?>("JOB") { Description = "Which (default: all)", Arity = ArgumentArity.ZeroOrOne };
        var cancel = new Command("cancel", "Cancel a flash, unless its write has begun") { job };
        cancel.SetAction(parsed => Run(parsed, verbs => verbs.CancelAsync(parsed.GetValue(job))));

        var told = new Argument<string?>("JOB") { Description = "Which (default: the last one)", Arity = ArgumentArity.ZeroOrOne };
        var into = new Option<FileInfo?>("--output", "-o") { Description = "The file to write (default: one in the printer's logs folder, where Mainsail offers it)", HelpName = "FILE" };
        var bundle = new Command("bundle", "Write everything about a flash into one zip, for whoever is to help") { told, into };
        bundle.SetAction(parsed => Run(parsed, verbs => verbs.BundleAsync(parsed.GetValue(told), parsed.GetValue(into)?.FullName)));
        var flight = new Argument<string>("BUNDLE") { Description = "A bundle, or a job's recording.gz" };
        var replay = new Command("replay", "Show what happened in a bundle, and play it against this program: no hardware is touched") { flight };
        replay.SetAction(parsed => Run(parsed, verbs => verbs.ReplayAsync(parsed.GetValue(flight)!)));

        var list = new Option<bool>("--list") { Description = "List the scenarios" };
        var reset = new Option<bool>("--reset") { Description = "Put the virtual printer back to its beginning" };
        var virtualPrinter = new Command("virtual", "The printer made of memory: runs it, with Moonraker, Klipper and agent, until Ctrl-C")
        {
            list, reset, MoonrakerPort, NoAgent, UsbIp, Attach, Pty,
        };
        virtualPrinter.Validators.Add(given =>
        {
            if (given.GetValue(Attach) && given.GetResult(UsbIp) is null)
                given.AddError("--attach needs --usbip PORT.");
        });
        virtualPrinter.SetAction(parsed =>
        {
            var (isList, isReset) = (parsed.GetValue(list), parsed.GetValue(reset));
            return Run(
                parsed,
                verbs => isList ? verbs.ListScenariosAsync() : isReset ? verbs.ResetAsync()
                    : parsed.GetValue(UsbIp) is { } port ? verbs.ServeAsync(port, parsed.GetValue(Attach))
                    : parsed.GetValue(Pty) is { } folder ? verbs.VirtualPtyAsync(folder.FullName)
                    : verbs.VirtualAsync(parsed.GetValue(MoonrakerPort) ?? StandardMoonrakerPort, !parsed.GetValue(NoAgent)),
                isVirtual: true, isLive: !isList && !isReset);
        });

        var count = new Option<int>("--count") { Description = "How many flashes, 1 to 1000000 (default: 10000)", HelpName = "N", DefaultValueFactory = _ => 10_000, Validators = { given => Within(given, 1, 1_000_000) } };
        var from = new Option<int>("--from") { Description = "The first seed (default: 0)", HelpName = "S", Validators = { given => Within(given, 0, int.MaxValue - 1_000_000) } };
        var seeds = new Command("seeds", "Run thousands of faulty flashes on virtual printers, and count how they end") { count, from };
        seeds.SetAction(parsed => Verbs.Seeds(parsed.GetValue(count), parsed.GetValue(from), OutputOf(parsed)));

        root.Subcommands.Add(flash);
        root.Subcommands.Add(recover);
        root.Subcommands.Add(guide);
        root.Subcommands.Add(plan);
        root.Subcommands.Add(rollback);
        root.Subcommands.Add(boards);
        root.Subcommands.Add(firmware);
        root.Subcommands.Add(menuconfig);
        root.Subcommands.Add(doctor);
        root.Subcommands.Add(agent);
        root.Subcommands.Add(status);
        root.Subcommands.Add(watch);
        root.Subcommands.Add(history);
        root.Subcommands.Add(cancel);
        root.Subcommands.Add(bundle);
        root.Subcommands.Add(replay);
        root.Subcommands.Add(virtualPrinter);
        root.Subcommands.Add(seeds);
        return root;
    }

    private static void Within(OptionResult given, int least, int most)
    {
        if (given.Tokens is not [{ Value: var text }] || !int.TryParse(text, out var number) || number < least || number > most)
            given.AddError($"{given.Option.Name} takes a number of {least} to {most}.");
    }

    private static Output OutputOf(ParseResult parsed) => parsed.GetValue(Json) ? new JsonOutput(Console.Out) : Output.ForConsole();

    private static FlashOptions Ask(ParseResult parsed) => FlashFlag.Apply(
        new FlashOptions([.. parsed.GetValue(Boards) ?? []])
        {
            Firmware = parsed.GetValue(Firmware) is { } file ? FirmwareFile.Read(file) : null,
            Port = parsed.GetValue(Port),
            Uuid = CanUuid.TryParse(parsed.GetValue(Uuid)),
            Bootloader = parsed.GetValue(Bootloader) is { } option ? FlashArguments.Bootloaders[option] : null,
        },
        flag => Flags.TryGetValue(flag, out var option) && parsed.GetValue(option));

    private static DataFolder DataOf(ParseResult parsed) => parsed.GetValue(Data) is { } folder ? new(folder.FullName) : DataFolder.Default;

    private static int Run(ParseResult parsed, Func<Verbs, Task<int>> verb, bool isVirtual = false, bool isLive = false)
    {
        var scenario = parsed.GetValue(Scenario);
        var isOfMemory = isVirtual || parsed.GetValue(Virtual) || scenario is not null;
        // A Moonraker of its own has a clock of its own.
        isLive |= parsed.GetResult(Data) is not null;
        using var log = LogFile.Open(parsed.GetValue(Log)?.FullName ?? (isOfMemory ? null : DataOf(parsed).LogIfThere), parsed.GetValue(Verbose));
        var output = OutputOf(parsed);
        try
        {
            if (!isOfMemory)
                return PrinterAccess.Run(parsed.GetValue(Port), printer => verb(new Verbs(printer, DataOf(parsed), output, log)));
            var place = new VirtualPlace(
                scenario ?? VirtualPlace.DefaultScenario, parsed.GetValue(Folder)?.FullName, parsed.GetValue(Pace) ?? (output.IsLive || isLive ? 1 : 0), parsed.GetValue(Seed))
            {
                IsLive = isLive,
            };
            var data = !isLive ? null : parsed.GetResult(Data) is null ? new DataFolder(Path.Combine(place.Folder, "printer_data")) : DataOf(parsed);
            return PrinterAccess.Run(place, printer => verb(new Verbs(printer, data, output, log)));
        }
        catch (FlashException fault)
        {
            log.Fault(fault);
            output.Fault(fault);
            return ExitCode.Of(fault);
        }
        catch (Exception bug)
        {
            log.Bug(bug);
            output.Fault(FlashFaults.Internal(bug));
            return ExitCode.Failed;
        }
    }
}
