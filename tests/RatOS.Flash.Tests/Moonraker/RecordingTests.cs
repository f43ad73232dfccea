using System.Text.Json.Nodes;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>Recorded conversations with the real Moonraker, both versions: the virtual one answers the same.</summary>
public sealed class RecordingTests
{
    private const string Host = "v0.13.0-1-g3b3fb98", OldHost = "v0.12.0-1-gbbad17d", Stale = "v0.12.0-0-g98ec63a",
        VirtualStale = "v0.12.0-10-g1f2a9e1c";
    private const string Key = "00112233445566778899aabbccddeeff";

    private static readonly BoardSetup Board =
        new("mcu", "btt-octopus-11", VirtualChip.F446, 0x0800_8000, "1-1.1") { Version = VirtualPrinter.HostVersion };

    [Theory]
    [InlineData("01_server_info")]
    [InlineData("02_identify")]
    [InlineData("03_register_remote_method")]
    [InlineData("04_macro_calls_agent")]
    [InlineData("04b_reserved_names")]
    [InlineData("05_agent_absent")]
    [InlineData("07_agent_events")]
    [InlineData("08_extensions_request")]
    [InlineData("09_objects")]
    [InlineData("10_gcode_script_respond")]
    [InlineData("11_restart_ordering", 102)]   // then klippy is killed, which the service manager does not do
    [InlineData("12_services", 60)]          // then other services
    [InlineData("15_database", 22)]          // then data of other parts of Moonraker
    [InlineData("19_moonraker_restart")]
    [InlineData("24_macro_raise_error")]
    [InlineData("v0.9.3/01_server_info")]
    [InlineData("v0.9.3/02_identify")]
    [InlineData("v0.9.3/03_register_remote_method")]
    [InlineData("v0.9.3/04_macro_calls_agent")]
    [InlineData("v0.9.3/04b_reserved_names")]
    [InlineData("v0.9.3/05_agent_absent")]
    [InlineData("v0.9.3/07_agent_events")]
    [InlineData("v0.9.3/08_extensions_request")]
    [InlineData("v0.9.3/10_gcode_script_respond")]
    [InlineData("v0.9.3/11_restart_ordering", 102)]
    public void It_answers_as_the_real_one(string name, int lines = int.MaxValue) => VirtualTime.Run(async time =>
    {
        await using var moonraker = Start(time, name, Board);
        // In this one Moonraker has just been restarted.
        if (name == "04_macro_calls_agent")
        {
            await moonraker.RestartAsync(TimeSpan.Zero);
            await Task.Delay(TimeSpan.FromSeconds(0.9), time);
        }
        // The recording before these had set it.
        if (name.EndsWith("10_gcode_script_respond", StringComparison.Ordinal))
            await moonraker.RunGcodeAsync("SET_GCODE_VARIABLE MACRO=FLASH_MCU_CHECKED VARIABLE=alive VALUE=1");
        await ReplayAsync(name, new RecordedConversation(moonraker, time) { Lines = lines, Without = ["server.gcode_store"] });
    });

    [Theory]
    [InlineData("06_klippy_not_ready")]
    [InlineData("v0.9.3/06_klippy_not_ready")]
    public void It_answers_as_the_real_one_while_Klipper_refuses_a_board(string name) => VirtualTime.Run(async time =>
    {
        await using var moonraker = Start(
            time, name, Board with { Version = VirtualStale }, printer => printer.Klippy.ProtocolDiffers = true);
        var board = moonraker.Printer.Boards[0];
        await ReplayAsync(name, new RecordedConversation(moonraker, time)
        {
            Noted = note =>
            {
                if (!note.StartsWith("now 'flash' the MCU", StringComparison.Ordinal))
                    return;
                board.Flash.Preset(board.ApplicationStart, board.BuildFirmware());
                board.PressReset();
                time.Schedule(TimeSpan.Zero, () => board.SettleNow());
            },
        });
    });

    [Fact]
    public void It_answers_untrusted_clients_as_the_real_one() => VirtualTime.Run(async time =>
    {
        const string name = "20_auth";
        await using var moonraker = Start(time, name, Board, key: Key);
        // Then the unix socket is closed without a note.
        await ReplayAsync(
            name, new RecordedConversation(moonraker, time)
            {
                Lines = 43,
                Deaf = ["uds"],
                Untrusted = [
                "ws_untrusted", "ws_badkey", "ws_key"]
            });
    });

    private static VirtualMoonraker Start(
        VirtualTime time, string name, BoardSetup board, Action<VirtualPrinter>? prepare = null, string? key = null)
    {
        var printer = VirtualPrinter.Create(new Scenario("recorded", "the recorded printer", board), time);
        prepare?.Invoke(printer);
        var isOld = name.StartsWith("v0.9.3", StringComparison.Ordinal);
        var moonraker = VirtualMoonraker.Start(
            printer, new MoonrakerSetup { IsOld = isOld, ApiKey = key, HasComponent = false, HasUpdateManager = false });
        foreach (var macro in Macros())
            moonraker.Klipper.Macros[macro.Name] = macro;
        return moonraker;
    }

    private static async Task ReplayAsync(string name, RecordedConversation recording)
    {
        recording.Versions[name.StartsWith("v0.9.3", StringComparison.Ordinal) ? OldHost : Host] = VirtualPrinter.HostVersion;
        recording.Versions[Stale] = VirtualStale;
        await recording.TellAsync(Path.Combine(AppContext.BaseDirectory, "Recordings", "moonraker", $"{name}.jsonl"));
    }

    /// <summary>The macros of the recorded printer (transcript 09, configfile).</summary>
    private static IEnumerable<GcodeMacro> Macros() =>
    [
        new(
            "FLASH_MCU",
            context => Call(context,
                new JsonObject { ["board"] = (context.Parameter("BOARD") ?? "all").ToLowerInvariant(),
                    ["force"] = context.Integer("FORCE") })),
        new("CALL_KEY", context => Call(context, new JsonObject { [context.Parameter("K")!.ToLowerInvariant()] = "v" })),
        new("CALL_TYPES", context => Call(context, new JsonObject
        {
            ["raw_param"] = context.Parameter("X") ?? "3",
            ["as_int"] = context.Integer("X"),
            ["as_float"] = 1.5,
            ["flag"] = true,
            ["nothing"] = null,
            ["lst"] = new JsonArray(1, "a"),
            ["dct"] = new JsonObject { ["k"] = 2 },
            ["all"] = new JsonObject(
                context.Parameters.Select(parameter => KeyValuePair.Create(parameter.Key, (JsonNode?)parameter.Value))),
            ["rawparams"] = context.RawParameters,
        })),
        new("FLASH_MCU_CHECKED", context => context.Variable("FLASH_MCU_CHECKED", "alive") is null or 0
            ? throw new GcodeException("gcode.CommandError: FLASH_MCU: the flashing agent is not connected to Moonraker")
            : Call(context, new JsonObject { ["board"] = (context.Parameter("BOARD") ?? "all").ToLowerInvariant() }))
        {
            Beginning = new Dictionary<string, int>(StringComparer.Ordinal) { ["alive"] = 0 },
        },
        new("PROMPT_DEMO", _ => """
            RESPOND TYPE=command MSG="action:prompt_begin Flash octopus?"
            RESPOND TYPE=command MSG="action:prompt_text Installed v0.12.0, host v0.13.0"
            RESPOND TYPE=command MSG="action:prompt_button Flash|FLASH_MCU BOARD=octopus|primary"
            RESPOND TYPE=command MSG="action:prompt_footer_button Cancel|RESPOND TYPE=command MSG=action:prompt_end|error"
            RESPOND TYPE=command MSG="action:prompt_show"
            """),
    ];

    private static string Call(MacroContext context, JsonObject arguments)
    {
        context.CallRemote("flash_mcu", arguments);
        return "";
    }
}
