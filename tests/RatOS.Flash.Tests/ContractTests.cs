using System.CommandLine;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;
using RatOS.Flash.Virtual.UsbIp;
using StreamJsonRpc;

namespace RatOS.Flash.Tests;

/// <summary>
/// All that other programs, printers' configurations and files on printers rely on, against <c>docs/contract.json</c>. A name there never changes and
/// never goes; a new one is added to the file together with the code. What the program is made of may be renamed freely: only this test then names
/// the type by another name.
/// </summary>
public sealed partial class ContractTests
{
    private static readonly string File = Path.Combine(TidyTests.Root, "docs", "contract.json");

    private static readonly JsonSerializerOptions Written = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Objects in JSON: lines of <c>--json</c> and of files by their <c>event</c>, and the others.</summary>
    private static readonly Dictionary<string, Type> Objects = new()
    {
        ["answer of the agent"] = typeof(JsonAnswer),
        ["board"] = typeof(JsonBoard),
        ["bus"] = typeof(JsonBus),
        ["check"] = typeof(JsonCheck),
        ["doctor"] = typeof(JsonDoctor),
        ["fault"] = typeof(JsonFault),
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
        ["step, verdict"] = typeof(JsonStep),
    };

    /// <summary>Parts of those; they are named here alone.</summary>
    private static readonly Dictionary<string, Type> Parts = new()
    {
        ["(back)"] = typeof(JsonBack),
        ["(board of a job)"] = typeof(JsonJobBoard),
        ["(error)"] = typeof(FaultReport),
        ["(mcu)"] = typeof(JsonMcu),
        ["(report)"] = typeof(JsonReport),
    };

    private static IEnumerable<(string Name, string[] Values)> Values() =>
    [
        ("boardState", Names<BoardState>()),
        ("bootloader", Names<BootloaderKind>()),
        ("bus", Names<UsbIpEventKind>()),
        ("condition", Names<BoardCondition>()),
        ("container", Names<FirmwareContainer>()),
        ("entry", Names<FlashEntry>()),
        ("jobState", Names<JobState>()),
        ("klippy", Names<KlippyActivity>()),
        ("need", Names<NeedLevel>()),
        ("owner", Names<McuOwner>()),
        ("phase", Names<FlashPhase>()),
        ("policy", Names<FlashPolicy>()),
        ("road", Names<BoardRoad>()),
        ("rollback", Names<RollbackPolicy>()),
        ("seedOutcome", Names<TrialOutcome>()),
        ("seedStep", Names<HumanStep>()),
        ("severity", Names<FindingSeverity>()),
        ("stepKind", Names<FlashEventKind>()),
    ];

    private static string[] Names<T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(Wire.Name)];

    [Fact]
    public void The_program_keeps_to_what_is_written_down()
    {
        var program = Contract();
        if (Environment.GetEnvironmentVariable("RATOS_FLASH_WRITE_CONTRACT") == "1")
            System.IO.File.WriteAllText(File, program.ToJsonString(Written) + "\n");
        var (written, made) = (Lines(JsonNode.Parse(System.IO.File.ReadAllText(File))!), Lines(program));
        var (gone, added) = (written.Except(made).ToList(), made.Except(written).ToList());
        Assert.True(gone.Count == 0, $"docs/contract.json promises what the program no longer has. Other programs and files on printers rely on it: give it its old name back.\n  {string.Join("\n  ", gone)}");
        Assert.True(added.Count == 0, $"The program has what docs/contract.json does not list. Is it meant to stay for ever? Then run this test once with RATOS_FLASH_WRITE_CONTRACT=1 and commit the file.\n  {string.Join("\n  ", added)}");
    }

    [Fact]
    public void Every_object_that_is_written_as_JSON_is_listed() =>
        Assert.Equal(
            typeof(WireShapes).GetCustomAttributesData().Where(data => data.AttributeType == typeof(JsonSerializableAttribute))
                .Select(data => (Type)data.ConstructorArguments[0].Value!).Where(type => !type.IsArray).Select(type => type.Name).Order(StringComparer.Ordinal),
            Objects.Values.Select(type => type.Name).Order(StringComparer.Ordinal));

    private static JsonObject Contract() => new()
    {
        ["json"] = new JsonObject(Objects.Concat(Parts).Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)Members(pair.Value)))),
        ["values"] = new JsonObject(Values().Select(pair => KeyValuePair.Create(pair.Name, (JsonNode?)Array(pair.Values)))),
        ["faults"] = new JsonObject(FaultList.All.Select(fault => (fault.Code, Exit: ExitOf(fault))).Distinct().OrderBy(fault => fault.Code, StringComparer.Ordinal)
            .Select(fault => KeyValuePair.Create(fault.Code, (JsonNode?)JsonValue.Create(fault.Exit)))),
        ["findings"] = Array(InSource("FindingSeverity\\.\\w+,\\s*\"([a-z0-9-]+)\"")),
        ["checks"] = Array(InSource("\\b(?:Wrong|Doubtful)\\(\\s*\"([a-z0-9-]+)\"")),
        ["exitCodes"] = new JsonArray([.. typeof(ExitCode).GetFields(BindingFlags.Public | BindingFlags.Static).Where(field => field.IsLiteral).Select(field => (int)field.GetRawConstantValue()!).Order().Select(code => (JsonNode)code)]),
        ["commandLine"] = Commands(CommandLine.Build()),
        ["agent"] = Agent(),
        ["moonraker"] = Moonraker(),
        ["settings"] = new JsonObject { ["agent"] = Array(InSource("(?m)^        \"(\\w+)\" => .*\\bthis with")), ["board"] = Array(Settings.BoardKeys) },
        ["recording"] = RecordingWords(),
        ["files"] = Array(FileNames()),
    };

    private static int ExitOf(FaultList.Entry fault) => ExitCode.Of(new FlashException(fault.Code, fault.Cause, fault.Remedy));

    // ---- JSON

    private static JsonObject Members(Type type)
    {
        var members = new JsonObject();
        foreach (var member in Wire.Shapes.GetTypeInfo(type)!.Properties.Where(member => member.Get is not null).OrderBy(member => member.Name, StringComparer.Ordinal))
        {
            var property = (PropertyInfo)member.AttributeProvider!;
            var isOptional = Nullable.GetUnderlyingType(member.PropertyType) is not null || new NullabilityInfoContext().Create(property).ReadState == NullabilityState.Nullable;
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
        _ when type.IsGenericType && type.GetGenericArguments() is [var key, var value] && key == typeof(string) => $"by name: {TypeOf(value)}",
        _ => Objects.Concat(Parts).Single(pair => pair.Value == type).Key,
    };

    // ---- command line

    private static JsonObject Commands(Command command)
    {
        var listed = new JsonObject();
        if (command.Arguments.Count > 0)
            listed["arguments"] = Array(command.Arguments.Select(argument => $"{argument.Name} {argument.Arity.MinimumNumberOfValues}..{(argument.Arity.MaximumNumberOfValues > 1 ? "n" : "1")}"), isSorted: false);
        var options = command.Options.Where(option => option is not System.CommandLine.Help.HelpOption and not VersionOption)
            .Select(option => string.Join(' ', [option.Name, .. option.Aliases.Order(StringComparer.Ordinal)]) + (option.Arity.MaximumNumberOfValues > 0 && option.ValueType != typeof(bool) ? " VALUE" : ""));
        if (options.Any())
            listed["options"] = Array(options);
        foreach (var sub in command.Subcommands.OrderBy(sub => sub.Name, StringComparer.Ordinal))
            listed[sub.Name] = Commands(sub);
        return listed;
    }

    // ---- the agent, and Moonraker

    private static JsonObject Agent() => new()
    {
        ["methods"] = Methods(typeof(IDoors)),
        ["methodsOfItsSocket"] = Methods(typeof(IFollow)),
        ["callsOfItsSocket"] = Methods(typeof(IFollower)),
        ["arguments"] = Array(InSource("\\barguments\\.(?:At|Flag|Items|Number|Word)\\(\"(\\w+)\"|foreach \\(var key in \\(string\\[\\]\\)\\[(?:\"(\\w+)\"(?:, )?)+\\]")),
        ["bootloaders"] = Array(Arguments.Bootloaders.Keys),
    };

    private static JsonArray Methods(Type contract) => Array(contract.GetMethods().Select(method => method.GetCustomAttribute<JsonRpcMethodAttribute>()!.Name!));

    private static JsonObject Moonraker()
    {
        var (config, component) = (Read("config", "ratos_flash.cfg"), Read("moonraker-component", "ratos_flash.py"));
        var macros = MacroHeader().Split(config)[1..].Chunk(2).ToDictionary(part => part[0], part => part[1]);
        return new()
        {
            ["agent"] = MoonrakerConnection.AgentName,
            ["remoteMethods"] = Array(RemoteMethods.All),
            ["macros"] = new JsonObject(macros.OrderBy(macro => macro.Key, StringComparer.Ordinal).Select(macro => KeyValuePair.Create(
                macro.Key, (JsonNode?)Array(Parameter().Matches(macro.Value).Select(match => match.Groups[1].Value + match.Groups[2].Value).Distinct())))),
            ["macroVariables"] = Array(Variable().Matches(config).Select(match => match.Groups[1].Value)),
            ["macroArguments"] = Array(Argument().Matches(config).SelectMany(match => match.Groups[2].Captures.Select(name => $"{match.Groups[1].Value} {name.Value}"))),
            ["endpoints"] = Array(Endpoint().Matches(component).Select(match => match.Groups[1].Value)),
            ["consoleAction"] = AfterUpdate.Action,
        };
    }

    // ---- recordings and files

    /// <summary>Channel and verb of each line, as today's program writes them. In a recording a port's name stands for <c>PORT</c>, a handle's for <c>h</c>.</summary>
    private static JsonObject RecordingWords()
    {
        var fault = new FlashException("code", "cause", "remedy");
        var recorded = new[] { "octopus", "octopus-katapult", "can-bridge", "uart-rom", "h2-hub-power", "card-in-computer" }.Select(scenario => Flights.Flight.Record(scenario).Bytes)
            .Append(Flights.Flight.Record("octopus", new Faultiness { Transfers = [new(60, TransferFaultKind.Unplug, TimeSpan.FromSeconds(5))], HangsAt = 90 }).Bytes)
            .Append(Flights.Flight.Record("octopus", onEvent: (recorder, step) =>
            {
                if (step is not { Phase: FlashPhase.Enter, Kind: FlashEventKind.Begin })
                    return;
                recorder.Built("octopus", null, fault);
                recorder.Cancel();
            }).Bytes);
        var lines = recorded.SelectMany(bytes => Text(bytes).Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1)).ToList();
        return new()
        {
            ["firstLine"] = $"{FlightRecorder.Magic} {FlightRecorder.FormatVersion}",
            ["verbs"] = Array(lines.Select(line => line.Split(' ')).Select(words => $"{ChannelOf(words[1])} {words[2]}").Distinct()),
            ["answers"] = Array(lines.Where(line => line.Contains(" = ", StringComparison.Ordinal)).Select(line => line.Split(" = ")[1].Split(' ')[0]).Distinct()),
            ["activity"] = Array(Enum.GetNames<KlippyActivity>()),
            ["bootloader"] = Array(Enum.GetNames<BootloaderKind>()),
            ["canState"] = Array(Enum.GetNames<CanBusState>()),
            ["condition"] = Array(Enum.GetNames<BoardCondition>()),
            ["kind"] = Array(Enum.GetNames<FlashEventKind>()),
            ["phase"] = Array(Enum.GetNames<FlashPhase>()),
            ["usbStatus"] = Array(Enum.GetNames<UsbStatus>()),
        };
    }

    private static string ChannelOf(string channel) =>
        Handle().IsMatch(channel) ? "h" : channel.Contains('#', StringComparison.Ordinal) ? "PORT#N" : char.IsDigit(channel[0]) ? "PORT" : channel;

    private static IEnumerable<string> FileNames()
    {
        var data = new DataFolder("/p");
        foreach (var property in typeof(DataFolder).GetProperties().Where(property => property.PropertyType == typeof(string) && property.GetValue(data) is string path && path.StartsWith("/p/", StringComparison.Ordinal)))
            yield return ((string)property.GetValue(data)!)[3..];
        yield return "ratos-flash/jobs/DATE-JOB/" + Journal.FileName;
        yield return "ratos-flash/jobs/DATE-JOB/" + RatOS.Flash.Agent.Flight.PlanName;
        yield return "ratos-flash/jobs/DATE-JOB/" + RatOS.Flash.Agent.Flight.RecordingName;
        yield return "ratos-flash/configs/" + Path.GetFileName(RatOS.Flash.Builds.Menuconfig.FileOf("/", "BOARD"));
        yield return "BUNDLE.zip/" + BundleFile.RecordingName;
    }

    // ---- helpers

    private static JsonArray Array(IEnumerable<string> names, bool isSorted = true) => new([.. (isSorted ? names.Order(StringComparer.Ordinal) : names).Select(name => (JsonNode)name)]);

    private static string Read(params string[] path) => System.IO.File.ReadAllText(Path.Combine([TidyTests.Root, .. path]));

    private static string Text(byte[] bytes) => System.Text.Encoding.UTF8.GetString(bytes);

    private static IEnumerable<string> InSource(string pattern) =>
        TidyTests.Sources().SelectMany(file => Regex.Matches(System.IO.File.ReadAllText(file), pattern, RegexOptions.None, TimeSpan.FromSeconds(10)))
            .SelectMany(match => match.Groups.Values.Skip(1).SelectMany(group => group.Captures)).Select(capture => capture.Value).Distinct();

    /// <summary>One line for each leaf, so that a difference names just what differs.</summary>
    private static List<string> Lines(JsonNode node, string path = "") => node switch
    {
        JsonObject members => [.. members.SelectMany(member => Lines(member.Value!, path.Length == 0 ? member.Key : $"{path} > {member.Key}")), .. members.Count == 0 ? (string[])[path] : []],
        JsonArray items => [.. items.SelectMany(item => Lines(item!, path)), .. items.Count == 0 ? (string[])[path] : []],
        _ => [$"{path} > {node}"],
    };

    [GeneratedRegex(@"^\[gcode_macro (\w+)\]", RegexOptions.Multiline)]
    private static partial Regex MacroHeader();

    [GeneratedRegex("""params(?:\.([A-Z]+)|\["([A-Z]+)"\])""")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"^variable_(\w+):", RegexOptions.Multiline)]
    private static partial Regex Variable();

    [GeneratedRegex("""action_call_remote_method\("(\w+)"(?:, (\w+)=\w+)*\)""")]
    private static partial Regex Argument();

    [GeneratedRegex("""register_endpoint\("([^"]+)", RequestType\.(\w+)""")]
    private static partial Regex Endpoint();

    [GeneratedRegex(@"^h\d+$")]
    private static partial Regex Handle();
}
