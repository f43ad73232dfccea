using System.Text;
using System.Text.Json.Nodes;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>The virtual Moonraker without sockets, on virtual time: behaviour that is not recorded.</summary>
public sealed class MoonrakerTests
{
    private const string Alive = "SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=alive VALUE=1";

    /// <summary>A client without a socket.</summary>
    private sealed class Client
    {
        private readonly VirtualMoonraker _moonraker;
        private readonly Dictionary<int, TaskCompletionSource<JsonObject>> _asked = [];
        private readonly MoonrakerClient _connection;

        public Client(VirtualMoonraker moonraker)
        {
            _moonraker = moonraker;
            _connection = moonraker.Connect(Hear, _ => Close(), isTrusted: true);
        }

        public List<JsonObject> Received { get; } = [];

        public List<string> Lines =>
            [.. Received.Select(text =>
                text["params"] is { } parameters ? $"{text["method"]} {parameters.ToJsonString()}" : $"{text["method"]}")
            .Where(text => !text.StartsWith("notify_proc_stat_update", StringComparison.Ordinal))];

        public void Close() => _moonraker.Disconnect(_connection);

        public async Task<JsonNode?> AskAsync(string method, string parameters = "{}")
        {
            var id = _asked.Count + 1;
            var answered = _asked[id] = new TaskCompletionSource<JsonObject>();
            _ = _moonraker.ReceiveAsync(_connection,
                Encoding.UTF8.GetBytes($$"""{"jsonrpc":"2.0","method":"{{method}}","params":{{parameters}},"id":{{id}} }"""));
            var answer = await answered.Task;
            return answer["error"] is { } error ? $"{error["code"]} {error["message"]}" : answer["result"];
        }

        public async Task BecomeAgentAsync(params string[] methods)
        {
            await AskAsync("server.connection.identify", """{"client_name":"ratos_flash","version":"0.1.0","type":"agent","url":"u"}""");
            foreach (var method in methods)
                Assert.Equal("ok", (string?)await AskAsync("connection.register_remote_method", $$"""{"method_name":"{{method}}"}"""));
        }

        private void Hear(ReadOnlyMemory<byte> utf8)
        {
            var text = JsonNode.Parse(utf8.Span)!.AsObject();
            if (text.ContainsKey("method"))
                Received.Add(text);
            else
                _asked[(int)text["id"]!].SetResult(text);
        }
    }

    private static void With(Func<VirtualMoonraker, VirtualPrinter, Task> story, string scenario = "octopus",
        MoonrakerSetup? setup = null) => VirtualTime.Run(async time =>
    {
        var printer = VirtualPrinter.Create(scenario, time);
        await using var moonraker = VirtualMoonraker.Start(printer, setup ?? new MoonrakerSetup());
        await story(moonraker, printer);
    });

    private static Task PassAsync(VirtualPrinter printer, double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), printer.Time);

    [Theory]
    [InlineData("FLASH_MCU BOARD=octopus", """{"board":"octopus","force":0,"hot":0,"sd_card":0,"ask":0,"printing":0}""")]
    [InlineData("flash_mcu mcu=EBB42 hot=1", """{"board":"ebb42","force":0,"hot":1,"sd_card":0,"ask":0,"printing":0}""")]
    [InlineData("FLASH_MCU", """{"board":"all","force":0,"hot":0,"sd_card":0,"ask":1,"printing":0}""")]
    [InlineData("FLASH_MCU BOARD=octopus CARD=1", """{"board":"octopus","force":0,"hot":0,"sd_card":1,"ask":0,"printing":0}""")]
    [InlineData("FLASH_MCU FORCE=yes HOT=1.9", """{"board":"all","force":0,"hot":1,"sd_card":0,"ask":1,"printing":0}""")]
    [InlineData("FLASH_MCU BOARD=\"my board\" ; a comment", """{"board":"my board","force":0,"hot":0,"sd_card":0,"ask":0,"printing":0}""")]
    [InlineData("FLASH_MCU BOARD='a;b' UNKNOWN=1", """{"board":"a;b","force":0,"hot":0,"sd_card":0,"ask":0,"printing":0}""")]
    [InlineData("FLASH_MCU BOARD=../../etc", """{"board":"../../etc","force":0,"hot":0,"sd_card":0,"ask":0,"printing":0}""")]
    public void A_macro_calls_the_agent(string script, string arguments) => With(async (moonraker, _) =>
    {
        var agent = new Client(moonraker);
        await agent.BecomeAgentAsync("ratos_flash_mcu", "ratos_flash_status", "ratos_flash_cancel");
        await moonraker.RunGcodeAsync(Alive);
        Assert.Equal((0, "ok"), await moonraker.RunGcodeAsync(script) is var (code, message) ? (code, message) : default);
        Assert.Equal([$"ratos_flash_mcu {arguments}"], agent.Lines);
        await moonraker.RunGcodeAsync("FLASH_STATUS\nFLASH_CANCEL");
        Assert.Equal(["ratos_flash_status", "ratos_flash_cancel"], agent.Lines.Skip(1));
    });

    [Theory]
    [InlineData("FLASH_MCU BOARD=it's")]
    [InlineData("FLASH_MCU octopus")]
    [InlineData("FLASH_MCU BOARD=\"octopus")]
    [InlineData("FLASH_MCU BOARD=x\\")]
    public void A_malformed_macro_call_reaches_no_agent(string script) => With(async (moonraker, _) =>
    {
        var agent = new Client(moonraker);
        await agent.BecomeAgentAsync("ratos_flash_mcu");
        await moonraker.RunGcodeAsync(Alive);
        Assert.Equal(new GcodeResult(400, $"Malformed command '{script}'"), await moonraker.RunGcodeAsync(script));
        Assert.Equal([$"!! Malformed command '{script}'"], moonraker.Console);
        Assert.DoesNotContain(agent.Lines, text => text.StartsWith("ratos_flash", StringComparison.Ordinal));
    });

    [Fact]
    public void Ten_thousand_characters_arrive_unchanged() => With(async (moonraker, _) =>
    {
        var agent = new Client(moonraker);
        await agent.BecomeAgentAsync("ratos_flash_mcu");
        await moonraker.RunGcodeAsync($"{Alive}\nFLASH_MCU BOARD={new string('x', 10_000)}");
        Assert.Equal(new string('x', 10_000), (string?)agent.Received[^1]["params"]!["board"]);
    });

    [Fact]
    public void The_macro_is_disabled_again_after_each_start_of_Klipper() => With(async (moonraker, printer) =>
    {
        var agent = new Client(moonraker);
        await agent.BecomeAgentAsync("ratos_flash_mcu");
        await moonraker.RunGcodeAsync(Alive);
        await agent.AskAsync("printer.restart");
        await PassAsync(printer, 15);   // before, the agent may still be about to notice
        var refused = await moonraker.RunGcodeAsync("FLASH_MCU");
        Assert.Equal(400, refused.Code);
        Assert.StartsWith("Error evaluating 'gcode_macro FLASH_MCU:gcode': gcode.CommandError: FLASH_MCU: ", refused.Message,
            StringComparison.Ordinal);
        Assert.Equal($"!! {refused.Message.TrimEnd()}", moonraker.Console[^1]);
        await moonraker.RunGcodeAsync($"{Alive}\nFLASH_MCU");   // Moonraker has registered the method again
        Assert.Equal("ratos_flash_mcu", (string?)agent.Received[^1]["method"]);
    });

    [Fact]
    public void A_call_of_a_disconnected_agent_is_ignored() => With(async (moonraker, _) =>
    {
        var agent = new Client(moonraker);
        await agent.BecomeAgentAsync("ratos_flash_mcu");
        agent.Close();
        Assert.True((await moonraker.RunGcodeAsync($"{Alive}\nFLASH_MCU\nFLASH_STATUS")).IsOk);
        Assert.DoesNotContain(agent.Lines, text => text.StartsWith("ratos_flash", StringComparison.Ordinal));
    });

    [Fact]
    public void Boards_of_another_version_are_named_in_the_error_until_they_are_flashed() =>
        With(async (moonraker, printer) =>
    {
        var client = new Client(moonraker);
        printer.Klippy.ProtocolDiffers = true;
        var text = (string)(await client.AskAsync("printer.info"))!["state_message"]!;
        Assert.Contains(
            "MCU(s) which should be updated:\nmcu: Current version v0.12.0-10-g1f2a9e1c\nebb42: Current version v0.12.0-10-g1f2a9e1c\n",
            text, StringComparison.Ordinal);
        Assert.Contains("Up-to-date MCU(s):\n<none>\n", text, StringComparison.Ordinal);
        foreach (var board in printer.Boards)
        {
            board.Flash.Preset(board.ApplicationStart, board.BuildFirmware());
            board.PressReset();
        }
        await PassAsync(printer, 5);
        await client.AskAsync("printer.restart");
        await PassAsync(printer, 5);
        Assert.Equal("ready", (string?)(await client.AskAsync("server.info"))!["klippy_state"]);
        var versions =
            (await client.AskAsync("printer.objects.query",
                """{"objects":{"mcu":["mcu_version"],"mcu ebb42":["mcu_version"],"mcu octopus-pro":["mcu_version"]}}"""))!["status"]!;
        Assert.All(versions.AsObject(), mcu => Assert.Equal(VirtualPrinter.HostVersion, (string?)mcu.Value!["mcu_version"]));
    }, "voron");

    [Fact]
    public void An_unplugged_board_is_missed_after_some_seconds() => With(async (moonraker, printer) =>
    {
        var client = new Client(moonraker);
        printer.Boards[0].Unplug();
        await PassAsync(printer, 3);
        Assert.Equal("ready", (string?)(await client.AskAsync("printer.info"))!["state"]);
        await PassAsync(printer, 2);
        Assert.Equal(["""notify_gcode_response ["// Klipper state: Shutdown"]""", "notify_klippy_shutdown"], client.Lines);
        Assert.StartsWith("Lost communication with MCU 'mcu'\nOnce the underlying issue",
            (string)(await client.AskAsync("printer.info"))!["state_message"]!, StringComparison.Ordinal);
        client.Received.Clear();
        Assert.Equal("ok", (string?)await client.AskAsync("printer.firmware_restart"));
        await PassAsync(printer, 30);
        // It ends in error, without a notification.
        Assert.Equal(["""notify_gcode_response ["// Klipper state: Disconnect"]""", "notify_klippy_disconnected"], client.Lines);
        Assert.Equal("error", (string?)(await client.AskAsync("server.info"))!["klippy_state"]);
    });

    [Fact]
    public void Service_jobs_run_one_after_the_other() => With(async (moonraker, printer) =>
    {
        var client = new Client(moonraker);
        foreach (var action in new[] { "stop", "start", "stop", "restart", "stop" })
            Assert.Equal("ok", (string?)await client.AskAsync($"machine.services.{action}", """{"service":"klipper"}"""));
        await PassAsync(printer, 10);
        Assert.Equal("inactive",
            (string?)(await client.AskAsync("machine.system_info"))!["system_info"]!["service_state"]!["klipper"]!["active_state"]);
        Assert.Equal((false, 3), (printer.Klippy.IsRunning, printer.Klippy.Stops));
        Assert.Equal("400 Service 'klipper-1' not installed",
            (string?)await client.AskAsync("machine.services.stop", """{"service":"klipper-1"}"""));
        Assert.Equal("400 Service 'ratos-flash' not installed",
            (string?)await client.AskAsync("machine.services.restart", """{"service":"ratos-flash"}"""));
    });

    [Fact]
    public void A_service_that_will_not_stop_is_answered_with_ok_too() => With(async (moonraker, printer) =>
    {
        var client = new Client(moonraker);
        printer.Klippy.WillNotStop = "a job is stuck";
        Assert.Equal("ok", (string?)await client.AskAsync("machine.services.stop", """{"service":"klipper"}"""));
        await PassAsync(printer, 60);
        Assert.Equal("ready", (string?)(await client.AskAsync("server.info"))!["klippy_state"]);
    });

    [Fact]
    public void Changes_are_notified_to_subscribers() => With(async (moonraker, printer) =>
    {
        var (client, other) = (new Client(moonraker), new Client(moonraker));
        await client.AskAsync("printer.objects.subscribe",
            """{"objects":{"print_stats":["state"],"idle_timeout":["state"],"extruder":null,"heater_bed":["target"]}}""");
        moonraker.Print.PrintState = "printing";
        moonraker.Print.Heaters["extruder"] = (180.5, 200);
        await PassAsync(printer, 1);
        Assert.Equal("""{"print_stats":{"state":"printing"},"extruder":{"temperature":180.5,"target":200,"power":1}}""",
            client.Received.Last(text => (string)text["method"]! == "notify_status_update")["params"]![0]!.ToJsonString());
        var script = moonraker.RunGcodeAsync("TURN_OFF_HEATERS\nG4 P2000");
        await PassAsync(printer, 1);
        Assert.Equal("Printing",
            (string?)(await client.AskAsync("printer.objects.query",
                """{"objects":{"idle_timeout":["state"]}}"""))!["status"]!["idle_timeout"]!["state"]);
        await script;
        Assert.Equal("Idle",
            (string?)(await client.AskAsync("printer.objects.query",
                """{"objects":{"idle_timeout":["state"]}}"""))!["status"]!["idle_timeout"]!["state"]);
        Assert.Equal(0, moonraker.Print.Heaters["extruder"].Target);
        await PassAsync(printer, 1);
        Assert.Equal(3, client.Lines.Count);   // two more: the heater off and Printing in one, then Idle
        Assert.Empty(other.Lines);
    });

    [Theory]
    [InlineData("voron", "mcu", "serial", "/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00")]
    [InlineData("voron", "mcu ebb42", "serial", "/dev/serial/by-id/usb-Klipper_stm32g0b1xx_btt-ebb42-12-if00")]
    [InlineData("two-octopuses", "mcu octopus-2", "serial", "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0")]
    [InlineData("uart-katapult", "mcu", "serial", "/dev/ttyAMA0")]
    [InlineData("can-toolhead", "mcu", "canbus_uuid", null)]
    public void The_configuration_names_the_port_of_each_board(string scenario, string section, string option, string? value) =>
        With(async (moonraker, printer) =>
    {
        var client = new Client(moonraker);
        var file = (await client.AskAsync("printer.objects.query", """{"objects":{"configfile":null}}"""))!["status"]!["configfile"]!;
        value ??= printer.PrinterBoards[0].CanUuid.ToString();
        Assert.Equal((value, value), ((string?)file["settings"]![section]![option], (string?)file["config"]![section]![option]));
    }, scenario);

    [Fact]
    public void A_restart_ends_a_script_that_runs() => With(async (moonraker, printer) =>
    {
        var script = moonraker.RunGcodeAsync("G4 P60000\nM118 never");
        var behind = moonraker.RunGcodeAsync("M118 nor this");
        await PassAsync(printer, 1);
        await printer.Klippy.StopAsync(CancellationToken.None);
        Assert.Equal((503, 503), ((await script).Code, (await behind).Code));
        Assert.Empty(moonraker.Console);
        Assert.Equal(new GcodeResult(503, "Klippy Host not connected"), await moonraker.RunGcodeAsync("M118 x"));
    });

    [Fact]
    public void The_component_shows_lines_in_the_dialog_and_on_the_console() => With(async (moonraker, _) =>
    {
        var (agent, screen) = (new Client(moonraker), new Client(moonraker));
        Assert.Equal(
            """{"api":1,"dialog":true,"announcements":true,"page":true,"frame_origins":[]}""",
            (await agent.AskAsync("server.ratos_flash.info"))!.ToJsonString());
        Assert.Equal("""{"shown":true}""",
            (await agent.AskAsync("server.ratos_flash.show",
                """{"job":"1","title":"octopus","dialog":["a <b> & \"c\"'s"],"console":["// writing","!! no"]}"""))!.ToJsonString());
        Assert.Equal("""{"shown":true}""",
            (await agent.AskAsync("server.ratos_flash.show",
                """{"job":"1","title":"octopus: OK","dialog":["done"],"complete":true}"""))!.ToJsonString());
        // A status that is busy opens Fluidd's dialog; the completing message comes alone, as Fluidd drops its text.
        Assert.Equal("notify_update_refreshed", (string?)screen.Received[0]["method"]);
        Assert.True((bool)screen.Received[0]["params"]![0]!["busy"]!);
        var place = ",\"proc_id\":" + (long)screen.Received[1]["params"]![0]!["proc_id"]! + ",\"complete\":";
        Assert.Equal(
        [
            $$"""notify_update_response [{"message":"a ‹b> &amp; "c"'s","application":"firmware of octopus"{{place}}false}]""",
            """notify_gcode_response ["// writing"]""",
            """notify_gcode_response ["!! no"]""",
            $$"""notify_update_response [{"message":"done","application":"firmware of octopus: OK"{{place}}false}]""",
            $$"""notify_update_response [{"message":"","application":"firmware of octopus: OK"{{place}}true}]""",
        ], screen.Lines.Skip(1).Select(System.Text.RegularExpressions.Regex.Unescape));
        Assert.Equal(["a <b> & \"c\"'s", "done", "(complete)"], moonraker.Dialog);
        Assert.Equal(["// writing", "!! no"], moonraker.Console);
        Assert.StartsWith("400 ", (string?)await agent.AskAsync("server.ratos_flash.show", """{"job":"1","console":["plain"]}"""),
            StringComparison.Ordinal);
        Assert.StartsWith("400 ", (string?)await agent.AskAsync("server.ratos_flash.show", """{"job":"1","dialog":"a"}"""),
            StringComparison.Ordinal);
    });

    [Fact]
    public void A_dialog_is_completed_when_its_agent_disconnects_or_Moonraker_restarts() => With(async (moonraker, printer) =>
    {
        var (agent, screen) = (new Client(moonraker), new Client(moonraker));
        await printer.Klippy.StopAsync(CancellationToken.None);   // it shows in any state of Klipper
        await agent.AskAsync("server.ratos_flash.show", """{"job":"1","dialog":["writing"],"console":["// writing"]}""");
        agent.Close();
        await Task.Delay(TimeSpan.FromSeconds(9.9), printer.Time);   // it may reconnect
        Assert.DoesNotContain(screen.Lines, told => told.Contains("\"complete\":true", StringComparison.Ordinal));
        await Task.Delay(TimeSpan.FromSeconds(0.2), printer.Time);
        Assert.Contains("RatOS.Flash is not running", screen.Lines[^2], StringComparison.Ordinal);
        Assert.Contains("\"complete\":true", screen.Lines[^1], StringComparison.Ordinal);
        var second = new Client(moonraker);
        await second.AskAsync("server.ratos_flash.show", """{"job":"2","dialog":["again"]}""");
        await moonraker.RestartAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(
            ["writing", "RatOS.Flash is not running", "(complete)", "again", "Moonraker is stopping", "(complete)"],
            moonraker.Dialog.Select(line => line.Split('.')[0] is "RatOS" ? "RatOS.Flash is not running" : line.Split('.')[0]));
        Assert.Equal(["// writing"], moonraker.Console);
    });

    [Fact]
    public void An_announcement_is_made_and_dismissed() => With(async (moonraker, _) =>
    {
        var client = new Client(moonraker);
        await client.AskAsync("server.ratos_flash.announce", """{"title":"2 boards need new firmware","description":"octopus, ebb42"}""");
        var entry = client.Received[^1]["params"]![0]!["entries"]![0]!;
        Assert.Equal(("2 boards need new firmware", "octopus, ebb42", false),
            ((string?)entry["title"], (string?)entry["description"], (bool)entry["dismissed"]!));
        await client.AskAsync("server.ratos_flash.announce", """{"dismiss":true}""");
        Assert.Equal($$"""notify_announcement_dismissed [{"entry_id":"{{entry["entry_id"]}}"}]""", client.Lines[^1]);
    });

    [Fact]
    public void Methods_of_components_that_are_not_loaded_are_not_found() => With(async (moonraker, _) =>
    {
        var client = new Client(moonraker);
        foreach (var method in new[] { "server.ratos_flash.info", "server.ratos_flash.show", "server.ratos_flash.announce",
                "machine.update.status", "printer.print.start", "ratos_flash_mcu" })
            Assert.Equal("-32601 Method not found", (string?)await client.AskAsync(method));
        Assert.DoesNotContain("update_manager", (await client.AskAsync("server.info"))!["components"]!.ToJsonString(),
            StringComparison.Ordinal);
    }, setup: new MoonrakerSetup { HasComponent = false, HasUpdateManager = false });

    [Fact]
    public void Without_update_manager_nothing_goes_to_the_dialog() => With(async (moonraker, _) =>
    {
        var (agent, screen) = (new Client(moonraker), new Client(moonraker));
        Assert.False((bool)(await agent.AskAsync("server.ratos_flash.info"))!["dialog"]!);
        await agent.AskAsync("server.ratos_flash.show", """{"job":"1","dialog":["writing"],"console":["// writing"],"complete":true}""");
        Assert.Equal("""notify_gcode_response ["// writing"]""", Assert.Single(screen.Lines));
        Assert.Empty(moonraker.Dialog);
    }, setup: new MoonrakerSetup { HasUpdateManager = false });

    [Fact]
    public void A_running_update_is_visible_in_the_status() => With(async (moonraker, _) =>
    {
        var client = new Client(moonraker);
        Assert.False((bool)(await client.AskAsync("machine.update.status"))!["busy"]!);
        moonraker.UpdateBusy = "klipper";
        Assert.True((bool)(await client.AskAsync("machine.update.status"))!["busy"]!);
    });
}
