using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Odd answers of Moonraker, odd names and damaged files end neither the agent nor its next start.</summary>
public sealed class OddJsonStories
{
    private const string Mcus = """
        {"status": {"configfile": {"settings": {"mcu": {"serial": "/dev/serial/by-id/\ud800"}, "mcu T0": {"serial": "/dev/ttyT0"},
        "mcu t0": {"serial": "/dev/ttyt0", "baud": 1e300}}},
        "mcu T0": {"mcu_version": "v1\udc00"}, "mcu t0": {"mcu_version": 7, "mcu_constants": {"MCU": "\ud800"}}}}
        """;

    private static void Of(Action<RawMoonraker> setUp, Func<RawMoonraker, DataFolder, LogFile, VirtualTime, Task> tell)
    {
        var time = new VirtualTime { IsLive = true, Pace = 10 };
        time.Run(async () =>
        {
            var folder = Directory.CreateTempSubdirectory("rf-");
            var data = new DataFolder(folder.FullName);
            foreach (var name in (string[])["comms", "logs", "config"])
                Directory.CreateDirectory(Path.Combine(data.Root, name));
            using (var log = LogFile.Open(data.LogIfThere, static _ => { }))
            using (var moonraker = new RawMoonraker(data.Moonraker))
            {
                setUp(moonraker);
                var printer = VirtualPrinter.Create("octopus", time, InjectedFaults.None);
                using var agent = new FlashAgent(
                    PrinterAccess.Of(printer, new VirtualPlace("test", Path.Combine(data.Root, "v"), 0, null)), data,
                    new AgentSettings { Policy = FlashPolicy.Ask, KlipperService = "klipper" }, log);
                using var over = new CancellationTokenSource();
                var work = agent.RunAsync(static () => { }, over.Token);
                try
                {
                    await tell(moonraker, data, log, time);
                    Assert.False(work.IsCompleted, "the agent has ended");
                    using var client = AgentBoards.TryOpen(data)!;
                    Assert.True((await client.AskAsync("history")).Ok);
                }
                finally
                {
                    await over.CancelAsync();
                    await work;
                }
            }
            folder.Delete(recursive: true);
            return true;
        });
    }

    private static async Task UntilAsync(VirtualTime time, Func<bool> isTrue, string what)
    {
        for (var begin = time.Now; !isTrue(); await Task.Delay(TimeSpan.FromMilliseconds(50), time))
            Assert.True(time.Now - begin < TimeSpan.FromMinutes(10), $"never: {what}");
    }

    [Fact]
    public void Half_characters_and_names_that_differ_in_case_alone_are_taken() => Of(moonraker =>
    {
        moonraker.Results["server.info"] = """{"klippy_state": "ready", "\ud800": "\udfff"}""";
        moonraker.Results["printer.info"] = """{"state": "ready", "state_message": "\ud800", "software_version": "v0\ud800"}""";
        moonraker.Results["printer.objects.list"] = """{"objects": ["mcu", "mcu T0", "mcu t0", "mcu t0", "\ud800", 7]}""";
        moonraker.Results["printer.objects.query"] = Mcus;
    }, async (moonraker, data, _, time) =>
    {
        await UntilAsync(time, () => moonraker.Calls.Any(call => call == "printer.objects.query"), "Klipper is asked");
        using var client = AgentBoards.TryOpen(data)!;
        var rows = (await client.ListAsync()).Boards;
        Assert.Equal(
            [("mcu", null), ("mcu T0", null), ("mcu t0", "\ufffd")],
            rows.Where(row => row.Section is not null).Select(row => (row.Section!, row.Mcu)));
        Assert.Contains("v1\ufffd", await File.ReadAllTextAsync(data.Mcus), StringComparison.Ordinal);
    });

    [Fact]
    public void A_board_of_no_known_kind_is_named_by_its_pins_and_stays_so_without_Klipper() => Of(moonraker =>
    {
        moonraker.Results["server.info"] = """{"klippy_state": "ready"}""";
        moonraker.Results["printer.info"] = """{"state": "ready", "state_message": "", "software_version": "v0.13.0"}""";
        moonraker.Results["printer.objects.list"] = """{"objects": ["mcu", "mcu NHK"]}""";
        moonraker.Results["printer.objects.query"] = """
            {"status": {"configfile": {
                "settings": {"mcu": {"serial": "/dev/ttyT0"}, "mcu nhk": {"serial": "/dev/ttyT1"}},
                "config": {"mcu": {}, "mcu NHK": {}, "\ud800": {"pin": "\ud800"}, "fan": 7, "heater_fan x": {"pin": 7},
                    "extruder": {"step_pin": "NHK:gpio23", "dir_pin": "NHK:gpio24", "enable_pin": "!NHK:gpio25",
                        "heater_pin": "NHK:gpio9", "sensor_pin": "NHK:gpio29"},
                    "tmc2209 extruder": {"uart_pin": "NHK:gpio0"}, "adxl345": {"cs_pin": "NHK:gpio21"}}},
            "mcu": {}, "mcu NHK": {"mcu_version": "v0.12.0", "mcu_constants": {"MCU": "rp2040"}}}}
            """;
    }, async (moonraker, data, _, time) =>
    {
        await UntilAsync(time, () => moonraker.Calls.Any(call => call == "printer.objects.query"), "Klipper is asked");
        using var client = AgentBoards.TryOpen(data)!;
        await NamedAsync(client);
        Assert.Contains("Driver gpio23 gpio24 gpio25", await File.ReadAllTextAsync(data.Mcus), StringComparison.Ordinal);
        moonraker.Results["printer.objects.query"] = """{"status": {}}""";
        await NamedAsync(client);

        static async Task NamedAsync(AgentBoards client)
        {
            var row = (await client.ListAsync()).Boards.Single(row => row.Section == "mcu NHK");
            Assert.Equal("LDO Nitehawk SB", row.Description);
            Assert.Equal(("LDO Nitehawk SB", 1.0, "ldo-nitehawk-sb"),
                (row.KnownByPins!.Name, row.KnownByPins.Score, Assert.Single(row.KnownByPins.Configs)));
        }
    });

    [Fact]
    public void A_state_that_is_half_a_character_is_another_state() => Of(
        moonraker => moonraker.Results["server.info"] = """{"klippy_state": "\ud800"}""",
        async (moonraker, _, _, time) =>
            await UntilAsync(time, () => moonraker.Calls.Count(call => call == "server.info") > 2, "it asks again"));

    [Theory]
    [InlineData("{\"jsonrpc\": \"2.0\", \"id\": 7, \"method\": \"status\", \"params\": {\"arguments\": DEEP}}", true)]
    [InlineData("{\"jsonrpc\": \"2.0\", \"method\": \"notify_gcode_response\", \"params\": [\"\\ud800\"]}", false)]
    [InlineData("{\"jsonrpc\": \"2.0\", \"method\": \"notify_gcode_response\", \"params\": DEEP}", false)]
    [InlineData("{\"jsonrpc\": \"2.0\", \"id\": 7, \"method\": \"flash\", \"params\": {\"\\ud800\": \"\\udc00\"}}", true)]
    [InlineData("{\"jsonrpc\": \"2.0\", \"id\": 7, \"method\": \"flash\", \"params\": {\"when_idle\": DEEP}}", true)]
    [InlineData("nonsense", false)]
    [InlineData("[1, 2]", false)]
    [InlineData("", false)]
    [InlineData("LONG", false)]
    public void An_odd_message_is_passed_over_and_the_connection_stays(string message, bool isAnswered) => Of(
        static _ => { },
        async (moonraker, _, _, time) =>
    {
        await UntilAsync(time, () => moonraker.Calls.Contains("server.info"), "it is connected");
        await moonraker.SendAsync(message.Replace("DEEP", new string('[', 100) + new string(']', 100), StringComparison.Ordinal)
            .Replace("LONG", new string('x', 21 * 1024 * 1024), StringComparison.Ordinal));
        await moonraker.SendAsync("{\"jsonrpc\": \"2.0\", \"id\": 8, \"method\": \"history\"}");
        await UntilAsync(
            time, () => moonraker.Answers.Exists(answer => answer.Contains("\"id\":8", StringComparison.Ordinal)),
            "the next request is answered");
        if (isAnswered)
        {
            await UntilAsync(
                time, () => moonraker.Answers.Exists(answer => answer.Contains("\"id\":7", StringComparison.Ordinal)),
                "its client is not left waiting");
        }
        Assert.Equal(1, moonraker.Connections);
    });

    [Theory]
    [InlineData("{\"event\":\"step\",\"seq\":1,\"at\":1e300,\"phase\":\"erase\",\"kind\":\"begin\",\"message\":\"x\"}")]
    [InlineData("{\"event\":\"result\",\"ok\":true,\"exit\":0,\"elapsed\":1e300,\"boards\":[]}")]
    [InlineData("{\"event\":\"result\",\"ok\":true,\"exit\":0,\"elapsed\":1,\"boards\":[null]}")]
    [InlineData("{\"event\":\"result\",\"ok\":true,\"exit\":0,\"elapsed\":1,\"boards\":[{}]}")]
    [InlineData("{\"event\":\"verdict\",\"phase\":\"done\",\"kind\":\"verdict\",\"message\":\"x\",\"report\":{\"elapsed\":-1e300}}")]
    [InlineData("{\"event\":\"\\ud800\"}")]
    [InlineData("{\"\\ud800\":1}")]
    [InlineData("{\"event\":\"klipper\",\"service\":null,\"state\":\"stopping\"}")]
    public void A_damaged_line_of_a_journal_is_passed_over_at_the_start(string line) => Of(
        moonraker => { },
        async (_, data, _, _) =>
    {
        // The agent has started over an empty folder; a journal is read again with each history.
        var job = Directory.CreateDirectory(Path.Combine(data.Jobs, "20260101-000000-abcd")).FullName;
        await File.WriteAllTextAsync(Path.Combine(job, "journal.ndjson"),
            "{\"event\":\"job\",\"job\":\"abcd\",\"by\":\"request\",\"created\":\"2026-01-01T00:00:00Z\",\"boards\":[\"octopus\"],"
            + $"\"images\":{{}},\"version\":\"1\"}}\n{line}\n{{\"event\":\"result\",\"ok\":true,\"exit\":0,\"elapsed\":2,\"boards\":[]}}");
        using var client = AgentBoards.TryOpen(data)!;
        Assert.Equal("abcd", Assert.Single((await client.AskAsync("history")).Jobs!).Job);
        Assert.Single(Jobs.Journal.ReadAll(data.Jobs), record => record.Interrupted() is not null);
    });
}
