using System.CommandLine;
using System.CommandLine.Help;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Tests.JobRecordings;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;
using RatOS.Flash.Virtual.UsbIp;
using StreamJsonRpc;

namespace RatOS.Flash.Tests;

/// <summary>
/// All that other programs, printers' configurations and files on printers rely on, against <c>docs/contract.json</c>. A name there never
/// changes and never goes; a new one is added to the file together with the code. Types and members may be renamed freely.
/// </summary>
public sealed class ContractTests
{
    private static readonly string File = Path.Combine(TidyTests.Root, "docs", "contract.json");

    private static readonly JsonSerializerOptions Written = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Objects in JSON: lines of <c>--json</c> and of files by their <c>event</c>, and the others.</summary>
    private static readonly Dictionary<string, Type> Objects = new()
    {
        ["answer of the agent"] = typeof(JsonAnswer),
        ["board"] = typeof(JsonBoard),
        ["bus"] = typeof(JsonBus),
        ["check"] = typeof(JsonCheck),
        ["doctor"] = typeof(JsonDoctor),
        ["export"] = typeof(JsonExport),
        ["fault"] = typeof(JsonFault),
        ["file"] = typeof(JsonFile),
        ["finding"] = typeof(JsonFinding),
        ["firmware"] = typeof(JsonFirmware),
        ["good"] = typeof(JsonGood),
        ["job"] = typeof(JsonJob),
        ["job in a journal"] = typeof(JsonHeader),
        ["kind"] = typeof(JsonKind),
        ["klipper"] = typeof(JsonService),
        ["mcus.json"] = typeof(JsonMcus),
        ["message"] = typeof(JsonMessage),
        ["plan"] = typeof(JsonPlan),
        ["result"] = typeof(JsonResult),
        ["scenario"] = typeof(JsonScenario),
        ["seed"] = typeof(JsonSeed),
        ["seeds"] = typeof(JsonSeeds),
        ["skipped"] = typeof(JsonSkipped),
        ["step of a job"] = typeof(JsonJobStep),
        ["step, verdict"] = typeof(JsonStep),
    };

    /// <summary>Parts of those; they are named here alone.</summary>
    private static readonly Dictionary<string, Type> Parts = new()
    {
        ["(back)"] = typeof(JsonBack),
        ["(board of a job)"] = typeof(JsonJobBoard),
        ["(choice)"] = typeof(JsonChoice),
        ["(error)"] = typeof(JsonFaultReport),
        ["(exported board)"] = typeof(JsonExportedBoard),
        ["(fact)"] = typeof(JsonFact),
        ["(forecast)"] = typeof(JsonForecast),
        ["(identity)"] = typeof(JsonIdentity),
        ["(known by pins)"] = typeof(JsonKnownByPins),
        ["(layout)"] = typeof(JsonLayout),
        ["(option)"] = typeof(JsonOption),
        ["(option of a choice)"] = typeof(JsonOptionOfChoice),
        ["(options)"] = typeof(JsonOptions),
        ["(question)"] = typeof(JsonQuestion),
        ["(refused option)"] = typeof(JsonRefusedOption),
        ["(registers)"] = typeof(JsonRegisters),
        ["(mcu)"] = typeof(JsonMcu),
        ["(place of a board)"] = typeof(JsonPlace),
        ["(report)"] = typeof(JsonReport),
    };

    private static IEnumerable<(string Name, string[] Values)> Values() =>
    [
        ("boardState", Names<BoardState>()),
        ("bootloader", [.. Drivers.All.Select(driver => driver.Name)]),
        ("bus", Names<UsbIpEventKind>()),
        ("condition", Names<BoardCondition>()),
        ("container", Names<FirmwareContainer>()),
        ("entry", Names<FlashEntry>()),
        ("jobState", Names<JobState>()),
        ("klippy", Names<KlippyActivity>()),
        ("need", Names<NeedLevel>()),
        ("operatorStep", Names<OperatorStep>()),
        ("owner", Names<McuOwner>()),
        ("phase", Names<FlashPhase>()),
        ("policy", Names<FlashPolicy>()),
        ("probes", Names<ProbePolicy>()),
        ("road", Names<FlashMethod>()),
        ("rollback", Names<RollbackPolicy>()),
        ("seedOutcome", Names<TrialOutcome>()),
        ("seedStep", Names<SimulatedStep>()),
        ("severity", Names<FindingSeverity>()),
        ("stepKind", Names<FlashEventKind>()),
    ];

    private static string[] Names<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(value => JsonContract.Name(value))];

    [Fact]
    public void The_program_keeps_its_contract()
    {
        var program = Contract();
        if (Environment.GetEnvironmentVariable("RATOS_FLASH_WRITE_CONTRACT") == "1")
            System.IO.File.WriteAllText(File, program.ToJsonString(Written) + "\n");
        var (written, made) = (Lines(JsonNode.Parse(System.IO.File.ReadAllText(File))!), Lines(program));
        var (gone, added) = (written.Except(made).ToList(), made.Except(written).ToList());
        Assert.True(gone.Count == 0, "docs/contract.json promises what the program no longer has. Other programs and files on printers "
            + $"rely on it: give it its old name back.\n  {string.Join("\n  ", gone)}");
        Assert.True(added.Count == 0, "The program has what docs/contract.json does not list. If it is meant to stay for ever, run this "
            + $"test once with RATOS_FLASH_WRITE_CONTRACT=1 and commit the file.\n  {string.Join("\n  ", added)}");
    }

    [Fact]
    public void Every_object_that_is_written_as_JSON_is_listed() =>
        Assert.Equal(
            typeof(JsonShapes).GetCustomAttributesData().Where(data => data.AttributeType == typeof(JsonSerializableAttribute))
                .Select(data => (Type)data.ConstructorArguments[0].Value!).Where(type => !type.IsArray)
                .Select(type => type.Name).Order(StringComparer.Ordinal),
            Objects.Values.Select(type => type.Name).Order(StringComparer.Ordinal));

    private static JsonObject Contract() => new()
    {
        ["json"] = Object(Objects.Concat(Parts), pair => pair.Key, pair => Members(pair.Value)),
        ["values"] = Object(Values(), pair => pair.Name, pair => Array(pair.Values)),
        ["faultsAndFindings"] = Object(
            FaultKind.All.OrderBy(kind => kind.Code, StringComparer.Ordinal), kind => kind.Code,
            kind => ExitCode.Of(new FlashException(kind, "cause", $"remedy"))),
        ["checks"] = Array(FaultList.All.Where(fault => fault.Class == nameof(DoctorFindings)).Select(fault => fault.Code)
            .Distinct().Order(StringComparer.Ordinal)),
        ["exitCodes"] = new JsonArray([.. typeof(ExitCode).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Where(field => field.IsLiteral).Select(field => (int)field.GetRawConstantValue()!).Order().Select(code => (JsonNode)code)]),
        ["commandLine"] = Commands(CommandLine.Build()),
        ["agent"] = Agent(),
        ["moonraker"] = Moonraker(),
        ["settings"] = new JsonObject
        {
            ["agent"] = Array(InSource("(?m)^        \"(\\w+)\" =>", "RatOS.Flash.Agent/Settings")),
            ["board"] = Array(AgentSettings.BoardKeys),
        },
        ["recording"] = Recordings(),
        ["files"] = Array(FileNames()),
    };

    // ---- JSON

    private static JsonObject Members(Type type)
    {
        var members = new JsonObject();
        var properties = JsonContract.Shapes.GetTypeInfo(type)!.Properties.Where(member => member.Get is not null);
        foreach (var member in properties.OrderBy(member => member.Name, StringComparer.Ordinal))
        {
            var property = new NullabilityInfoContext().Create((PropertyInfo)member.AttributeProvider!);
            var isOptional = Nullable.GetUnderlyingType(member.PropertyType) is not null || property.ReadState == NullabilityState.Nullable;
            members[member.Name + (isOptional ? "?" : "")] = TypeOf(Nullable.GetUnderlyingType(member.PropertyType) ?? member.PropertyType);
        }
        return members;
    }

    private static string TypeOf(Type type) => type switch
    {
        _ when type == typeof(string) => "string",
        _ when type == typeof(bool) => "boolean",
        _ when type == typeof(int) || type == typeof(long) => "integer",
        _ when type == typeof(double) => "number",
        _ when type.IsArray => TypeOf(type.GetElementType()!) + "[]",
        _ when type.IsGenericType && type.GetGenericArguments() is [var key, var value] && key == typeof(string) =>
            $"by name: {TypeOf(value)}",
        _ => Objects.Concat(Parts).Single(pair => pair.Value == type).Key,
    };

    // ---- command line

    private static JsonObject Commands(Command command)
    {
        var listed = new JsonObject();
        if (command.Arguments.Count > 0)
            listed["arguments"] = Array(command.Arguments.Select(argument => $"{argument.Name} {Count(argument.Arity)}"));
        var options = command.Options.Where(option => option is not HelpOption and not VersionOption).ToList();
        if (options.Count > 0)
            listed["options"] = Array(options.Select(NamesOf));
        foreach (var sub in command.Subcommands.OrderBy(sub => sub.Name, StringComparer.Ordinal))
            listed[sub.Name] = Commands(sub);
        return listed;

        static string NamesOf(Option option) =>
            string.Join(' ', [option.Name, .. option.Aliases.Order(StringComparer.Ordinal)])
            + (option.ValueType == typeof(bool) ? "" : " VALUE");

        static string Count(ArgumentArity arity) => $"{arity.MinimumNumberOfValues}..{(arity.MaximumNumberOfValues > 1 ? "n" : "1")}";
    }

    // ---- the agent, and Moonraker

    private static JsonObject Agent() => new()
    {
        ["methods"] = Methods(typeof(IAgentApi)),
        ["methodsOfItsSocket"] = Methods(typeof(IFollow)),
        ["callsOfItsSocket"] = Methods(typeof(IFollower)),
        ["arguments"] = Array(FlashFlag.Every.Select(flag => flag.Json).Concat(InSource(
            "\\barguments\\.(?:At|Flag|Items|Number|Word)\\(\"(\\w+)\""
            + "|foreach \\(var key in \\(string\\[\\]\\)\\[(?:\"(\\w+)\"(?:, )?)+\\]"))),
        ["bootloaders"] = Array(FlashArguments.Bootloaders.Keys),
        ["events"] = Array(InSource(
            "(?:\\bnew Json(?!Exception|Array|Object)\\w+\\(\\s*|(?:=>|return)\\s+new\\(\\s*|Event = |Verdict \\? \"(verdict)\" : "
                + ")\"([a-z]+)\"[, ]",
            "RatOS.Flash.Agent")),
        ["requestedBy"] = Array(typeof(JobOrigin).GetFields().Select(field => (string)field.GetRawConstantValue()!)),
    };

    private static JsonArray Methods(Type contract) =>
        Array(contract.GetMethods().Select(method => method.GetCustomAttribute<JsonRpcMethodAttribute>()!.Name!));

    private static JsonObject Moonraker()
    {
        var (config, component) = (Read("config", "ratos_flash.cfg"), Read("moonraker-component", "ratos_flash.py"));
        var macros = new JsonObject();
        foreach (var section in config.Split("\n[gcode_macro ").Skip(1).Order(StringComparer.Ordinal))
            macros[section.Split(']')[0]] = Array(Found(section, "params(?:\\.([A-Z]+)|\\[\"([A-Z]+)\"\\])").Distinct());
        return new()
        {
            ["agent"] = MoonrakerConnection.AgentName,
            ["remoteMethods"] = Array(RemoteMethods.All),
            ["macros"] = macros,
            ["macroVariables"] = Array(Found(config, "(?m)^variable_(\\w+):")),
            ["macroArguments"] = Array(Found(config, "action_call_remote_method\\(\"\\w+\"(?:, (\\w+)=\\w+)*\\)")),
            ["endpoints"] = Array(Found(component, "register_endpoint\\(\"([^\"]+)\"")),
            ["consoleAction"] = Notifier.Action,
        };
    }

    // ---- recordings and files

    /// <summary>
    /// Channel and verb of each line, as today's program writes them. A port's name in a recording is <c>PORT</c> here, a handle <c>h</c>.
    /// </summary>
    private static JsonObject Recordings()
    {
        var fault = new FlashException(FaultKind.BuildFailed, "cause", $"remedy");
        var unplugged = new InjectedFaults { Transfers = [new(60, TransferFaultKind.Unplug, TimeSpan.FromSeconds(5))], HangsAt = 90 };
        string[] scenarios = ["octopus", "octopus-katapult", "can-bridge", "uart-rom", "h2-hub-power", "card-in-computer"];
        var recorded = scenarios.Select(scenario => RecordedJob.Record(scenario).Bytes)
            .Append(RecordedJob.Record("octopus", unplugged).Bytes)
            .Append(RecordedJob.Record("octopus", onEvent: (recorder, step) =>
            {
                if (step is not { Phase: FlashPhase.Enter, Kind: FlashEventKind.Begin })
                    return;
                recorder.Built("octopus", null, fault);
                recorder.Cancel();
            }).Bytes);
        var lines = recorded.SelectMany(bytes => Text(bytes).Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1))
            .Select(line => (Words: line.Split(' '), Answer: line.Split(" = ")[1])).ToList();
        return new()
        {
            ["firstLine"] = $"{CallRecorder.Magic} {CallRecorder.FormatVersion}",
            ["verbs"] = Array(lines.Select(line => $"{ChannelOf(line.Words[1])} {line.Words[2]}").Distinct()),
            ["answers"] = Array(lines.Select(line => line.Answer.Split(' ')[0]).Distinct()),
            ["activity"] = Words(RecordingWords.KlippyActivities),
            ["bootloader"] = Array(Drivers.All.Select(RecordingWords.BootloaderWord)),
            ["canState"] = Words(RecordingWords.CanBusStates),
            ["condition"] = Words(RecordingWords.Conditions),
            ["kind"] = Words(RecordingWords.EventKinds),
            ["phase"] = Words(RecordingWords.Phases),
            ["usbStatus"] = Words(RecordingWords.UsbStatuses),
        };
    }

    private static JsonArray Words<T>(WordTable<T> table)
        where T : struct, Enum => Array(Enum.GetValues<T>().Select(table.Of));

    private static string ChannelOf(string channel) =>
        Regex.IsMatch(channel, "^h[0-9]+$", RegexOptions.None, TimeSpan.FromSeconds(1)) ? "h"
            : channel.Contains('#', StringComparison.Ordinal) ? "PORT#N" : char.IsDigit(channel[0]) ? "PORT" : channel;

    private static IEnumerable<string> FileNames()
    {
        var data = new DataFolder("/p");
        var paths = typeof(DataFolder).GetProperties().Where(property => property.PropertyType == typeof(string));
        foreach (var path in paths.Select(property => property.GetValue(data)).OfType<string>())
        {
            if (path.StartsWith("/p/", StringComparison.Ordinal))
                yield return path[3..];
        }
        yield return "ratos-flash/jobs/DATE-JOB/" + Journal.FileName;
        yield return "ratos-flash/jobs/DATE-JOB/" + JobRecorder.PlanName;
        yield return "ratos-flash/jobs/DATE-JOB/" + JobRecorder.RecordingName;
        yield return "ratos-flash/configs/" + Path.GetFileName(RatOS.Flash.Builds.Menuconfig.FileOf("/", "BOARD"));
        yield return "BUNDLE.zip/" + BundleFile.RecordingName;
    }

    // ---- helpers

    private static JsonArray Array(IEnumerable<string> names) =>
        new([.. names.Order(StringComparer.Ordinal).Select(name => (JsonNode)name)]);

    private static JsonObject Object<T>(IEnumerable<T> members, Func<T, string> name, Func<T, JsonNode> value) =>
        new(members.Select(member => KeyValuePair.Create(name(member), (JsonNode?)value(member))));

    private static string Read(params string[] path) => System.IO.File.ReadAllText(Path.Combine([TidyTests.Root, .. path]));

    private static string Text(byte[] bytes) => System.Text.Encoding.UTF8.GetString(bytes);

    private static IEnumerable<string> InSource(string pattern, string project = "") => TidyTests.Sources()
        .Where(file => file.Contains(Path.Combine("src", project), StringComparison.Ordinal))
        .SelectMany(file => Found(System.IO.File.ReadAllText(file), pattern)).Distinct();

    /// <summary>What the groups of a pattern hold.</summary>
    private static IEnumerable<string> Found(string text, string pattern) =>
        Regex.Matches(text, pattern, RegexOptions.None, TimeSpan.FromSeconds(10))
        .SelectMany(match => match.Groups.Values.Skip(1).SelectMany(group => group.Captures)).Select(capture => capture.Value);

    /// <summary>One line for each leaf, so that a difference names just what differs.</summary>
    private static List<string> Lines(JsonNode node, string path = "") => node switch
    {
        JsonObject { Count: > 0 } members => [.. members.SelectMany(member => Lines(member.Value!, path + " > " + member.Key))],
        JsonArray { Count: > 0 } items => [.. items.SelectMany(item => Lines(item!, path))],
        JsonObject or JsonArray => [path],
        _ => [$"{path} > {node}"],
    };
}
