using System.CommandLine;
using System.CommandLine.Help;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs in their groups. The classes <c>...Verbs</c> do them.</summary>
internal static class CommandLine
{
    private const int StandardMoonrakerPort = 7125;

    /// <summary>Parses the arguments, runs the verb, and returns the exit code.</summary>
    public static int Run(string[] args)
    {
        var parsed = Build().Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
                Terminal.Error.WriteLine(Suggestions.WithoutType(error.Message));
            foreach (var hint in Suggestions.Of(parsed))
                Terminal.Error.WriteLine(hint);
            var verb = parsed.CommandResult.Command is { } command and not RootCommand ? $"{command.Name} " : "";
            Terminal.Error.WriteLine($"See `ratos-flash {verb}--help`.");
            return ExitCode.Usage;
        }
        return parsed.Invoke(new InvocationConfiguration
        {
            ProcessTerminationTimeout = null,
            EnableDefaultExceptionHandler = false,
            Output = Terminal.Out,
            Error = Terminal.Error,
        });
    }

    /// <summary>Every verb and option.</summary>
    public static RootCommand Build()
    {
        (string Title, Command[] Verbs)[] groups =
        [
            ("Flash", Flash()), ("Look", Look()), ("Recover", Recover()), ("Support", Support()), ("Try without hardware", Try()),
        ];
        var root = new RootCommand("Flashes Klipper firmware onto the boards of a 3D printer and checks that each board runs it.");
        var help = root.Options.OfType<HelpOption>().Single();
        help.Description = "Show this help";
        Option[] common = [Options.Data, Options.Json, Options.Verbose, Options.Log];
        Option[] ofVirtual = [Options.Virtual, Options.Scenario, Options.Folder, Options.Pace, Options.Seed];
        foreach (var option in common.Concat(ofVirtual))
            root.Options.Add(option);
        foreach (var verb in groups.SelectMany(static group => group.Verbs))
            root.Subcommands.Add(verb);
        help.Action = new Help(groups, [("Common options", [.. common, help]), ("Virtual printer", ofVirtual)]);
        return root;
    }

    private static Command Verb(string name, string description, Func<ParseResult, int> run, params Symbol[] symbols)
    {
        var verb = new Command(name, description);
        foreach (var argument in symbols.OfType<Argument>())
            verb.Arguments.Add(argument);
        foreach (var option in symbols.OfType<Option>())
            verb.Options.Add(option);
        verb.SetAction(run);
        foreach (var (option, other) in Dependent)
        {
            if (verb.Options.Contains(option) && verb.Options.Contains(other))
            {
                verb.Validators.Add(given =>
                {
                    if (given.GetResult(option) is { Implicit: false } && given.GetResult(other) is null or { Implicit: true })
                        given.AddError($"{option.Name} needs {other.Name}.");
                });
            }
        }
        return verb;
    }

    /// <summary>Options that mean nothing without another one.</summary>
    private static readonly (Option Option, Option Other)[] Dependent =
    [
        (Options.FirmwareSha256, Options.Firmware), (Options.Timeout, Options.Flags[FlashFlag.WhenIdle]),
        (Options.Attach, Options.UsbIp),
    ];

    private static Argument<string?> Optional(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.ZeroOrOne };

    private static Command[] Flash()
    {
        var job = Optional("JOB", "Id of the job, from `ratos-flash status` (default: all)");
        var output = new Option<DirectoryInfo>("--output", "-o")
        {
            Description = "Folder that takes BOARD.bin (or .uf2, .elf) and BOARD.config",
            HelpName = "DIR",
            Required = true,
        };
        var board = new Argument<string>("BOARD") { Description = "Board name as listed by `ratos-flash boards`" };
        var fact = new Argument<string>("FACT") { Description = string.Join(", ", BoardFactSettings.Keys) };
        var value = new Argument<string>("VALUE") { Description = $"As in ratos-flash.conf; `{FlashVerbs.NoAnswer}` forgets it" };
        return
        [
            Verb(
                "flash", "Write firmware to boards and check that it runs",
                parsed => RunFlash(parsed, static options => options),
                Options.BoardNames, Options.Firmware, Options.FirmwareSha256, Options.Port, Options.Uuid, Options.Bootloader,
                Options.ChangeLink, Options.Flags[FlashFlag.SdCard], Options.Flags[FlashFlag.IfNeeded],
                Options.Flags[FlashFlag.WhenIdle], Options.Timeout, Options.NoKlipper,
                Options.Flags[FlashFlag.Hot], Options.Flags[FlashFlag.Consent], Options.Flags[FlashFlag.Force]),
            Verb(
                "rollback", "Write the firmware that boards ran before",
                parsed => RunFlash(parsed, static options => options with { RollsBack = true }),
                Options.BoardNames, Options.Port, Options.Uuid, Options.Flags[FlashFlag.WhenIdle], Options.Timeout, Options.NoKlipper,
                Options.Flags[FlashFlag.Hot], Options.Flags[FlashFlag.Consent]),
            Verb(
                "build", "Build boards' firmware from your Klipper checkout; flashes nothing",
                parsed => Run(parsed, context => new FirmwareVerbs(context)
                    .BuildAsync(new([.. parsed.GetValue(Options.BoardNames)!]), parsed.GetValue(output)!.FullName)),
                Options.BoardNames, output),
            Verb(
                "cancel", "Cancel flashes of the agent that are not yet writing",
                parsed => Run(parsed, context => new AgentVerbs(context).CancelAsync(parsed.GetValue(job))), job),
            Verb(
                "answer", "Tell a fact that a board cannot tell itself, such as its application start",
                parsed => Run(parsed, context => new FlashVerbs(context)
                    .AnswerAsync(parsed.GetValue(board)!, parsed.GetValue(fact)!, parsed.GetValue(value)!)), board, fact, value),
            Verb(
                "menuconfig", "Choose and save a board's build options in Klipper's menu",
                parsed => Run(parsed, context => new FlashVerbs(context).MenuconfigAsync(parsed.GetValue(board)!), isLive: true), board),
        ];
    }

    private static Command[] Look()
    {
        var catalogue = new Option<bool>("--catalogue") { Description = "List every known kind of board instead" };
        var file = new Argument<string>("FILE") { Description = "klipper.bin, klipper.uf2 or klipper.elf" };
        var asked = new Argument<string[]>("BOARD") { Description = "Boards to ask (default: all)", Arity = ArgumentArity.ZeroOrMore };
        return
        [
            Verb(
                "boards", "List this printer's boards and what needs a flash",
                parsed => Run(parsed, context => new LookVerbs(context).BoardsAsync(parsed.GetValue(catalogue))), catalogue),
            Verb(
                "plan", "Show what `flash` would do; changes nothing",
                parsed => Run(parsed, context => new LookVerbs(context).PlanAsync(Ask(parsed))),
                Options.BoardNames, Options.Firmware, Options.FirmwareSha256, Options.Port, Options.Uuid, Options.Bootloader,
                Options.ChangeLink, Options.Flags[FlashFlag.SdCard], Options.Flags[FlashFlag.IfNeeded], Options.Flags[FlashFlag.Force]),
            Verb(
                "identify", "Ask running boards what they are; stops Klipper for it, writes nothing",
                parsed => RunFlash(parsed, options => options with
                {
                    Boards = parsed.GetValue(asked) is { Length: > 0 } named ? [.. named] : [FlashOptions.All],
                    Job = FlashJob.Identify,
                }),
                asked, Options.Port, Options.Uuid, Options.NoKlipper, Options.Flags[FlashFlag.Hot]),
            Verb(
                "status", "Show the agent, Klipper's state and open jobs",
                parsed => Run(parsed, static context => new AgentVerbs(context).StatusAsync())),
            Verb(
                "watch", "Show the agent's flashes as they run, until Ctrl-C",
                parsed => Run(parsed, static context => new AgentVerbs(context).WatchAsync())),
            Verb(
                "history", "Show the agent's last flashes",
                parsed => Run(parsed, static context => new AgentVerbs(context).HistoryAsync())),
            new Command("firmware", "Inspect firmware files, and keep them for the printer's boards")
            {
                Verb(
                    "inspect", "Show version, chip and build of a firmware file",
                    parsed => Run(parsed, context => new FirmwareVerbs(context).InspectAsync(parsed.GetValue(file)!)), file),
                Verb(
                    "list", "List the files in the printer's firmware folder",
                    parsed => Run(parsed, static context => new FirmwareVerbs(context).ListAsync(), isLive: true)),
                Verb(
                    "push", "Copy a firmware file into the printer's firmware folder",
                    parsed => Run(parsed, context => new FirmwareVerbs(context)
                        .PushAsync(parsed.GetValue(file)!, Sha256Of(parsed)), isLive: true), file, Options.FirmwareSha256),
            },
        ];
    }

    private static Command[] Recover()
    {
        var boards = new Argument<string[]>("BOARD") { Description = "Boards to recover (default: all)", Arity = ArgumentArity.ZeroOrMore };
        var board = new Argument<string>("BOARD") { Description = "Board name, or an id from `ratos-flash boards --catalogue`" };
        return
        [
            Verb(
                "recover", "Get boards running again; flashes only if needed",
                parsed => RunFlash(parsed, options => options with
                {
                    Boards = parsed.GetValue(boards) is { Length: > 0 } named ? [.. named] : [FlashOptions.All],
                    Job = FlashJob.Recover,
                }),
                boards, Options.Firmware, Options.Port, Options.Uuid, Options.Bootloader, Options.NoKlipper, Options.Flags[FlashFlag.Hot]),
            Verb(
                "guide", "Guide you into a board's bootloader, step by step",
                parsed => Run(
                    parsed,
                    context => new LookVerbs(context).GuideAsync(new([parsed.GetValue(board)!]) { Port = parsed.GetValue(Options.Port) }),
                    isLive: true),
                board, Options.Port),
        ];
    }

    private static Command[] Support()
    {
        var fix = new Option<bool>("--fix") { Description = "Repair RatOS.Flash's links and its line in moonraker.asvc; needs no root" };
        var job = Optional("JOB", "Id of the job, from `ratos-flash history` (default: the last one)");
        var file = new Option<FileInfo?>("--output", "-o")
        {
            Description = "File to write (default: a new one in the printer's logs folder)",
            HelpName = "FILE",
        };
        var yes = new Option<bool>("--yes") { Description = "Confirm without asking" };
        var list = new Option<bool>("--list") { Description = "Also list the files in the bundle" };
        var shell = new Argument<string>("SHELL") { Description = string.Join(", ", Completion.Shells) }
            .AcceptOnlyFromAmong(Completion.Shells);
        var imported = Optional("FILE", "File or folder of another updater, or an export (default: look where updaters put theirs)");
        var target = Optional("BOARD", "Board that a build configuration is for (default: found by serial, uuid, section or chip)");
        var exported = new Option<FileInfo?>("--output", "-o")
        {
            Description = "File to write (default: ratos-flash-export.json among the printer's configuration files)",
            HelpName = "FILE",
        };
        var recording = new Argument<string>("BUNDLE") { Description = "A bundle, or a job's recording.gz" };
        return
        [
            Verb(
                "doctor", "Check everything that a flash needs",
                parsed => Run(parsed, context => new SupportVerbs(context).DoctorAsync(parsed.GetValue(fix)), isLive: true), fix),
            Verb(
                "confirm", "Confirm klipper_path and moonraker_url of ratos-flash.conf, once",
                parsed => Run(parsed, context => new SupportVerbs(context).ConfirmAsync(parsed.GetValue(yes))), yes),
            Verb(
                "import", "Take over build options and settings from other updaters, or from an export",
                parsed => Run(parsed, context => new MigrationVerbs(context)
                    .ImportAsync(parsed.GetValue(imported), parsed.GetValue(target), parsed.GetValue(yes)), isLive: true),
                imported, target, yes),
            Verb(
                "export", "Write settings and build options into one file that `import` reads",
                parsed => Run(parsed, context => new MigrationVerbs(context)
                    .ExportAsync(parsed.GetValue(exported)?.FullName), isLive: true),
                exported),
            Verb(
                "bundle", "Pack a flash into a zip for a bug report",
                parsed => Run(
                    parsed, context => new SupportVerbs(context)
                        .BundleAsync(parsed.GetValue(job), parsed.GetValue(file)?.FullName, parsed.GetValue(list))),
                job, file, list),
            Verb(
                "replay", "Print a recorded flash and repeat it without hardware",
                parsed => Run(parsed, context => new SupportVerbs(context).ReplayAsync(parsed.GetValue(recording)!)), recording),
            Verb("completion", "Print the completion of this command for a shell", parsed =>
            {
                Terminal.Out.Write(Completion.For(Build(), parsed.GetValue(shell)!));
                return ExitCode.Done;
            }, shell),
            Verb(
                "agent", "Run the agent, as the service ratos-flash does",
                parsed => Run(parsed, static context => new AgentVerbs(context).AgentAsync(), isLive: true)),
        ];
    }

    private static Command[] Try()
    {
        var list = new Option<bool>("--list") { Description = "List the virtual printers" };
        var reset = new Option<bool>("--reset") { Description = "Put it back to its initial state, and run nothing" };
        var noAgent = new Option<bool>("--no-agent") { Description = "Run the virtual printer without an agent" };
        var virtualPrinter = Verb(
            "virtual", "Run a virtual printer with Moonraker, Klipper and agent", RunVirtual,
            list, reset, Options.MoonrakerPort, Options.Login, noAgent, Options.UsbIp, Options.Attach, Options.Pty);
        var seeds = Verb(
            "seeds", "Flash virtual boards with random faults, many times",
            parsed => TryVerbs.Seeds(parsed.GetValue(Options.Count), parsed.GetValue(Options.From), OutputOf(parsed)),
            Options.Count, Options.From);
        var printers = new Option<int>("--printers")
        {
            Description = $"Number of printers, 1 to 200 (default: {FarmSetup.UsualPrinters})",
            HelpName = "N",
            DefaultValueFactory = static _ => FarmSetup.UsualPrinters,
            Validators = { static given => Options.IsNumber(given, 1, 200) },
        };
        var faults = Options.Share("--fault-rate", "Share of printers with random faults");
        var printing = Options.Share("--printing", "Share of printers that print for the first minute");
        var off = Options.Share("--off", "Share of printers that are switched off");
        var farm = Verb(
            "farm", "Run many virtual printers, each with Moonraker and agent",
            parsed => Run(
                parsed, context => new TryVerbs(context).FarmAsync(
                    new(
                        parsed.GetValue(printers), parsed.GetValue(Options.Scenario) ?? "voron", parsed.GetValue(Options.Seed) ?? 0,
                        parsed.GetValue(Options.MoonrakerPort) ?? 0)
                    {
                        Faults = parsed.GetValue(faults),
                        Printing = parsed.GetValue(printing),
                        Off = parsed.GetValue(off),
                    },
                    parsed.GetValue(reset)),
                isVirtual: true, isLive: true, name: "farm"),
            printers, faults, printing, off, Options.MoonrakerPort, reset);
        farm.Validators.Add(given =>
        {
            var count = given.GetResult(printers) is { Implicit: false } named ? named.GetValueOrDefault<int>() : FarmSetup.UsualPrinters;
            if (given.GetValue(Options.MoonrakerPort) is > 0 and var first && first + count > ushort.MaxValue + 1)
                given.AddError($"--moonraker {first} leaves no ports for {count} printers.");
        });
        return [virtualPrinter, farm, seeds];

        int RunVirtual(ParseResult parsed)
        {
            var (isList, isReset) = (parsed.GetValue(list), parsed.GetValue(reset));
            return Run(parsed, context =>
            {
                var verbs = new TryVerbs(context);
                return isList ? verbs.ListScenariosAsync() : isReset ? verbs.ResetAsync()
                    : parsed.GetValue(Options.UsbIp) is { } port ? verbs.ServeAsync(port, parsed.GetValue(Options.Attach))
                    : parsed.GetValue(Options.Pty) is { } folder ? verbs.PtyAsync(folder.FullName)
                    : verbs.VirtualAsync(
                        parsed.GetValue(Options.MoonrakerPort) ?? StandardMoonrakerPort, parsed.GetValue(Options.Login)?.Split(':', 2),
                        !parsed.GetValue(noAgent));
            }, isVirtual: true, isLive: !isList && !isReset);
        }
    }

    private static Output OutputOf(ParseResult parsed) =>
        parsed.GetValue(Options.Json) ? new JsonOutput(Terminal.Out) : Output.ForTerminal();

    private static FlashOptions Ask(ParseResult parsed) => FlashFlag.Apply(
        new FlashOptions([.. parsed.GetValue(Options.BoardNames) ?? []])
        {
            Firmware = parsed.GetValue(Options.Firmware) is { } file ? FirmwareFile.Read(file) : null,
            FirmwareSha256 = Sha256Of(parsed),
            IdleLimit = parsed.GetValue(Options.Timeout) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            Port = parsed.GetValue(Options.Port),
            Uuid = CanUuid.TryParse(parsed.GetValue(Options.Uuid)),
            Bootloader = parsed.GetValue(Options.Bootloader) is { } option ? FlashArguments.Bootloaders[option] : null,
            LinkChange = parsed.GetValue(Options.ChangeLink) is { } change ? LinkChange.Known[change] : null,
        },
        flag => Options.Flags.TryGetValue(flag, out var option) && parsed.GetValue(option));

    private static string? Sha256Of(ParseResult parsed) => parsed.GetValue(Options.FirmwareSha256)?.ToLowerInvariant();

    private static DataFolder DataOf(ParseResult parsed) =>
        parsed.GetValue(Options.Data) is { } folder ? new(folder.FullName) : DataFolder.Default;

    private static int RunFlash(ParseResult parsed, Func<FlashOptions, FlashOptions> change) =>
        Run(parsed, context => new FlashVerbs(context).FlashAsync(change(Ask(parsed)), parsed.GetValue(Options.NoKlipper)));

    /// <param name="name">Of the folder that keeps what is virtual; null for that of the scenario.</param>
    private static int Run(
        ParseResult parsed, Func<VerbContext, Task<int>> verb, bool isVirtual = false, bool isLive = false, string? name = null)
    {
        var scenario = parsed.GetValue(Options.Scenario);
        var isOfMemory = isVirtual || parsed.GetValue(Options.Virtual) || scenario is not null;
        // A Moonraker of its own has a clock of its own.
        isLive |= parsed.GetResult(Options.Data) is not null;
        var path = parsed.GetValue(Options.Log)?.FullName ?? (isOfMemory ? null : DataOf(parsed).LogIfThere);
        var output = OutputOf(parsed);
        using var log = LogFile.Open(path, output.Log, parsed.GetValue(Options.Verbose));
        try
        {
            // The virtual printer's own verb creates its folder. Without this check a slip would make a bench of a printer.
            if (!isVirtual && parsed.GetValue(Options.Data) is { Exists: false } missing)
                throw AgentFaults.NoDataFolder(missing.FullName);
            if (!isOfMemory)
            {
                return PrinterAccess.Run(
                    parsed.GetValue(Options.Port), printer => verb(new VerbContext(printer, DataOf(parsed), output, log)));
            }
            var pace = parsed.GetValue(Options.Pace) ?? (output.IsLive || isLive ? 1 : 0);
            var folder = parsed.GetValue(Options.Folder)?.FullName
                ?? (name is null ? null : Path.Combine(Folders.State(), "virtual", name));
            var place = new VirtualPlace(scenario ?? VirtualPlace.DefaultScenario, folder, pace, parsed.GetValue(Options.Seed))
            {
                IsLive = isLive,
            };
            var data = !isLive ? null
                : parsed.GetResult(Options.Data) is null ? new DataFolder(place.Data)
                : DataOf(parsed);
            return PrinterAccess.Run(place, printer => verb(new VerbContext(printer, data, output, log)));
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
