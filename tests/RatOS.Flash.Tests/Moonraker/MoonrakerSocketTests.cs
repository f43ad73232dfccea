using System.Text.Json.Nodes;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>The virtual Moonraker over real sockets, and their failures.</summary>
public sealed class MoonrakerSocketTests
{
    private static JsonObject Method(string name) => new() { ["method_name"] = name };

    private static JsonObject Script(string script) => new() { ["script"] = script };

    [Fact]
    public void A_macro_reaches_the_agent_on_the_unix_socket() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var agent = await stage.ConnectUnixAsync();
        await agent.IdentifyAsync();
        Assert.Equal("ok", (string?)await agent.ResultAsync("connection.register_remote_method", Method("ratos_flash_mcu")));
        await agent.ResultAsync("printer.gcode.script", Script("SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=settled VALUE=1"));
        Assert.Contains(
            "400 Error evaluating 'gcode_macro FLASH_MCU:gcode': gcode.CommandError: FLASH_MCU: ",
            await agent.ErrorAsync("printer.gcode.script", Script("FLASH_MCU BOARD=octopus")), StringComparison.Ordinal);
        await agent.ResultAsync("printer.gcode.script", Script("SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=alive VALUE=1"));
        Assert.Equal("ok", (string?)await agent.ResultAsync("printer.gcode.script", Script("FLASH_MCU BOARD=Octopus FORCE=1")));
        Assert.Equal(
            """{"board":"octopus","force":1,"hot":0,"sd_card":0,"ask":0,"printing":0}""", agent.Received[^1]["params"]!.ToJsonString());
        Assert.Equal("ratos_flash_mcu", (string?)agent.Received[^1]["method"]);
        Assert.Null(agent.Received[^1]["id"]);
    });

    [Fact]
    public void Klipper_is_stopped_and_started_by_the_service_manager_behind_the_answer() =>
        MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var agent = await stage.ConnectUnixAsync();
        await agent.ResultAsync("machine.services.stop", new JsonObject { ["service"] = "klipper" });
        Assert.True(stage.Printer.Klippy.IsRunning);
        await stage.WaitAsync(() => agent.Methods.Contains("notify_service_state_changed"));
        Assert.Equal(["notify_klippy_disconnected", "notify_service_state_changed"], agent.Methods);
        Assert.Equal("503 Klippy Host not connected", await agent.ErrorAsync("printer.info"));
        agent.Received.Clear();
        await agent.ResultAsync("machine.services.start", new JsonObject { ["service"] = "klipper" });
        await stage.WaitAsync(() => agent.Methods.Contains("notify_klippy_ready"));
        Assert.Equal(["notify_service_state_changed", "notify_klippy_ready"], agent.Methods);
    }, pace: 3);

    [Fact]
    public void A_websocket_sends_and_receives_the_same() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var agent = await stage.ConnectWebSocketAsync();
        using var frontend = await stage.ConnectWebSocketAsync();
        await agent.IdentifyAsync();
        await agent.ResultAsync("connection.send_event",
            new JsonObject { ["event"] = "progress", ["data"] = new JsonObject { ["done"] = 0.5 } });
        Assert.Equal(
            ["connected", "progress"], frontend.Received.Where(text => (string)text["method"]! == "notify_agent_event")
            .Select(text => (string)text["params"]![0]!["event"]!));
        Assert.Equal("""{"done":0.5}""", stage.Moonraker.AgentEvents.Single().GetRawText());
        Assert.Empty(agent.Methods);
        agent.Dispose();
        await stage.WaitAsync(() => frontend.Received[^1].ToJsonString().Contains("\"disconnected\"", StringComparison.Ordinal));
        await frontend.IdentifyAsync();   // the name is free again
        Assert.Equal(["server.connection.identify", "connection.send_event", "server.connection.identify"], stage.Moonraker.Calls);
    });

    [Fact]
    public void Every_client_gets_the_statistics_each_second() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var client = await stage.ConnectUnixAsync();
        var begin = stage.Time.Now;
        await stage.WaitAsync(() => client.Statistics >= 5);
        Assert.InRange((stage.Time.Now - begin).TotalSeconds, 3.5, 60);
    });

    [Fact]
    public void A_restart_closes_every_socket_refuses_for_a_while_and_forgets_all_clients() =>
        MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var web = await stage.ConnectWebSocketAsync();
        using var unix = await stage.ConnectUnixAsync();
        await web.IdentifyAsync();
        await web.ResultAsync("connection.register_remote_method", Method("ratos_flash_mcu"));
        var port = stage.Moonraker.Port;
        var restart = stage.Moonraker.RestartAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("1001 Server Shutdown", await web.Ended);
        await unix.Ended;
        await Assert.ThrowsAsync<System.Net.WebSockets.WebSocketException>(() => stage.ConnectWebSocketAsync());
        await Assert.ThrowsAnyAsync<System.Net.Sockets.SocketException>(stage.ConnectUnixAsync);
        await restart;
        Assert.Equal(port, stage.Moonraker.Port);
        using var again = await stage.ConnectUnixAsync();
        await Task.Delay(TimeSpan.FromSeconds(2), stage.Time);
        Assert.Equal("ready", (string?)(await again.ResultAsync("server.info"))!["klippy_state"]);
        await again.IdentifyAsync();
        await again.ResultAsync("connection.register_remote_method", Method("ratos_flash_mcu"));
    });

    [Theory]
    [InlineData("server.restart", null)]
    [InlineData("machine.services.restart", "moonraker")]
    public void It_restarts_on_request(string method, string? service) => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var web = await stage.ConnectWebSocketAsync();
        Assert.Equal("ok", (string?)await web.ResultAsync(method, service is null ? null : new JsonObject { ["service"] = service }));
        Assert.Equal("1001 Server Shutdown", await web.Ended);
        await Task.Delay(TimeSpan.FromSeconds(2), stage.Time);
        using var again = await stage.ConnectWebSocketAsync();
        Assert.Equal("ready", (string?)(await again.ResultAsync("server.info"))!["klippy_state"]);
    });

    [Fact]
    public void Dropped_connections_end_without_a_goodbye_and_new_ones_are_accepted() =>
        MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var web = await stage.ConnectWebSocketAsync();
        using var unix = await stage.ConnectUnixAsync();
        await web.ResultAsync("server.info");
        await unix.ResultAsync("server.info");
        stage.Moonraker.DropConnections();
        Assert.Equal(("", ""), (await web.Ended, await unix.Ended));
        using var again = await stage.ConnectWebSocketAsync();
        Assert.Equal(1, (int?)(await again.ResultAsync("server.info"))!["websocket_count"]);
    });

    [Fact]
    public void A_silent_Moonraker_accepts_requests_and_sends_nothing() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var client = await stage.ConnectUnixAsync();
        await client.ResultAsync("server.info");
        stage.Moonraker.IsSilent = true;
        await Task.Delay(TimeSpan.FromSeconds(5), stage.Time);   // notifications that were on their way
        var before = client.Statistics;
        var answer = client.AskAsync("machine.services.stop", new JsonObject { ["service"] = "klipper" });
        await Task.Delay(TimeSpan.FromSeconds(10), stage.Time);
        Assert.Equal(
            (false, 0, before, true), (answer.IsCompleted, client.Received.Count, client.Statistics, stage.Printer.Klippy.IsRunning));
        Assert.Equal("machine.services.stop", stage.Moonraker.Calls[^1]);
        stage.Moonraker.IsSilent = false;
        await client.ResultAsync("server.info");
    });

    [Fact]
    public void Slow_answers_delay_no_other_client() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var client = await stage.ConnectUnixAsync();
        stage.Moonraker.AnswerDelay = TimeSpan.FromSeconds(20);
        var (begin, first) = (stage.Time.Now, client.ResultAsync("server.info"));
        await stage.WaitAsync(() => stage.Moonraker.Calls.Count > 0);
        await Task.Delay(TimeSpan.FromSeconds(5), stage.Time);
        stage.Moonraker.AnswerDelay = TimeSpan.Zero;
        await client.ResultAsync("server.info");
        Assert.False(first.IsCompleted);
        await first;
        Assert.InRange((stage.Time.Now - begin).TotalSeconds, 20, 90);
    });

    [Fact]
    public void Without_the_right_key_every_method_is_refused() =>
        MoonrakerStage.With(new MoonrakerSetup { ApiKey = "right" }, async stage =>
    {
        var identity =
            new JsonObject
            {
                ["client_name"] = "ratos_flash",
                ["version"] = "0.1.0",
                ["type"] = "agent",
                ["url"] = "u",
                ["api_key"] = "wrong"
            };
        using var wrong = await stage.ConnectWebSocketAsync(key: "wrong");
        Assert.Equal("-32602 Unauthorized", await wrong.ErrorAsync("server.info"));
        Assert.Equal("-32602 Invalid API Key", await wrong.ErrorAsync("server.connection.identify", identity.DeepClone().AsObject()));
        identity["api_key"] = "right";
        await wrong.ResultAsync("server.connection.identify", identity);
        await wrong.ResultAsync("server.info");
        using var header = await stage.ConnectWebSocketAsync(key: "right");
        var token = (string)(await header.ResultAsync("access.oneshot_token"))!;
        using var once = await stage.ConnectWebSocketAsync($"?token={token}");
        await once.ResultAsync("server.info");
        using var twice = await stage.ConnectWebSocketAsync($"?token={token}");
        Assert.Equal("-32602 Unauthorized", await twice.ErrorAsync("server.info"));
        await Task.Delay(TimeSpan.FromSeconds(3), stage.Time);
        Assert.Equal((0, 0), (twice.Received.Count, twice.Statistics));   // and it gets no notifications
        using var unix = await stage.ConnectUnixAsync();
        Assert.Equal("right", (string?)await unix.ResultAsync("access.get_api_key"));
    }, pace: 4);

    [Theory]
    [InlineData(9 * 1024 * 1024, true)]
    [InlineData(11 * 1024 * 1024, false)]
    public void A_websocket_takes_messages_of_ten_mebibytes(int size, bool passes) =>
        MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var client = await stage.ConnectWebSocketAsync();
        await client.IdentifyAsync();
        await SendAndCheckAsync(client, size, passes);
    });

    [Theory]
    [InlineData(19 * 1024 * 1024, true)]
    [InlineData(21 * 1024 * 1024, false)]
    public void The_unix_socket_takes_texts_of_twenty_mebibytes(int size, bool passes) =>
        MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var client = await stage.ConnectUnixAsync();
        await client.IdentifyAsync();
        await SendAndCheckAsync(client, size, passes);
    });

    private static async Task SendAndCheckAsync(TestClient client, int size, bool passes)
    {
        var answer = AskAsync();
        if (passes)
            Assert.Equal("ok", (string?)(await answer)!["result"]);
        else
            Assert.Equal("", await client.Ended);

        async Task<JsonObject?> AskAsync()
        {
            try
            {
                return await client.AskAsync(
                    "connection.send_event", new JsonObject { ["event"] = "big", ["data"] = new string('x', size) });
            }
            catch (Exception end) when (end is IOException or System.Net.WebSockets.WebSocketException)
            {
                return null;   // it was closed while we sent
            }
        }
    }

    [Fact]
    public void A_client_that_does_not_read_delays_no_other_client() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var lazy = new System.Net.Sockets.Socket(
            System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        await lazy.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(stage.Socket));
        using var agent = await stage.ConnectUnixAsync();
        await agent.IdentifyAsync();
        Assert.Equal(2, (int?)(await agent.ResultAsync("server.info"))!["websocket_count"]);
        for (var i = 0; i < 10; i++)
            await SendAndCheckAsync(agent, 8 * 1024 * 1024, passes: true);
        Assert.Equal(1, (int?)(await agent.ResultAsync("server.info"))!["websocket_count"]);   // it was hung up
    });

    [Fact]
    public void Invalid_input_does_not_affect_other_clients() => MoonrakerStage.With(new MoonrakerSetup(), async stage =>
    {
        using var client = await stage.ConnectUnixAsync();
        foreach (var text in new[] { "", "7", "null", "[]", "[7]", "{", "\"\\ud800\"", """{"jsonrpc":"2.0","method":"\ud800","id":1}""",
                """{"jsonrpc":"2.0","method":7}""",
            """{"jsonrpc":"2.0","id":5,"result":1}""",
            """{"jsonrpc":"2.0","method":"server.database.get_item","params":{"namespace":{},"key":[7]}}""",
            """{"jsonrpc":"2.0","method":"printer.objects.query","params":{"objects":{"mcu":[7],"mcu":7}}}""", new string('[', 100_000) })
        {
            await client.SendAsync(text);
        }
        await client.SendRawAsync(new byte[] { (byte)'"', 0xFF, 0xFE, (byte)'"', 3 });
        using var random = await stage.ConnectUnixAsync();
        var noise = new byte[100_000];
        new Random(1).NextBytes(noise);
        await random.SendRawAsync(noise);
        for (var i = 0; i < 20; i++)
        {
            using var tcp = new System.Net.Sockets.TcpClient();
            await tcp.ConnectAsync("127.0.0.1", stage.Moonraker.Port);
            var begin = new[] { "", "GET / HT", "GET /server/info HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                "POST /printer/gcode/script HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "rubbish\r\n\r\n" }[i % 5];
            await tcp.GetStream().WriteAsync(System.Text.Encoding.Latin1.GetBytes(begin));
            await tcp.GetStream().WriteAsync(noise.AsMemory(i * 1000, i * 100));
        }
        using var web = await stage.ConnectWebSocketAsync();
        await web.SendAsync("[[[");
        await web.ResultAsync("server.info");
        Assert.Equal("ready", (string?)(await client.ResultAsync("server.info"))!["klippy_state"]);
    });

    [Fact]
    public void The_socket_is_removed_at_the_end_and_the_port_serves_one_Moonraker()
    {
        var path = "";
        MoonrakerStage.With(new MoonrakerSetup(), stage =>
        {
            path = stage.Socket;
            Assert.True(File.Exists(path));
            var taken = Assert.Throws<FlashException>(() =>
                VirtualMoonraker.Start(stage.Printer, new MoonrakerSetup { Port = stage.Moonraker.Port }));
            Assert.Equal("moonraker-socket", taken.Code);
            return Task.CompletedTask;
        });
        Assert.False(File.Exists(path));
    }
}
